// The log's index, which all processes map: what is committed, and where in the log each page stands.

import CSQLite

/// The header of the index: the truth about which frames are committed.
public struct LogIndexHeader: Hashable, Sendable {
  static let length = 48

  /// One more with each transaction.
  public var change: UInt32
  /// How the log's checksums read words.
  public var isBigEndian: Bool
  /// Bytes of a page.
  public var pageSize: Int
  /// The last committed frame, counted from one; zero when the log is empty.
  public var lastFrame: UInt32
  /// Pages of the database as of that frame.
  public var pageCount: UInt32
  /// The running checksum as of that frame.
  public var checksum: LogChecksum
  /// The generation of the log.
  public var salts: LogSalts

  init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.load(fromByteOffset: 0, as: UInt32.self) == LogFileHeader.version, bytes[12] != 0 else { return nil }
    var sum = LogChecksum()
    sum.add(UnsafeRawBufferPointer(rebasing: bytes[0..<40]), isBigEndian: UInt32(1).bigEndian == 1)
    guard sum.first == bytes.load(fromByteOffset: 40, as: UInt32.self),
      sum.second == bytes.load(fromByteOffset: 44, as: UInt32.self)
    else { return nil }
    change = bytes.load(fromByteOffset: 8, as: UInt32.self)
    isBigEndian = bytes[13] != 0
    let size = Int(bytes.load(fromByteOffset: 14, as: UInt16.self))
    pageSize = size & 0xFE00 + (size & 1) << 16
    lastFrame = bytes.load(fromByteOffset: 16, as: UInt32.self)
    pageCount = bytes.load(fromByteOffset: 20, as: UInt32.self)
    checksum = LogChecksum(
      first: bytes.load(fromByteOffset: 24, as: UInt32.self), second: bytes.load(fromByteOffset: 28, as: UInt32.self))
    salts = LogSalts(first: BigEndian.read(bytes, at: 32), second: BigEndian.read(bytes, at: 36))
  }

  func encode(_ bytes: UnsafeMutableRawBufferPointer) {
    bytes.storeBytes(of: LogFileHeader.version, toByteOffset: 0, as: UInt32.self)
    bytes.storeBytes(of: 0, toByteOffset: 4, as: UInt32.self)
    bytes.storeBytes(of: change, toByteOffset: 8, as: UInt32.self)
    bytes[12] = 1
    bytes[13] = isBigEndian ? 1 : 0
    bytes.storeBytes(of: UInt16(pageSize & 0xFF00 | pageSize >> 16), toByteOffset: 14, as: UInt16.self)
    bytes.storeBytes(of: lastFrame, toByteOffset: 16, as: UInt32.self)
    bytes.storeBytes(of: pageCount, toByteOffset: 20, as: UInt32.self)
    bytes.storeBytes(of: checksum.first, toByteOffset: 24, as: UInt32.self)
    bytes.storeBytes(of: checksum.second, toByteOffset: 28, as: UInt32.self)
    bytes.storeBytes(of: salts.first.bigEndian, toByteOffset: 32, as: UInt32.self)
    bytes.storeBytes(of: salts.second.bigEndian, toByteOffset: 36, as: UInt32.self)
    var sum = LogChecksum()
    sum.add(UnsafeRawBufferPointer(rebasing: bytes[0..<40]), isBigEndian: UInt32(1).bigEndian == 1)
    bytes.storeBytes(of: sum.first, toByteOffset: 40, as: UInt32.self)
    bytes.storeBytes(of: sum.second, toByteOffset: 44, as: UInt32.self)
  }
}

/// The index as mapped by one connection. Everything that changes it needs the write lock of the log.
struct LogIndex {
  /// Locks of the index, as SQLite numbers them.
  enum Lock {
    static let firstReader: Int32 = 4  // READ_LOCK(1); READ_LOCK(0) is 3
    static let readerCount: Int32 = 4
  }
  private static let firstBlockFrames: UInt32 = 4062
  private static let blockFrames: UInt32 = 4096
  private static let slots = 8192
  private static let backfillOffset = 96
  private static let firstMarkOffset = 100
  private static let attemptedOffset = 128
  private static let reservedLength = 136

  let file: DatabaseFile
  private let base: UnsafeMutableRawPointer

  init(_ file: DatabaseFile) throws(DatabaseError) {
    self.file = file
    base = try file.sharedRegion(0)
  }

  /// The header, nil while it is being written or when the index is not built.
  func header() -> LogIndexHeader? {
    for _ in 0..<100 {
      if let header = headerOnce() { return header }
    }
    return nil
  }

