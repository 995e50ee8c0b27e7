// What the daemon and the process that works on live databases say to each other.

import Databases
import Replication
import Wire

/// What the daemon asks.
enum DatabaseOrder: UInt8 {
  case header, close, isReplaced, recover, checkpoint, move, resumeLog, resumeCounter, isCurrent, poll, scanLog
  case scanRollback, install
}

/// What comes back, perhaps several in a row.
enum DatabaseAnswer: UInt8 {
  /// The last of an order, with where capture stands.
  case done
  case failed
  /// A scan begins, perhaps anew.
  case begin
  case page
  /// An install asks what to install.
  case question
}

extension ByteWriter {
  mutating func write(optional number: UInt32?) {
    write(number != nil)
    write(number ?? 0)
  }

  mutating func write(_ position: LogPosition?) {
    write(position != nil)
    for number in position?.numbers ?? [] { write(number) }
  }

  mutating func write(_ hash: ContentHash) {
    write(hash.words.0)
    write(hash.words.1)
    write(hash.words.2)
    write(hash.words.3)
  }

  mutating func write(_ kind: JournalKind) { write(kind == .log) }

  mutating func write(_ cookie: PageOne.Cookie) {
    if case .following(let base) = cookie { write(optional: base) } else { write(optional: nil) }
  }

  mutating func write(_ page: PageImage) {
    write(page.number)
    writeBytes(page.bytes)
  }
}

extension ByteReader {
  mutating func readOptional() throws -> UInt32? {
    let isThere = try readBool()
    let number = try readUInt32()
    return isThere ? number : nil
  }

  mutating func readPosition() throws -> LogPosition? {
    guard try readBool() else { return nil }
    let numbers = try (0..<8).map { _ in try readUInt32() }
    guard let position = LogPosition(numbers: numbers) else { throw WireError.invalid("position") }
    return position
  }

  mutating func readHash() throws -> ContentHash {
    ContentHash(try readUInt64(), try readUInt64(), try readUInt64(), try readUInt64())
  }

  mutating func readKind() throws -> JournalKind { try readBool() ? .log : .rollback }

  mutating func readCookie() throws -> PageOne.Cookie { try readOptional().map { .following($0) } ?? .aboveAll }

  mutating func readPage() throws -> PageImage {
    PageImage(number: try readUInt32(), bytes: Array(try readBytes(atMost: 65_536)))
  }
}

/// The recorded state as hashes, with the pages that may differ from it.
struct RecordedHashes {
  /// Nil when nothing is recorded.
  var pageSize: Int?
  var pageCount: UInt32 = 0
  var raisedCookie: (live: UInt32, recorded: UInt32)?
  var table = ChunkTable()

  static let nothing = RecordedHashes()

  /// As it is sent: hashes of all pages in order, or of the candidates with their numbers.
  func write(among candidates: Set<UInt32>?, to writer: inout ByteWriter) {
    writer.write(optional: pageSize.map { UInt32($0) })
    writer.write(pageCount)
    writer.write(optional: raisedCookie?.live)
    writer.write(optional: raisedCookie?.recorded)
    writer.write(candidates != nil)
    if let candidates {
      let numbers = candidates.union([1]).sorted()
      writer.write(UInt32(numbers.count))
      for number in numbers {
        writer.write(number)
        writer.write(table[UInt64(number) - 1]?.hash ?? .zeros)
      }
    } else {
      writer.write(UInt32(table.elements.count))
      for element in table.elements {
        writer.write(UInt32(element.index + 1))
        writer.write(element.chunk.hash)
      }
    }
  }

  /// What the other side compares with.
  static func read(
    from reader: inout ByteReader, hash: @escaping (PageImage) -> ContentHash
  ) throws -> (RecordedState, PageCandidates) {
    let pageSize = try reader.readOptional()
    let pageCount = try reader.readUInt32()
    let (live, recorded) = (try reader.readOptional(), try reader.readOptional())
    let isPart = try reader.readBool()
    var hashes: [UInt32: ContentHash] = [:]
    var numbers: Set<UInt32> = []
    for _ in 0..<(try reader.readUInt32()) {
      let number = try reader.readUInt32()
      hashes[number] = try reader.readHash()
      if isPart { numbers.insert(number) }
    }
    let cookie = live.flatMap { live in recorded.map { (live: live, recorded: $0) } }
    let state = RecordedState(pageSize: pageSize.map { Int($0) }, pageCount: pageCount, raisedCookie: cookie) { image in
      (hashes[image.number] ?? .zeros) == hash(image)
    }
    return (state, isPart ? .pages(numbers) : .all)
  }
}
