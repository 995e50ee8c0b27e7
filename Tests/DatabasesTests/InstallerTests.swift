// Installing: one transaction that everyone accepts, in either mode.

import Causality
import Databases
import Foundation
import Testing

@Suite struct `Installing` {
  /// Captures a random history on a source database, as transactions to install elsewhere.
  static func source(
    seed: UInt64, pageSize: Int, turns: Int, autoVacuum: Int = 0
  ) throws -> (mirror: Mirror, history: History) {
    let scratch = Scratch()
    var history = History(seed: seed)
    let application = try Application(scratch.file("source.db"))
    try history.begin(application, pageSize: pageSize, autoVacuum: autoVacuum)
    try application.run("PRAGMA journal_mode=WAL")
    let capture = LogCapture(LiveDatabase(path: scratch.file("source.db")))
    let mirror = Mirror()
    if case .transactions(let found, _) = try capture.compare(with: .nothing).reading { found.forEach(mirror.record) }
    for turn in 0..<turns {
      try history.step(application)
      if turn % 30 == 20 { try history.vacuum(application) }
      if case .transactions(let found, _) = try capture.poll() { found.forEach(mirror.record) }
    }
    return (mirror, history)
  }

  @Test(arguments: [("wal", 512), ("wal", 4096), ("wal", 65536), ("delete", 512), ("delete", 4096), ("delete", 65536)])
  func `every step of a history is seen by open readers and snapshots stay`(mode: String, pageSize: Int) throws {
    let (mirror, history) = try Self.source(
      seed: UInt64(pageSize), pageSize: pageSize, turns: 60, autoVacuum: pageSize == 512 ? 1 : 0)
    let scratch = Scratch()
    let path = scratch.file("replica.db")
    _ = try Application(path).run("PRAGMA page_size=\(pageSize); PRAGMA journal_mode=\(mode); CREATE TABLE old(a)")
    let live = LiveDatabase(path: path)
    let installer = Installer(live, durability: .off)
    let reader = try Application(path)
    let snapshot = try Application(path)
    _ = try reader.content()
    var base: UInt32?
    for (place, transaction) in mirror.transactions.enumerated() {
      let cookie = base.map { PageOne.Cookie.following($0) } ?? .aboveAll
      if let one = transaction.pages.first, one.number == 1 { base = PageOne.schemaCookie(of: one.bytes) }
      var pinned: String?
      if mode == "wal", place % 3 == 1 {
        try snapshot.run("BEGIN")
        pinned = try snapshot.content()
      }
      let outcome = try installer.install(Installation(transaction, cookie: cookie))
      guard case .installed = outcome else {
        Issue.record("\(outcome)")
        return
      }
      let sequence = Int(try reader.run("SELECT seq FROM meta")[0][0])!
      try #require(try reader.content() == history.states[sequence])
      if place % 10 == 0 { #expect(try reader.integrity() == "ok") }
      if let pinned {
        #expect(try snapshot.content() == pinned)
        try snapshot.run("COMMIT")
      }
      if mode == "wal", place % 25 == 0 { try reader.run("PRAGMA wal_checkpoint(PASSIVE)") }
    }
    #expect(try reader.run("SELECT seq FROM meta")[0][0] == "\(history.sequence)")
    #expect(try reader.run("PRAGMA journal_mode")[0][0] == mode)
    // The application goes on writing.
    try reader.run("UPDATE meta SET seq = -1")
    #expect(try snapshot.run("SELECT seq FROM meta")[0][0] == "-1")
    #expect(try reader.integrity() == "ok")
  }

  @Test(arguments: ["wal", "delete"])
  func `capture after an install finds local commits only`(mode: String) throws {
    let (mirror, _) = try Self.source(seed: 3, pageSize: 4096, turns: 8)
    let scratch = Scratch()
    let path = scratch.file("replica.db")
    let application = try Application(path)
    try application.run("PRAGMA journal_mode=\(mode); CREATE TABLE old(a)")
    let live = LiveDatabase(path: path)
    let (log, rollback) = (LogCapture(live), RollbackCapture(live))
    let installer = Installer(live)
    guard case .installed(let position, let cookie) = try installer.install(mirror.whole) else {
      Issue.record("busy")
      return
    }
    switch position {
    case .log(let place):
      log.resume(at: place)
      #expect(try log.poll() == .nothing)
      try application.run("UPDATE meta SET seq = 77")
      guard case .transactions(let found, true) = try log.poll() else {
        Issue.record("nothing captured")
        return
      }
      #expect(found.count == 1)
      found.forEach(mirror.record)
    case .counter(let counter):
      rollback.resume(at: counter)
      #expect(try rollback.isCurrent())
      #expect(try rollback.capture(against: mirror.recorded(raisedCookie: cookie)) == .nothing)
      try application.run("UPDATE meta SET seq = 77")
      #expect(try !rollback.isCurrent())
      guard case .transaction(let found) = try rollback.capture(against: mirror.recorded) else {
        Issue.record("nothing captured")
        return
      }
      #expect(found.pages.count <= 2)
      mirror.record(found)
    }
    #expect(try mirror.open().run("SELECT seq FROM meta")[0][0] == "77")
  }

  @Test(arguments: ["wal", "delete", "truncate", "persist"])
  func `an empty file becomes the database`(mode: String) throws {
    let (mirror, history) = try Self.source(seed: 11, pageSize: 2048, turns: 5)
    let scratch = Scratch()
    let path = scratch.file("replica.db")
    let application = try Application(path)
    _ = try application.run("PRAGMA user_version")
    let installer = Installer(LiveDatabase(path: path), kindOfNew: mode == "wal" ? .log : .rollback)
    let outcome = try installer.install(mirror.whole)
    guard case .installed = outcome else {
      Issue.record("\(outcome)")
      return
    }
    #expect(try application.content() == history.states.last)
    #expect(try application.run("PRAGMA journal_mode")[0][0] == (mode == "wal" ? "wal" : "delete"))
  }

  @Test(arguments: ["wal", "delete"])
  func `another page size replaces the whole database`(mode: String) throws {
    let (mirror, history) = try Self.source(seed: 12, pageSize: 8192, turns: 5)
    let scratch = Scratch()
    let path = scratch.file("replica.db")
    let application = try Application(path)
    try application.run(
      "PRAGMA page_size=1024; PRAGMA journal_mode=\(mode); CREATE TABLE old(a); INSERT INTO old VALUES(1)")
    let live = LiveDatabase(path: path)
    let installer = Installer(live)
    var installation = mirror.whole
    installation.cookie = .aboveAll
    if mode == "wal" {
      // Somebody else has it open: not now.
      #expect(try installer.install(installation) == .busy(.openElsewhere))
      #expect(try application.run("SELECT a FROM old") == [["1"]])
      application.close()
      let outcome = try installer.install(installation)
      guard case .installed(.log, _) = outcome else {
        Issue.record("\(outcome)")
        return
      }
      let again = try Application(path)
      #expect(try again.content() == history.states.last)
      #expect(try again.run("PRAGMA journal_mode")[0][0] == "wal")
      return
    }
    guard case .installed(.counter, _) = try installer.install(installation) else {
      Issue.record("busy")
      return
    }
    #expect(try application.content() == history.states.last)
    #expect(try application.run("PRAGMA page_size")[0][0] == "8192")
    #expect(try application.integrity() == "ok")
  }

  @Test func `locks that others hold are reported and nothing changes`() throws {
    let (mirror, _) = try Self.source(seed: 13, pageSize: 4096, turns: 3)
    for mode in ["wal", "delete"] {
      let scratch = Scratch()
      let path = scratch.file("replica.db")
      let application = try Application(path)
      try application.run("PRAGMA journal_mode=\(mode); CREATE TABLE old(a); INSERT INTO old VALUES(1)")
      let installer = Installer(LiveDatabase(path: path, waitMilliseconds: 20))
      try application.run("BEGIN IMMEDIATE")
      #expect(try installer.install(mirror.whole) == .busy(.writer))
      try application.run("COMMIT; BEGIN; SELECT * FROM old")
      let outcome = try installer.install(mirror.whole)
      if mode == "delete" {
        #expect(outcome == .busy(.readers))
        #expect(try JournalReader.isActive(besideDatabase: path) == false)
        #expect(try application.run("SELECT a FROM old; COMMIT") == [["1"]])
        try application.run("INSERT INTO old VALUES(2)")
      } else {
        guard case .installed = outcome else {
          Issue.record("\(outcome)")
          return
        }
        #expect(try application.run("SELECT a FROM old; COMMIT") == [["1"]])
      }
    }
  }

  @Test func `the decision under the lock can refuse, and sees the database as it is`() throws {
    for mode in ["wal", "delete"] {
      let scratch = Scratch()
      let path = scratch.file("replica.db")
      let application = try Application(path)
      try application.run("PRAGMA journal_mode=\(mode); CREATE TABLE old(a); INSERT INTO old VALUES(1)")
      let installer = Installer(LiveDatabase(path: path))
      let outcome = try installer.install { locked in
        #expect(locked.journal == (mode == "wal" ? .log : .rollback))
        #expect(locked.pageCount == 2)
        let difference = try locked.difference(from: .nothing)
        #expect(difference?.pages.count == 2)
        #expect(throws: ApplicationError.self) {
          try application.run("PRAGMA busy_timeout=0; INSERT INTO old VALUES(2)")
        }
        return nil
      }
      #expect(outcome == .refused)
      try application.run("INSERT INTO old VALUES(2)")
    }
  }

