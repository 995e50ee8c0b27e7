// A database beyond one gibibyte, sparse: the lock-byte page is never captured and never written.

import Databases
import Foundation
import Testing

@Suite struct `A database beyond the lock-byte page` {
  @Test(arguments: ["wal", "delete"])
  func `is captured and installed around it`(mode: String) throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    try Application(path).run("PRAGMA page_size=65536; CREATE TABLE t(a); INSERT INTO t VALUES(1)")
    // As if it had grown: SQLite minds neither the holes nor that nothing uses these pages.
    let pageCount: UInt32 = 16_390
    let handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
    try handle.seek(toOffset: 28)
    try handle.write(contentsOf: withUnsafeBytes(of: pageCount.bigEndian) { Data($0) })
    try handle.truncate(atOffset: UInt64(pageCount) * 65536)
    try handle.close()
    let application = try Application(path)
    #expect(try application.run("PRAGMA page_count") == [["\(pageCount)"]])
    try application.run("PRAGMA journal_mode=\(mode)")

    let lockByte: UInt32 = 16_385
    let numbers: [UInt32] = [16_384, lockByte, 16_386]
    let images = numbers.map { PageImage(number: $0, bytes: [UInt8](repeating: 7, count: 65536)) }
    let live = LiveDatabase(path: path)
    let outcome = try Installer(live, durability: .off).install(
      Installation(pageSize: 65536, pageCount: pageCount, pages: images, cookie: .aboveAll))
    guard case .installed = outcome else {
      Issue.record("\(outcome)")
      return
    }
    try application.run("INSERT INTO t VALUES(2)")
    let recorded = RecordedState(pageSize: 65536, pageCount: 16_380) { _ in true }
    var found: CapturedTransaction?
    if mode == "wal" {
      if case .transactions(let all, _) = try LogCapture(live).compare(with: recorded, among: .pages([])).reading {
        found = all.first
      }
      try application.run("PRAGMA wal_checkpoint(PASSIVE)")
    } else if case .transaction(let one) = try RollbackCapture(live).capture(against: recorded, among: .pages([])) {
      found = one
    }
    #expect(found?.pages.map(\.number) == [16_381, 16_382, 16_383, 16_384, 16_386, 16_387, 16_388, 16_389, 16_390])
    #expect(found?.pages[3].bytes == images[0].bytes)
    #expect(found?.pages[5].bytes == [UInt8](repeating: 0, count: 65536))
    live.close()
    application.close()
    let bytes = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
    try bytes.seek(toOffset: UInt64(lockByte - 1) * 65536)
    #expect(try bytes.read(upToCount: 65536) == Data(count: 65536))
    #expect(try Application(path).run("SELECT count(*) FROM t") == [["2"]])
  }
}
