// A lock that is held across calls, the condition that goes with it, and a thread that nobody joins.

import Glibc

/// A mutual exclusion that one call takes and another gives back.
final class PlainLock: @unchecked Sendable {
  fileprivate let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)

  init() { pthread_mutex_init(mutex, nil) }

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
}

/// What a thread that holds a `PlainLock` waits for.
final class PlainCondition: @unchecked Sendable {
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init() {
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    condition.deallocate()
  }

  func broadcast() { pthread_cond_broadcast(condition) }

  func wait(_ lock: PlainLock) { pthread_cond_wait(condition, lock.mutex) }

  /// Waits; false when the time was over.
  func wait(_ lock: PlainLock, until deadline: timespec) -> Bool {
    var deadline = deadline
    return pthread_cond_timedwait(condition, lock.mutex, &deadline) != ETIMEDOUT
  }

  static func deadline(milliseconds: Int) -> timespec {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    time.tv_nsec += milliseconds % 1_000 * 1_000_000
    time.tv_sec += milliseconds / 1_000 + time.tv_nsec / 1_000_000_000
    time.tv_nsec %= 1_000_000_000
    return time
  }
}

/// Now, on the clock that only grows.
func monotonicMilliseconds() -> UInt64 { SystemClock.now.nanoseconds / 1_000_000 }

/// Starts a thread that nobody joins.
func startThread(_ body: @escaping @Sendable () -> Void) {
  final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
  }
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
  defer { pthread_attr_destroy(&attributes) }
  var thread = pthread_t()
  let context = Unmanaged.passRetained(Box(body)).toOpaque()
  let status = pthread_create(
    &thread, &attributes,
    { context in
      Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().body()
      return nil
    }, context)
  precondition(status == 0, "a thread can be started")
}
