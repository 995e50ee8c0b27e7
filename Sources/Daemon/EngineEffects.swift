// Carrying out the core's effects.

import Causality
import Membership
import NIOCore
import Node
import Replication
import Storage
import Transport

/// The channels of a sync connection.
enum Channel {
  static let sync: UInt8 = 0
  static let state: UInt8 = 1
}

extension Engine {
  /// Carries out what has collected, in order. Runs on the dispatcher's thread only.
  func dispatch() {
    let effects = core.withLock { _, effects -> [NodeEffect] in
      defer { effects = [] }
      return effects
    }
    for effect in effects { perform(effect) }
  }

  private func perform(_ effect: NodeEffect) {
    switch effect {
    case .membership(let effect): perform(effect)
    case .connect(let peer, let address): links.withLock { $0 }?.transport.connect(to: address, expecting: peer)
    case .close(let connection, let reason):
      log.debug("closing a connection", metadata: ["why": "\(reason)"])
      link(connection)?.close()
    case .send(let connection, let message): link(connection)?.send(channel: Channel.sync, message.bytes)
    case .sendWithContents(let targets, let message, let wanted): send(message, wanted, to: targets)
    case .serve(let connection, let volume, let requests):
      server.add { self.serve(volume, requests, over: connection) }
    case .gather(let volume, let parcel, let items):
      applier.add { self.gather(volume, parcel, items) }
    case .stage(let volume, let parcel, let wanted, let bytes):
      applier.add { self.stage(volume, parcel, wanted, bytes) }
    case .apply(let volume, let parcel): applier.add { self.apply(volume, parcel) }
    case .abandon(let volume, let parcel): applier.add { self.staging.close(volume, parcel) }
    case .alarm(let alarm): raise(alarm)
    }
  }

  private func link(_ id: ConnectionID) -> PeerConnection? { connections.withLock { $0[id] } }

  /// Sends a push or part with those contents that can be read. A push to somebody who does not keep up is left out:
  /// the peer pulls when it has caught up.
  private func send(_ message: Message, _ wanted: [WantedContent], to targets: [ConnectionID]) {
    var open = targets.compactMap { link($0) }
    var name: String?
    if case .push(let volume, _, _, _, _) = message {
      open = open.filter { $0.isWritable }
      name = volume
    }
    if case .part(let volume, _, _, _, _, _) = message { name = volume }
    guard !open.isEmpty, let name, let volume = volume(name) else { return }
    var contents: [PlacedContent] = []
    for want in wanted {
      guard let bytes = bytes(want, volume) else { continue }
      contents.append(PlacedContent(place: want.place, hash: want.chunk.hash, bytes: bytes[...]))
    }
    let bytes = message.with(contents).bytes
    for connection in open { connection.send(channel: Channel.sync, bytes) }
  }

  private func bytes(_ want: WantedContent, _ volume: CarriedVolume) -> [UInt8]? {
    if let bytes = volume.recent[want.chunk.hash] { return bytes }
    let length = Int(want.chunk.length)
    guard
      let bytes = volume.content.chunk(want.file, index: want.index, chunkSize: want.chunkSize, length: length),
      ContentHasher.hash(bytes[...]) == want.chunk.hash
    else { return nil }
    return bytes
  }

  /// Answers requests for bytes; the receiver checks them.
  private func serve(_ name: String, _ requests: [ContentRequest], over id: ConnectionID) {
    guard let connection = link(id), let volume = volume(name) else { return }
    for request in requests {
      let chunkSize = withVolume(name) { state, _ -> UInt32? in
        guard let file = state.files[request.place.file], file.chunks[request.place.index]?.hash == request.hash
        else { return nil }
        return file.form.chunkSize
      }
      let bytes =
        if let recent = volume.recent[request.hash] {
          recent
        } else if let chunkSize {
          volume.content.chunk(
            request.place.file, index: request.place.index, chunkSize: chunkSize, length: Int(request.length))
        } else { volume.content.kept(request.hash) }
      if let bytes {
        let head = Message.contentHead(volume: name, id: request.id, count: bytes.count)
        connection.send(channel: Channel.sync, head: head, body: bytes)
      } else {
        connection.send(channel: Channel.sync, Message.content(volume: name, id: request.id, nil).bytes)
      }
    }
  }

  private func perform(_ effect: MembershipEffect) {
    switch effect {
    case .incarnation(let value):
      do { try nodeRecords.commit([NodeRecords.number(NodeRecords.incarnationKey, value)], durably: false) } catch {
        storageFailed(error)
      }
    case .send(let bytes, let address): links.withLock { $0 }?.gossip.send(bytes, to: address)
    case .exchangeState(let bytes, let address):
      let connection = connections.withLock { connections in
        let member = read { node in node.membership.members.first { $0.card.sync == address }?.id }
        return connections.values.first { $0.remote == member }
      }
      if let connection {
        connection.send(channel: Channel.state, [0] + bytes)
      } else {
        handle(.membership(.stateFailed(address)))
      }
    case .answerState(let token, let bytes):
      guard let id = tokens.withLock({ $0.removeValue(forKey: token) }) else { return }
      link(id)?.send(channel: Channel.state, [1] + bytes)
    case .changed(let member):
      events.tell(
        "member", ["name": member.card.name, "region": member.card.region, "status": "\(member.status)"])
      log.info(
        "member",
        metadata: ["name": "\(member.card.name)", "region": "\(member.card.region)", "is": "\(member.status)"])
    case .clone(let id, let addresses):
      log.error("two nodes use one id: a data directory was copied", metadata: ["id": "\(id)", "at": "\(addresses)"])
    case .digest, .counted, .departed: break
    }
  }

  // MARK: What comes in

  /// The handlers for the transport.
  var handlers: SyncTransport.Handlers {
    SyncTransport.Handlers(
      connected: { connection, remote, _ in
        self.connections.withLock { $0[connection.id] = connection }
        self.handle(.connected(connection.id, remote))
      },
      received: { connection, channel, payload in self.receive(payload, on: channel, from: connection) },
      closed: { connection, reason in
        self.log.debug("connection closed", metadata: ["peer": "\(connection.identity.name)", "why": "\(reason)"])
        _ = self.connections.withLock { $0.removeValue(forKey: connection.id) }
        self.asking.lost(connection.id)
        self.handle(.closed(connection.id))
      })
  }

  private func receive(_ payload: ByteBuffer, on channel: UInt8, from connection: PeerConnection) {
    let bytes = Array(payload.readableBytesView)
    if channel == Channel.state {
      guard let kind = bytes.first else { return }
      let state = Array(bytes.dropFirst())
      if kind == 0 {
        let token = connection.id &* 1_000_003 &+ SystemClock.now.nanoseconds
        tokens.withLock { tokens in
          if tokens.count > 1_024 { tokens.removeAll() }
          tokens[token] = connection.id
        }
        handle(.membership(.stateRequested(token, state)))
      } else {
        handle(.membership(.stateAnswered(state)))
      }
      return
    }
    do {
      var message = try Message(bytes[...]).checked(ContentHasher.hash)
      if intercept(message, from: connection) { return }
      if case .content(let volume, let id, let content?) = message {
        let expected = read { $0.expectedHash(volume, id) }
        if expected.map({ ContentHasher.hash(content) != $0 }) ?? true {
          message = .content(volume: volume, id: id, nil)
        }
      }
      handle(.message(connection.id, message))
    } catch {
      raise(.badMessage(connection.remote, "\(error)"))
      connection.close()
    }
  }

  /// A datagram came, opened.
  func received(_ bytes: [UInt8], from address: String) { handle(.membership(.datagram(bytes, from: address))) }
}
