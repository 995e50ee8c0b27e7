// The bytes of a write-ahead log. Source: sqlite.org/fileformat2.html, section 4, and sqlite.org/walformat.html.

/// The running checksum of a log.
public struct LogChecksum: Hashable, Sendable {
  /// The first sum.
  public var first: UInt32 = 0
  /// The second sum.
  public var second: UInt32 = 0

  /// The checksum of nothing.
  public init() {}

  init(first: UInt32, second: UInt32) {
    self.first = first
    self.second = second
  }

  /// Adds bytes, a multiple of eight.
  mutating func add(_ bytes: UnsafeRawBufferPointer, isBigEndian: Bool) {
    precondition(bytes.count % 8 == 0)
    var (one, two) = (first, second)
    var offset = 0
    while offset < bytes.count {
      let left = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
      let right = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
      one &+= (isBigEndian ? left.bigEndian : left.littleEndian) &+ two
      two &+= (isBigEndian ? right.bigEndian : right.littleEndian) &+ one
      offset += 8
    }
    (first, second) = (one, two)
  }
}

/// The two numbers that tell one generation of a log from the next.
public struct LogSalts: Hashable, Sendable {
  /// One more in each generation.
  public var first: UInt32
  /// Random.
  public var second: UInt32

  /// Whether this generation is the one right after another.
  public func follows(_ other: LogSalts) -> Bool { first == other.first &+ 1 }
}

/// The 32 bytes at the start of a log.
struct LogFileHeader: Hashable {
  static let length = 32
  static let magic: UInt32 = 0x377F_0682
  static let version: UInt32 = 3_007_000

  var isBigEndian: Bool
  var pageSize: Int
  var sequence: UInt32
  var salts: LogSalts
  /// Over the first 24 bytes; the frames go on from it.
  var checksum: LogChecksum

  init(pageSize: Int, sequence: UInt32, salts: LogSalts) {
    isBigEndian = false
    self.pageSize = pageSize
    self.sequence = sequence
    self.salts = salts
    checksum = LogChecksum()
    checksum.add(Array(encoded().prefix(24)), isBigEndian: false)
  }

  /// Nil when the bytes are not a header whose checksum holds.
  init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.length, BigEndian.read(bytes, at: 0) & ~1 == Self.magic,
      BigEndian.read(bytes, at: 4) == Self.version
    else { return nil }
    isBigEndian = BigEndian.read(bytes, at: 0) & 1 == 1
    pageSize = Int(BigEndian.read(bytes, at: 8))
    guard DatabaseHeader.pageSizes.contains(pageSize) else { return nil }
    sequence = BigEndian.read(bytes, at: 12)
    salts = LogSalts(first: BigEndian.read(bytes, at: 16), second: BigEndian.read(bytes, at: 20))
    checksum = LogChecksum()
    checksum.add(Array(bytes.prefix(24)), isBigEndian: isBigEndian)
    guard checksum == LogChecksum(first: BigEndian.read(bytes, at: 24), second: BigEndian.read(bytes, at: 28)) else {
      return nil
    }
  }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.length)
    BigEndian.write(Self.magic | (isBigEndian ? 1 : 0), &bytes, at: 0)
    BigEndian.write(Self.version, &bytes, at: 4)
    BigEndian.write(UInt32(pageSize), &bytes, at: 8)
    BigEndian.write(sequence, &bytes, at: 12)
    BigEndian.write(salts.first, &bytes, at: 16)
    BigEndian.write(salts.second, &bytes, at: 20)
    BigEndian.write(checksum.first, &bytes, at: 24)
    BigEndian.write(checksum.second, &bytes, at: 28)
    return bytes
  }
}

/// One page image in a log: 24 bytes and the page.
struct LogFrame {
  static let headerLength = 24

  /// Where a frame stands, counted from one.
  static func offset(of frame: UInt32, pageSize: Int) -> Int64 {
    Int64(LogFileHeader.length) + Int64(frame - 1) * Int64(headerLength + pageSize)
  }

  let page: UInt32
  /// The page count after the transaction, zero on all frames but its last.
  let commit: UInt32
  let salts: LogSalts
  let checksum: LogChecksum

  init(_ bytes: [UInt8]) {
    page = BigEndian.read(bytes, at: 0)
    commit = BigEndian.read(bytes, at: 4)
    salts = LogSalts(first: BigEndian.read(bytes, at: 8), second: BigEndian.read(bytes, at: 12))
    checksum = LogChecksum(first: BigEndian.read(bytes, at: 16), second: BigEndian.read(bytes, at: 20))
  }

  /// Whether the frame goes on from a checksum, which moves on past it.
  func continues(_ running: inout LogChecksum, bytes: [UInt8], isBigEndian: Bool) -> Bool {
    guard page != 0 else { return false }
    running.addFrame(bytes, isBigEndian: isBigEndian)
    return running == checksum
  }

  /// A frame's bytes; the checksum moves on past it.
  static func encode(
    page: UInt32, commit: UInt32, salts: LogSalts, image: [UInt8], isBigEndian: Bool, checksum: inout LogChecksum
  ) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: headerLength)
    bytes.reserveCapacity(headerLength + image.count)
    bytes += image
    BigEndian.write(page, &bytes, at: 0)
    BigEndian.write(commit, &bytes, at: 4)
    BigEndian.write(salts.first, &bytes, at: 8)
    BigEndian.write(salts.second, &bytes, at: 12)
    checksum.addFrame(bytes, isBigEndian: isBigEndian)
    BigEndian.write(checksum.first, &bytes, at: 16)
    BigEndian.write(checksum.second, &bytes, at: 20)
    return bytes
  }
}

extension LogChecksum {
  mutating func add(_ bytes: [UInt8], isBigEndian: Bool) {
    bytes.withUnsafeBytes { add($0, isBigEndian: isBigEndian) }
  }

  /// A frame is summed without its salts and its checksum.
  mutating func addFrame(_ frame: [UInt8], isBigEndian: Bool) {
    frame.withUnsafeBytes { bytes in
      add(UnsafeRawBufferPointer(rebasing: bytes[0..<8]), isBigEndian: isBigEndian)
      add(UnsafeRawBufferPointer(rebasing: bytes[LogFrame.headerLength...]), isBigEndian: isBigEndian)
    }
  }
}
