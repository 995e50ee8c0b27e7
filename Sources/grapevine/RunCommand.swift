// grapevine run: a node, and a program that starts when the volume is there.

import ArgumentParser
import Daemon
import Foundation

/// `grapevine run`.
struct RunCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Run a node, and a program once the volume is mounted and caught up.",
    discussion: """
      Signals go to the program; when it ends the node stops in order, and grapevine ends with the program's status
      (128 + the signal when one ended it).

      Example:
        grapevine run --config ./grapevine.toml -- ./server --port 8080
      """)

  @Option(name: .long, help: "The configuration. Default: GRAPEVINE_CONFIG, or \(Configuration.standardPath).")
  var config: String?

  @Option(name: .long, help: "How long to wait for the node to catch up before the program starts anyway.")
  var patience = "60s"

  @Argument(parsing: .postTerminator, help: "The program and its arguments, after --.")
  var command: [String] = []

  func validate() throws {
    if command.isEmpty { throw ValidationError("Name the program after --.") }
    if Quantities.duration(patience) == nil { throw ValidationError("'\(patience)' is not a time. Write 60s.") }
  }

  func run() async throws {
    let inherited = Set(Outcome.openDescriptors())
    let signals = SignalWait([SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGQUIT])
    let service = try await RunningNode.start(config: config)
    let outcome = Outcome()
    let watcher = Task {
      while !Task.isCancelled {
        let number = await signals.next()
        if number != 0 { outcome.signal(number) }
      }
    }
    await catchUp(service, outcome)
    do {
      if outcome.mayStart { try outcome.start(command, inheriting: inherited) }
    } catch {
      await service.stop()
      throw CommandFailure(
        what: "cannot run \(command[0])",
        why: (error as? POSIXError).map { String(cString: strerror($0.code.rawValue)) } ?? "\(error)",
        remedy: "Name a program that is there and may be run.")
    }
    let status = await outcome.status()
    watcher.cancel()
    await service.stop()
    throw ExitCode(status)
  }

  private func catchUp(_ service: NodeService, _ outcome: Outcome) async {
    let end = Date().addingTimeInterval((Quantities.duration(patience) ?? .zero).seconds)
    while !service.isCaughtUp, outcome.mayStart, Date() < end { try? await Task.sleep(for: .milliseconds(50)) }
    if !service.isCaughtUp, outcome.mayStart {
      StandardError.write("grapevine: not caught up after \(patience); starting \(command[0]) anyway")
    }
  }
}

/// The program, from before its start to its end.
private final class Outcome: @unchecked Sendable {
  private let lock = NSLock()
  private var child: pid_t = 0
  private var early: Int32 = 0

  /// No signal has come before the program was started.
  var mayStart: Bool { lock.withLock { early == 0 } }

  func signal(_ number: Int32) {
    lock.withLock {
      if child > 0 { kill(child, number) } else if number != SIGHUP { early = number }
    }
  }

  /// The descriptors that are open now.
  static func openDescriptors() -> [Int32] {
    ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []).compactMap { Int32($0) }
  }

  /// Starts the program with the signals as a program expects them, and with no descriptor of the node's: a socket or a
  /// mount that outlives the node would keep the next one from starting.
  func start(_ command: [String], inheriting inherited: Set<Int32>) throws {
    for descriptor in Self.openDescriptors() where !inherited.contains(descriptor) {
      _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    }
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var all = sigset_t()
    sigfillset(&all)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    var arguments: [UnsafeMutablePointer<CChar>?] = command.map { strdup($0) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let error = lock.withLock { posix_spawnp(&child, command[0], nil, &attributes, &arguments, environ) }
    guard error == 0 else { throw POSIXError(POSIXErrorCode(rawValue: error) ?? .EIO) }
  }

  /// Waits for the program's end; what a shell would call its status.
  func status() async -> Int32 {
    let (child, early) = lock.withLock { (self.child, self.early) }
    guard child > 0 else { return 128 + early }
    return await withCheckedContinuation { continuation in
      Thread.detachNewThread {
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        let signal = status & 0x7F
        continuation.resume(returning: signal == 0 ? (status >> 8) & 0xFF : 128 + signal)
      }
    }
  }
}
