// Random histories of a database, and the recorded state that captures make of them.

import Causality
import Databases

/// Writes random transactions; `seq` in table `meta` counts those that were committed.
struct History {
  var random: SeededGenerator
  var sequence = 0
  var states: [String] = []

  init(seed: UInt64) { random = SeededGenerator(seed: seed) }

  mutating func roll(_ bound: Int) -> Int { Int.random(in: 0..<bound, using: &random) }

  mutating func begin(_ application: Application, pageSize: Int, autoVacuum: Int = 0) throws {
    try application.run("PRAGMA page_size=\(pageSize); PRAGMA auto_vacuum=\(autoVacuum); PRAGMA synchronous=OFF")
    try application.run(
      """
      BEGIN;
      CREATE TABLE meta(seq INTEGER);
      INSERT INTO meta VALUES(0);
      CREATE TABLE account(id INTEGER PRIMARY KEY, balance INTEGER);
      CREATE TABLE log(id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT);
      CREATE INDEX log_text ON log(text);
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40) INSERT INTO account SELECT i, 1000 FROM n;
      COMMIT
      """)
    states = [try application.content()]
  }

  /// One transaction, usually committed.
  mutating func step(_ application: Application) throws {
    try application.run("BEGIN IMMEDIATE; UPDATE meta SET seq = \(sequence + 1)")
    try application.run("UPDATE account SET balance = balance + 1 WHERE id = \(1 + roll(40))")
    for _ in 0..<[0, 1, 1, 2, 5][roll(5)] {
      let size = [5, 50, 300, 1500, 9000][roll(5)]
      let letter = Character(UnicodeScalar(UInt8(97 + roll(26))))
      try application.run(
        "INSERT INTO log(text) VALUES('\(roll(1_000_000))' || '\(String(repeating: letter, count: size))')")
    }
    switch roll(40) {
    case 0...7:
      try application.run("DELETE FROM log WHERE id IN (SELECT id FROM log ORDER BY id LIMIT \(1 + roll(12)))")
    case 8: try application.run("DELETE FROM log")
    case 9: try application.run("CREATE TABLE extra\(sequence)(a, b); INSERT INTO extra\(sequence) VALUES(1, 2)")
    case 10: try application.run("DROP INDEX log_text; CREATE INDEX log_text ON log(text)")
    case 11:
      try application.run(
        "SAVEPOINT inner; DELETE FROM log; UPDATE account SET balance = 0; ROLLBACK TO inner; RELEASE inner")
    default: break
    }
    if roll(10) == 0 {
      try application.run("UPDATE log SET text = text || 'rolled back'; ROLLBACK")
      return
    }
    try application.run("COMMIT")
    sequence += 1
    states.append(try application.content())
  }

  /// VACUUM, which changes pages and no content.
  mutating func vacuum(_ application: Application) throws { try application.run("VACUUM") }
}

/// What a node records of a database.
final class Mirror {
  var pages: [UInt32: [UInt8]] = [:]
  var pageCount: UInt32 = 0
  var pageSize: Int?
  var transactions: [CapturedTransaction] = []

  var recorded: RecordedState { recorded(raisedCookie: nil) }

  func recorded(raisedCookie live: UInt32?) -> RecordedState {
    RecordedState(
      pageSize: pageSize, pageCount: pageCount,
      raisedCookie: live.map { ($0, PageOne.schemaCookie(of: pages[1]!)) }
    ) { [self] image in pages[image.number] == image.bytes }
  }

  func record(_ transaction: CapturedTransaction) {
    if pageSize != transaction.pageSize { pages = [:] }
    pageSize = transaction.pageSize
    pageCount = transaction.pageCount
    for page in transaction.pages { pages[page.number] = page.bytes }
    pages = pages.filter { $0.key <= transaction.pageCount }
    transactions.append(transaction)
  }

  /// The recorded database, opened.
  func open() throws -> Application {
    var image: [UInt8] = []
    let size = pageSize ?? 0
    if pageCount > 0 {
      for number in 1...pageCount { image += pages[number] ?? [UInt8](repeating: 0, count: size) }
    }
    return try Application(image: image)
  }

  func content() throws -> String { try open().content() }

  /// Everything as one transaction.
  var wholeTransaction: CapturedTransaction {
    CapturedTransaction(
      pages: pages.map { PageImage(number: $0.key, bytes: $0.value) }, pageCount: pageCount, pageSize: pageSize!,
      isCompared: true)
  }

  /// Everything as one installation.
  var whole: Installation { Installation(wholeTransaction, cookie: .aboveAll) }
}
