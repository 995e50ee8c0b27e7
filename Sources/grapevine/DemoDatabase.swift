// A SQLite database on a mount, used as any program would.

import CSQLite
import Foundation

/// One connection to a database.
final class DemoDatabase {
  private var handle: OpaquePointer?
  private let path: String

  /// Opens a database; waits for locks as long as programs do.
  init(_ path: String) throws {
    self.path = path
    guard sqlite3_open(path, &handle) == SQLITE_OK else { throw failure("open") }
    sqlite3_busy_timeout(handle, 10_000)
  }

  deinit { sqlite3_close(handle) }

  /// Runs statements.
  func run(_ statements: String) throws {
    guard sqlite3_exec(handle, statements, nil, nil, nil) == SQLITE_OK else { throw failure("write to") }
  }

  /// The first column of each row.
  func column(_ query: String) throws -> [String] {
    var statement: OpaquePointer?
    guard sqlite3_prepare_v2(handle, query, -1, &statement, nil) == SQLITE_OK else { throw failure("read") }
    defer { sqlite3_finalize(statement) }
    var values: [String] = []
    while true {
      switch sqlite3_step(statement) {
      case SQLITE_ROW: values.append(sqlite3_column_text(statement, 0).map { String(cString: $0) } ?? "")
      case SQLITE_DONE: return values
      default: throw failure("read")
      }
    }
  }

  private func failure(_ verb: String) -> CommandFailure {
    CommandFailure(what: "cannot \(verb) \(path)", why: String(cString: sqlite3_errmsg(handle)))
  }
}
