// What a node does with what its peers say.

import Causality
import Replication

extension Node {
  mutating func handle(
    _ message: Message, from peer: NodeID, _ connection: ConnectionID, at now: Instant, wall: UInt64,
    into effects: inout [NodeEffect]
  ) {
    switch message {
    case .hello(let node, let protocols, let volumes):
      guard node == peer, protocols.overlaps(Message.protocols) else {
        effects.append(.alarm(.badMessage(peer, "it calls itself \(node), speaking protocols \(protocols)")))
        effects.append(.close(connection, reason: "no common protocol"))
        return
      }
      peers[peer]!.saidHello = true
      forgotten.remove(peer)
      for volume in volumes where syncs[volume.volume] != nil {
        hears(volume, from: peer, at: now, waits: false, into: &effects)
      }
    case .have(let volume):
      guard syncs[volume.volume] != nil else { return }
      hears(volume, from: peer, at: now, waits: true, into: &effects)
    case .push(let name, let origin, let sequences, let delta, let contents):
      guard syncs[name] != nil else { return }
      let parcel = parcel(name, peer, connection, .push(origin: origin, sequences), delta, contents)
      receivePush(name, parcel, origin, sequences, at: now, wall: wall, into: &effects)
    case .pull(let name, let round, let since):
      guard syncs[name] != nil else { return }
      syncs[name]!.held[peer] = since
      let server = PullServer(round: round, since: since, of: &syncs[name]!.volume)
      syncs[name]!.serving[peer] = server
      serve(name, peer, connection, into: &effects)
    case .partDone(let name, let round, _):
      guard syncs[name]?.serving[peer]?.round == round else { return }
      syncs[name]!.serving[peer]!.partDone()
      serve(name, peer, connection, into: &effects)
    case .part(let name, let round, let number, let claim, let delta, let contents):
      guard syncs[name]?.round?.id == round, syncs[name]!.round!.peer == peer else { return }
      guard accepts(delta, of: peer, wall: wall, into: &effects) else {
        syncs[name]!.round = nil
        syncs[name]!.pauseUntil = now + .seconds(5)
        return
      }
      let parcel = parcel(name, peer, connection, .part(round: round, number: number), delta, contents)
      syncs[name]!.round!.pending.insert(parcel.id)
      syncs[name]!.round!.lastProgress = now
      if let claim { syncs[name]!.round!.claim = claim }
      syncs[name]!.accept(parcel, into: &effects)
    case .fetch(let name, let requests):
      guard syncs[name] != nil else { return }
      effects.append(.serve(connection, volume: name, requests))
    case .askWhole(let name, let parcel, let file):
      sendWhole(name, parcel, file, over: connection, into: &effects)
    case .whole(let name, let parcel, let isLast, let delta):
      guard syncs[name]?.parcels[parcel]?.sender == peer else { return }
      syncs[name]!.receiveWhole(delta, isLast: isLast, for: parcel, into: &effects)
      request(name, at: now, into: &effects)
    case .content(let name, let id, let bytes):
      receive(name, id, bytes, from: peer, at: now, into: &effects)
    case .ask, .answer: break  // The owner's affair.
    }
  }

  /// Pages of a whole database in one message, at most.
  private static let pagesPerMessage = 65_536

  private func sendWhole(
    _ name: String, _ parcel: UInt64, _ id: FileID, over connection: ConnectionID, into effects: inout [NodeEffect]
  ) {
    guard let file = syncs[name]?.volume.whole(id) else { return }
    var rest = file.chunks.elements[...]
    repeat {
      var part = file
      part.chunks = ChunkTable()
      for element in rest.prefix(Self.pagesPerMessage) { part.chunks[element.index] = element.chunk }
      rest = rest.dropFirst(Self.pagesPerMessage)
      var delta = Delta()
      delta.files = [part]
      effects.append(.send(connection, .whole(volume: name, parcel: parcel, isLast: rest.isEmpty, delta)))
    } while !rest.isEmpty
  }

  private mutating func parcel(
    _ name: String, _ peer: NodeID, _ connection: ConnectionID, _ kind: Parcel.Kind, _ delta: Delta,
    _ contents: [PlacedContent]
  ) -> Parcel {
    let id = syncs[name]!.nextParcel
    syncs[name]!.nextParcel += 1
    counts.contentBytes += contents.reduce(0) { $0 + UInt64($1.bytes.count) }
    return Parcel(
      id: id, sender: peer, connection: connection, kind: kind, delta: delta,
      contents: Dictionary(contents.map { ($0.place, $0) }) { first, _ in first })
  }

  /// Whether the stamps of a delta are within the allowed offset; then the clock takes them in.
  private mutating func accepts(
    _ delta: Delta, of peer: NodeID, wall: UInt64, into effects: inout [NodeEffect]
  ) -> Bool {
    clock.allowedOffset = allowedOffset
    switch clock.observe(delta.latestStamp, wall: wall) {
    case .accepted: return true
    case .tooFarAhead(let milliseconds):
      effects.append(.alarm(.stampAhead(peer, milliseconds: milliseconds)))
      return false
    }
  }

