// Coming back: a volume from its records, and what a previous life wrote without recording it.

import Causality
import Glibc
import Node
import Replication
import Storage

extension Engine {
  /// Loads a volume, or makes it, and carries it from now on.
  func carry(_ name: String, directory: String, sizeLimit: UInt64, after end: DataDirectory.PreviousEnd) throws {
    let carried = try CarriedVolume(name: name, directory: directory, sizeLimit: sizeLimit, engine: self)
    let records = try carried.records.records()
    let state = records.filter {
      ![BackingMark.letter, IntentRecord.letter, DatabaseMark.letter].contains($0.key.first)
    }
    let intents = records.filter { $0.key.first == IntentRecord.letter }
    var volume = try Volume(name: name, origin: Self.freshOrigin(), records: state)
    if state.isEmpty {
      volume.adopt(origin: volume.origin)
    } else if end == .powerLoss {
      log.warning("the machine went down: going on under a new origin", metadata: ["volume": "\(name)"])
      volume.adopt(origin: Self.freshOrigin())
    }
    volumes.withLock { $0[name] = carried }
    change { node, effects in node.add(volume, into: &effects) }
    carried.live.load(records.filter { $0.key.first == DatabaseMark.letter }, after: end)
    if end == .killed || end == .powerLoss { recover(carried, records, torn: IntentRecord.places(in: intents)) }
    carried.store(durably: true, also: intents.map { StoredRecord(key: $0.key, value: nil) })
  }

  static func freshOrigin() -> NodeID {
    var generator = SystemRandomNumberGenerator()
    return NodeID(generator.next() | 1)
  }

  /// Finds backing files that do not look as they did when all of them was recorded, and records what differs.
  ///
  /// - Parameter torn: chunks that were being overwritten with a peer's bytes: not changes of this node.
  private func recover(_ carried: CarriedVolume, _ records: [StoredRecord], torn: Set<ContentPlace>) {
    var marks: [[UInt8]: BackingMark] = [:]
    for record in records where record.key.first == BackingMark.letter {
      marks[record.key] = record.value.flatMap { BackingMark($0) }
    }
    let files = withVolume(carried.name) { volume, _ in
      volume.files.values.filter { $0.form.kind == .regular }
    }
    var found = 0
    for file in files.sorted(by: { $0.id < $1.id }) where !file.form.isDatabase {
      var status = stat()
      guard stat(carried.content.path(of: file.id), &status) == 0 else { continue }
      let mark = BackingMark(modified: status.st_mtim, size: UInt64(status.st_size))
      guard marks[BackingMark.key(of: file.id)] != mark else { continue }
      if rehash(file, mark, carried, torn: torn) { found += 1 }
      carried.mark(file.id)
    }
    if found > 0 {
      log.notice("recorded what a killed process had written", metadata: ["files": "\(found)"])
    }
    removeOrphans(carried, known: Set(files.map(\.id)))
  }

  private func rehash(
    _ file: File, _ mark: BackingMark, _ carried: CarriedVolume, torn: Set<ContentPlace>
  ) -> Bool {
    let chunkSize = UInt64(file.form.chunkSize)
    let size = torn.contains { $0.file == file.id } ? max(mark.size, file.size) : mark.size
    var writes: [ChunkWrite] = []
    for index in 0..<(size + chunkSize - 1) / chunkSize where !torn.contains(ContentPlace(file: file.id, index: index))
    {
      let length = Int(min(chunkSize, size - index * chunkSize))
      guard
        let bytes = carried.content.chunk(file.id, index: index, chunkSize: file.form.chunkSize, length: length)
      else { continue }
      let hash = ContentHasher.hash(bytes[...])
      if hash.isZeros, file.chunks[index] == nil { continue }
      writes.append(ChunkWrite(index: index, hash: hash, length: UInt32(length)))
    }
    var attributes = file.attributes
    attributes.modified = FileTime(
      seconds: Int64(mark.modified.tv_sec), nanoseconds: UInt32(mark.modified.tv_nsec))
    return withVolume(carried.name) { volume, stamp in
      let isSame = writes.allSatisfy { write in
        let held = volume.files[file.id]?.chunks[write.index]
        return held?.hash == write.hash && held?.length == write.length
      }
      guard !isSame || size != file.size else { return false }
      let dot = try? volume.commit(file.id, writes, size: size, attributes: attributes, at: stamp())
      return dot != nil
    }
  }

  /// Removes backing files of files that are not known: created just before a crash, or transfers that never ended.
  private func removeOrphans(_ carried: CarriedVolume, known: Set<FileID>) {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    for file in carried.content.held where !known.contains(file) {
      var status = stat()
      guard stat(carried.content.path(of: file), &status) == 0, now.tv_sec - status.st_mtim.tv_sec > 86_400 else {
        continue
      }
      carried.content.remove(file)
    }
  }
}
