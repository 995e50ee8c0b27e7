// Capture in log mode: each committed transaction, once, in order, while the application checkpoints and restarts.

/// What a look at the log found.
public enum LogReading: Hashable, Sendable {
  /// Nothing that was not captured before.
  case nothing
  /// Transactions in the order of their commits; `isComplete` is false when the byte limit left some for the next call.
  case transactions([CapturedTransaction], isComplete: Bool)
  /// Some commit may have been missed, or none was captured yet: call `compare`.
  case lost
  /// The database is not in log mode.
  case notLog
  /// The index is being built or locked by others; look again soon.
  case busy
}

/// Captures the transactions of one database in log mode.
///
/// Between calls it holds a read transaction at the captured position. SQLite does not restart a log past a reader, so
/// nothing is overwritten before it is captured; the application's commits are never made to wait. When the log has
/// grown beyond `heldFrames` the hold is dropped, so that the application's checkpoints can restart the log; a restart
/// in that time is bridged by reading what the new generation has not overwritten yet, and confirmed by the count of
/// commits. Where even that is impossible the answer is `lost`, never a gap.
public final class LogCapture {
  /// The log's length in frames beyond which it is no longer held.
  public let heldFrames: UInt32
  /// Where capture stands; nil before the first `compare` and after a loss.
  public private(set) var position: LogPosition?
  /// Why commits may have been missed, the last time that they may have.
  public private(set) var lossReason: String?
  private let live: LiveDatabase
  private var opened: (epoch: Int, log: DatabaseFile, index: LogIndex)?
  /// The read transaction: the log's end when it began, and whether the database file had everything by then. Such a
  /// hold lets the log restart, once, and keeps the new generation whole.
  private var hold: (salts: LogSalts, frame: UInt32, isBackfilled: Bool)?
  /// Whether everything up to the held snapshot is captured, so that no restart can lose anything.
  private var isPinned = false

  /// Capture from a live database.
  public init(_ live: LiveDatabase, heldFrames: UInt32 = 1000) {
    self.live = live
    self.heldFrames = heldFrames
  }

  /// Continues at a place up to which all was captured before an interruption.
  public func resume(at position: LogPosition?) {
    self.position = position
    isPinned = false
  }

  /// Continues behind an install whose decision had everything captured: the log has only what was installed besides.
  public func advance(past position: LogPosition) { self.position = position }

  /// Drops the hold on the log; the connection stays. A restart of the log before the next call may cost a comparison.
  public func suspend() {
    guard let opened, opened.epoch == live.epoch, live.isOpen else { return }
    try? release()
  }

  /// Looks for transactions that were committed since.
  public func poll(byteLimit: Int = 64 << 20) throws -> LogReading {
    switch try open() {
    case .rollback: return .notLog
    case nil: return .busy
    case .log: break
    }
    guard let opened, position != nil else { return .lost }
    var captured: [CapturedTransaction] = []
    var byteCount = 0
    for _ in 0..<4 {
      guard let header = opened.index.header() else { break }
      let found: [CapturedTransaction]
      do {
        found = try advance(to: header, byteLimit: byteLimit - byteCount)
      } catch let loss as Loss {
        lossReason = loss.reason
        position = nil
        return captured.isEmpty ? .lost : .transactions(captured, isComplete: false)
      }
      captured += found
      byteCount += found.reduce(0) { $0 + $1.pages.count * $1.pageSize }
      guard position?.frame == header.lastFrame else { return .transactions(captured, isComplete: false) }
      if hold != nil { isPinned = true }
      guard try moveHold(to: header) else { break }
    }
    return captured.isEmpty ? .nothing : .transactions(captured, isComplete: true)
  }

  /// Captures by comparing with what is recorded, in memory, and goes on from there.
  public func compare(
    with recorded: RecordedState, among candidates: PageCandidates = .all
  ) throws -> (reading: LogReading, position: LogPosition?) {
    var pages: [PageImage] = []
    let sink = PageSink(begin: { pages = [] }, found: { pages.append($0) })
    let outcome = try scan(against: recorded, among: candidates, into: sink)
    let reading: LogReading =
      switch outcome {
      case .nothing: .nothing
      case .changed(let shape):
        .transactions([CapturedTransaction(compared: pages, shape: shape)], isComplete: true)
      case .unsettled: .busy
      case .otherMode: .notLog
      }
    return (reading, position)
  }

  /// Captures by comparing with what is recorded, page by page out of a snapshot, and goes on from there.
  public func scan(
    against recorded: RecordedState, among candidates: PageCandidates = .all, into sink: PageSink
  ) throws -> ScanOutcome {
    switch try open() {
    case .rollback: return .otherMode
    case nil: return .unsettled
    case .log: break
    }
    guard let opened, let header = try pin() else { return .unsettled }
    let file = try live.reader().databaseFile()
    // When all is in the file already the hold may be one that does not protect the log: read the file alone.
    let isInLog = header.lastFrame > 0 && opened.index.backfilled < header.lastFrame
    let pageSize = header.lastFrame > 0 ? header.pageSize : try live.header()?.pageSize ?? 4096
    let count = header.pageCount != 0 ? header.pageCount : UInt32(try file.size() / Int64(pageSize))
    let view = PageView(
      file: file, log: isInLog ? (opened.log, opened.index, header.lastFrame) : nil, pageSize: pageSize,
      pageCount: count)
    try sink.begin()
    let shape = try view.scan(against: recorded, among: candidates, into: sink.found)
    position = LogPosition(header)
    isPinned = true
    return shape.map { .changed($0) } ?? .nothing
  }

