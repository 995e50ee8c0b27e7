// Why storage refuses.

import Glibc

/// Why storage refuses; what was there before is as it was.
public enum StorageError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A call of the operating system failed.
  case system(operation: String, path: String, errno: Int32)
  /// SQLite failed.
  case database(operation: String, path: String, message: String)
  /// The directory is in use by another process.
  case locked(path: String)
  /// The directory was written by a version that this one does not understand.
  case format(path: String, found: String)

  /// What happened, to what, and why.
  public var description: String {
    switch self {
    case .system(let operation, let path, let errno): "\(operation) \(path): \(String(cString: strerror(errno)))"
    case .database(let operation, let path, let message): "\(operation) \(path): \(message)"
    case .locked(let path): "\(path) is in use by another grapevine process; stop it first"
    case .format(let path, let found): "\(path) has format \(found), which this version does not know; use a newer one"
    }
  }

  /// The number of the operating system's error, EIO for others.
  public var number: Int32 {
    if case .system(_, _, let errno) = self { return errno }
    return EIO
  }
}
