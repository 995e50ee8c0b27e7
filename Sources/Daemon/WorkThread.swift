// A thread with a queue: work in order, one piece after another.

import Glibc
import Synchronization

/// A POSIX thread that runs closures in the order they were given.
final class WorkThread: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var queue: [@Sendable () -> Void] = []
  private var head = 0
  private var isStopping = false
  private var thread = pthread_t()

  /// Starts the thread.
  init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    let context = Unmanaged.passRetained(self).toOpaque()
    let status = pthread_create(
      &thread, nil,
      { context in
        Unmanaged<WorkThread>.fromOpaque(context!).takeRetainedValue().run()
        return nil
      }, context)
    precondition(status == 0, "cannot start a thread")
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Adds work at the end.
  func add(_ work: @escaping @Sendable () -> Void) {
    pthread_mutex_lock(mutex)
    queue.append(work)
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }

  /// Pieces of work that wait.
  var count: Int {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return queue.count - head
  }

  /// Runs what is queued, then ends; returns when it has ended. Not to be called from the thread itself.
  func stop() {
    pthread_mutex_lock(mutex)
    isStopping = true
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
    pthread_join(thread, nil)
  }

  private func run() {
    while let work = next() { work() }
  }

  private func next() -> (@Sendable () -> Void)? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while head == queue.count {
      if isStopping { return nil }
      queue.removeAll(keepingCapacity: queue.capacity < 1_024)
      head = 0
      pthread_cond_wait(condition, mutex)
    }
    defer { head += 1 }
    let work = queue[head]
    queue[head] = {}
    return work
  }
}

/// A flag that a thread waits for with a time-out.
final class WakeUp: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var isRaised = false

  init() {
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Raises the flag.
  func raise() {
    pthread_mutex_lock(mutex)
    if !isRaised {
      isRaised = true
      pthread_cond_signal(condition)
    }
    pthread_mutex_unlock(mutex)
  }

  /// Waits until the flag is raised or the time is over, and lowers it.
  func wait(milliseconds: Int) {
    var deadline = timespec()
    clock_gettime(CLOCK_MONOTONIC, &deadline)
    deadline.tv_nsec += milliseconds % 1_000 * 1_000_000
    deadline.tv_sec += milliseconds / 1_000 + deadline.tv_nsec / 1_000_000_000
    deadline.tv_nsec %= 1_000_000_000
    pthread_mutex_lock(mutex)
    while !isRaised {
      if pthread_cond_timedwait(condition, mutex, &deadline) == ETIMEDOUT { break }
    }
    isRaised = false
    pthread_mutex_unlock(mutex)
  }
}
