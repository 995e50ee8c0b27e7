// Notices, without asking, when the files of databases in a directory change.

import Glibc
import Synchronization

/// Watches directories and tells a handler, on a thread of its own, what happened to the files in them.
public final class DatabaseWatch: Sendable {
  /// Something happened to a file.
  public struct Event: Hashable, Sendable {
    /// What can happen.
    public enum Kind: Hashable, Sendable {
      /// Written or cut.
      case modified
      /// Made, or moved in.
      case appeared
      /// Unlinked, or moved out.
      case vanished
      /// Closed by someone who could write.
      case closed
      /// Events were lost: look at everything.
      case overflow
    }
    /// The watched directory, as it was given; empty for an overflow.
    public let directory: String
    /// The file's name in it.
    public let name: String
    /// What happened.
    public let kind: Kind
  }

  private let descriptor: CInt
  private let wake: (reading: CInt, writing: CInt)
  private let directories = Mutex<[CInt: String]>([:])
  private let count = Atomic<UInt64>(0)
  private let handler: @Sendable (Event) -> Void
  private let thread = Mutex<pthread_t?>(nil)

  /// A watch of nothing yet.
  public init(handler: @escaping @Sendable (Event) -> Void) throws(DatabaseError) {
    self.handler = handler
    var ends: [CInt] = [-1, -1]
    guard pipe(&ends) == 0 else { throw .system(path: "", operation: "making a pipe", number: errno) }
    for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    wake = (ends[0], ends[1])
    descriptor = inotify_init1(CInt(IN_CLOEXEC) | CInt(IN_NONBLOCK))
    guard descriptor >= 0 else {
      throw .system(path: "", operation: "watching files (fs.inotify.max_user_instances)", number: errno)
    }
  }

  deinit {
    if descriptor >= 0 { close(descriptor) }
    close(wake.reading)
    close(wake.writing)
  }

  /// Events delivered so far.
  public var delivered: UInt64 { count.load(ordering: .acquiring) }

  /// Watches the files of a directory.
  public func add(directory path: String) throws(DatabaseError) {
    let mask = UInt32(IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE)
    let failure: CInt? = directories.withLock { directories in
      let number = inotify_add_watch(descriptor, path, mask)
      guard number >= 0 else { return errno }
      directories[number] = path
      return nil
    }
    if let failure {
      throw .system(path: path, operation: "watching the directory (fs.inotify.max_user_watches)", number: failure)
    }
  }

  /// No longer watches a directory.
  public func remove(directory path: String) {
    directories.withLock { directories in
      for (number, directory) in directories where directory == path {
        inotify_rm_watch(descriptor, number)
        directories[number] = nil
      }
    }
  }

  /// Starts the thread.
  public func start() {
    thread.withLock { thread in
      guard thread == nil else { return }
      var new = pthread_t()
      let context = Unmanaged.passRetained(self).toOpaque()
      let code = pthread_create(
        &new, nil,
        { context in
          guard let context else { return nil }
          Unmanaged<DatabaseWatch>.fromOpaque(context).takeRetainedValue().run()
          return nil
        }, context)
      if code == 0 { thread = new } else { Unmanaged<DatabaseWatch>.fromOpaque(context).release() }
    }
  }

  /// Stops the thread and waits for it. Not from within the handler.
  public func stop() {
    let running = thread.withLock { thread in
      defer { thread = nil }
      return thread
    }
    guard let running else { return }
    var signal: UInt8 = 1
    _ = write(wake.writing, &signal, 1)
    pthread_join(running, nil)
  }

  private func run() {
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      var waits = [
        pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
        pollfd(fd: wake.reading, events: Int16(POLLIN), revents: 0),
      ]
      guard poll(&waits, 2, -1) >= 0 || errno == EINTR else { return }
      if waits[1].revents != 0 {
        var signal: UInt8 = 0
        _ = read(wake.reading, &signal, 1)
        return
      }
      let length = read(descriptor, &buffer, buffer.count)
      guard length > 0 else { continue }
      for event in parse(buffer[..<length]) {
        handler(event)
        count.add(1, ordering: .acquiringAndReleasing)
      }
    }
  }

  private func parse(_ bytes: ArraySlice<UInt8>) -> [Event] {
    var events: [Event] = []
    var offset = 0
    bytes.withUnsafeBytes { bytes in
      while offset + 16 <= bytes.count {
        let number = bytes.loadUnaligned(fromByteOffset: offset, as: CInt.self)
        let mask = bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)
        let length = Int(bytes.loadUnaligned(fromByteOffset: offset + 12, as: UInt32.self))
        let name = String(decoding: bytes[offset + 16..<offset + 16 + length].prefix { $0 != 0 }, as: UTF8.self)
        offset += 16 + length
        if mask & UInt32(IN_Q_OVERFLOW) != 0 {
          events.append(Event(directory: "", name: "", kind: .overflow))
          continue
        }
        guard let directory = directories.withLock({ $0[number] }), let kind = Self.kind(of: mask) else { continue }
        events.append(Event(directory: directory, name: name, kind: kind))
      }
    }
    return events
  }

  private static func kind(of mask: UInt32) -> Event.Kind? {
    if mask & UInt32(IN_MODIFY) != 0 { return .modified }
    if mask & UInt32(IN_CREATE | IN_MOVED_TO) != 0 { return .appeared }
    if mask & UInt32(IN_DELETE | IN_MOVED_FROM) != 0 { return .vanished }
    if mask & UInt32(IN_CLOSE_WRITE) != 0 { return .closed }
    return nil
  }
}
