// A child process of the lab, with signals as a program expects them and a group of its own.

import Foundation

/// A child process.
final class LabProcess: @unchecked Sendable {
  /// Its id, and that of its group.
  let id: pid_t
  private let lock = NSLock()
  private var status: Int32?

  private init(id: pid_t) { self.id = id }

  /// Starts a program; what it prints goes to the file, or where this process prints.
  static func start(
    _ command: [String], environment extra: [String: String] = [:], log: String? = nil, input: Int32? = nil
  ) throws -> LabProcess {
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer {
      posix_spawnattr_destroy(&attributes)
      posix_spawn_file_actions_destroy(&actions)
    }
    var all = sigset_t()
    sigfillset(&all)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setpgroup(&attributes, 0)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
    if let input {
      posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
    } else {
      posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
    }
    if let log {
      posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
      posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO)
    }
    let environment = ProcessInfo.processInfo.environment.merging(extra) { $1 }
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup("\($0.key)=\($0.value)") } + [nil]
    defer { for text in arguments + variables { free(text) } }
    var id: pid_t = 0
    let error = posix_spawnp(&id, command[0], &actions, &attributes, &arguments, &variables)
    guard error == 0 else {
      throw CommandFailure(
        what: "cannot run \(command[0])", why: String(cString: strerror(error)),
        remedy: "Install util-linux and iproute2.")
    }
    return LabProcess(id: id)
  }

  /// Runs a shell command to its end; throws with what it printed when it fails.
  static func shell(_ command: String, environment: [String: String] = [:], log: String) throws {
    let status = try start(["/bin/sh", "-c", command], environment: environment, log: log).wait()
    guard status != 0 else { return }
    let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
    throw CommandFailure(
      what: "a command failed with status \(status): \(command)",
      why: text.split(separator: "\n").suffix(3).joined(separator: "\n       "))
  }

  /// Whether it has not ended.
  var isRunning: Bool { poll(WNOHANG) == nil }

  /// Waits for the end; what a shell would call the status.
  func wait() -> Int32 { poll(0) ?? 255 }

  /// Waits so long for the end; nil when it has not come.
  func wait(seconds: Double) -> Int32? {
    let end = Date().addingTimeInterval(seconds)
    while Date() < end {
      if let status = poll(WNOHANG) { return status }
      usleep(10_000)
    }
    return poll(WNOHANG)
  }

  private func poll(_ options: Int32) -> Int32? {
    lock.lock()
    defer { lock.unlock() }
    if let status { return status }
    var raw: Int32 = 0
    var result: pid_t
    repeat { result = waitpid(id, &raw, options) } while result < 0 && errno == EINTR
    if result == 0 { return nil }
    let signal = raw & 0x7F
    status = result < 0 ? 255 : signal == 0 ? (raw >> 8) & 0xFF : 128 + signal
    return status
  }

  /// Sends a signal to the process alone.
  func send(_ signal: Int32) { if isRunning { kill(id, signal) } }

  /// Ends the process and all of its group.
  func endGroup() {
    kill(-id, SIGTERM)
    if wait(seconds: 3) == nil {
      kill(-id, SIGKILL)
      _ = wait()
    } else {
      kill(-id, SIGKILL)
    }
  }
}
