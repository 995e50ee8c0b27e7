// What capture yields, and what it is compared with.

/// One page of a database.
public struct PageImage: Hashable, Sendable {
  /// Its number, from one.
  public let number: UInt32
  /// Its bytes; those of page 1 in canonical form.
  public let bytes: [UInt8]

  /// A page.
  public init(number: UInt32, bytes: [UInt8]) {
    self.number = number
    self.bytes = bytes
  }

  /// A page as it is recorded: page 1 becomes canonical.
  init(recording bytes: [UInt8], as number: UInt32) {
    var bytes = bytes
    if number == 1 { PageOne.canonicalize(&bytes) }
    self.init(number: number, bytes: bytes)
  }
}

/// What one commit, or a run of commits that were captured together, made of a database.
public struct CapturedTransaction: Hashable, Sendable {
  /// The pages it wrote, ascending, as of the commit. The lock-byte page is never among them.
  public var pages: [PageImage]
  /// Pages of the database after it.
  public var pageCount: UInt32
  /// Bytes of a page after it.
  public var pageSize: Int
  /// Whether it was found by comparing the file with what is recorded: it may then hold several commits.
  public var isCompared: Bool

  /// A transaction.
  public init(pages: [PageImage], pageCount: UInt32, pageSize: Int, isCompared: Bool) {
    self.pages = pages
    self.pageCount = pageCount
    self.pageSize = pageSize
    self.isCompared = isCompared
  }
}

extension CapturedTransaction {
  init(compared pages: [PageImage], shape: DatabaseShape) {
    self.init(pages: pages, pageCount: shape.pageCount, pageSize: shape.pageSize, isCompared: true)
  }
}

/// How large a database is.
public struct DatabaseShape: Hashable, Sendable {
  /// Bytes of a page.
  public var pageSize: Int
  /// Pages.
  public var pageCount: UInt32

  /// Joins both.
  public init(pageSize: Int, pageCount: UInt32) {
    self.pageSize = pageSize
    self.pageCount = pageCount
  }
}

/// Takes pages as a scan finds them, so that a large database need not fit into memory.
public struct PageSink {
  /// A scan begins, perhaps once more: what was found before is void.
  public var begin: () throws -> Void
  /// A page that differs from the recorded one.
  public var found: (PageImage) throws -> Void

  /// A sink.
  public init(begin: @escaping () throws -> Void, found: @escaping (PageImage) throws -> Void) {
    self.begin = begin
    self.found = found
  }
}

/// What a scan of a live database came to.
public enum ScanOutcome: Hashable, Sendable {
  /// Nothing differs from what is recorded.
  case nothing
  /// The pages found make the recorded state into a committed one of this shape.
  case changed(DatabaseShape)
  /// Locks or a running transaction forbid it for now; what was found is void.
  case unsettled
  /// The database is in the other journal mode.
  case otherMode
}

/// Which pages may differ from what is recorded.
public enum PageCandidates: Hashable, Sendable {
  /// Any of them.
  case all
  /// These, and all beyond the recorded page count.
  case pages(Set<UInt32>)
}

/// The recorded state of a database, as capture needs to know it.
public struct RecordedState {
  /// Bytes of a page, nil when nothing is recorded.
  public var pageSize: Int?
  /// Pages.
  public var pageCount: UInt32
  /// Whether the recorded page of this number holds exactly these bytes (page 1 in canonical form).
  public var holds: (PageImage) throws -> Bool
  /// The schema cookie of the live database and that of the recorded one, when an install had to raise it: a page 1
  /// that differs by it alone is the recorded one.
  public var raisedCookie: (live: UInt32, recorded: UInt32)?

  /// A recorded state.
  public init(
    pageSize: Int?, pageCount: UInt32, raisedCookie: (live: UInt32, recorded: UInt32)? = nil,
    holds: @escaping (PageImage) throws -> Bool
  ) {
    self.pageSize = pageSize
    self.pageCount = pageCount
    self.raisedCookie = raisedCookie
    self.holds = holds
  }

  func isRecorded(_ image: PageImage) throws -> Bool {
    if try holds(image) { return true }
    guard image.number == 1, let raisedCookie, PageOne.schemaCookie(of: image.bytes) == raisedCookie.live else {
      return false
    }
    var bytes = image.bytes
    BigEndian.write(raisedCookie.recorded, &bytes, at: 40)
    return try holds(PageImage(number: 1, bytes: bytes))
  }

  /// Nothing is recorded: everything is new.
  public static var nothing: RecordedState { RecordedState(pageSize: nil, pageCount: 0) { _ in false } }
}
