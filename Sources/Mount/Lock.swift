// A lock that may be held across calls, where a closure would not do.

import Glibc

/// A mutual exclusion that one call takes and another gives back.
final class Lock: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init() {
    mutex.initialize(to: pthread_mutex_t())
    pthread_mutex_init(mutex, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  func lock() { pthread_mutex_lock(mutex) }

  func unlock() { pthread_mutex_unlock(mutex) }

  func with<R>(_ body: () throws -> R) rethrows -> R {
    lock()
    defer { unlock() }
    return try body()
  }

  /// Waits until `signal` is called, giving the lock back meanwhile.
  func wait(for condition: Condition) { pthread_cond_wait(condition.pointer, mutex) }
}

/// What a thread that holds a `Lock` waits for.
final class Condition: @unchecked Sendable {
  fileprivate let pointer = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    pointer.initialize(to: pthread_cond_t())
    pthread_cond_init(pointer, nil)
  }

  deinit {
    pthread_cond_destroy(pointer)
    pointer.deallocate()
  }

  func signal() { pthread_cond_signal(pointer) }

  func broadcast() { pthread_cond_broadcast(pointer) }
}

/// A plain thread, joined once.
final class Thread: @unchecked Sendable {
  private var handle = pthread_t()

  init(_ body: @escaping @Sendable () -> Void) {
    let box = Unmanaged.passRetained(Box(body))
    let result = pthread_create(
      &handle, nil,
      { argument in
        Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, box.toOpaque())
    precondition(result == 0, "a thread can be started")
  }

  func join() { pthread_join(handle, nil) }

  private final class Box {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
}

/// Now, on the clock of file times: the coarse one, as the kernel's own.
func currentTime() -> timespec {
  var now = timespec()
  clock_gettime(CLOCK_REALTIME_COARSE, &now)
  return now
}

/// Now, on the clock that only grows, in milliseconds.
func monotonicMilliseconds() -> UInt64 {
  var now = timespec()
  clock_gettime(CLOCK_MONOTONIC, &now)
  return UInt64(now.tv_sec) * 1_000 + UInt64(now.tv_nsec) / 1_000_000
}