  private func headerOnce() -> LogIndexHeader? {
    withUnsafeTemporaryAllocation(byteCount: 2 * LogIndexHeader.length, alignment: 8) { copy in
      // Read in the order opposite to that of writing.
      let length = LogIndexHeader.length
      copy.baseAddress!.copyMemory(from: base, byteCount: length)
      grapevine_barrier()
      copy.baseAddress!.advanced(by: length).copyMemory(from: base + length, byteCount: length)
      let first = UnsafeRawBufferPointer(rebasing: copy[0..<length])
      let second = UnsafeRawBufferPointer(rebasing: copy[length...])
      guard first.elementsEqual(second) else { return nil }
      return LogIndexHeader(first)
    }
  }

  /// Makes frames up to the header's visible to everyone.
  func publish(_ header: LogIndexHeader) {
    withUnsafeTemporaryAllocation(byteCount: LogIndexHeader.length, alignment: 8) { bytes in
      header.encode(bytes)
      (base + LogIndexHeader.length).copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
      grapevine_barrier()
      base.copyMemory(from: bytes.baseAddress!, byteCount: bytes.count)
      grapevine_barrier()
    }
  }

  /// Frames that are in the database file already.
  var backfilled: UInt32 { grapevine_load32(base + Self.backfillOffset) }

  /// Starts a new generation of the log in the index; needs all reader locks besides.
  func restart(_ header: LogIndexHeader) {
    publish(header)
    grapevine_store32(base + Self.backfillOffset, 0)
    grapevine_store32(base + Self.attemptedOffset, 0)
    grapevine_store32(base + Self.firstMarkOffset + 4, 0)
    for mark in 2..<5 { grapevine_store32(base + Self.firstMarkOffset + 4 * mark, .max) }
  }

  /// The last frame, not after a given one, that holds a page; nil when the log does not hold it.
  func frame(of page: UInt32, upTo last: UInt32) throws(DatabaseError) -> UInt32? {
    guard last > 0 else { return nil }
    var number = Self.block(of: last)
    while true {
      let block = try block(number)
      var found: UInt32?
      var slot = Self.slot(of: page)
      for _ in 0..<Self.slots {
        let entry = UInt32(grapevine_load16(block.hash + 2 * slot))
        guard entry != 0 else { break }
        let frame = entry + block.zero
        if frame <= last, grapevine_load32(block.pages + 4 * Int(entry - 1)) == page { found = frame }
        slot = (slot + 1) & (Self.slots - 1)
      }
      if let found { return found }
      guard number > 0 else { return nil }
      number -= 1
    }
  }

  /// Enters a frame. Readers do not look at it before the header covers it.
  func append(frame: UInt32, page: UInt32, committed: UInt32) throws(DatabaseError) {
    let block = try block(Self.block(of: frame))
    let index = Int(frame - block.zero)
    if index == 1 {
      let length = block.hash + 2 * Self.slots - block.pages
      block.pages.initializeMemory(as: UInt8.self, repeating: 0, count: length)
    }
    if grapevine_load32(block.pages + 4 * (index - 1)) != 0 { try clean(above: committed) }
    var slot = Self.slot(of: page)
    var tried = 0
    while grapevine_load16(block.hash + 2 * slot) != 0 {
      slot = (slot + 1) & (Self.slots - 1)
      tried += 1
      guard tried < Self.slots else { throw .damaged(path: file.path, "the log's index is full") }
    }
    grapevine_store32(block.pages + 4 * (index - 1), page)
    grapevine_store16(block.hash + 2 * slot, UInt16(index))
  }

  /// Forgets what an interrupted writer entered above the committed frames.
  private func clean(above committed: UInt32) throws(DatabaseError) {
    guard committed > 0 else { return }
    let block = try block(Self.block(of: committed))
    let limit = committed - block.zero
    for slot in 0..<Self.slots where UInt32(grapevine_load16(block.hash + 2 * slot)) > limit {
      grapevine_store16(block.hash + 2 * slot, 0)
    }
    let start = block.pages + 4 * Int(limit)
    start.initializeMemory(as: UInt8.self, repeating: 0, count: block.hash - start)
  }

  private static func slot(of page: UInt32) -> Int { Int(page &* 383) & (slots - 1) }

  private static func block(of frame: UInt32) -> Int { Int((frame + blockFrames - firstBlockFrames - 1) / blockFrames) }

  /// Page numbers and hash of a block; frame `zero + 1` is its first.
  private func block(
    _ number: Int
  ) throws(DatabaseError) -> (pages: UnsafeMutableRawPointer, hash: UnsafeMutableRawPointer, zero: UInt32) {
    let region = number == 0 ? base : try file.sharedRegion(number)
    let hash = region + 4 * Int(Self.blockFrames)
    if number == 0 { return (region + Self.reservedLength, hash, 0) }
    return (region, hash, Self.firstBlockFrames + UInt32(number - 1) * Self.blockFrames)
  }
}
