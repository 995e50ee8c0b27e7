// Capture from the write-ahead log: every committed transaction, once, in order.

import Causality
import Databases
import Testing

@Suite struct `Capture in log mode` {
  /// Looks once and records what is found; compares after a loss. Every recorded state must be one that was committed.
  private func look(
    _ capture: LogCapture, _ mirror: Mirror, _ history: History, from past: inout Int
  ) throws -> LogReading {
    let reading = try capture.poll()
    var found: [CapturedTransaction] = []
    switch reading {
    case .transactions(let transactions, _): found = transactions
    case .lost:
      if case .transactions(let transactions, _) = try capture.compare(with: mirror.recorded).reading {
        found = transactions
      }
    case .nothing, .busy, .notLog: break
    }
    for transaction in found {
      mirror.record(transaction)
      let application = try mirror.open()
      let sequence = Int(try application.run("SELECT seq FROM meta")[0][0])!
      #expect(sequence >= past)
      past = sequence
      try #require(try application.content() == history.states[sequence])
      #expect(try application.integrity() == "ok")
    }
    return reading
  }

  @Test(arguments: [512, 1024, 4096, 65536], [UInt64(1), 2])
  func `random histories with checkpoints and restarts come out whole`(pageSize: Int, seed: UInt64) throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: seed)
    let application = try Application(path)
    try history.begin(application, pageSize: pageSize, autoVacuum: Int(seed % 3))
    try application.run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=\(20 * Int(seed)); PRAGMA cache_size=8")
    let live = LiveDatabase(path: path)
    let capture = LogCapture(live, heldFrames: 60)
    let mirror = Mirror()
    var past = 0
    var losses = 0
    _ = try look(capture, mirror, history, from: &past)
    #expect(past == 0)
    for turn in 0..<100 {
      try history.step(application)
      switch history.roll(60) {
      case 0: try history.vacuum(application)
      case 1...4:
        let kind = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"][history.roll(4)]
        try application.run("PRAGMA busy_timeout=0; PRAGMA wal_checkpoint(\(kind)); PRAGMA busy_timeout=5000")
      default: break
      }
      if history.roll(3) > 0 {
        let reading = try look(capture, mirror, history, from: &past)
        if reading == .lost { losses += 1 }
        try #require(past == history.sequence, "turn \(turn): \(capture.lossReason ?? "")")
      }
    }
    _ = try look(capture, mirror, history, from: &past)
    #expect(past == history.sequence)
    #expect(try mirror.content() == application.content())
    #expect(losses <= 10)
  }

  @Test func `while it is held the log loses nothing to explicit checkpoints`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: 9)
    let application = try Application(path)
    try history.begin(application, pageSize: 1024)
    try application.run("PRAGMA journal_mode=WAL")
    let capture = LogCapture(LiveDatabase(path: path), heldFrames: 100_000)
    let mirror = Mirror()
    var past = 0
    _ = try look(capture, mirror, history, from: &past)
    for turn in 0..<60 {
      for _ in 0..<(1 + turn % 3) { try history.step(application) }
      try application.run("PRAGMA busy_timeout=0; PRAGMA wal_checkpoint(\(["TRUNCATE", "RESTART"][turn % 2]))")
      if turn % 2 == 0 { try history.step(application) }
      #expect(try look(capture, mirror, history, from: &past) != .lost, "\(capture.lossReason ?? "")")
      #expect(past == history.sequence)
    }
    #expect(mirror.transactions.dropFirst().allSatisfy { !$0.isCompared })
  }

  @Test func `a restart while nothing is held is bridged`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: 4)
    let application = try Application(path)
    try history.begin(application, pageSize: 4096)
    try application.run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0")
    let capture = LogCapture(LiveDatabase(path: path), heldFrames: 0)
    let mirror = Mirror()
    var past = 0
    _ = try look(capture, mirror, history, from: &past)
    for _ in 0..<60 { try history.step(application) }
    _ = try look(capture, mirror, history, from: &past)
    for _ in 0..<3 { try history.step(application) }
    try application.run("PRAGMA wal_checkpoint(PASSIVE)")
    for _ in 0..<2 { try history.step(application) }
    guard case .transactions(let found, true) = try look(capture, mirror, history, from: &past) else {
      Issue.record("not bridged")
      return
    }
    #expect(found.allSatisfy { !$0.isCompared })
    #expect(past == history.sequence)
    // Twice restarted, nobody can know.
    for _ in 0..<2 {
      try history.step(application)
      try application.run("PRAGMA wal_checkpoint(RESTART)")
      try history.step(application)
    }
    #expect(try look(capture, mirror, history, from: &past) == .lost)
    #expect(past == history.sequence)
  }

  @Test func `frames of a transaction that is not committed are left alone`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: 5)
    let application = try Application(path)
    try history.begin(application, pageSize: 1024)
    try application.run("PRAGMA journal_mode=WAL; PRAGMA cache_size=4")
    let capture = LogCapture(LiveDatabase(path: path))
    let mirror = Mirror()
    var past = 0
    _ = try look(capture, mirror, history, from: &past)
    for _ in 0..<20 {
      try application.run("BEGIN; UPDATE meta SET seq = 999")
      for _ in 0..<30 { try application.run("INSERT INTO log(text) VALUES(hex(randomblob(700)))") }
      #expect(try look(capture, mirror, history, from: &past) == .nothing)
      try application.run("ROLLBACK")
      try history.step(application)
      _ = try look(capture, mirror, history, from: &past)
      #expect(past == history.sequence)
    }
  }

  @Test func `a mode switch is noticed both ways`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: 6)
    let application = try Application(path)
    try history.begin(application, pageSize: 4096)
    let live = LiveDatabase(path: path)
    let capture = LogCapture(live)
    #expect(try capture.poll() == .notLog)
    try application.run("PRAGMA journal_mode=WAL")
    try history.step(application)
    #expect(try capture.poll() == .lost)
    let mirror = Mirror()
    var past = 0
    _ = try look(capture, mirror, history, from: &past)
    // Our open connection keeps the mode as it is.
    #expect(throws: ApplicationError.self) { try application.run("PRAGMA busy_timeout=0; PRAGMA journal_mode=DELETE") }
    live.close()
    try application.run("PRAGMA journal_mode=DELETE")
    #expect(try capture.poll() == .notLog)
    #expect(try RollbackCapture(live).capture(against: mirror.recorded) == .nothing)
  }

  @Test func `an interrupted capture goes on where it was`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: 7)
    let application = try Application(path)
    try history.begin(application, pageSize: 4096)
    try application.run("PRAGMA journal_mode=WAL")
    let live = LiveDatabase(path: path)
    let first = LogCapture(live)
    let mirror = Mirror()
    var past = 0
    _ = try look(first, mirror, history, from: &past)
    for _ in 0..<5 { try history.step(application) }
    _ = try look(first, mirror, history, from: &past)
    let position = first.position
    live.close()
    for _ in 0..<5 { try history.step(application) }
    let second = LogCapture(LiveDatabase(path: path))
    second.resume(at: position)
    #expect(try look(second, mirror, history, from: &past) != .lost)
    #expect(past == history.sequence)
    #expect(mirror.transactions.count(where: \.isCompared) == 1)
  }

  @Test func `the byte limit hands transactions out in parts`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: 8)
    let application = try Application(path)
    try history.begin(application, pageSize: 4096)
    try application.run("PRAGMA journal_mode=WAL")
    let capture = LogCapture(LiveDatabase(path: path))
    let mirror = Mirror()
    _ = try capture.compare(with: .nothing)
    for _ in 0..<10 { try history.step(application) }
    var calls = 0
    while case .transactions(let found, let isComplete) = try capture.poll(byteLimit: 1) {
      calls += 1
      #expect(found.count == 1)
      if isComplete { break }
    }
    #expect(calls == history.sequence)
    _ = mirror
  }
}
