// The files of a database as SQLite itself holds them open.

import CSQLite

/// A file that a connection holds open: its database or its log. Valid as long as the connection is.
struct DatabaseFile: ByteSource {
  let path: String
  let pointer: UnsafeMutablePointer<sqlite3_file>
  private let methods: sqlite3_io_methods

  init?(_ pointer: UnsafeMutablePointer<sqlite3_file>?, path: String) {
    guard let pointer, let methods = pointer.pointee.pMethods else { return nil }
    self.pointer = pointer
    self.methods = methods.pointee
    self.path = path
  }

  func size() throws(DatabaseError) -> Int64 {
    var size: sqlite3_int64 = 0
    try check(methods.xFileSize(pointer, &size), "measuring")
    return size
  }

  func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(DatabaseError) -> Bool {
    let code = methods.xRead(pointer, buffer.baseAddress, Int32(buffer.count), offset)
    if code & 0xFF == SQLITE_IOERR, code == SQLITE_IOERR | 2 << 8 { return false }  // SQLITE_IOERR_SHORT_READ
    try check(code, "reading")
    return true
  }

  func write(_ bytes: [UInt8], at offset: Int64) throws(DatabaseError) {
    try check(methods.xWrite(pointer, bytes, Int32(bytes.count), offset), "writing")
  }

  func truncate(_ size: Int64) throws(DatabaseError) { try check(methods.xTruncate(pointer, size), "truncating") }

  func synchronize() throws(DatabaseError) { try check(methods.xSync(pointer, SQLITE_SYNC_NORMAL), "syncing") }

  /// Tries to raise the lock of the owning connection; false when others hold theirs.
  func lock(_ level: Int32) throws(DatabaseError) -> Bool {
    let code = methods.xLock(pointer, level)
    if code & 0xFF == SQLITE_BUSY { return false }
    try check(code, "locking")
    return true
  }

  /// A region of the log's index, made when it does not exist.
  func sharedRegion(_ index: Int) throws(DatabaseError) -> UnsafeMutableRawPointer {
    var region: UnsafeMutableRawPointer?
    try check(methods.xShmMap(pointer, Int32(index), 32768, 1, &region), "mapping the log's index")
    guard let region else { throw .refused(path: path, code: SQLITE_IOERR, message: "the log's index has no memory") }
    return region
  }

  /// Tries to take locks of the log's index exclusively; false when others hold them.
  func lockShared(_ first: Int32, count: Int32) throws(DatabaseError) -> Bool {
    let code = methods.xShmLock(pointer, first, count, SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE)
    if code & 0xFF == SQLITE_BUSY { return false }
    try check(code, "locking the log's index")
    return true
  }

  func unlockShared(_ first: Int32, count: Int32) {
    _ = methods.xShmLock(pointer, first, count, SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE)
  }

  private func check(_ code: Int32, _ operation: String) throws(DatabaseError) {
    guard code == SQLITE_OK else { throw .refused(path: path, code: code, message: "\(operation) the file") }
  }
}
