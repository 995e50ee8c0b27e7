// A volume as this node carries it: its records, its contents, its mount.

import Causality
import Glibc
import Mount
import Replication
import Storage
import Synchronization
import Wire

/// One volume of a running node: the host of its mount.
final class CarriedVolume: VolumeHost {
  let name: String
  let content: ContentStore
  let sizeLimit: UInt64
  let records: RecordStore
  let mount = Mutex<VolumeMount?>(nil)
  /// What is known of the backing files at the time everything in them was recorded, to be stored with the next batch.
  private let marks = Mutex<[FileID: StoredRecord]>([:])
  /// Other records to be stored with the next batch.
  private let notes = Mutex<[[UInt8]: StoredRecord]>([:])
  /// Pages of databases that were recorded lately.
  let recent = RecentContents(limit: 64 << 20)
  /// The databases that programs use.
  private let liveDatabases = Mutex<LiveDatabases?>(nil)
  /// Held from taking what was touched until it is stored, so that batches are stored in order.
  private let storing = Mutex(())
  private unowned let engine: Engine

  init(name: String, directory: String, sizeLimit: UInt64, engine: Engine) throws {
    self.name = name
    self.engine = engine
    content = try ContentStore(directory: directory)
    records = try RecordStore(path: directory + "/records.db")
    if sizeLimit > 0 {
      self.sizeLimit = sizeLimit
    } else {
      var status = statvfs()
      self.sizeLimit =
        statvfs(directory, &status) == 0 ? UInt64(status.f_blocks) * UInt64(status.f_frsize) : UInt64(Int64.max)
    }
  }

  func withVolume<R>(_ body: (inout Volume, _ stamp: () -> Stamp) throws -> R) rethrows -> R {
    defer { engine.wake() }
    return try engine.withVolume(name, body)
  }

  /// The origin of this node's changes.
  var origin: NodeID { withVolume(quietly: { $0.origin }) }

  /// Looks at the volume without a hint that it may have been changed.
  func withVolume<R>(quietly body: (Volume) throws -> R) rethrows -> R {
    try engine.withVolume(name) { volume, _ in try body(volume) }
  }

  /// The databases that programs use.
  var live: LiveDatabases {
    liveDatabases.withLock { known in
      if let known { return known }
      let new = LiveDatabases(volume: self, engine: engine)
      known = new
      return new
    }
  }

  var databases: (any DatabaseHost)? { engine.databaseHelper == nil ? nil : live }

  /// When the live file of a database was last written, in the store itself.
  func liveTime(of database: FileID) -> FileTime? {
    var status = stat()
    guard stat(content.livePath(of: database), &status) == 0 else { return nil }
    return FileTime(seconds: Int64(status.st_mtim.tv_sec), nanoseconds: UInt32(status.st_mtim.tv_nsec))
  }

  /// Has a mark stored with the next batch.
  func note(_ mark: DatabaseMark, of database: FileID) {
    var mark = mark
    mark.modified = liveTime(of: database)
    note(mark.record(of: database))
  }

  /// Has a record stored with the next batch.
  func note(_ record: StoredRecord) {
    notes.withLock { $0[record.key] = record }
    engine.wake()
  }

  func makeDurable() { store(durably: true) }

  func captured(_ file: FileID, modified: timespec, size: UInt64) {
    marks.withLock { $0[file] = BackingMark(modified: modified, size: size).record(of: file) }
    engine.wake()
  }

  func virtual(_ name: String) -> [UInt8]? { engine.virtual(name, of: self.name) }

  /// Notes the backing file as it is, all of it recorded.
  func mark(_ file: FileID) {
    var status = stat()
    guard stat(content.path(of: file), &status) == 0 else { return }
    captured(file, modified: status.st_mtim, size: UInt64(status.st_size))
  }

  /// Stores what was touched, then tells the core of local changes among it.
  func store(durably: Bool, also extra: [StoredRecord] = []) {
    while true {
      var more = false
      var durable: VersionVector?
      let outgoing = storing.withLock { _ -> (sequences: ClosedRange<UInt64>, delta: Delta)? in
        let (touched, outgoing, rest, vector) = engine.takeWork(name)
        more = rest
        let marked = marks.withLock { marks -> [StoredRecord] in
          defer { marks.removeAll() }
          return marks.sorted { $0.key < $1.key }.map(\.value)
        }
        let noted = notes.withLock { notes -> [StoredRecord] in
          defer { notes.removeAll() }
          return notes.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map(\.value)
        }
        let batch = touched + marked + noted + extra
        if !batch.isEmpty || durably {
          do {
            try records.commit(batch, durably: durably && !rest)
            if durably, !rest { durable = vector }
          } catch { engine.storageFailed(error) }
        }
        return outgoing
      }
      if let outgoing { engine.handle(.stored(volume: name, sequences: outgoing.sequences, outgoing.delta)) }
      if let durable { engine.handle(.durable(volume: name, durable)) }
      guard more else { return }
    }
  }
}

/// What a backing file looked like when everything in it was recorded: after a crash, one that looks different has
/// changes that were not.
struct BackingMark: Equatable {
  var modified: timespec
  var size: UInt64

  static let letter = UInt8(ascii: "M")

  static func == (left: BackingMark, right: BackingMark) -> Bool {
    left.modified.tv_sec == right.modified.tv_sec && left.modified.tv_nsec == right.modified.tv_nsec
      && left.size == right.size
  }

  static func key(of file: FileID) -> [UInt8] { [letter] + TouchedRecord.file(file).key.dropFirst() }

  func record(of file: FileID) -> StoredRecord {
    var writer = ByteWriter()
    writer.write(UInt64(bitPattern: Int64(modified.tv_sec)))
    writer.write(UInt64(modified.tv_nsec))
    writer.write(size)
    return StoredRecord(key: Self.key(of: file), value: writer.bytes)
  }

  init(modified: timespec, size: UInt64) {
    self.modified = modified
    self.size = size
  }

  init?(_ bytes: [UInt8]) {
    var reader = ByteReader(bytes)
    guard let seconds = try? reader.readUInt64(), let nanoseconds = try? reader.readUInt64(),
      let size = try? reader.readUInt64()
    else { return nil }
    modified = timespec(tv_sec: Int(Int64(bitPattern: seconds)), tv_nsec: Int(nanoseconds))
    self.size = size
  }
}
