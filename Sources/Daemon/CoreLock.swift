// The mutex around the core.

import Glibc
import Node

/// The core of a node and the effects that wait, under one mutex.
final class CoreLock: @unchecked Sendable {
  /// Touched only while the lock is held.
  private var node: Node
  private var effects: [NodeEffect] = []
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init(_ node: Node) {
    self.node = node
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// Works on the core while nobody else does.
  func withLock<R>(_ body: (inout Node, inout [NodeEffect]) throws -> R) rethrows -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&node, &effects)
  }
}
