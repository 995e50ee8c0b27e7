// The first 100 bytes of a database file.

/// How a database keeps its transactions whole.
public enum JournalKind: Hashable, Sendable {
  /// A rollback journal: DELETE, TRUNCATE, PERSIST, MEMORY or OFF.
  case rollback
  /// A write-ahead log.
  case log
}

/// The fields of a database header that replication needs. Source: sqlite.org/fileformat2.html, section 1.3.
public struct DatabaseHeader: Hashable, Sendable {
  /// Bytes of a header.
  public static let length = 100
  /// The page sizes that exist.
  public static let pageSizes = [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536]
  private static let magic = [UInt8]("SQLite format 3\0".utf8)

  /// Bytes of a page.
  public let pageSize: Int
  /// Bytes kept free at the end of each page.
  public let reserved: Int
  /// 1 for a rollback journal, 2 for a log.
  public let writeVersion: UInt8
  /// 1 for a rollback journal, 2 for a log.
  public let readVersion: UInt8
  /// Grows with each transaction in the rollback modes.
  public let changeCounter: UInt32
  /// The page count as the header has it; valid only when `isPageCountValid`.
  public let storedPageCount: UInt32
  /// The change counter at which the stored page count was written.
  public let versionValidFor: UInt32
  /// Grows with each change of the schema.
  public let schemaCookie: UInt32

  /// Parses and validates; `bytes` are the first 100 or more of the file.
  public init(_ bytes: some RandomAccessCollection<UInt8>) throws(DatabaseError) {
    guard bytes.count >= Self.length else { throw .notDatabase("shorter than a header") }
    let bytes = Array(bytes.prefix(Self.length))
    guard bytes.starts(with: Self.magic) else { throw .notDatabase("no SQLite signature") }
    let rawSize = Int(bytes[16]) << 8 | Int(bytes[17])
    pageSize = rawSize == 1 ? 65536 : rawSize
    guard Self.pageSizes.contains(pageSize) else { throw .notDatabase("page size \(rawSize)") }
    writeVersion = bytes[18]
    readVersion = bytes[19]
    guard (1...2).contains(readVersion), (1...2).contains(writeVersion) else {
      throw .notDatabase("file format \(writeVersion)/\(readVersion)")
    }
    reserved = Int(bytes[20])
    guard pageSize - reserved >= 480 else { throw .notDatabase("\(reserved) reserved bytes in a page") }
    guard bytes[21] == 64, bytes[22] == 32, bytes[23] == 32 else { throw .notDatabase("payload fractions") }
    changeCounter = BigEndian.read(bytes, at: 24)
    storedPageCount = BigEndian.read(bytes, at: 28)
    versionValidFor = BigEndian.read(bytes, at: 92)
    schemaCookie = BigEndian.read(bytes, at: 40)
  }

  /// How the file keeps transactions whole.
  public var journal: JournalKind { writeVersion == 2 && readVersion == 2 ? .log : .rollback }

  /// Whether the stored page count was written by a version that keeps it.
  public var isPageCountValid: Bool { storedPageCount != 0 && changeCounter == versionValidFor }

  /// The pages of a file of this size.
  public func pageCount(fileSize: Int64) -> UInt32 {
    isPageCountValid ? storedPageCount : UInt32(clamping: fileSize / Int64(pageSize))
  }

  /// The page that holds the lock bytes and never holds data.
  public static func lockBytePage(pageSize: Int) -> UInt32 { UInt32(0x4000_0000 / pageSize) + 1 }
}

/// Numbers as SQLite writes them.
enum BigEndian {
  static func read(_ bytes: [UInt8], at offset: Int) -> UInt32 {
    bytes.withUnsafeBytes { read($0, at: offset) }
  }

  static func read(_ bytes: UnsafeRawBufferPointer, at offset: Int) -> UInt32 {
    UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
  }

  static func write(_ value: UInt32, _ bytes: inout [UInt8], at offset: Int) {
    bytes.withUnsafeMutableBytes { $0.storeBytes(of: value.bigEndian, toByteOffset: offset, as: UInt32.self) }
  }
}
