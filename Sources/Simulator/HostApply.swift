// Joining what peers tell: bytes and records, in an order that survives a crash.

import Causality
import Node
import Replication

extension Host {
  /// Joins a parcel's delta and puts its bytes in place.
  func apply(_ parcel: Parcel) {
    guard node != nil, !disk.isDead else { return }
    guard !disk.isFull else { return finish(parcel, .failed) }
    if world.mutation != .skipCapture {
      for file in parcel.delta.files { capture(file.id) }
      guard !disk.isDead else { return }
    }
    let missing = volume!.wanted(by: parcel.delta).first {
      !$0.isLost && bytes(for: $0.place, $0.chunk, parcel) == nil
    }
    let isPartial = volume!.verdicts(of: parcel.delta).contains { [.needsWhole, .incomplete].contains($0.verdict) }
    guard missing == nil, !isPartial else {
      world.note(index, "needs more for parcel \(parcel.id): \(missing.map { "\($0.place)" } ?? "a whole database")")
      return finish(parcel, .needsMore)
    }

    let before = Visible(self, parcel.delta)
    var work: [ContentWork] = []
    let delta = world.mutation == .joinInPart ? parcel.delta.withoutLast : parcel.delta
    node!.withVolume(Self.volume, wall: wall) { volume, _ in work = volume.join(delta) }
    var files = Set<FileID>()
    for item in work where files.insert(item.file).inserted { disk.perform(.mark(item.file, .applying)) }
    for item in work { perform(item, parcel) }
    if world.mutation == .dropLost { dropLost() }
    if world.mutation == .claimTooMuch { claimTooMuch(parcel) }
    node!.withVolume(Self.volume, wall: wall) { volume, _ in _ = volume.takeEvents() }
    persist(clean: files.sorted())
    guard !disk.isDead else { return }
    world.ledger.checkJoin(on: self, before)
    world.note(index, "takes in \(parcel.delta.summary) from \(world.name(of: parcel.sender))")
    finish(parcel, .done)
  }

  private func finish(_ parcel: Parcel, _ outcome: ApplyOutcome) {
    if outcome != .needsMore { staged[parcel.id] = nil }
    handle(.applied(volume: Self.volume, parcel: parcel.id, outcome))
  }

  private func bytes(for place: ContentPlace, _ chunk: Chunk, _ parcel: Parcel) -> [UInt8]? {
    if let content = parcel.contents[place], content.hash == chunk.hash { return Array(content.bytes) }
    return staged[parcel.id]?[chunk.hash]
  }

  private func perform(_ item: ContentWork, _ parcel: Parcel) {
    guard let file = volume?.files[item.file] else { return }
    let size = Int(file.form.chunkSize)
    switch item {
    case .keepHeld(let id, let index, let chunk):
      guard world.mutation != .skipKeeping, !chunk.hash.isZeros else { return }
      let place = ContentPlace(file: id, index: index)
      if let bytes = held(place, chunk.hash, Int(chunk.length), chunkSize: size) {
        disk.perform(.keep(chunk.hash, bytes))
      }
    case .keepSent(let id, let index, let chunk):
      guard !chunk.hash.isZeros else { return }
      let place = ContentPlace(file: id, index: index)
      let bytes = bytes(for: place, chunk, parcel) ?? held(place, chunk.hash, Int(chunk.length), chunkSize: size)
      if let bytes { disk.perform(.keep(chunk.hash, bytes)) }
    case .write(let id, let index, let chunk):
      guard world.mutation != .skipWriting else { return }
      let place = ContentPlace(file: id, index: index)
      let start = Int(index) * size
      let padding = [UInt8](repeating: 0, count: size - Int(chunk.length))
      if chunk.hash.isZeros {
        disk.perform(.bytes(id, offset: start, [UInt8](repeating: 0, count: size)))
      } else if let bytes = bytes(for: place, chunk, parcel)
        ?? held(place, chunk.hash, Int(chunk.length), chunkSize: size)
      {
        disk.perform(.bytes(id, offset: start, bytes + padding))
      } else {
        damaged[place] = 0
        return
      }
      damaged[place] = nil
      rotten.remove(place)
    case .erase(let id, let index):
      let place = ContentPlace(file: id, index: index)
      damaged[place] = nil
      rotten.remove(place)
      if Int(index) * size < disk.state.files[id]?.count ?? 0 {
        disk.perform(.bytes(id, offset: Int(index) * size, [UInt8](repeating: 0, count: size)))
      }
    case .resize(let id): disk.perform(.size(id, Int(file.size)))
    }
  }

  // MARK: Repair

  /// Asks peers for the bytes of damaged chunks; what none of them has is recorded as it is.
  func repair() {
    guard !damaged.isEmpty, let volume, !disk.isDead, !connections.isEmpty else { return }
    repairs = repairs.filter { world.now - $0.value.asked < .seconds(2) }
    let underWay = Set(repairs.values.map(\.place))
    let peers = connections.keys.sorted()
    for place in damaged.keys.sorted() where !underWay.contains(place) && dirty[place.file] == nil {
      guard let chunk = volume.files[place.file]?.chunks[place.index],
        mismatches(of: place.file).contains(place.index)
      else {
        damaged[place] = nil
        continue
      }
      let refusals = damaged[place]!
      if refusals >= 3 * world.hosts.count, peers.count + 1 == world.hosts.count, volume.linkCount(place.file) > 0 {
        damaged[place] = nil
        soilDamaged(place)
        continue
      }
      let peer = peers[refusals % peers.count]
      repairs[nextRepair] = Repair(place: place, peer: peer, asked: world.now)
      let request = ContentRequest(id: nextRepair, place: place, hash: chunk.hash, length: chunk.length)
      nextRepair += 1
      world.send(Message.fetch(volume: Self.volume, [request]).bytes, over: connections[peer]!, by: index)
    }
  }

  private func soilDamaged(_ place: ContentPlace) {
    dirty[place.file] = DirtyFile(chunks: [place.index], since: world.now)
    disk.perform(.mark(place.file, .dirty))
    capture(place.file)
  }

  func repaired(_ id: UInt64, _ content: ArraySlice<UInt8>?) {
    guard let repair = repairs.removeValue(forKey: id), let known = damaged[repair.place] else { return }
    guard let content, let file = volume?.files[repair.place.file], dirty[repair.place.file] == nil,
      let chunk = file.chunks[repair.place.index],
      ContentDigest.hash(content) == chunk.hash, content.count == Int(chunk.length)
    else {
      damaged[repair.place] = known + 1
      return
    }
    let size = Int(file.form.chunkSize)
    let padding = [UInt8](repeating: 0, count: size - content.count)
    disk.perform(.bytes(repair.place.file, offset: Int(repair.place.index) * size, Array(content) + padding))
    restoreSize(of: repair.place.file)
    guard !disk.isDead else { return }  // Half a repair is none.
    damaged[repair.place] = nil
    world.counts.repairs += 1
  }
}

extension ContentWork {
  var file: FileID {
    switch self {
    case .write(let id, _, _), .keepHeld(let id, _, _), .keepSent(let id, _, _), .erase(let id, _), .resize(let id): id
    }
  }
}

extension Delta {
  var summary: String { "\(paths.count) paths and \(files.count) files" }
}
