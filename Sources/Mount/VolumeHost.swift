// What a mount needs from the node that carries the volume.

import Causality
import Glibc
import Replication
import Storage

/// The node behind a mount: it owns the volume, makes it durable, and tells the peers.
public protocol VolumeHost: AnyObject, Sendable {
  /// The bytes of the volume's files.
  var content: ContentStore { get }
  /// How many bytes the volume may hold: what statfs says, and where ENOSPC begins.
  var sizeLimit: UInt64 { get }

  /// Works on the volume while nobody else does; what collects in it is stored and sent afterwards, not here.
  ///
  /// - Parameter body: short, and without input or output. `stamp` gives a stamp above all of the volume.
  func withVolume<R>(_ body: (inout Volume, _ stamp: () -> Stamp) throws -> R) rethrows -> R

  /// Returns when everything recorded so far would survive a power loss.
  func makeDurable()

  /// A file's bytes are all recorded as of now; a backing file that differs from this later has changes that are not.
  func captured(_ file: FileID, modified: timespec, size: UInt64)

  /// Who follows databases; nil where they are files like any other.
  var databases: (any DatabaseHost)? { get }

  /// The text of a file in `.grapevine/`; nil when there is none of that name.
  func virtual(_ name: String) -> [UInt8]?
}

/// How a volume is mounted.
public struct MountOptions: Sendable {
  /// Threads that answer the kernel.
  public var workers = 4
  /// Threads for what may take long: fsync, and capturing large files.
  public var slowWorkers = 4
  /// How long the kernel may believe what it was told, in seconds; remote changes are told to it at once.
  public var timeoutSeconds = 3_600.0
  /// Backing files kept open though no program has them open.
  public var idleDescriptors = 256
  /// After so many milliseconds without a write, an open file's writes become a change.
  public var quietMilliseconds: UInt64 = 300
  /// Whether programs may run with set-uid bits, and use devices, that are found in the volume.
  public var allowsPrivileges = false

  /// The defaults.
  public init() {}
}

/// Why a volume cannot be mounted.
public enum MountError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A call of the operating system failed.
  case system(operation: String, path: String, errno: Int32)
  /// libfuse refused its configuration.
  case library

  /// What happened, why, and what to do.
  public var description: String {
    switch self {
    case .system(let operation, let path, let errno):
      "cannot \(operation) \(path): \(String(cString: strerror(errno))); mounting needs root and /dev/fuse"
    case .library: "libfuse refused to make a session; grapevine needs libfuse 3.14 or later"
    }
  }
}
