// What a database needs besides capture and installs.

extension LiveDatabase {
  /// Begins and ends to read, as any program might: SQLite then rolls back what a program left that died.
  public func recover() throws(DatabaseError) {
    let reader = try reader()
    if try reader.beginReading() { reader.end() }
  }

  /// Writes back as much of the log as nobody reads.
  public func checkpoint() throws(DatabaseError) { _ = try writer().attempt("PRAGMA wal_checkpoint(PASSIVE)") }

  /// Moves into a journal mode; false when the locks of others forbid it for now.
  public func move(into kind: JournalKind) throws(DatabaseError) -> Bool {
    _ = try writer().attempt(kind == .log ? "PRAGMA journal_mode=WAL" : "PRAGMA journal_mode=DELETE")
    return try header()?.journal == kind
  }
}
