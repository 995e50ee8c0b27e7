// The slow lane: work that may take long, away from the threads that answer the kernel.

/// A queue with threads of its own. What is in it when it is closed is done before `close` returns.
final class SlowLane: @unchecked Sendable {
  private let lock = Lock()
  private let arrived = Condition()
  private var waiting: [@Sendable () -> Void] = []
  private var isClosed = false
  private var threads: [Thread] = []

  init(threads count: Int) {
    threads = (0..<count).map { _ in Thread { [unowned self] in run() } }
  }

  func add(_ work: @escaping @Sendable () -> Void) {
    lock.with { waiting.append(work) }
    arrived.signal()
  }

  func close() {
    lock.with { isClosed = true }
    arrived.broadcast()
    for thread in threads { thread.join() }
    threads.removeAll()
  }

  private func run() {
    while let work = next() { work() }
  }

  private func next() -> (@Sendable () -> Void)? {
    lock.lock()
    defer { lock.unlock() }
    while waiting.isEmpty {
      if isClosed { return nil }
      lock.wait(for: arrived)
    }
    return waiting.removeFirst()
  }
}