  @Test func `pages that make no whole database are refused`() throws {
    let (mirror, _) = try Self.source(seed: 14, pageSize: 4096, turns: 3)
    let scratch = Scratch()
    let path = scratch.file("replica.db")
    let application = try Application(path)
    try application.run("CREATE TABLE old(a)")
    let installer = Installer(LiveDatabase(path: path))
    var partial = mirror.whole
    partial.numbers.removeLast()
    #expect(throws: DatabaseError.self) { try installer.install(partial) }
    var short = mirror.whole
    short.bytes = { _ in [1, 2, 3] }
    #expect(throws: DatabaseError.self) { try installer.install(short) }
    var wrong = mirror.whole
    wrong.bytes = { _ in [UInt8](repeating: 7, count: 4096) }
    #expect(throws: DatabaseError.self) { try installer.install(wrong) }
    #expect(try application.content().contains("old"))
    #expect(try application.integrity() == "ok")
    #expect(try JournalReader.isActive(besideDatabase: path) == false)
  }

  @Test func `a replaced schema is noticed by open connections`() throws {
    for mode in ["wal", "delete"] {
      let scratch = Scratch()
      let (one, two) = (scratch.file("one.db"), scratch.file("two.db"))
      let application = try Application(one)
      try application.run("PRAGMA journal_mode=\(mode); CREATE TABLE t(a, b); INSERT INTO t VALUES(1, 2)")
      #expect(try application.run("SELECT a FROM t") == [["1"]])
      try Application(two).run("CREATE TABLE t(b, a); INSERT INTO t VALUES(2, 1)")
      let mirror = Mirror()
      if case .transaction(let found) = try RollbackCapture(LiveDatabase(path: two)).capture(against: .nothing) {
        mirror.record(found)
      }
      var installation = mirror.whole
      installation.cookie = .aboveAll
      _ = try Installer(LiveDatabase(path: one)).install(installation)
      #expect(try application.run("SELECT a FROM t") == [["1"]])
      #expect(try application.run("SELECT * FROM t") == [["2", "1"]])
    }
  }

