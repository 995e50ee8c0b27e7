// What a host does for its core.

import Causality
import Membership
import Node
import Replication

extension Host {
  func perform(_ effect: NodeEffect) {
    switch effect {
    case .membership(let effect): perform(effect)
    case .connect(_, let address): world.connect(index, to: address)
    case .close(let connection, let reason):
      world.note(index, "closes a connection: \(reason)")
      connections = connections.filter { $0.value != connection }
      world.close(connection, by: index)
    case .send(let connection, let message): world.send(message.bytes, over: connection, by: index)
    case .sendWithContents(let targets, let message, let wants):
      let contents = wants.compactMap { want -> PlacedContent? in
        guard let bytes = held(want.place, want.chunk.hash, Int(want.chunk.length), chunkSize: Int(want.chunkSize))
        else { return nil }
        return PlacedContent(place: want.place, hash: want.chunk.hash, bytes: bytes[...])
      }
      let bytes = message.with(contents).bytes
      for target in targets { world.send(bytes, over: target, by: index) }
    case .serve(let connection, let volume, let requests):
      for request in requests {
        let size = node?.volume(volume)?.files[request.place.file]?.form.chunkSize ?? 0
        let bytes = held(request.place, request.hash, Int(request.length), chunkSize: Int(size))
        let answer = Message.content(volume: volume, id: request.id, bytes.map { $0[...] })
        world.send(answer.bytes, over: connection, by: index)
      }
    case .gather(_, let parcel, let items): gather(parcel, items)
    case .stage(_, let parcel, let want, let bytes): staged[parcel, default: [:]][want.chunk.hash] = Array(bytes)
    case .apply(_, let parcel):
      world.queue.add(.apply(index, life: life, parcel), at: world.now + random.span(0...world.diskDelay))
    case .abandon(_, let parcel): staged[parcel] = nil
    case .alarm(let alarm):
      world.counts.alarms += 1
      world.note(index, "alarm: \(alarm)")
    }
  }

  private func perform(_ effect: MembershipEffect) {
    switch effect {
    case .send(let bytes, let address): world.sendDatagram(bytes, from: index, to: address)
    case .exchangeState(let bytes, let address): world.requestState(bytes, from: index, with: address)
    case .answerState(let token, let bytes): world.answerState(bytes, from: index, to: Int(token))
    case .incarnation(let number): disk.perform(.incarnation(number))
    case .changed(let member):
      if member.id != id { world.note(index, "believes \(world.name(of: member.id)) \(member.status)") }
    case .digest, .clone, .counted, .departed: break
    }
  }

  /// The bytes of a version, when they are here and right.
  func held(_ place: ContentPlace, _ hash: ContentHash, _ length: Int, chunkSize: Int) -> [UInt8]? {
    if let bytes = disk.state.files[place.file] {
      let start = Int(place.index) * chunkSize
      if chunkSize > 0, start + length <= bytes.count {
        let slice = bytes[start..<start + length]
        if ContentDigest.hash(slice) == hash { return Array(slice) }
      }
    }
    if let bytes = disk.state.kept[hash], bytes.count == length { return bytes }
    return nil
  }

  private func gather(_ parcel: UInt64, _ items: [GatherItem]) {
    var missing: [WantedContent] = []
    for item in items {
      let (want, place) = (item.wanted, item.place ?? item.wanted.place)
      let size = volume?.files[place.file]?.form.chunkSize ?? want.chunkSize
      if let bytes = held(place, want.chunk.hash, Int(want.chunk.length), chunkSize: Int(size)) {
        staged[parcel, default: [:]][want.chunk.hash] = bytes
      } else {
        missing.append(want)
      }
    }
    world.queue.add(
      .gathered(index, life: life, parcel, missing), at: world.now + random.span(0...world.diskDelay))
  }

  /// A frame of a peer.
  func receive(_ bytes: [UInt8], over connection: ConnectionID) {
    let message: Message
    do {
      message = try Message(bytes[...])
    } catch {
      return world.fail(.crash, at: index, "a message can not be read: \(error)")
    }
    if case .content(_, let id, let content) = message {
      if id >= 1 << 62 { return repaired(id, content) }
      if let content, let expected = node?.expectedHash(Self.volume, id), ContentDigest.hash(content) != expected {
        return handle(.message(connection, .content(volume: Self.volume, id: id, nil)))
      }
      return handle(.message(connection, message))
    }
    handle(.message(connection, message.checked { ContentDigest.hash($0) }))
  }
}