  /// Opens the index; nil when locks forbid it for now.
  private func open() throws -> JournalKind? {
    guard try live.header()?.journal == .log else { return .rollback }
    if let opened, opened.epoch == live.epoch { return .log }
    try release()
    let reader = try live.reader()
    // The log and its index are opened by the first transaction.
    guard try reader.beginReading() else { return nil }
    defer { reader.end() }
    opened = (live.epoch, try reader.logFile(), try LogIndex(try reader.databaseFile()))
    return .log
  }

  private struct Loss: Error {
    let reason: String
  }

  /// The transactions between the position and a header; throws when their completeness cannot be shown.
  private func advance(to header: LogIndexHeader, byteLimit: Int) throws -> [CapturedTransaction] {
    guard var place = position, let log = opened?.log else { throw Loss(reason: "there is no position") }
    var transactions: [CapturedTransaction] = []
    var isBridged = false
    if place.salts != header.salts {
      if !isPinned {
        transactions = try bridge(to: header, in: log)
        isBridged = true
        place.change &+= UInt32(transactions.count)
      }
      place.salts = header.salts
      place.frame = 0
      isPinned = false
    }
    guard header.lastFrame >= place.frame else { throw Loss(reason: "the log has become shorter") }
    guard header.lastFrame > place.frame else {
      if place.frame > 0, place.checksum != header.checksum { throw Loss(reason: "the log was rewritten") }
      if isBridged { try confirm(place.change, header) }
      position = LogPosition(header)
      return transactions
    }
    if place.frame == 0 {
      guard let start = try LogReader(startOf: log)?.position, start.salts == header.salts else {
        throw Loss(reason: "the log's header is of another generation")
      }
      let change = place.change
      place = start
      place.change = change
    } else if !isPinned, try !LogReader(at: place).isIntact(in: log) {
      throw Loss(reason: "the last captured frame was overwritten")
    }
    var reader = LogReader(at: place)
    let limit = isBridged ? Int.max : max(1, byteLimit)
    let (found, stop) = try reader.transactions(from: log, confirmedUpTo: header.lastFrame, byteLimit: limit)
    if found.isEmpty { throw Loss(reason: "committed frames are not to be read: \(stop)") }
    guard isPinned || opened?.index.header()?.salts == header.salts else {
      throw Loss(reason: "the log was restarted while it was read")
    }
    if reader.position.frame == header.lastFrame {
      guard reader.position.checksum == header.checksum else { throw Loss(reason: "the last frame is another") }
      if isBridged { try confirm(reader.position.change, header) }
      reader = LogReader(at: LogPosition(header))
    }
    position = reader.position
    return transactions + found
  }

  private func confirm(_ change: UInt32, _ header: LogIndexHeader) throws {
    guard change == header.change else {
      throw Loss(reason: "the index counts \(Int32(bitPattern: header.change &- change)) more commits than were read")
    }
  }

  /// What the generation before the current one committed after the position: still in the file if the new one has
  /// not grown over it.
  private func bridge(to header: LogIndexHeader, in log: DatabaseFile) throws -> [CapturedTransaction] {
    guard let position, header.salts.follows(position.salts), header.pageSize == position.pageSize else {
      throw Loss(reason: "the log was restarted more than once")
    }
    var reader = LogReader(at: position)
    let before = reader
    guard try before.isIntact(in: log) else { throw Loss(reason: "the restarted log has overwritten the position") }
    let (transactions, stop) = try reader.transactions(from: log)
    if stop == .otherGeneration(header.salts) {
      throw Loss(reason: "the restarted log has overwritten frames behind the position")
    }
    // A file cut to a size limit ends anywhere; one that grew ends with a frame.
    let frameLength = Int64(LogFrame.headerLength + position.pageSize)
    if stop == .end, (try log.size() - Int64(LogFileHeader.length)) % frameLength != 0 {
      throw Loss(reason: "the log was cut")
    }
    // The new generation overwrites in order: if it has not reached this frame, it had not reached those behind.
    guard try before.isIntact(in: log) else { throw Loss(reason: "the restarted log has overwritten the position") }
    return transactions
  }

  /// Makes the hold what it should be at a header whose frames are all captured; false when it is so already.
  private func moveHold(to header: LogIndexHeader) throws -> Bool {
    guard let index = opened?.index else { return false }
    let isBackfilled = index.backfilled >= header.lastFrame
    guard header.lastFrame <= heldFrames || isBackfilled else {
      let wasHeld = hold != nil
      try release()
      return wasHeld
    }
    if let hold, hold.salts == header.salts, hold.frame == header.lastFrame, hold.isBackfilled || !isBackfilled {
      return false
    }
    try release()
    if try live.reader().beginReading() { hold = (header.salts, header.lastFrame, isBackfilled) }
    return true
  }

  private func release() throws {
    try live.reader().end()
    hold = nil
    isPinned = false
  }

  /// Holds a snapshot and returns its header; nil when locks forbid it for now.
  private func pin() throws -> LogIndexHeader? {
    guard let index = opened?.index else { return nil }
    for _ in 0..<20 {
      try release()
      guard let before = index.header() else { continue }
      let isBackfilled = index.backfilled >= before.lastFrame
      guard try live.reader().beginReading() else { continue }
      hold = (before.salts, before.lastFrame, isBackfilled)
      if index.header() == before { return before }
    }
    // Commits come too fast: hold them off for the moment it takes to begin.
    let writer = try live.writer()
    guard try writer.beginWriting() else { return nil }
    defer { writer.end() }
    try release()
    guard let header = index.header(), try live.reader().beginReading() else { return nil }
    hold = (header.salts, header.lastFrame, index.backfilled >= header.lastFrame)
    return header
  }
}
