// Local changes: made, recorded, told.

import Causality
import Node
import Replication

extension Host {
  /// Makes a local change and everything it touched durable, then tells the peers. False when it was refused.
  @discardableResult
  func change(
    _ what: @autoclosure () -> String, clean: [FileID] = [],
    _ body: (inout Volume, Stamp) throws(VolumeError) -> Void
  ) -> Bool {
    guard node != nil, !disk.isDead else { return false }
    var stamp = Stamp.zero
    var isChanged = false
    do {
      try node!.withVolume(Self.volume, wall: wall) { volume, next in
        stamp = next()
        let before = volume.vector[volume.origin]
        try body(&volume, stamp)
        isChanged = volume.vector[volume.origin] > before
      }
    } catch { return false }
    guard isChanged else {
      persist(clean: clean)
      return true
    }
    if stamp <= lastStamp { world.fail(.clock, at: index, "stamp \(stamp) does not exceed \(lastStamp)") }
    renewLease()
    world.counts.changes += 1
    world.note(index, what())
    persist(stamp: stamp, clean: clean)
    if !disk.isDead { lastStamp = stamp }
    return true
  }

  private func renewLease() {
    guard let lease = node?.leaseDue else { return }
    disk.perform(.lease(lease))
    disk.sync()
    node!.grant(lease: lease)
  }

  /// Stores what was touched in one transaction; local changes among it are told afterwards.
  func persist(stamp: Stamp = .zero, clean: [FileID] = []) {
    guard node != nil, !disk.isDead else { return }
    var records: [StoredRecord] = []
    var touched: [TouchedRecord] = []
    var outgoing: [(sequences: ClosedRange<UInt64>, delta: Delta)] = []
    var origin = NodeID(0)
    node!.withVolume(Self.volume, wall: wall) { volume, _ in
      touched = volume.takeTouched()
      records = touched.map { volume.stored($0) }
      while let next = volume.takeOutgoing() { outgoing.append(next) }
      origin = volume.origin
    }
    if world.mutation == .tellBeforeStoring { tell(outgoing, origin) }
    if !records.isEmpty || !clean.isEmpty { disk.perform(.transaction(records, clean: clean)) }
    guard !disk.isDead else { return }
    if stamp > .zero { world.ledger.note(by: self, at: stamp, touched) }
    world.ledger.noteCollected(touched, volume!)
    if world.mutation != .tellBeforeStoring { tell(outgoing, origin) }
  }

  private func tell(_ outgoing: [(sequences: ClosedRange<UInt64>, delta: Delta)], _ origin: NodeID) {
    for (sequences, delta) in outgoing {
      world.ledger.noteTold(by: self, origin, sequences)
      handle(.stored(volume: Self.volume, sequences: sequences, delta))
    }
  }

  /// Programs write: the bytes are there at once, the change is recorded later.
  func write(_ id: FileID, at offset: Int, _ bytes: [UInt8]) {
    guard let file = volume?.files[id], !disk.isFull else { return }
    let size = Int(file.form.chunkSize)
    soil(id, UInt64(offset / size)...UInt64((offset + bytes.count - 1) / size))
    disk.perform(.bytes(id, offset: offset, bytes))
  }

  /// Programs cut or extend.
  func truncate(_ id: FileID, to size: Int) {
    guard let file = volume?.files[id], !disk.isFull else { return }
    let before = disk.state.files[id]?.count ?? 0
    let (chunk, last) = (Int(file.form.chunkSize), max(0, size - 1))
    soil(id, UInt64(last / chunk)...UInt64(max(last, before) / chunk))
    disk.perform(.size(id, size))
  }

  private func soil(_ id: FileID, _ chunks: ClosedRange<UInt64>) {
    if dirty[id] == nil {
      dirty[id] = DirtyFile(since: world.now)
      disk.perform(.mark(id, .dirty))
      world.queue.add(.capture(index, life: life, id), at: world.now + random.span(20...900))
    }
    dirty[id]!.chunks.formUnion(chunks)
  }

  /// Records what programs wrote into a file.
  func capture(_ id: FileID) {
    guard let found = dirty.removeValue(forKey: id), let file = volume?.files[id] else { return }
    let bytes = disk.state.files[id] ?? []
    let size = Int(file.form.chunkSize)
    var chunks = found.chunks
    if bytes.count != Int(file.size) {
      if file.size > 0 { chunks.insert((file.size - 1) / UInt64(size)) }
      if !bytes.isEmpty { chunks.insert(UInt64((bytes.count - 1) / size)) }
    }
    var writes: [ChunkWrite] = []
    for chunk in chunks.sorted() where Int(chunk) * size < bytes.count {
      let content = bytes[Int(chunk) * size..<min(bytes.count, (Int(chunk) + 1) * size)]
      writes.append(ChunkWrite(index: chunk, hash: ContentDigest.hash(content), length: UInt32(content.count)))
      damaged[ContentPlace(file: id, index: chunk)] = nil
      rotten.remove(ContentPlace(file: id, index: chunk))
    }
    var attributes = file.attributes
    attributes.modified = FileTime(seconds: Int64(wall / 1_000), nanoseconds: 0)
    change("records \(writes.count) chunks of \(file.home), \(bytes.count) bytes", clean: [id]) {
      (volume, stamp) throws(VolumeError) in
      try volume.commit(id, writes, size: UInt64(bytes.count), attributes: attributes, at: stamp)
    }
  }

  /// Everything that was written reaches the disk for good.
  func synchronizeDisk() {
    disk.sync()
    guard !disk.isDead, let volume, !volume.hasWork else { return }
    handle(.durable(volume: Self.volume, volume.vector))
  }

  /// What a program asked to be durable is durable.
  func synchronize(_ id: FileID) {
    capture(id)
    synchronizeDisk()
    guard !disk.isDead, let volume else { return }
    world.ledger.noteSynced(by: self, volume)
  }

  /// Forgets what everybody has seen go.
  func collect() {
    guard node != nil, dirty.isEmpty else { return }
    storeHolders(onlyNew: false)
    var gone: [FileID] = []
    if world.mutation == .collectEarly {
      node!.withVolume(Self.volume, wall: wall) { volume, _ in
        gone = volume.collect(frontier: volume.vector, isPinned: { _ in false })
      }
    } else {
      gone = node!.collect(Self.volume, isPinned: { _ in false })
    }
    persist()
    for id in gone { disk.perform(.discard(id)) }
    if !gone.isEmpty { world.note(index, "forgets \(gone.count) files") }
  }
}