  @Test func `a long log is indexed over its blocks and starts over when it is written back`() throws {
    let scratch = Scratch()
    let (from, path) = (scratch.file("source.db"), scratch.file("replica.db"))
    let source = try Application(from)
    try source.run("PRAGMA page_size=512; PRAGMA synchronous=OFF; CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    try source.run(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 700) INSERT INTO t SELECT i, zeroblob(400) FROM n"
    )
    let capture = RollbackCapture(LiveDatabase(path: from))
    let mirror = Mirror()
    let application = try Application(path)
    try application.run(
      "PRAGMA page_size=512; PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE old(a)")
    let installer = Installer(LiveDatabase(path: path), durability: .full)
    var frames: [UInt32] = []
    for turn in 0..<14 {
      try source.run("UPDATE t SET b = randomblob(400) WHERE a % 2 = \(turn % 2)")
      guard case .transaction(let found) = try capture.capture(against: mirror.recorded) else { return }
      mirror.record(found)
      let outcome = try installer.install(Installation(found, cookie: .aboveAll))
      guard case .installed(.log(let place), _) = outcome else {
        Issue.record("\(outcome)")
        return
      }
      frames.append(place.frame)
      let isSame = try application.content() == source.content()
      #expect(isSame, "turn \(turn)")
      if turn == 12 { try application.run("PRAGMA wal_checkpoint(PASSIVE)") }
    }
    #expect(frames[12] > 4062 + 256)
    #expect(frames[13] < 1000)
    #expect(try application.integrity() == "ok")
    // Another process, recovering the log after a crash of all, finds the same.
    let copy = scratch.file("copy.db")
    for suffix in ["", "-wal"] { try FileManager.default.copyItem(atPath: path + suffix, toPath: copy + suffix) }
    let isSame = try Application(copy).content() == source.content()
    #expect(isSame)
  }

