// Capture in the rollback modes: what a transaction changed, once its journal has ended.

/// What a look at a database in a rollback mode found.
public enum RollbackReading: Hashable, Sendable {
  /// No page differs: the transaction was rolled back, or captured before.
  case nothing
  /// What was committed since.
  case transaction(CapturedTransaction)
  /// A transaction is under way: look again when its journal ends.
  case unsettled
  /// The database is in log mode.
  case notRollback
}

/// Captures the transactions of one database in the rollback modes.
///
/// It takes no lock by default, so that an application without a busy timeout never meets one of ours: it reads the
/// candidates and then confirms that no journal stood beside the database, that the change counter is what it was
/// before, and that the caller saw no write meanwhile. In the MEMORY and OFF modes there is no journal to look at: let
/// it hold a read lock there.
public final class RollbackCapture {
  /// The change counter as of the last capture or install.
  public private(set) var counter: UInt32?
  private let live: LiveDatabase

  /// Capture from a live database.
  public init(_ live: LiveDatabase) { self.live = live }

  /// Continues behind a captured or installed state.
  public func resume(at counter: UInt32?) { self.counter = counter }

  /// Whether the file is still at the last captured state, as far as its change counter tells: under exclusive locking
  /// SQLite moves it only once.
  public func isCurrent() throws -> Bool {
    guard let counter, let header = try live.header(), header.journal == .rollback else { return false }
    return try header.changeCounter == counter && !JournalReader.isActive(besideDatabase: live.path)
  }

  /// Captures what differs from the recorded state, in memory. Parameters as those of `scan`.
  public func capture(
    against recorded: RecordedState, among candidates: PageCandidates = .all, isLocked: Bool = false,
    activity: () -> UInt64 = { 0 }
  ) throws -> RollbackReading {
    var pages: [PageImage] = []
    let sink = PageSink(begin: { pages = [] }, found: { pages.append($0) })
    return switch try scan(against: recorded, among: candidates, isLocked: isLocked, activity: activity, into: sink) {
    case .nothing: .nothing
    case .changed(let shape): .transaction(CapturedTransaction(compared: pages, shape: shape))
    case .unsettled: .unsettled
    case .otherMode: .notRollback
    }
  }

  /// Finds what differs from the recorded state.
  ///
  /// - Parameters:
  ///   - recorded: The recorded state.
  ///   - candidates: The pages that may differ. They must cover all transactions since the last capture.
  ///   - isLocked: Whether to hold a read lock meanwhile.
  ///   - activity: Counts the writes to the database and its journal that the caller has seen.
  ///   - sink: Takes the pages. They are valid only once the scan has come to `changed`.
  public func scan(
    against recorded: RecordedState, among candidates: PageCandidates = .all, isLocked: Bool = false,
    activity: () -> UInt64 = { 0 }, into sink: PageSink
  ) throws -> ScanOutcome {
    if isLocked {
      let reader = try live.reader()
      guard try reader.beginReading() else { return .unsettled }
      defer { reader.end() }
      return try scanOnce(against: recorded, among: candidates, into: sink)
    }
    for _ in 0..<5 {
      let before = activity()
      let modification = live.modification()
      guard try !JournalReader.isActive(besideDatabase: live.path) else { return .unsettled }
      let past = counter
      let outcome = try scanOnce(against: recorded, among: candidates, into: sink)
      let isSettled = try !JournalReader.isActive(besideDatabase: live.path)
      let isSame = try live.header()?.changeCounter == counter && live.modification() == modification
      if isSettled, isSame, activity() == before { return outcome }
      counter = past
    }
    return .unsettled
  }

  private func scanOnce(
    against recorded: RecordedState, among candidates: PageCandidates, into sink: PageSink
  ) throws -> ScanOutcome {
    try sink.begin()
    guard let header = try live.header() else {
      counter = nil
      return recorded.pageCount == 0 ? .nothing : .unsettled
    }
    guard header.journal == .rollback else { return .otherMode }
    let file = try live.reader().databaseFile()
    let view = PageView(
      file: file, log: nil, pageSize: header.pageSize, pageCount: header.pageCount(fileSize: try file.size()))
    // A rollback does not restore free pages that had been put to use. (The counter alone would not tell a rollback:
    // under exclusive locking SQLite moves it once.)
    let isStill = header.changeCounter == counter && recorded.pageSize == header.pageSize
    let shape = try view.scan(
      against: recorded, among: candidates, except: isStill ? try view.freeLeaves() : [], into: sink.found)
    counter = header.changeCounter
    return shape.map { .changed($0) } ?? .nothing
  }
}
