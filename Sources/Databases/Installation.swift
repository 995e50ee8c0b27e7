// What is installed, and what came of it.

/// A set of pages that makes one committed state of a database out of another.
public struct Installation {
  /// Bytes of a page.
  public var pageSize: Int
  /// Pages of the database afterwards.
  public var pageCount: UInt32
  /// The pages that are given, ascending, each once.
  public var numbers: [UInt32]
  /// What becomes of the schema cookie.
  public var cookie: PageOne.Cookie
  /// The bytes of a page that is given. Asked once or twice for each.
  public var bytes: (UInt32) throws -> [UInt8]

  /// Pages that are read when they are needed.
  public init(
    pageSize: Int, pageCount: UInt32, numbers: some Sequence<UInt32>, cookie: PageOne.Cookie,
    bytes: @escaping (UInt32) throws -> [UInt8]
  ) {
    self.pageSize = pageSize
    self.pageCount = pageCount
    self.numbers = Set(numbers).sorted()
    self.cookie = cookie
    self.bytes = bytes
  }

  /// Pages in memory; of two with one number the later counts.
  public init(pageSize: Int, pageCount: UInt32, pages: [PageImage], cookie: PageOne.Cookie) {
    let images = Dictionary(pages.map { ($0.number, $0.bytes) }) { _, later in later }
    self.init(pageSize: pageSize, pageCount: pageCount, numbers: images.keys, cookie: cookie) { images[$0] ?? [] }
  }

  /// What was captured elsewhere.
  public init(_ transaction: CapturedTransaction, cookie: PageOne.Cookie) {
    self.init(
      pageSize: transaction.pageSize, pageCount: transaction.pageCount, pages: transaction.pages, cookie: cookie)
  }

  /// Throws unless, over a database of this shape, the pages make a whole database.
  func check(localPageSize: Int?, localPageCount: UInt32) throws(DatabaseError) {
    guard DatabaseHeader.pageSizes.contains(pageSize) else { throw .unfit("page size \(pageSize)") }
    guard pageCount > 0 else { throw .unfit("a database has at least one page") }
    if let first = numbers.first, first == 0 { throw .unfit("page 0 does not exist") }
    // Everything that the local file cannot provide must be given.
    let provided = localPageSize == pageSize ? localPageCount : 0
    let lockByte = DatabaseHeader.lockBytePage(pageSize: pageSize)
    guard provided < pageCount else { return }
    var needed = UInt64(pageCount - provided)
    if lockByte > provided, lockByte <= pageCount { needed -= 1 }
    let given = numbers.count { $0 > provided && $0 <= pageCount && $0 != lockByte }
    guard UInt64(given) == needed else {
      throw .unfit("\(needed) pages from \(provided + 1) to \(pageCount) are needed, \(given) are given")
    }
  }
}

/// Where a live database stands after an install; where capture goes on.
public enum InstalledPosition: Hashable, Sendable {
  /// In a rollback mode: the change counter.
  case counter(UInt32)
  /// In log mode: the end of the log.
  case log(LogPosition)
}

/// What came of an install.
public enum InstallOutcome: Hashable, Sendable {
  /// Why nothing could be installed now. The database is unchanged: back off and try again.
  public enum Obstacle: Hashable, Sendable {
    /// Somebody writes, or holds the database exclusively.
    case writer
    /// Somebody reads, in a rollback mode, and did not finish in time.
    case readers
    /// The page size can only change in log mode while nobody else has the database open.
    case openElsewhere
  }

  /// It is committed; with the schema cookie that page 1 has now, which is not the image's if it had to be raised.
  case installed(InstalledPosition, schemaCookie: UInt32)
  /// Locks were not to be had in time.
  case busy(Obstacle)
  /// The decision under the lock was to install nothing.
  case refused
}

/// How much an install syncs: what `PRAGMA synchronous` of the same name would.
public enum Durability: Hashable, Sendable {
  /// Nothing.
  case off
  /// What keeps the database whole after a power loss; in log mode the transaction itself may be lost.
  case normal
  /// What keeps the transaction too.
  case full
}

/// A live database under the write lock: nobody else can commit. Valid only within the decision it is given to.
public struct LockedDatabase {
  /// How the database keeps transactions whole.
  public let journal: JournalKind
  /// Bytes of a page, nil when the database is empty.
  public let pageSize: Int?
  /// Pages.
  public let pageCount: UInt32
  /// The change counter in the file; nil when the database is empty.
  public let changeCounter: UInt32?
  /// The end of the log, in log mode.
  public let log: LogPosition?
  let view: PageView?

  /// The bytes of a page as they are now; nil beyond the end.
  public func page(_ number: UInt32) throws -> [UInt8]? {
    guard let view, number >= 1, number <= pageCount else { return nil }
    return try view.page(number)
  }

  /// What differs from a recorded state: what was committed and not yet captured.
  public func difference(
    from recorded: RecordedState, among candidates: PageCandidates = .all
  ) throws -> CapturedTransaction? {
    try view?.difference(from: recorded, among: candidates)
  }
}
