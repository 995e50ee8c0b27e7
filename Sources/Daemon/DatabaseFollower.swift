// The thread that carries transactions between the live form of a database and its recorded one.

import Causality
import Databases
import Glibc
import Replication
import Storage

/// Follows one live database. Everything here belongs to the session's thread.
final class DatabaseFollower {
  /// Without news for so long, connections are closed: an open one keeps an application from leaving log mode.
  static let idleMilliseconds: UInt64 = 30
  /// Without news for so long, a log that nobody uses is written back.
  static let tidyMilliseconds: UInt64 = 1_000
  /// Without news for so long, the thread ends.
  static let endMilliseconds: UInt64 = 20_000
  /// Without a journal, a database must be quiet for so long before it is looked at under a lock.
  static let quietMilliseconds: UInt64 = 50

  let session: DatabaseSession
  let owner: LiveDatabases
  let volume: CarriedVolume
  var bound: Bound?
  /// Pages that may differ from the recorded ones, in the rollback modes; nil means any.
  var candidates: Set<UInt32>?
  var raisedCookie: (live: UInt32, recorded: UInt32)?
  /// The schema cookie of the recorded version that the live form equals.
  var baseCookie: UInt32?
  var backing: Int32 = -1
  private var unsettledSince: UInt64?
  private var sawJournal = true
  /// What the files looked like when everything in them was known.
  private var known: DatabaseSignature?
  private var tidied: DatabaseSignature?
  private var failures = 0

  /// A database under the path at which programs see it.
  struct Bound {
    let path: String
    let live: RemoteDatabase
    /// A descriptor of our own by which the kernel is made to hand over what programs wrote.
    var descriptor: Int32
  }

  /// What a look came to.
  enum Look {
    case settled
    /// A transaction is under way: look again soon.
    case unsettled
    /// The database is another file now.
    case gone
  }

  init(_ session: DatabaseSession) {
    self.session = session
    owner = session.owner
    volume = owner.volume
  }

  deinit { if backing >= 0 { close(backing) } }

  /// Does what there is to do; in how many milliseconds to look again, nil when there is no need to.
  func turn(isLast: Bool) -> Int? {
    guard bind() else {
      release()
      return nil
    }
    let idle = monotonicMilliseconds() &- session.newsTime
    if !isOpen, isCaughtUp, let known, known == DatabaseSignature(bound!.path) {
      return isLast ? nil : rest(idle)
    }
    do {
      let before = DatabaseSignature(bound!.path)
      let look = try work()
      if case .gone = look {
        release()
        return nil
      }
      if isLast {
        release(checkpointing: true)
        return nil
      }
      guard case .settled = look, isCaughtUp else { return isCaughtUp ? 5 : retry("programs are writing") }
      session.trouble = nil
      failures = 0
      let now = DatabaseSignature(bound!.path)
      guard idle >= Self.idleMilliseconds, now == before, before.isAged else { return Int(Self.idleMilliseconds) / 2 }
      release()
      known = before
      return Int(Self.tidyMilliseconds)
    } catch {
      let wait = retry("\(error)")
      release()
      if error is LocalChannel.Closed { forgetHelper() }
      return isLast ? nil : wait
    }
  }

  private func retry(_ why: String) -> Int {
    if session.trouble == nil, failures > 0 { session.trouble = why }
    failures += 1
    if failures == 6 {
      owner.engine.log.warning(
        "a live database is behind what is recorded", metadata: ["database": "\(bound?.path ?? "")", "why": "\(why)"])
    }
    return min(2 << min(failures, 7), 200)
  }

  /// Nothing happens: a log that a program left is written back, and in the end the thread goes.
  private func rest(_ idle: UInt64) -> Int? {
    guard idle >= Self.tidyMilliseconds else { return Int(Self.tidyMilliseconds - idle) + 1 }
    if let known, known.hasLog, tidied != known {
      tidied = known
      _ = try? work()
      release(checkpointing: true)
      session.recorded.with { volume.note(session.standing.mark, of: session.id) }
      let now = DatabaseSignature(bound?.path ?? "")
      if !now.hasLog { self.known = now }
      return Int(Self.tidyMilliseconds)
    }
    return idle < Self.endMilliseconds ? Int(Self.endMilliseconds) : nil
  }

  // MARK: Binding

  var isOpen: Bool { bound?.live.isOpen ?? false || bound.map { $0.descriptor >= 0 } ?? false }

  /// The recorded state and where the live form stands to it.
  func look() -> (file: File, standing: DatabaseSession.Standing)? {
    session.recorded.with {
      let file = volume.withVolume(quietly: { volume in volume.files[session.id] })
      return file.map { ($0, session.standing) }
    }
  }

  var isCaughtUp: Bool {
    session.recorded.with {
      let tip = volume.withVolume(quietly: { volume in volume.files[session.id]?.tip })
      return tip == session.standing.mark.tip || tip == nil
    }
  }

