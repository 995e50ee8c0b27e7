// The watch tells of every file that matters.

import Databases
import Foundation
import Synchronization
import Testing

@Suite struct `The watch` {
  @Test func `tells of commits, journals and logs`() throws {
    let scratch = Scratch()
    let path = scratch.file("a.db")
    let seen = Seen()
    let watch = try DatabaseWatch { event in seen.add(event) }
    try watch.add(directory: scratch.path)
    watch.start()
    let application = try Application(path)
    try application.run("CREATE TABLE t(a)")
    try application.run("PRAGMA journal_mode=WAL; INSERT INTO t VALUES(1)")
    seen.wait(for: ("a.db-wal", .modified))
    watch.stop()
    #expect(watch.delivered > 0)
    for expected in [
      ("a.db", DatabaseWatch.Event.Kind.appeared), ("a.db", .modified), ("a.db-journal", .appeared),
      ("a.db-journal", .vanished), ("a.db-wal", .appeared), ("a.db-wal", .modified),
    ] { #expect(seen.has(expected), "\(expected)") }
    watch.remove(directory: scratch.path)
    #expect(throws: DatabaseError.self) { try watch.add(directory: scratch.file("none")) }
  }

  private final class Seen: Sendable {
    private let events = Mutex<[DatabaseWatch.Event]>([])
    func add(_ event: DatabaseWatch.Event) { events.withLock { $0.append(event) } }
    func has(_ expected: (String, DatabaseWatch.Event.Kind)) -> Bool {
      events.withLock { $0.contains { $0.name == expected.0 && $0.kind == expected.1 } }
    }
    /// Waits until it is seen; ten seconds are as good as never.
    func wait(for expected: (String, DatabaseWatch.Event.Kind)) {
      for _ in 0..<10_000 where !has(expected) { usleep(1000) }
    }
  }
}
