// The disk of one machine: records, contents, and what of both survives.

import Causality
import Replication

/// Something done to a disk. A transaction is all or nothing; everything else can be interrupted.
enum DiskWrite: Sendable {
  case transaction([StoredRecord], clean: [FileID])
  case bytes(FileID, offset: Int, [UInt8])
  case size(FileID, Int)
  case keep(ContentHash, [UInt8])
  case discard(FileID)
  case mark(FileID, FileMark)
  case lease(Stamp)
  case incarnation(UInt64)
  case holders([NodeID: VersionVector])

  var isContent: Bool {
    switch self {
    case .bytes, .size: true
    default: false
    }
  }
}

/// Why the bytes of a file may differ from what its records say.
enum FileMark: Hashable, Sendable {
  /// Programs wrote into it and the change is not recorded yet.
  case dirty
  /// Bytes of peers are being put in place.
  case applying
}

/// What a disk holds.
struct DiskState: Sendable {
  var records: [[UInt8]: [UInt8]] = [:]
  var files: [FileID: [UInt8]] = [:]
  var kept: [ContentHash: [UInt8]] = [:]
  var marks: [FileID: FileMark] = [:]
  var lease = Stamp.zero
  var incarnation: UInt64 = 0
  var holders: [NodeID: VersionVector] = [:]

  mutating func apply(_ write: DiskWrite) {
    switch write {
    case .transaction(let stored, let clean):
      for record in stored { records[record.key] = record.value }
      for id in clean { marks[id] = nil }
    case .bytes(let id, let offset, let bytes):
      let end = offset + bytes.count
      resize(id, to: max(end, files[id]?.count ?? 0))
      files[id]!.replaceSubrange(offset..<end, with: bytes)
    case .size(let id, let size): resize(id, to: size)
    case .keep(let hash, let bytes): kept[hash] = bytes
    case .discard(let id): files[id] = nil
    case .mark(let id, let mark): marks[id] = mark
    case .lease(let stamp): lease = stamp
    case .incarnation(let number): incarnation = number
    case .holders(let vectors): holders = vectors
    }
  }
}

extension DiskState {
  private mutating func resize(_ id: FileID, to size: Int) {
    var bytes = files.removeValue(forKey: id) ?? []
    if bytes.count > size { bytes.removeSubrange(size...) }
    if bytes.count < size { bytes.append(contentsOf: [UInt8](repeating: 0, count: size - bytes.count)) }
    files[id] = bytes
  }
}

/// A disk with a cache: what is written is seen at once, and survives power loss once synced.
struct Disk: Sendable {
  private(set) var state = DiskState()
  private var durable = DiskState()
  private var unsynced: [DiskWrite] = []
  /// Writes after which the machine dies; nil while nothing threatens.
  var writesLeft: Int?
  /// Whether the machine died while it wrote: nothing is written any more.
  private(set) var isDead = false
  /// Whether there is no room.
  var isFull = false

  /// Does it, unless the machine dies just before.
  mutating func perform(_ write: DiskWrite) {
    guard !isDead else { return }
    if let left = writesLeft {
      writesLeft = left - 1
      if left <= 0 {
        isDead = true
        return
      }
    }
    state.apply(write)
    unsynced.append(write)
  }

  /// Makes all durable.
  mutating func sync() {
    guard !isDead else { return }
    for write in unsynced { durable.apply(write) }
    unsynced.removeAll(keepingCapacity: true)
  }

  /// The machine is killed: what was written stays.
  mutating func revive() {
    isDead = false
    writesLeft = nil
  }

  /// The power goes: of the writes since the last sync the first few stay; when `torn`, contents of later ones too,
  /// in part.
  mutating func losePower(torn: Bool, _ random: inout SeededGenerator) {
    let survivors = Int.random(in: 0...unsynced.count, using: &random)
    for write in unsynced[..<survivors] { durable.apply(write) }
    if torn {
      for write in unsynced[survivors...] where write.isContent && random.chance(0.4) {
        if case .bytes(let id, let offset, let bytes) = write, random.chance(0.5) {
          durable.apply(.bytes(id, offset: offset, Array(bytes[..<(bytes.count / 2)])))
        } else {
          durable.apply(write)
        }
      }
    }
    unsynced.removeAll()
    state = durable
    revive()
  }

  /// A bit changes by itself.
  mutating func rot(_ id: FileID, at offset: Int) {
    state.files[id]?[offset] ^= 0x40
    if let count = durable.files[id]?.count, offset < count { durable.files[id]?[offset] ^= 0x40 }
  }
}
