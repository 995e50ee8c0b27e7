// A crash at any step of an install leaves the state before or the state after.

import Databases
import Foundation
import Testing

@Suite struct `A crash during an install` {
  @Test(arguments: [("wal", "normal"), ("wal", "full"), ("delete", "normal"), ("delete", "off"), ("persist", "full")])
  func `leaves the old state or the new one`(mode: String, durability: String) throws {
    let (mirror, history) = try `Installing`.source(seed: 21, pageSize: 1024, turns: 14)
    let scratch = Scratch()
    let path = scratch.file("replica.db")
    try Application(path).run("PRAGMA page_size=1024; PRAGMA journal_mode=\(mode); CREATE TABLE old(a)")
    let live = LiveDatabase(path: path)
    let installer = Installer(live)
    _ = try installer.install(Installation(mirror.transactions[0], cookie: .aboveAll))
    live.close()
    // In log mode a program keeps the index alive, so that the next install goes on from what the crash left.
    let witness = try Application(path)
    #expect(try witness.content() == history.states[0])
    var sequence = 0
    for (place, transaction) in mirror.transactions.dropFirst().enumerated() {
      let file = scratch.file("transaction")
      let pages = transaction.pages.map { ($0.number, $0.bytes) }
      try Tool.write(
        CapturedPages(pageSize: transaction.pageSize, pageCount: transaction.pageCount, pages: pages), to: file)
      if place % 4 == 3 { witness.close() }
      // Some steps of each transaction, all of them over the history.
      var step = place % 5
      while true {
        let steps = try Tool.install(file, on: path, step: step, durability: durability)
        let application = try Application(path)
        let found = Int(try application.run("SELECT seq FROM meta")[0][0])!
        let next = try mirrorSequence(mirror, upTo: place + 1)
        try #require([sequence, next].contains(found))
        try #require(try application.content() == history.states[found])
        #expect(try application.integrity() == "ok")
        if steps != nil {
          #expect(found == next)
          break
        }
        step += 5
      }
      sequence = try mirrorSequence(mirror, upTo: place + 1)
    }
    #expect(sequence == history.sequence)
  }

  /// The sequence number of the state that so many transactions make.
  private func mirrorSequence(_ mirror: Mirror, upTo count: Int) throws -> Int {
    let past = Mirror()
    mirror.transactions[0...count].forEach(past.record)
    return Int(try past.open().run("SELECT seq FROM meta")[0][0])!
  }
}
