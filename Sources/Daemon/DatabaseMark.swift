// What is remembered of a live database across lives of the process.

import Causality
import Databases
import Replication
import Wire

/// Where a live database stood when it was last looked at.
struct DatabaseMark: Equatable {
  /// How far capture had come.
  enum Place: Equatable {
    case unknown
    /// In a rollback mode, by the change counter.
    case counter(UInt32)
    case log(LogPosition)
  }

  /// The recorded version that it equalled.
  var tip: Dot
  var place: Place
  /// The schema cookie of the live database and of the recorded one, where an install had to raise it.
  var raisedCookie: (live: UInt32, recorded: UInt32)?
  /// When the live file was last written.
  var modified: FileTime?

  static let letter = UInt8(ascii: "L")

  static func == (left: DatabaseMark, right: DatabaseMark) -> Bool {
    left.tip == right.tip && left.place == right.place && left.raisedCookie?.live == right.raisedCookie?.live
      && left.raisedCookie?.recorded == right.raisedCookie?.recorded
  }

  static func key(of file: FileID) -> [UInt8] { [letter] + TouchedRecord.file(file).key.dropFirst() }

  /// The database that a key speaks of.
  static func file(of key: [UInt8]) -> FileID? {
    guard key.count == 17, key[0] == letter else { return nil }
    func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
    return FileID(NodeID(number(key[1..<9])), number(key[9..<17]))
  }

  func record(of file: FileID) -> StoredRecord {
    var writer = ByteWriter()
    writer.write(tip.origin.rawValue)
    writer.write(tip.sequence)
    writer.write(UInt64(raisedCookie == nil ? 0 : 1))
    writer.write(UInt64(raisedCookie?.live ?? 0))
    writer.write(UInt64(raisedCookie?.recorded ?? 0))
    let numbers: [UInt32] =
      switch place {
      case .unknown: []
      case .counter(let counter): [counter]
      case .log(let position): position.numbers
      }
    writer.write(UInt64(bitPattern: modified?.seconds ?? 0))
    writer.write(UInt64(modified?.nanoseconds ?? 0))
    writer.write(UInt64(numbers.count))
    for number in numbers { writer.write(UInt64(number)) }
    return StoredRecord(key: Self.key(of: file), value: writer.bytes)
  }

  init(tip: Dot, place: Place, raisedCookie: (live: UInt32, recorded: UInt32)? = nil) {
    self.tip = tip
    self.place = place
    self.raisedCookie = raisedCookie
  }

  init?(_ bytes: [UInt8]) {
    var reader = ByteReader(bytes)
    do {
      tip = Dot(NodeID(try reader.readUInt64()), try reader.readUInt64())
      let isRaised = try reader.readUInt64() == 1
      let cookies = (
        UInt32(truncatingIfNeeded: try reader.readUInt64()), UInt32(truncatingIfNeeded: try reader.readUInt64())
      )
      raisedCookie = isRaised ? (live: cookies.0, recorded: cookies.1) : nil
      let seconds = Int64(bitPattern: try reader.readUInt64())
      let nanoseconds = UInt32(truncatingIfNeeded: try reader.readUInt64())
      modified = seconds == 0 ? nil : FileTime(seconds: seconds, nanoseconds: nanoseconds)
      let count = try reader.readUInt64()
      guard count <= 8 else { return nil }
      let numbers = try (0..<count).map { _ in UInt32(truncatingIfNeeded: try reader.readUInt64()) }
      switch numbers.count {
      case 0: place = .unknown
      case 1: place = .counter(numbers[0])
      default:
        guard let position = LogPosition(numbers: numbers) else { return nil }
        place = .log(position)
      }
    } catch {
      return nil
    }
  }
}
