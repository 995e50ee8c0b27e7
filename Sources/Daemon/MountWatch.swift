// Somebody who outlives the node: ends what a killed node left mounted.
//
// The node reads its own mounts (databases are captured through them). A thread of it that waits for its own file
// system can not be killed, and while it lives the kernel does not notice that nobody answers any more: programs would
// hang for ever. So a child process watches. When the node is dead it aborts the connection, which wakes all who wait,
// and unmounts.

import Glibc

/// The watching side, in a process of its own, and the side that starts it.
public enum MountWatch {
  /// Starts a process that watches this one; it ends when this one does.
  ///
  /// - Parameter mountPoints: what is to be unmounted then.
  static func start(mountPoints: [String]) {
    guard !mountPoints.isEmpty else { return }
    let words = ["grapevine", "watch-mounts", "\(getpid())"] + mountPoints
    var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP))
    posix_spawnattr_setpgroup(&attributes, 0)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR, 0)
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO)
    posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDERR_FILENO)
    // It lives a moment longer than the node: a socket of the node's would keep the next one from starting.
    for descriptor in openDescriptors() where descriptor > STDERR_FILENO {
      posix_spawn_file_actions_addclose(&actions, descriptor)
    }
    var child = pid_t()
    posix_spawn(&child, "/proc/self/exe", &actions, &attributes, &arguments, environ)
  }

  private static func openDescriptors() -> [Int32] {
    guard let stream = opendir("/proc/self/fd") else { return [] }
    defer { closedir(stream) }
    var found: [Int32] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if let descriptor = Int32(name), descriptor != dirfd(stream) { found.append(descriptor) }
    }
    return found
  }

  /// Waits for the death of a process, its child being this one, and then ends its mounts.
  public static func run(watching process: pid_t, mountPoints: [String]) {
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_IGN) }
    while getppid() == process, !isDead(process) { usleep(300_000) }
    let isGone = getppid() != process
    for point in mountPoints where !isGone || isLeftBehind(point) { end(point) }
  }

  /// Whether a process is dead, or killed and only held up by a thread that waits for its own mount.
  private static func isDead(_ process: pid_t) -> Bool {
    guard let status = text("/proc/\(process)/status") else { return true }
    for line in status.split(separator: "\n") {
      if line.hasPrefix("State:"), line.contains("Z") { return true }
      guard line.hasPrefix("SigPnd:"), let pending = UInt64(line.dropFirst(8), radix: 16) else { continue }
      return pending & 1 << UInt64(SIGKILL - 1) != 0
    }
    return false
  }

  /// Whether what is mounted there answers that its node is gone. Once the process is gone altogether the kernel says so at
  /// once; anything else there is the mount of a node that was started again meanwhile.
  private static func isLeftBehind(_ point: String) -> Bool {
    var statistics = statvfs()
    return statvfs(point, &statistics) != 0 && errno == ENOTCONN
  }

  /// Ends the FUSE mounts at a path: by force, which aborts the connection and wakes all who wait, then for good.
  private static func end(_ point: String) {
    for line in (text("/proc/self/mountinfo") ?? "").split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard fields.count > 6, unescaped(fields[4]) == point, line.contains(" - fuse.grapevine ") else { continue }
      let (force, detach): (Int32, Int32) = (1, 2)
      if umount2(point, force) != 0 { umount2(point, detach) }
    }
  }

  /// A path of mountinfo, which writes blanks and backslashes as octal numbers.
  private static func unescaped(_ field: Substring) -> String {
    var bytes: [UInt8] = []
    var rest = Array(field.utf8)[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "\\"), let code = UInt8(String(decoding: rest.prefix(3), as: UTF8.self), radix: 8) {
        bytes.append(code)
        rest = rest.dropFirst(3)
      } else {
        bytes.append(byte)
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func text(_ path: String) -> String? {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65_536)
    while true {
      let count = read(descriptor, &block, block.count)
      guard count > 0 else { break }
      bytes += block[..<count]
    }
    return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self)
  }
}
