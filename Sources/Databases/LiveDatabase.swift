// A database as programs use it, and our connections on it.

import CSQLite
import Glibc

/// One live database, given by its path as programs see it.
///
/// It holds two connections, opened when they are first needed: one that reads, whose read transaction keeps the log
/// from being restarted past what was captured, and one that writes. While one of them is open the application's own
/// last close does not checkpoint and its journal mode cannot leave WAL, so `close()` when the database is idle.
public final class LiveDatabase {
  /// The database file.
  public let path: String
  /// How long a lock is waited for.
  public let waitMilliseconds: Int32
  /// Grows whenever the reading connection is opened: what was obtained through an older one is void.
  private(set) var epoch = 0
  private var openReader: DatabaseConnection?
  private var openWriter: DatabaseConnection?
  private var identity: Identity?

  private struct Identity: Hashable {
    var device: UInt64
    var inode: UInt64
  }

  /// What changes with every write to the file, as far as its clock is fine enough.
  struct Modification: Hashable {
    var seconds: Int
    var nanoseconds: Int
    var size: Int
  }

  /// A live database; nothing is opened yet.
  public init(path: String, waitMilliseconds: Int32 = 100) {
    self.path = path
    self.waitMilliseconds = waitMilliseconds
  }

  /// Whether connections are open.
  public var isOpen: Bool { openReader != nil || openWriter != nil }

  /// Closes the connections and drops all locks. The next use opens them again.
  ///
  /// With `checkpointing`, if nobody else has the database open, its log is written back and removed, as SQLite does
  /// when the last connection is closed.
  public func close(checkpointing: Bool = false) {
    for connection in [openReader, openWriter] {
      connection?.end()
      connection?.checkpointOnClose(checkpointing)
    }
    openReader = nil
    openWriter = nil
    identity = nil
  }

  /// Whether another file has taken the path since the connections were opened, or it is gone: `close()` then.
  public func isReplaced() -> Bool {
    guard let identity else { return false }
    return Self.identify(path) != identity
  }

  /// The header in the file, nil while the file is empty. In log mode it may be older than the log.
  public func header() throws(DatabaseError) -> DatabaseHeader? {
    let file = try reader().databaseFile()
    guard try file.size() > 0 else { return nil }
    guard let bytes = try file.read(DatabaseHeader.length, at: 0) else { throw .notDatabase("shorter than a header") }
    return try DatabaseHeader(bytes)
  }

  func reader() throws(DatabaseError) -> DatabaseConnection {
    if let openReader { return openReader }
    let connection = try connect()
    epoch += 1
    openReader = connection
    return connection
  }

  func writer() throws(DatabaseError) -> DatabaseConnection {
    if let openWriter { return openWriter }
    let connection = try connect()
    openWriter = connection
    return connection
  }

  private func connect() throws(DatabaseError) -> DatabaseConnection {
    let connection = try DatabaseConnection(path: path, waitMilliseconds: waitMilliseconds)
    if identity == nil, let found = Self.identify(path) { identity = found }
    return connection
  }

  private static func identify(_ path: String) -> Identity? {
    status(path).map { Identity(device: UInt64($0.st_dev), inode: UInt64($0.st_ino)) }
  }

  func modification() -> Modification? {
    Self.status(path).map {
      Modification(seconds: $0.st_mtim.tv_sec, nanoseconds: $0.st_mtim.tv_nsec, size: Int($0.st_size))
    }
  }

  private static func status(_ path: String) -> stat? {
    var status = stat()
    return stat(path, &status) == 0 ? status : nil
  }
}
