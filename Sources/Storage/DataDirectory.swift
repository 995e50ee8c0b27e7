// The data directory of a node: one process at a time, one format.

import Glibc

/// A node's data directory, locked for the life of this value.
public final class DataDirectory: Sendable {
  /// The version of everything below the directory.
  public static let format = "1"

  /// The directory.
  public let path: String
  /// Whether the previous life ended without saying so, and whether the machine has been restarted since.
  public let previousEnd: PreviousEnd
  private let lock: Int32

  /// How the previous life of a node ended.
  public enum PreviousEnd: Sendable, Equatable {
    /// There was none.
    case none
    /// It said that it ended.
    case clean
    /// The process was killed; what it had written is there.
    case killed
    /// The machine went down: what was not fsynced may be gone.
    case powerLoss
  }

  /// Opens or makes a data directory.
  public init(path: String) throws {
    self.path = path
    var parents = ""
    for part in path.split(separator: "/") {
      parents += (parents.isEmpty && !path.hasPrefix("/") ? "" : "/") + part
      try ContentStore.makeDirectory(parents)
    }
    lock = try ContentStore.open(path + "/lock", create: true)
    guard flock(lock, LOCK_EX | LOCK_NB) == 0 else {
      close(lock)
      throw StorageError.locked(path: path)
    }
    let formatPath = path + "/format"
    if let found = Self.read(formatPath) {
      guard found == Self.format else {
        close(lock)
        throw StorageError.format(path: path, found: found)
      }
    } else {
      try Self.write(Self.format, to: formatPath)
    }
    switch Self.read(path + "/running") {
    case nil: previousEnd = .none
    case "": previousEnd = .clean
    case Self.boot: previousEnd = .killed
    default: previousEnd = .powerLoss
    }
    // Until what a power loss asks for is done, the next life must see it too.
    if previousEnd != .powerLoss { try markRunning() }
  }

  deinit { close(lock) }

  private static var boot: String { read("/proc/sys/kernel/random/boot_id") ?? "" }

  /// Says that a life has begun and that nothing is left to do about how the previous one ended.
  public func markRunning() throws { try Self.write(Self.boot, to: path + "/running") }

  /// Says that everything is on disk and the node ended as it should.
  public func markClean() throws { try Self.write("", to: path + "/running") }

  /// A small file as text, without the newline at its end.
  public static func read(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0, let bytes = ContentStore.read(4_096, at: 0, from: descriptor) else { return nil }
    close(descriptor)
    let text = String(decoding: bytes, as: UTF8.self)
    return text.hasSuffix("\n") ? String(text.dropLast()) : text
  }

  /// Lets another process, or another life of this one, have the directory; nothing here may touch it any more.
  public func release() { flock(lock, LOCK_UN) }

  /// Replaces a small file durably.
  public static func write(_ text: String, to path: String) throws {
    let draft = path + ".draft"
    let descriptor = try ContentStore.open(draft, create: true)
    defer { close(descriptor) }
    ftruncate(descriptor, 0)
    try ContentStore.write(Array((text + "\n").utf8), at: 0, to: descriptor, path: draft)
    guard fsync(descriptor) == 0, rename(draft, path) == 0 else {
      throw StorageError.system(operation: "replace", path: path, errno: errno)
    }
  }
}
