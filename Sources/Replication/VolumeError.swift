// Why a local operation on the tree is refused.

/// Why a local operation is refused; the volume is as it was.
public enum VolumeError: Error, Equatable, Sendable {
  /// Nothing is at the path, or the file is unknown.
  case notFound
  /// Something is at the path already.
  case exists
  /// A directory was needed.
  case notDirectory
  /// Anything but a directory was needed.
  case isDirectory
  /// The directory has entries.
  case notEmpty
  /// A directory cannot move below itself.
  case intoItself
}