  @Test func `the journal mode may change while the database is open here`() throws {
    let (mirror, history) = try Self.source(seed: 15, pageSize: 4096, turns: 8)
    let scratch = Scratch()
    let path = scratch.file("replica.db")
    let application = try Application(path)
    try application.run("CREATE TABLE old(a)")
    let live = LiveDatabase(path: path)
    let installer = Installer(live)
    let modes = ["delete", "truncate", "wal", "persist", "wal", "memory", "off", "delete"]
    for (place, transaction) in mirror.transactions.enumerated() {
      let mode = modes[place % modes.count]
      // Leaving WAL needs the database to be closed everywhere else.
      if try application.run("PRAGMA journal_mode") == [["wal"]] { live.close() }
      #expect(try application.run("PRAGMA journal_mode=\(mode)") == [[mode]])
      guard case .installed(let position, _) = try installer.install(Installation(transaction, cookie: .aboveAll))
      else {
        Issue.record("busy in \(mode)")
        return
      }
      if case .log = position { #expect(mode == "wal") } else { #expect(mode != "wal") }
      let sequence = Int(try application.run("SELECT seq FROM meta")[0][0])!
      #expect(try application.content() == history.states[sequence])
    }
    #expect(try application.integrity() == "ok")
  }

  @Test func `a database that was replaced by another file is noticed`() throws {
    let scratch = Scratch()
    let (path, other) = (scratch.file("a.db"), scratch.file("b.db"))
    for file in [path, other] { try Application(file).run("CREATE TABLE t(a)") }
    let live = LiveDatabase(path: path)
    #expect(!live.isReplaced())
    #expect(try live.header() != nil)
    #expect(!live.isReplaced())
    try FileManager.default.removeItem(atPath: path)
    #expect(live.isReplaced())
    try FileManager.default.moveItem(atPath: other, toPath: path)
    #expect(live.isReplaced())
    live.close()
    #expect(try live.header() != nil)
    #expect(!live.isReplaced())
  }
}
