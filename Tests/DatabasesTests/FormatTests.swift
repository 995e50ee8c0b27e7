// Headers, page 1, logs and journals as bytes: what is damaged is refused, and never taken for a transaction.

import Causality
import Databases
import Foundation
import Testing

@Suite struct `The formats of SQLite` {
  @Test(arguments: DatabaseHeader.pageSizes)
  func `the header of a database is understood`(pageSize: Int) throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    let application = try Application(path)
    try application.run("PRAGMA page_size=\(pageSize); CREATE TABLE t(a); CREATE TABLE u(a)")
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    let header = try DatabaseHeader(bytes)
    #expect(header.pageSize == pageSize)
    #expect(header.reserved == 0)
    #expect(header.journal == .rollback)
    #expect(header.schemaCookie == 2)
    #expect(header.pageCount(fileSize: Int64(bytes.count)) == 3)
    #expect(PageOne.schemaCookie(of: bytes) == 2)
    // A page count that an old version did not keep is not believed.
    bytes[95] &+= 1
    #expect(try DatabaseHeader(bytes).pageCount(fileSize: Int64(5 * pageSize)) == 5)
    try application.run("PRAGMA journal_mode=WAL")
    let live = LiveDatabase(path: path)
    #expect(try live.header()?.journal == .log)
  }

  @Test func `what is not a header is refused`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    try Application(path).run("CREATE TABLE t(a)")
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    for (index, value) in [(0, 7), (16, 3), (17, 1), (18, 9), (19, 0), (20, 255), (21, 0), (22, 1), (23, 2)] {
      var damaged = bytes
      damaged[index] = UInt8(value)
      if index == 20 { (damaged[16], damaged[17]) = (2, 0) }
      #expect(throws: DatabaseError.self) { try DatabaseHeader(damaged) }
    }
    #expect(throws: DatabaseError.self) { try DatabaseHeader(bytes.prefix(99)) }
    #expect(throws: DatabaseError.self) { try LiveDatabase(path: scratch.file("none.db")).header() }
  }

  @Test func `the lock-byte page stands at one gibibyte`() {
    #expect(DatabaseHeader.lockBytePage(pageSize: 512) == 2_097_153)
    #expect(DatabaseHeader.lockBytePage(pageSize: 4096) == 262_145)
    #expect(DatabaseHeader.lockBytePage(pageSize: 65536) == 16_385)
  }

  @Test func `page 1 is the same whoever wrote it last`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    let application = try Application(path)
    try application.run("CREATE TABLE t(a)")
    let before = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)).prefix(4096))
    try application.run("PRAGMA journal_mode=WAL; PRAGMA journal_mode=DELETE; INSERT INTO t VALUES(1)")
    try application.run("PRAGMA journal_mode=WAL")
    let after = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)).prefix(4096))
    #expect(before != after)
    #expect(PageOne.isSameContent(before, after))
    try application.run("PRAGMA journal_mode=DELETE; PRAGMA user_version=5")
    let other = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)).prefix(4096))
    #expect(!PageOne.isSameContent(before, other))
  }

  @Test func `a log cut or damaged anywhere yields whole transactions or nothing`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    var history = History(seed: 41)
    let application = try Application(path)
    try history.begin(application, pageSize: 512)
    try application.run("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0")
    for _ in 0..<6 { try history.step(application) }
    let log = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path + "-wal")))
    let all = try transactions(in: log, scratch)
    #expect(all.count == history.sequence)
    var random = SeededGenerator(seed: 42)
    for _ in 0..<150 {
      let length = Int.random(in: 0...log.count, using: &random)
      let cut = try transactions(in: Array(log[..<length]), scratch)
      #expect(cut == Array(all.prefix(cut.count)))
      var damaged = log
      let place = Int.random(in: 0..<log.count, using: &random)
      damaged[place] ^= UInt8.random(in: 1...255, using: &random)
      let rest = try transactions(in: damaged, scratch)
      #expect(rest == Array(all.prefix(rest.count)))
      #expect(rest.count < all.count)
    }
  }

  private func transactions(in log: [UInt8], _ scratch: Scratch) throws -> [CapturedTransaction] {
    let path = scratch.file("copy-wal")
    try Data(log).write(to: URL(fileURLWithPath: path))
    let file = try #require(try SideFile(reading: path))
    guard var reader = try LogReader(startOf: file) else { return [] }
    return try reader.transactions(from: file).transactions
  }

  @Test func `a journal that is noise is no journal`() throws {
    let scratch = Scratch()
    let path = scratch.file("noise")
    var random = SeededGenerator(seed: 43)
    for turn in 0..<200 {
      var bytes = (0..<Int.random(in: 0..<3000, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
      if turn % 2 == 0 { bytes = [0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7] + bytes }
      try Data(bytes).write(to: URL(fileURLWithPath: path))
      let contents = try JournalReader.read(try #require(try SideFile(reading: path)))
      #expect(contents?.before.isEmpty ?? true)
    }
  }
}