  /// Finds the path at which programs see the database; false when there is none, or nothing live.
  private func bind() -> Bool {
    guard let mountPoint = owner.mountPoint, owner.hasLive(session.id) else { return false }
    let path = volume.withVolume(quietly: { volume in volume.visiblePaths(of: session.id).first })
    guard let path else { return false }
    let whole = mountPoint + path.description
    if let bound, bound.path == whole {
      if bound.live.isOpen, (try? bound.live.isReplaced()) ?? true { release() }
      return true
    }
    let old = bound?.path
    release()
    do {
      guard let helper = owner.helper else { return false }
      let new = Bound(path: whole, live: try helper.database(at: whole), descriptor: -1)
      if bound == nil {
        try takeOver(new)
      } else {
        try new.live.resume(atCounter: bound!.live.counter)
        try new.live.resume(at: bound!.live.position)
      }
      bound = new
    } catch {
      session.trouble = "\(error)"
      return false
    }
    owner.bind(session, to: whole, instead: old)
    return true
  }

  /// Goes on where the last life, or the last follower, ended.
  private func takeOver(_ new: Bound) throws {
    let standing = session.recorded.with { () -> DatabaseSession.Standing in
      let file = volume.withVolume(quietly: { volume in volume.files[session.id] })
      if let file, !file.vector.covers(session.standing.mark.tip) || session.standing.mark.tip == .none {
        // The version it speaks of was never stored: the live form goes on from what is.
        session.standing.mark.tip = file.tip
        session.standing.isTrusted = false
      }
      return session.standing
    }
    raisedCookie = standing.mark.raisedCookie
    guard standing.isTrusted else { return }
    switch standing.mark.place {
    case .unknown: break
    case .counter(let counter):
      try new.live.resume(atCounter: counter)
      if standing.isTrusted { candidates = [] }
    case .log(let position): try new.live.resume(at: position)
    }
  }

  /// The process that works on the database has ended: the next look goes to a new one, from where the mark says.
  private func forgetHelper() {
    bound = nil
    session.recorded.with { session.standing.isTrusted = true }
  }

  /// Closes everything that is open on the database.
  func release(checkpointing: Bool = false) {
    bound?.live.close(checkpointing: checkpointing)
    if let descriptor = bound?.descriptor, descriptor >= 0 { close(descriptor) }
    bound?.descriptor = -1
    known = nil
  }

  // MARK: Working

  /// Captures what was committed here, then installs what came from peers.
  private func work() throws -> Look {
    for _ in 0..<8 {
      let look = try capture()
      let isJoining = session.recorded.with { session.standing.isJoining }
      guard case .settled = look, !isCaughtUp, !isJoining else { return look }
      switch try install() {
      case .installed:
        if isCaughtUp { return .settled }
      case .refused: continue
      case .busy(let why):
        _ = retry(why)
        return .settled
      }
    }
    return .unsettled
  }

  /// Takes what programs committed since the last look.
  private func capture() throws -> Look {
    let news = session.takeNews()
    if let bound, let (file, standing) = look(), !standing.isTrusted {
      if file.tip == .none {
        session.recorded.with { session.standing.isTrusted = true }
      } else {
        guard case .settled = try recoverAfterCrash(bound) else { return .unsettled }
      }
    }
    if news.journalEvents > 0 { sawJournal = true }
    if news.databaseEvents > 0, news.journalEvents == 0 { sawJournal = false }
    for _ in 0..<64 {
      guard let bound, let (file, standing) = look() else { return .gone }
      guard let header = try bound.live.header() else { return .settled }
      guard header.pageSize == Int(file.form.chunkSize) else { return try renew(header, bound) }
      let step =
        header.journal == .log
        ? try captureLog(bound, file, standing) : try captureRollback(bound, file, standing, header, news)
      if let step { return step }
    }
    return .unsettled
  }

  private func renew(_ header: RemoteDatabase.Header, _ bound: Bound) throws -> Look {
    guard try !JournalReader.isActive(besideDatabase: bound.path) else { return .unsettled }
    release()
    try owner.mount?.renew(session.id, pageSize: header.pageSize)
    return .gone
  }

  /// One look at the log; nil when another is needed.
  private func captureLog(_ bound: Bound, _ file: File, _ standing: DatabaseSession.Standing) throws -> Look? {
    // What was written to the database file came out of the log.
    _ = owner.mount?.takeWritten(session.id)
    candidates = nil
    let isBehind = standing.mark.tip != file.tip && file.tip != .none
    switch try bound.live.poll() {
    case .nothing: return .settled
    case .busy: return .unsettled
    case .notLog: return nil
    case .transactions(let transactions, let isComplete):
      if !isBehind {
        try record(transactions)
      } else if try !isOnlyBehind(bound, isLog: true) {
        try keepDiverged(bound, isLog: true)
      }
      return isComplete ? .settled : nil
    case .lost:
      if isBehind {
        if try !isOnlyBehind(bound, isLog: true) { try keepDiverged(bound, isLog: true) }
        return .settled
      }
      let pages = CollectedPages(stagingPath)
      switch try bound.live.scanLog(against: recordedState(file, standing), into: pages.sink) {
      case .nothing: remember(.log)
      case .changed(let shape): try record(pages, shape)
      case .unsettled: return .unsettled
      case .otherMode: return nil
      }
      return .settled
    }
  }

