// One ordinary SQLite connection, and the files it holds open.

import CSQLite

/// A connection on a live database. Its statements never touch content: they take and drop SQLite's own locks.
final class DatabaseConnection {
  let path: String
  private let handle: OpaquePointer

  init(path: String, waitMilliseconds: Int32) throws(DatabaseError) {
    self.path = path
    var handle: OpaquePointer?
    let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE
    let code = sqlite3_open_v2(path, &handle, flags, nil)
    guard code == SQLITE_OK, let handle else {
      let message = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close(handle)
      throw .refused(path: path, code: code, message: message)
    }
    self.handle = handle
    sqlite3_extended_result_codes(handle, 1)
    sqlite3_busy_timeout(handle, waitMilliseconds)
    checkpointOnClose(false)
    try execute("PRAGMA wal_autocheckpoint=0")
  }

  deinit { sqlite3_close(handle) }

  /// Runs statements, discarding rows.
  func execute(_ sql: String) throws(DatabaseError) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    guard code == SQLITE_OK else { throw failure(code) }
  }

  /// Runs statements; false when another connection's locks forbid it for now.
  func attempt(_ sql: String) throws(DatabaseError) -> Bool {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    switch code & 0xFF {
    case SQLITE_OK: return true
    case SQLITE_BUSY, SQLITE_PROTOCOL, SQLITE_LOCKED: return false
    default: throw failure(code)
    }
  }

  /// The first column of the first row, as text.
  func text(_ sql: String) throws(DatabaseError) -> String? {
    var statement: OpaquePointer?
    let code = sqlite3_prepare_v2(handle, sql, -1, &statement, nil)
    guard code == SQLITE_OK else { throw failure(code) }
    defer { sqlite3_finalize(statement) }
    let step = sqlite3_step(statement)
    guard step == SQLITE_ROW || step == SQLITE_DONE else { throw failure(step) }
    return sqlite3_column_text(statement, 0).map { String(cString: $0) }
  }

  /// Whether a transaction is open.
  var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  /// Begins to read: takes the locks that keep what is read as it is. False when they cannot be had now.
  func beginReading() throws(DatabaseError) -> Bool {
    guard try attempt("BEGIN") else { return false }
    if try attempt("PRAGMA schema_version") { return true }
    end()
    return false
  }

  /// Begins to write: takes the lock that lets nobody else write. False when it cannot be had now.
  func beginWriting() throws(DatabaseError) -> Bool { try attempt("BEGIN IMMEDIATE") }

  /// Drops all locks of the transaction, and what the connection remembers of pages that others may have changed.
  func end() {
    if isInTransaction { _ = sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
    sqlite3_file_control(handle, "main", SQLITE_FCNTL_RESET_CACHE, nil)
  }

  /// Whether closing this connection, as the last one, checkpoints the log and removes it.
  func checkpointOnClose(_ isWanted: Bool) {
    _ = grapevine_configure(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, isWanted ? 0 : 1)
  }

  /// The database file.
  func databaseFile() throws(DatabaseError) -> DatabaseFile { try file(SQLITE_FCNTL_FILE_POINTER, path) }

  /// The log; only after a transaction has been begun in log mode.
  func logFile() throws(DatabaseError) -> DatabaseFile { try file(SQLITE_FCNTL_JOURNAL_POINTER, path + "-wal") }

  private func file(_ operation: Int32, _ path: String) throws(DatabaseError) -> DatabaseFile {
    var pointer: UnsafeMutablePointer<sqlite3_file>?
    let code = withUnsafeMutablePointer(to: &pointer) { sqlite3_file_control(handle, "main", operation, $0) }
    guard code == SQLITE_OK, let file = DatabaseFile(pointer, path: path) else {
      throw .refused(path: path, code: code, message: "the connection does not hold the file open")
    }
    return file
  }

  private func failure(_ code: Int32) -> DatabaseError {
    .refused(path: path, code: code, message: String(cString: sqlite3_errmsg(handle)))
  }
}
