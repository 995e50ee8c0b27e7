// Why a request of the kernel is refused.

import Glibc
import Replication
import Storage

/// A refusal as the kernel understands it.
struct Refusal: Error, Equatable {
  var number: Int32

  init(_ number: Int32) { self.number = number }

  /// Another file is at a name than was looked up a moment ago: look again. No program sees it.
  static let moved = Refusal(-1)

  /// What any error of the rooms below means to a program.
  init(_ error: any Error) {
    switch error {
    case let refusal as Refusal: self = refusal
    case let error as VolumeError: self.init(Self.number(of: error))
    case let error as StorageError: self.init(error.number)
    default: self.init(EIO)
    }
  }

  private static func number(of error: VolumeError) -> Int32 {
    switch error {
    case .notFound: ENOENT
    case .exists: EEXIST
    case .notDirectory: ENOTDIR
    case .isDirectory: EISDIR
    case .notEmpty: ENOTEMPTY
    case .intoItself: EINVAL
    }
  }
}