  /// One look at a database in a rollback mode; nil when another is needed.
  private func captureRollback(
    _ bound: Bound, _ file: File, _ standing: DatabaseSession.Standing, _ header: RemoteDatabase.Header,
    _ news: DatabaseSession.News
  ) throws -> Look? {
    let isBehind = standing.mark.tip != file.tip && file.tip != .none
    let now = monotonicMilliseconds()
    if isBehind {
      if try bound.live.isCurrent() { return .settled }
      guard try !JournalReader.isActive(besideDatabase: bound.path) else { return .unsettled }
      if try !isOnlyBehind(bound, isLog: false) { try keepDiverged(bound, isLog: false) }
      return .settled
    }
    if !sawJournal, !news.isClosed, now &- news.at < Self.quietMilliseconds { return .unsettled }
    // Read while no transaction runs, the counter names a whole one: all of its pages are among those handed over now.
    guard try !JournalReader.isActive(besideDatabase: bound.path) else { return try lookLocked(bound, now) }
    let counter = try bound.live.header()?.changeCounter
    let before = DatabaseSignature(bound.path)
    guard try !JournalReader.isActive(besideDatabase: bound.path) else { return waitForMore(now) }
    flushPages()
    let written = owner.mount?.takeWritten(session.id) ?? []
    if candidates != nil { for range in written { candidates!.formUnion(range.map { UInt32($0 + 1) }) } }
    if let candidates, candidates.isEmpty, try bound.live.isCurrent() { return .settled }
    let size = DatabaseSignature(bound.path).size
    guard Int64(header.pageCount(fileSize: size)) * Int64(header.pageSize) <= size else { return waitForMore(now) }
    let pages = CollectedPages(stagingPath)
    let outcome = try bound.live.scanRollback(
      against: recordedState(file, standing), among: candidates, isLocked: !sawJournal, into: pages.sink)
    let isSame = bound.live.counter == counter && (sawJournal || DatabaseSignature(bound.path) == before)
    switch outcome {
    case .otherMode: return nil
    case .unsettled: return waitForMore(now)
    case .changed, .nothing:
      guard isSame || candidates == nil else {
        try bound.live.resume(atCounter: nil)
        return waitForMore(now)
      }
    }
    if case .changed(let shape) = outcome { try record(pages, shape) } else { remember(.rollback) }
    unsettledSince = nil
    candidates = []
    return .settled
  }

  /// A journal that stays may be what a program left that died: SQLite rolls it back when somebody takes a lock.
  private func lookLocked(_ bound: Bound, _ now: UInt64) throws -> Look {
    guard let unsettledSince, now &- unsettledSince > 200 else { return waitForMore(now) }
    self.unsettledSince = now
    try bound.live.recover()
    return .unsettled
  }

  private func waitForMore(_ now: UInt64) -> Look {
    if unsettledSince == nil { unsettledSince = now }
    return .unsettled
  }

  /// Has the kernel hand over what programs wrote to the database file and did not sync.
  private func flushPages() {
    guard let path = bound?.path else { return }
    if bound!.descriptor < 0 { bound!.descriptor = open(path, O_RDONLY | O_CLOEXEC) }
    if bound!.descriptor >= 0 { owner.mount?.writeBack(bound!.descriptor) }
  }
}

/// What the files of a database look like from outside.
struct DatabaseSignature: Equatable {
  private struct One: Equatable {
    var inode: UInt64
    var size: Int64
    var seconds: Int
    var nanoseconds: Int
  }

  private var files: [One?]

  /// As they look at a path now.
  init(_ path: String) {
    files = ["", "-wal", "-journal"].map { suffix in
      var status = stat()
      guard stat(path + suffix, &status) == 0 else { return nil }
      return One(
        inode: UInt64(status.st_ino), size: Int64(status.st_size), seconds: status.st_mtim.tv_sec,
        nanoseconds: status.st_mtim.tv_nsec)
    }
  }

  /// Bytes of the database file.
  var size: Int64 { files[0]?.size ?? 0 }

  /// Whether a log stands beside the database that has something in it.
  var hasLog: Bool { (files[1]?.size ?? 0) > 0 }

  /// Whether every later write must show: the clock of file times moves in steps of some milliseconds.
  var isAged: Bool {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return files.allSatisfy { file in
      guard let file else { return true }
      return (now.tv_sec - file.seconds) * 1_000 + (now.tv_nsec - file.nanoseconds) / 1_000_000 >= 12
    }
  }
}
