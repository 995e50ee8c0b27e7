// Bytes that can be read by offset: a file of a connection, or a journal or log by a descriptor of our own.

import Glibc

/// Bytes that can be read by offset.
public protocol ByteSource {
  /// Bytes in all.
  func size() throws(DatabaseError) -> Int64
  /// Fills the buffer from an offset; false when the source ends before.
  func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(DatabaseError) -> Bool
}

extension ByteSource {
  /// So many bytes from an offset, nil when the source ends before.
  func read(_ count: Int, at offset: Int64) throws(DatabaseError) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var isWhole = false
    var failure: DatabaseError?
    bytes.withUnsafeMutableBytes { buffer in
      do throws(DatabaseError) { isWhole = try fill(buffer, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
    return isWhole ? bytes : nil
  }
}

/// A journal or a log under a descriptor of its own. Never for a database or its index: closing the descriptor would
/// drop the locks that this process holds on them.
public final class SideFile: ByteSource {
  let path: String
  private let descriptor: CInt

  /// Opens to read; nil when there is no such file.
  public convenience init?(reading path: String) throws(DatabaseError) {
    try self.init(path, flags: O_RDONLY)
  }

  init?(_ path: String, flags: CInt) throws(DatabaseError) {
    self.path = path
    descriptor = open(path, flags | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      if errno == ENOENT { return nil }
      throw .system(path: path, operation: "opening", number: errno)
    }
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// Bytes in all.
  public func size() throws(DatabaseError) -> Int64 { Int64(try status().st_size) }

  /// What tells this file from another of its name.
  func identity() throws(DatabaseError) -> UInt64 { UInt64(try status().st_ino) }

  /// Whether its last name is gone.
  func isUnlinked() throws(DatabaseError) -> Bool { try status().st_nlink == 0 }

  private func status() throws(DatabaseError) -> stat {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw .system(path: path, operation: "measuring", number: errno) }
    return status
  }

  /// Fills the buffer from an offset; false when the file ends before.
  public func fill(_ buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(DatabaseError) -> Bool {
    var done = 0
    while done < buffer.count {
      let count = pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
      if count == 0 { return false }
      if count < 0 {
        if errno == EINTR { continue }
        throw .system(path: path, operation: "reading", number: errno)
      }
      done += count
    }
    return true
  }

  func write(_ bytes: [UInt8], at offset: Int64) throws(DatabaseError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { bytes in
        pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
      }
      if count < 0 {
        if errno == EINTR { continue }
        throw .system(path: path, operation: "writing", number: errno)
      }
      done += count
    }
  }

  func synchronize() throws(DatabaseError) {
    guard fdatasync(descriptor) == 0 else { throw .system(path: path, operation: "syncing", number: errno) }
  }
}
