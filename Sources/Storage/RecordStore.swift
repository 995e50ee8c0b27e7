// A key-value table in SQLite.

import CSQLite
import Replication
import Synchronization

/// Records by key, written in batches that are each all or nothing.
///
/// A batch survives kill -9 once `commit` has returned; it survives power loss once a durable commit has returned.
public final class RecordStore: Sendable {
  private struct Handle: ~Copyable, @unchecked Sendable {
    var database: OpaquePointer
    var put: OpaquePointer
    var delete: OpaquePointer
    var isDurable = false
  }

  /// The database file.
  public let path: String
  private let handle: Mutex<Handle>

  /// Opens or makes the table.
  public init(path: String) throws {
    self.path = path
    var opened: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX
    guard sqlite3_open_v2(path, &opened, flags, nil) == SQLITE_OK, let database = opened else {
      let message = opened.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close_v2(opened)
      throw StorageError.database(operation: "open", path: path, message: message)
    }
    do {
      for statement in [
        "PRAGMA journal_mode=WAL", "PRAGMA synchronous=NORMAL", "PRAGMA wal_autocheckpoint=2000",
        "PRAGMA cache_size=-2048", "PRAGMA locking_mode=EXCLUSIVE",
        "CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE IF NOT EXISTS durability (one INTEGER PRIMARY KEY, count INTEGER NOT NULL)",
        "INSERT OR IGNORE INTO durability VALUES (1, 0)",
      ] { try Self.run(statement, database, path) }
      handle = Mutex(
        Handle(
          database: database,
          put: try Self.prepare("INSERT OR REPLACE INTO records VALUES (?1, ?2)", database, path),
          delete: try Self.prepare("DELETE FROM records WHERE key = ?1", database, path)))
    } catch {
      sqlite3_close_v2(database)
      throw error
    }
  }

  deinit {
    handle.withLock { handle in
      sqlite3_finalize(handle.put)
      sqlite3_finalize(handle.delete)
      sqlite3_close_v2(handle.database)
    }
  }

  private static func prepare(_ sql: String, _ database: OpaquePointer, _ path: String) throws -> OpaquePointer {
    var statement: OpaquePointer?
    guard sqlite3_prepare_v2(database, sql, -1, &statement, nil) == SQLITE_OK, let statement else {
      throw StorageError.database(operation: "prepare", path: path, message: String(cString: sqlite3_errmsg(database)))
    }
    return statement
  }

  private static func run(_ sql: String, _ database: OpaquePointer, _ path: String) throws {
    guard sqlite3_exec(database, sql, nil, nil, nil) == SQLITE_OK else {
      throw StorageError.database(operation: sql, path: path, message: String(cString: sqlite3_errmsg(database)))
    }
  }

  /// Writes a batch, all or nothing.
  ///
  /// - Parameter durably: whether it, and every batch before it, survives power loss when this returns.
  public func commit(_ records: [StoredRecord], durably: Bool) throws {
    try handle.withLock { handle in
      if handle.isDurable != durably {
        try Self.run("PRAGMA synchronous=\(durably ? "FULL" : "NORMAL")", handle.database, path)
        handle.isDurable = durably
      }
      try Self.run("BEGIN IMMEDIATE", handle.database, path)
      do {
        for record in records { try write(record, handle) }
        if durably { try Self.run("UPDATE durability SET count = count + 1", handle.database, path) }
        try Self.run("COMMIT", handle.database, path)
      } catch {
        sqlite3_exec(handle.database, "ROLLBACK", nil, nil, nil)
        throw error
      }
    }
  }

  private func write(_ record: StoredRecord, _ handle: borrowing Handle) throws {
    let statement = record.value == nil ? handle.delete : handle.put
    defer { sqlite3_reset(statement) }
    record.key.withUnsafeBytes {
      _ = grapevine_bind_blob(statement, 1, $0.baseAddress, sqlite3_uint64($0.count))
    }
    record.value?.withUnsafeBytes {
      _ = grapevine_bind_blob(statement, 2, $0.baseAddress, sqlite3_uint64($0.count))
    }
    guard sqlite3_step(statement) == SQLITE_DONE else {
      throw StorageError.database(
        operation: "write", path: path, message: String(cString: sqlite3_errmsg(handle.database)))
    }
  }

  /// All records whose keys start with `prefix`, by key.
  public func records(prefix: [UInt8] = []) throws -> [StoredRecord] {
    try handle.withLock { handle in
      let statement = try Self.prepare(
        "SELECT key, value FROM records WHERE key >= ?1 ORDER BY key", handle.database, path)
      defer { sqlite3_finalize(statement) }
      prefix.withUnsafeBytes { _ = grapevine_bind_blob(statement, 1, $0.baseAddress, sqlite3_uint64($0.count)) }
      var found: [StoredRecord] = []
      while true {
        switch sqlite3_step(statement) {
        case SQLITE_ROW:
          let key = Self.blob(statement, 0)
          guard key.starts(with: prefix) else { return found }
          found.append(StoredRecord(key: key, value: Self.blob(statement, 1)))
        case SQLITE_DONE: return found
        default:
          throw StorageError.database(
            operation: "read", path: path, message: String(cString: sqlite3_errmsg(handle.database)))
        }
      }
    }
  }

  private static func blob(_ statement: OpaquePointer, _ column: Int32) -> [UInt8] {
    let count = Int(sqlite3_column_bytes(statement, column))
    guard count > 0, let bytes = sqlite3_column_blob(statement, column) else { return [] }
    return Array(UnsafeRawBufferPointer(start: bytes, count: count))
  }
}