  private mutating func receivePush(
    _ name: String, _ parcel: Parcel, _ origin: NodeID, _ sequences: ClosedRange<UInt64>, at now: Instant,
    wall: UInt64, into effects: inout [NodeEffect]
  ) {
    guard syncs[name]!.hasRoom(at: now), accepts(parcel.delta, of: parcel.sender, wall: wall, into: &effects),
      syncs[name]!.expect(origin, sequences)
    else {
      counts.pushesDropped += 1
      return
    }
    syncs[name]!.held[parcel.sender, default: VersionVector()].include(Dot(origin, sequences.upperBound))
    syncs[name]!.accept(parcel, into: &effects)
  }

  private mutating func receive(
    _ name: String, _ id: UInt64, _ bytes: ArraySlice<UInt8>?, from peer: NodeID, at now: Instant,
    into effects: inout [NodeEffect]
  ) {
    guard let want = syncs[name]?.fetches.answered(id, by: peer) else { return }
    if syncs[name]!.round?.pending.contains(want.parcel) ?? false { syncs[name]!.round!.lastProgress = now }
    if let bytes, bytes.count == Int(want.content.chunk.length) {
      counts.contentBytes += UInt64(bytes.count)
      effects.append(.stage(volume: name, parcel: want.parcel, want.content, bytes))
      syncs[name]!.settled(want.content, of: want.parcel, isThere: true, into: &effects)
    } else {
      syncs[name]!.fetches.refused(want, by: peer)
    }
    request(name, at: now, into: &effects)
  }

  private mutating func serve(
    _ name: String, _ peer: NodeID, _ connection: ConnectionID, into effects: inout [NodeEffect]
  ) {
    while let (part, contents) = syncs[name]!.nextPart(for: peer) {
      effects.append(.sendWithContents([connection], part, contents))
    }
  }

  /// Sends the requests that the windows allow; gives up what nobody can serve.
  mutating func request(_ name: String, at now: Instant, into effects: inout [NodeEffect]) {
    guard let isIdle = syncs[name]?.fetches.isEmpty, !isIdle else { return }
    let held = syncs[name]!.held
    let connected = peers.filter(\.value.saidHello).keys.sorted()
    let (requests, hopeless) = syncs[name]!.fetches.next { want in
      connected.filter { $0 == want.sender || held[$0]?.covers(want.content.chunk.dot) ?? false }
    }
    var perPeer: [NodeID: [ContentRequest]] = [:]
    for (peer, request) in requests { perPeer[peer, default: []].append(request) }
    for peer in perPeer.keys.sorted() {
      effects.append(.send(peers[peer]!.connection, .fetch(volume: name, perPeer[peer]!)))
    }
    for want in hopeless {
      if want.content.isLost {
        syncs[name]!.settled(want.content, of: want.parcel, isThere: false, into: &effects)
      } else if syncs[name]!.parcels[want.parcel] != nil {
        syncs[name]!.pauseUntil = max(syncs[name]!.pauseUntil, now + .milliseconds(100))
        syncs[name]!.abandon(want.parcel, into: &effects)
      }
    }
  }

  /// Notes what a peer holds, and pulls when it holds more than is on its way.
  private mutating func hears(
    _ told: Message.VolumeVector, from peer: NodeID, at now: Instant, waits: Bool, into effects: inout [NodeEffect]
  ) {
    let (name, vector) = (told.volume, told.vector)
    syncs[name]!.held[peer] = vector
    syncs[name]!.heldDurably[peer] = told.durable
    syncs[name]!.hearsay.formUnion(told.holders.filter { $0 != id && !forgotten.contains($0) })
    let own = syncs[name]!.volume.origin
    if vector[own] > syncs[name]!.volume.vector[own] {
      effects.append(
        .alarm(.originStolen(volume: name, claimed: vector[own], ours: syncs[name]!.volume.vector[own])))
    }
    if !waits { syncs[name]!.behindSince[peer] = .zero }
    reconsider(name, at: now, into: &effects)
  }

  /// Starts a round with a peer that holds more, once pushes have had their time to close the difference.
  mutating func reconsider(_ name: String, at now: Instant, into effects: inout [NodeEffect]) {
    guard syncs[name]!.round == nil, syncs[name]!.pauseUntil <= now else { return }
    let reach = syncs[name]!.reach
    for peer in peers.keys.sorted() where peers[peer]!.saidHello {
      guard let held = syncs[name]!.held[peer], !reach.covers(held) else {
        syncs[name]!.behindSince[peer] = nil
        continue
      }
      guard let since = syncs[name]!.behindSince[peer] else {
        syncs[name]!.behindSince[peer] = now
        continue
      }
      guard since == .zero || now - since >= VolumeSync.grace else { continue }
      syncs[name]!.behindSince[peer] = nil
      let connection = peers[peer]!.connection
      let id = syncs[name]!.nextRound
      syncs[name]!.nextRound += 1
      syncs[name]!.round = VolumeSync.Round(id: id, peer: peer, connection: connection, lastProgress: now)
      counts.rounds += 1
      effects.append(.send(connection, .pull(volume: name, round: id, since: syncs[name]!.volume.vector)))
      return
    }
  }
}
