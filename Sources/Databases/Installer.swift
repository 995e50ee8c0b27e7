// Installs pages on a live database as one transaction of SQLite's own.

import CSQLite

/// Installs page images on one live database, in whichever journal mode it is.
///
/// An ordinary connection holds the locks, so that SQLite itself recovers what a crashed writer left and programs see
/// nothing but another writer. At any instant a crash leaves the state before or the state after.
public final class Installer {
  /// How much is synced.
  public var durability: Durability
  /// How a database that is empty so far keeps transactions whole.
  public var kindOfNew: JournalKind
  /// Called between the steps of an install: the places at which a test stops the process.
  public var betweenSteps: (() -> Void)?
  let live: LiveDatabase

  /// An installer for a live database.
  public init(_ live: LiveDatabase, durability: Durability = .normal, kindOfNew: JournalKind = .rollback) {
    self.live = live
    self.durability = durability
    self.kindOfNew = kindOfNew
  }

  /// Installs what is decided under the write lock.
  ///
  /// `decide` sees the database as nobody can change it: the place to check that every local commit is captured and
  /// that the state is the one the pages build on. It may be called a second time when the page size changes. Waiting
  /// for locks is bounded by the database's `waitMilliseconds`, for writers and for readers each.
  public func install(_ decide: (LockedDatabase) throws -> Installation?) throws -> InstallOutcome {
    switch try installOnce(decide) {
    case .done(let outcome): return outcome
    case .pageSizeDiffersInLog: return try installLeavingLog(decide)
    }
  }

  /// Installs a given set of pages.
  public func install(_ installation: Installation) throws -> InstallOutcome { try install { _ in installation } }

  private enum Attempt {
    case done(InstallOutcome)
    case pageSizeDiffersInLog
  }

  private func installOnce(_ decide: (LockedDatabase) throws -> Installation?) throws -> Attempt {
    let writer = try live.writer()
    guard try writer.beginWriting() else { return .done(.busy(.writer)) }
    defer { writer.end() }
    let file = try writer.databaseFile()
    let size = try file.size()
    // Under the lock the journal mode cannot change any more.
    let header: DatabaseHeader? =
      size == 0 ? nil : try DatabaseHeader(try file.read(DatabaseHeader.length, at: 0) ?? [])
    if let header, header.journal == .log {
      let index = try LogIndex(file)
      guard let end = index.header() else { return .done(.busy(.writer)) }
      let log = try writer.logFile()
      let pageSize = end.lastFrame > 0 ? end.pageSize : header.pageSize
      let count = end.pageCount != 0 ? end.pageCount : UInt32(size / Int64(pageSize))
      let view = PageView(file: file, log: (log, index, end.lastFrame), pageSize: pageSize, pageCount: count)
      let locked = LockedDatabase(
        journal: .log, pageSize: pageSize, pageCount: count, changeCounter: header.changeCounter,
        log: LogPosition(end), view: view)
      guard let installation = try decide(locked) else { return .done(.refused) }
      try installation.check(localPageSize: pageSize, localPageCount: count)
      guard installation.pageSize == pageSize else { return .pageSizeDiffersInLog }
      let images = try Images(installation, over: try view.page(1), kindOfNew: kindOfNew)
      let position = try appendToLog(images, log: log, index: index, end: end)
      return .done(.installed(.log(position), schemaCookie: images.schemaCookie))
    }
    let count = header?.pageCount(fileSize: size) ?? 0
    let view = header.map { PageView(file: file, log: nil, pageSize: $0.pageSize, pageCount: count) }
    let locked = LockedDatabase(
      journal: .rollback, pageSize: header?.pageSize, pageCount: count, changeCounter: header?.changeCounter, log: nil,
      view: view)
    guard let installation = try decide(locked) else { return .done(.refused) }
    try installation.check(localPageSize: header?.pageSize, localPageCount: count)
    let pageOne = try file.read(DatabaseHeader.length, at: 0) ?? [UInt8](repeating: 0, count: DatabaseHeader.length)
    let whole = header?.pageSize == installation.pageSize ? try view?.page(1) : nil
    let images = try Images(installation, over: whole ?? pageOne, kindOfNew: kindOfNew)
    return .done(try rollForward(images, file: file))
  }

  /// A log's generation has one page size, so the database leaves log mode for the moment. That needs it to ourselves.
  private func installLeavingLog(_ decide: (LockedDatabase) throws -> Installation?) throws -> InstallOutcome {
    live.close()
    let writer = try live.writer()
    guard try writer.attempt("PRAGMA journal_mode=DELETE"), try live.header()?.journal == .rollback else {
      return .busy(.openElsewhere)
    }
    let attempt = try installOnce(decide)
    _ = try writer.attempt("PRAGMA journal_mode=WAL")
    guard case .done(let outcome) = attempt else { return .busy(.openElsewhere) }
    guard case .installed(_, let cookie) = outcome, let header = try live.header() else { return outcome }
    guard header.journal == .log else { return .installed(.counter(header.changeCounter), schemaCookie: cookie) }
    guard try writer.beginReading() else { return .busy(.openElsewhere) }
    defer { writer.end() }
    guard let end = try LogIndex(try writer.databaseFile()).header() else { return .busy(.openElsewhere) }
    return .installed(.log(LogPosition(end)), schemaCookie: cookie)
  }
}

/// The pages of an installation as this node writes them, page 1 first.
struct Images {
  let pageSize: Int
  let pageCount: UInt32
  let pageOne: [UInt8]
  /// All but page 1 and the lock-byte page.
  let others: [UInt32]
  private let bytes: (UInt32) throws -> [UInt8]

  /// `local` is page 1 as it stands, or at least its header when the page size changes.
  init(_ installation: Installation, over local: [UInt8], kindOfNew: JournalKind) throws {
    pageSize = installation.pageSize
    pageCount = installation.pageCount
    bytes = installation.bytes
    let lockByte = DatabaseHeader.lockBytePage(pageSize: pageSize)
    let last = pageCount
    others = installation.numbers.filter { $0 > 1 && $0 <= last && $0 != lockByte }
    let isGiven = installation.numbers.first == 1
    let image = isGiven ? try installation.bytes(1) : local
    guard image.count == pageSize else { throw DatabaseError.unfit("page 1 has \(image.count) bytes") }
    let header = try DatabaseHeader(image)
    guard header.pageSize == pageSize else { throw DatabaseError.unfit("page 1 says page size \(header.pageSize)") }
    pageOne = PageOne.localized(
      image, over: local, pageCount: pageCount,
      cookie: isGiven ? installation.cookie : .following(PageOne.schemaCookie(of: local)), kindOfNew: kindOfNew)
  }

  var changeCounter: UInt32 { BigEndian.read(pageOne, at: 24) }
  var schemaCookie: UInt32 { PageOne.schemaCookie(of: pageOne) }

  func image(_ number: UInt32) throws -> [UInt8] {
    let image = try bytes(number)
    guard image.count == pageSize else { throw DatabaseError.unfit("page \(number) has \(image.count) bytes") }
    return image
  }
}
