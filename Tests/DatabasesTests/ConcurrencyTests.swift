// Other processes read and write while pages are captured and installed.

import CSQLite
import Databases
import Foundation
import Testing

@Suite struct `While other processes use the database` {
  static let schema = """
    CREATE TABLE meta(seq INTEGER); INSERT INTO meta VALUES(0);
    CREATE TABLE item(id INTEGER PRIMARY KEY, text TEXT); CREATE INDEX item_text ON item(text);
    CREATE TABLE counter(id TEXT PRIMARY KEY, n INTEGER); INSERT INTO counter VALUES('a', 0), ('b', 0), ('us', 0);
    """

  @Test(arguments: [("wal", "wal"), ("wal", "delete"), ("delete", "wal"), ("persist", "truncate")])
  func `every snapshot on a replica is a state that was committed`(source: String, replica: String) throws {
    let scratch = Scratch()
    let (from, to) = (scratch.file("source.db"), scratch.file("replica.db"))
    for (path, mode) in [(from, source), (to, replica)] {
      let application = try Application(path)
      try application.run("PRAGMA journal_mode=\(mode); \(Self.schema)")
    }
    let commits = 100
    let installer = Installer(LiveDatabase(path: to, waitMilliseconds: 200), durability: .off)
    let live = LiveDatabase(path: from)
    let (log, rollback) = (LogCapture(live, heldFrames: 200), RollbackCapture(live))
    let mirror = Mirror()
    var waiting: [CapturedTransaction] = []
    func capture() throws {
      if source == "wal" {
        var reading = try log.poll()
        if reading == .lost { reading = try log.compare(with: mirror.recorded).reading }
        guard case .transactions(let found, _) = reading else { return }
        found.forEach(mirror.record)
        waiting += found
      } else if case .transaction(let found) = try rollback.capture(against: mirror.recorded) {
        mirror.record(found)
        waiting.append(found)
      }
    }
    var isFirst = true
    func install() throws {
      while let transaction = waiting.first {
        let outcome = try installer.install(
          Installation(
            transaction, cookie: isFirst ? .aboveAll : .following(PageOne.schemaCookie(of: mirror.pages[1]!))))
        guard case .installed = outcome else { return }
        isFirst = false
        waiting.removeFirst()
      }
    }
    try capture()
    try install()
    let readers = try ["plain", "mmap-long", "reopen", "checkpoint"].map { try Worker("read", to, "\(commits)", $0) }
    let writer = try Worker("write", from, "\(commits)")
    var rounds = 0
    while readers.contains(where: \.isRunning), rounds < 60_000 {
      try capture()
      try install()
      rounds += 1
      usleep(300)
    }
    var states: [String: String] = [:]
    for line in try writer.finish() {
      let words = line.split(separator: " ")
      states[String(words[0])] = String(words[1])
    }
    #expect(states.count == commits)
    for reader in readers {
      let lines = try reader.finish().map { $0.split(separator: " ").map(String.init) }
      for line in lines where line[0] != "0" { #expect(states[line[0]] == line[1]) }
      #expect(lines.last?[0] == "\(commits)")
    }
    #expect(try Application(to).integrity() == "ok")
  }

  @Test(arguments: ["wal", "delete", "truncate"])
  func `no local commit is lost to an install`(mode: String) throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    try Application(path).run("PRAGMA journal_mode=\(mode); \(Self.schema)")
    let live = LiveDatabase(path: path, waitMilliseconds: 100)
    let installer = Installer(live, durability: .off)
    let log = LogCapture(live, heldFrames: 300)
    let mirror = Mirror()
    let workers = try ["a", "b"].map { try Worker("count", path, "60", $0) }
    var installed = 0
    var comparisons = 0

    /// Captures what is not captured yet, under the lock, so that nothing can follow it.
    func captureRest(of locked: LockedDatabase) throws {
      guard mode == "wal", mirror.pageCount > 0 else {
        if let rest = try locked.difference(from: mirror.recorded) { mirror.record(rest) }
        if let place = locked.log { log.resume(at: place) }
        return
      }
      var isComplete = false
      while !isComplete {
        switch try log.poll() {
        case .transactions(let found, let isAll):
          found.forEach(mirror.record)
          isComplete = isAll
        case .nothing: isComplete = true
        case .lost, .busy, .notLog:
          comparisons += 1
          if let rest = try locked.difference(from: mirror.recorded) { mirror.record(rest) }
          log.resume(at: locked.log)
          isComplete = true
        }
      }
    }

    while workers.contains(where: \.isRunning) {
      var next: [PageImage] = []
      let outcome = try installer.install { locked in
        try captureRest(of: locked)
        // What comes from elsewhere, built on exactly this state.
        let application = try mirror.open()
        try application.run(
          "UPDATE counter SET n = n + 1 WHERE id = 'us'; DELETE FROM item WHERE id IN (SELECT id FROM item LIMIT 2)")
        let pages = try application.serialized(pageSize: 4096)
        next = pages.filter { mirror.pages[$0.number] != $0.bytes }
        return Installation(
          pageSize: 4096, pageCount: UInt32(pages.count), pages: next,
          cookie: .following(PageOne.schemaCookie(of: mirror.pages[1]!)))
      }
      if case .installed(let position, _) = outcome {
        installed += 1
        mirror.record(
          CapturedTransaction(pages: next, pageCount: mirror.pageCount, pageSize: 4096, isCompared: false))
        if case .log(let place) = position { log.advance(past: place) }
      }
      usleep(500)
    }
    for worker in workers { #expect(try worker.finish() == ["done"]) }
    _ = try installer.install { locked in
      try captureRest(of: locked)
      return nil
    }
    let application = try Application(path)
    let counters = try application.run("SELECT id, n FROM counter ORDER BY id")
    #expect(counters == [["a", "60"], ["b", "60"], ["us", "\(installed)"]])
    #expect(try application.integrity() == "ok")
    let isSame = try mirror.content() == application.content()
    #expect(isSame)
    #expect(installed > 0)
    #expect(comparisons <= 3, "\(log.lossReason ?? "")")
  }
}

extension Application {
  /// All pages as they are recorded.
  func serialized(pageSize: Int) throws -> [PageImage] {
    var size: sqlite3_int64 = 0
    guard let bytes = sqlite3_serialize(handle, "main", &size, 0) else {
      throw ApplicationError(code: SQLITE_NOMEM, description: "serialize")
    }
    defer { sqlite3_free(bytes) }
    let all = UnsafeBufferPointer(start: bytes, count: Int(size))
    return (0..<Int(size) / pageSize).map { index in
      var page = Array(all[index * pageSize..<(index + 1) * pageSize])
      if index == 0 { PageOne.canonicalize(&page) }
      return PageImage(number: UInt32(index + 1), bytes: page)
    }
  }
}
