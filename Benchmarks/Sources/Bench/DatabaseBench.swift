// SQLite on the mount against SQLite on the file system beneath, and how soon the other node sees a commit.

import CSQLite
import Foundation

/// A connection of SQLite's.
final class Connection {
  private var database: OpaquePointer?

  init(_ path: String) throws {
    guard sqlite3_open(path, &database) == SQLITE_OK else { throw Failure("cannot open \(path)") }
    sqlite3_busy_timeout(database, 10_000)
  }

  deinit { sqlite3_close(database) }

  func run(_ sql: String) throws {
    guard sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK else {
      throw Failure("\(sql.prefix(60)): \(String(cString: sqlite3_errmsg(database)))")
    }
  }

  func number(_ sql: String) -> Int64? {
    var statement: OpaquePointer?
    defer { sqlite3_finalize(statement) }
    guard sqlite3_prepare_v2(database, sql, -1, &statement, nil) == SQLITE_OK, sqlite3_step(statement) == SQLITE_ROW
    else { return nil }
    return sqlite3_column_int64(statement, 0)
  }
}

/// Rates of commits and reads in each journal mode, and the delay to the other node.
enum DatabaseBench {
  static func run(_ mesh: Mesh, rounds: Int) throws {
    for (name, journal, synchronous) in [
      ("commits WAL/NORMAL", "wal", "normal"), ("commits WAL/FULL", "wal", "full"),
      ("commits DELETE/FULL", "delete", "full"),
    ] {
      var (mounted, plain): ([Double], [Double]) = ([], [])
      for round in 0..<rounds {
        let file = "\(journal)-\(synchronous)-\(round).db"
        plain.append(try commits("\(mesh.native)/\(file)", journal, synchronous))
        mounted.append(try commits("\(mesh.mounts[0])/\(file)", journal, synchronous))
      }
      report(name, mount: mounted, native: plain, unit: "/s")
    }
    var (mounted, plain): ([Double], [Double]) = ([], [])
    for _ in 0..<rounds {
      plain.append(try selects("\(mesh.native)/wal-normal-0.db"))
      mounted.append(try selects("\(mesh.mounts[0])/wal-normal-0.db"))
    }
    report("point SELECT, warm", mount: mounted, native: plain, unit: "/s")
    for journal in ["wal", "delete"] { try delay(mesh, journal) }
  }

  private static func commits(_ path: String, _ journal: String, _ synchronous: String) throws -> Double {
    let connection = try Connection(path)
    try connection.run("PRAGMA journal_mode=\(journal); PRAGMA synchronous=\(synchronous)")
    try connection.run("CREATE TABLE t (id INTEGER PRIMARY KEY, value BLOB)")
    var count = 0
    let time = try seconds {
      let limit = Date().addingTimeInterval(1.5)
      while Date() < limit {
        try connection.run("INSERT INTO t (value) VALUES (randomblob(100))")
        count += 1
      }
    }
    return Double(count) / time
  }

  private static func selects(_ path: String) throws -> Double {
    let connection = try Connection(path)
    let count = 30_000
    let time = seconds { for _ in 0..<count { _ = connection.number("SELECT id FROM t WHERE id = 7") } }
    return Double(count) / time
  }

  private static func delay(_ mesh: Mesh, _ journal: String) throws {
    let (from, to) = ("\(mesh.mounts[0])/delay-\(journal).db", "\(mesh.mounts[1])/delay-\(journal).db")
    let writer = try Connection(from)
    try writer.run("PRAGMA journal_mode=\(journal); CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (0)")
    let limit = Date().addingTimeInterval(20)
    while access(to, F_OK) != 0, Date() < limit { usleep(10_000) }
    sleep(1)
    let reader = try Connection(to)
    var times: [Double] = []
    for value in 1...200 {
      times.append(
        try seconds {
          try writer.run("INSERT INTO t VALUES (\(value))")
          let limit = Date().addingTimeInterval(10)
          while reader.number("SELECT max(id) FROM t") != Int64(value) {
            guard Date() < limit else { throw Failure("a commit did not arrive within 10 s") }
            usleep(100)
          }
        })
      usleep(10_000)
    }
    print(
      "commit -> visible on the other node, \(journal): p50 \(text(median(times) * 1_000)) ms, "
        + "p99 \(text(percentile(times, 0.99) * 1_000)) ms")
  }
}
