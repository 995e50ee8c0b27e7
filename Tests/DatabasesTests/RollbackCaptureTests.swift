// Capture in the rollback modes.

import Databases
import Testing

@Suite struct `Capture in the rollback modes` {
  @Test(
    arguments: ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF"], [512, 4096, 65536])
  func `random histories come out whole`(mode: String, pageSize: Int) throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: UInt64(pageSize))
    let application = try Application(path)
    try history.begin(application, pageSize: pageSize, autoVacuum: pageSize == 512 ? 1 : 0)
    try application.run("PRAGMA journal_mode=\(mode == "OFF" ? "MEMORY" : mode)")
    let capture = RollbackCapture(LiveDatabase(path: path))
    let mirror = Mirror()
    for turn in 0..<40 {
      // Without a journal nothing can be rolled back.
      if mode == "OFF" {
        try application.run(
          "PRAGMA journal_mode=OFF; UPDATE account SET balance = \(turn); INSERT INTO log(text) VALUES('x')")
      } else {
        try history.step(application)
      }
      if turn == 20 { try history.vacuum(application) }
      let reading = try capture.capture(against: mirror.recorded, isLocked: mode == "MEMORY" || mode == "OFF")
      if case .transaction(let found) = reading { mirror.record(found) }
      #expect(try capture.isCurrent())
      let copy = try mirror.open()
      try #require(try copy.content() == application.content())
      #expect(try copy.integrity() == "ok")
      let isNothing = try capture.capture(against: mirror.recorded) == .nothing
      #expect(isNothing)
    }
  }

  @Test func `the unlinked journal names the pages that changed`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: 31)
    let application = try Application(path)
    try history.begin(application, pageSize: 1024)
    try application.run("PRAGMA cache_size=5")
    let capture = RollbackCapture(LiveDatabase(path: path))
    let mirror = Mirror()
    if case .transaction(let found) = try capture.capture(against: .nothing) { mirror.record(found) }
    let follower = JournalFollower(databasePath: path)
    for turn in 0..<30 {
      try application.run("BEGIN; UPDATE meta SET seq = \(turn + 1000)")
      for _ in 0..<(turn % 7 * 6) { try application.run("INSERT INTO log(text) VALUES(hex(randomblob(400)))") }
      // The journal exists from the first change on; a large transaction spills, with a second header.
      try follower.look()
      #expect(try follower.finish() == nil)
      if turn % 7 > 2 { #expect(try capture.capture(against: mirror.recorded) == .unsettled) }
      if turn % 3 == 2 { try application.run("DELETE FROM log WHERE id % 3 = 0") }
      let isKept = turn % 5 != 4
      try application.run(isKept ? "COMMIT" : "ROLLBACK")
      let journal = try #require(try follower.finish())
      #expect(journal.pageSize == 1024)
      #expect(journal.pageCount == mirror.pageCount)
      // Its images are those from before.
      if isKept { #expect(journal.before.allSatisfy { mirror.pages[$0.number] == $0.bytes }) }
      let reading = try capture.capture(against: mirror.recorded, among: journal.candidates)
      if isKept {
        guard case .transaction(let found) = reading else {
          Issue.record("nothing captured in turn \(turn)")
          return
        }
        mirror.record(found)
      } else {
        let isNothing = reading == .nothing
        #expect(isNothing)
      }
      try #require(try mirror.content() == application.content())
    }
  }

  @Test func `VACUUM to another page size replaces everything`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: 32)
    let application = try Application(path)
    try history.begin(application, pageSize: 1024)
    let capture = RollbackCapture(LiveDatabase(path: path))
    let mirror = Mirror()
    for pageSize in [1024, 8192, 512] {
      try application.run("PRAGMA page_size=\(pageSize); VACUUM")
      try history.step(application)
      guard case .transaction(let found) = try capture.capture(against: mirror.recorded) else {
        Issue.record("nothing captured")
        return
      }
      #expect(found.pageSize == pageSize)
      #expect(found.pages.count == Int(found.pageCount))
      mirror.record(found)
      #expect(try mirror.content() == application.content())
    }
  }

  @Test func `under exclusive locking commits are found although the counter stands still`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    let application = try Application(path)
    try application.run("CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    let capture = RollbackCapture(LiveDatabase(path: path))
    let mirror = Mirror()
    // Locked by it or not, a capture that takes no lock reads on.
    try application.run("PRAGMA locking_mode=EXCLUSIVE; UPDATE t SET a = 2")
    for turn in 3..<6 {
      try application.run("UPDATE t SET a = \(turn)")
      guard case .transaction(let found) = try capture.capture(against: mirror.recorded) else {
        Issue.record("nothing captured in turn \(turn)")
        return
      }
      mirror.record(found)
      #expect(try mirror.open().run("SELECT a FROM t") == [["\(turn)"]])
    }
  }

  @Test func `activity in between makes it look again`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    try Application(path).run("CREATE TABLE t(a)")
    let capture = RollbackCapture(LiveDatabase(path: path))
    var looks: UInt64 = 0
    let endless = try capture.capture(against: .nothing) {
      looks += 1
      return looks
    }
    #expect(endless == .unsettled)
    #expect(capture.counter == nil)
    guard case .transaction = try capture.capture(against: .nothing) else {
      Issue.record("nothing captured")
      return
    }
  }

  @Test func `an attached commit of several databases is captured from each`() throws {
    let scratch = Scratch()
    let (one, two) = (scratch.file("one.db"), scratch.file("two.db"))
    try Application(two).run("CREATE TABLE u(a)")
    let application = try Application(one)
    try application.run("CREATE TABLE t(a); ATTACH '\(two)' AS other")
    let captures = [one, two].map { (RollbackCapture(LiveDatabase(path: $0)), Mirror()) }
    for turn in 0..<3 {
      try application.run("BEGIN; INSERT INTO t VALUES(\(turn)); INSERT INTO other.u VALUES(\(turn)); COMMIT")
      for (capture, mirror) in captures {
        if case .transaction(let found) = try capture.capture(against: mirror.recorded) { mirror.record(found) }
      }
      #expect(try captures[0].1.open().run("SELECT max(a) FROM t") == [["\(turn)"]])
      #expect(try captures[1].1.open().run("SELECT max(a) FROM u") == [["\(turn)"]])
    }
  }
}
