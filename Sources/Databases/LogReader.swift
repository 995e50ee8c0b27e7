// Committed transactions out of a write-ahead log.

/// A place in a log, right behind a transaction.
public struct LogPosition: Hashable, Sendable {
  /// The generation.
  public var salts: LogSalts
  /// The last frame before it, counted from one; zero at the start of the generation.
  public var frame: UInt32
  /// The running checksum there; means nothing at frame zero.
  public var checksum: LogChecksum
  /// Bytes of a page in this generation.
  public var pageSize: Int
  /// How the generation's checksums read words.
  public var isBigEndian: Bool
  /// The count of transactions in the log's index there.
  public var change: UInt32

  /// The place that an index header describes.
  public init(_ header: LogIndexHeader) {
    salts = header.salts
    frame = header.lastFrame
    checksum = header.checksum
    pageSize = header.pageSize
    isBigEndian = header.isBigEndian
    change = header.change
  }

  init(_ header: LogFileHeader) {
    salts = header.salts
    frame = 0
    checksum = header.checksum
    pageSize = header.pageSize
    isBigEndian = header.isBigEndian
    change = 0
  }
}

/// Reads a log from a place on, frame by frame.
///
/// By itself it trusts what the salts and the chain of checksums confirm. Where the index says that frames are
/// committed it takes them as readers of the database do, by the index alone: SQLite up to 3.40 at least leaves frames
/// without salts and checksums in a committed log when a savepoint is rolled back after a page was written twice.
public struct LogReader {
  /// Why reading stopped.
  public enum Stop: Hashable, Sendable {
    /// The frame or byte limit was reached.
    case limit
    /// The file ends.
    case end
    /// A frame of another generation follows.
    case otherGeneration(LogSalts)
    /// A frame follows that does not continue the chain.
    case broken
  }

  /// Where it stands: behind the last transaction it returned.
  public private(set) var position: LogPosition

  /// Continues at a place.
  public init(at position: LogPosition) { self.position = position }

  /// Starts at the beginning of whatever generation the log holds; nil when it holds none.
  public init?(startOf source: some ByteSource) throws(DatabaseError) {
    guard let bytes = try source.read(LogFileHeader.length, at: 0), let header = LogFileHeader(bytes) else {
      return nil
    }
    position = LogPosition(header)
  }

  /// The transactions that follow, as far as the chain of checksums holds, until about so many bytes have been read.
  /// Frames behind the last commit are left for the next call: SQLite may still rewrite them.
  public mutating func transactions(
    from source: some ByteSource, byteLimit: Int = .max
  ) throws(DatabaseError) -> (transactions: [CapturedTransaction], stop: Stop) {
    try transactions(from: source, confirmedUpTo: nil, byteLimit: byteLimit)
  }

  /// The transactions that follow, up to a frame that the index says is committed.
  mutating func transactions(
    from source: some ByteSource, confirmedUpTo last: UInt32?, byteLimit: Int
  ) throws(DatabaseError) -> (transactions: [CapturedTransaction], stop: Stop) {
    var transactions: [CapturedTransaction] = []
    var images: [UInt32: [UInt8]] = [:]
    var (frame, checksum, byteCount) = (position.frame, position.checksum, 0)
    while true {
      guard frame < last ?? .max, byteCount < byteLimit || !images.isEmpty else { return (transactions, .limit) }
      let offset = LogFrame.offset(of: frame + 1, pageSize: position.pageSize)
      guard let bytes = try source.read(LogFrame.headerLength + position.pageSize, at: offset) else {
        return (transactions, .end)
      }
      let header = LogFrame(bytes)
      if last == nil {
        guard header.salts == position.salts else { return (transactions, .otherGeneration(header.salts)) }
        guard header.continues(&checksum, bytes: bytes, isBigEndian: position.isBigEndian) else {
          return (transactions, .broken)
        }
      }
      frame += 1
      byteCount += bytes.count
      images[header.page] = Array(bytes[LogFrame.headerLength...])
      guard header.commit != 0 else { continue }
      transactions.append(Self.transaction(images, pageCount: header.commit, pageSize: position.pageSize))
      images.removeAll(keepingCapacity: true)
      position.frame = frame
      position.checksum = header.checksum
      position.change &+= 1
    }
  }

  private static func transaction(
    _ images: [UInt32: [UInt8]], pageCount: UInt32, pageSize: Int
  ) -> CapturedTransaction {
    // A page beyond the new end was written before the transaction truncated the database.
    let lockByte = DatabaseHeader.lockBytePage(pageSize: pageSize)
    let pages = images.filter { $0.key >= 1 && $0.key <= pageCount && $0.key != lockByte }
      .sorted { $0.key < $1.key }
      .map { PageImage(recording: $0.value, as: $0.key) }
    return CapturedTransaction(pages: pages, pageCount: pageCount, pageSize: pageSize, isCompared: false)
  }

  /// Whether the frame before the place is still the one that was read there.
  func isIntact(in source: some ByteSource) throws(DatabaseError) -> Bool {
    guard position.frame > 0 else { return false }
    let offset = LogFrame.offset(of: position.frame, pageSize: position.pageSize)
    guard let bytes = try source.read(LogFrame.headerLength, at: offset) else { return false }
    let header = LogFrame(bytes)
    return header.salts == position.salts && header.checksum == position.checksum
  }
}
