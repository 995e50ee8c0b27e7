// grapevine lab: a scenario on real nodes, in namespaces that end with it.

import ArgumentParser
import Daemon
import Dispatch
import Foundation

/// `grapevine lab`.
struct LabCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "lab", abstract: "Play a scenario on real nodes: partitions, kills, absences, bad links.",
    subcommands: [LabRunCommand.self, LabWorkCommand.self])
}

/// `grapevine lab run`.
struct LabRunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Play a scenario and judge what came of it.",
    discussion: """
      Every node is a process with a mount and an address of its own; packets between them pass a router that can hold
      back, lose and delay them. Programs work on the mounts while the scenario's steps happen; then everything is mended,
      and all nodes must come to one tree that holds every acknowledged write, or lists it as a conflict. Nothing stays
      mounted or running, whatever happens. Exit status 0 only if all of it held.

      Example:
        grapevine lab run Config/scenarios/split-and-heal.toml
      """)

  @Argument(help: "The scenario's file.")
  var scenario: String

  @Option(name: .long, help: "Seed of what the links lose and how late they are.")
  var seed: UInt64 = 1

  @Flag(name: .long, help: "Leave the directory with data and logs.")
  var keep = false

  @OptionGroup var output: OutputOptions

  @Option(name: .long, help: .private)
  var inside: String?

  func run() throws {
    let loaded = try LabScenario.load(path: scenario)
    if let inside { return try play(loaded, in: inside) }
    for (path, what) in [("/dev/fuse", "mount"), ("/dev/net/tun", "make a network")]
    where access(path, R_OK | W_OK) != 0 || getuid() != 0 {
      throw CommandFailure(
        what: "the lab cannot \(what)", why: "\(path) may not be opened by this user",
        remedy: "Run it as root on a machine with FUSE and tunnel devices.")
    }
    let directory = NSTemporaryDirectory() + "gv-lab-\(getpid())"
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let status = try LabCell.run(
      ["--inside", directory, "--seed", String(seed), scenario] + (output.json ? ["--json"] : []))
    if keep {
      StandardError.write("grapevine: kept \(directory)")
    } else {
      try? FileManager.default.removeItem(atPath: directory)
    }
    throw ExitCode(status)
  }

  /// The first process of the cell: plays the scenario.
  private func play(_ scenario: LabScenario, in directory: String) throws {
    let run = try LabRun(scenario, directory: directory, seed: seed, isQuiet: output.json)
    LabCell.endWithParent { run.killNodes() }
    let report = run.play()
    try output.print(report) { LabReport.text(of: report) }
    if !report.held { throw ExitCode(1) }
  }
}

/// Namespaces for mounts, processes and networks. When the first process in them ends the kernel ends all others, and
/// with the last of them mounts and networks go.
enum LabCell {
  /// Runs `grapevine lab run` with these arguments in a new cell; returns its status.
  static func run(_ arguments: [String]) throws -> Int32 {
    var line: [Int32] = [0, 0]
    guard pipe(&line) == 0 else { throw CommandFailure(what: "no pipe", why: String(cString: strerror(errno))) }
    _ = fcntl(line[1], F_SETFD, FD_CLOEXEC)
    let binary = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path
    let child = try LabProcess.start(
      ["/usr/bin/unshare", "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc", binary, "lab", "run"]
        + arguments, input: line[0])
    close(line[0])
    let lifeline = Lifeline(line[1])
    let sources = [SIGINT, SIGTERM, SIGHUP].map { (number: Int32) -> any DispatchSourceSignal in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { lifeline.end() }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    let status = child.wait()
    lifeline.end()
    return status
  }

  /// Ends this process, and so the cell, when the one outside is gone or was told to end: its end of the pipe closes.
  static func endWithParent(_ before: @escaping @Sendable () -> Void) {
    Thread.detachNewThread {
      var byte: UInt8 = 0
      while read(STDIN_FILENO, &byte, 1) != 0 {}
      before()
      _exit(1)
    }
  }
}

/// The end of a pipe that tells the cell to go on; closed once.
private final class Lifeline: @unchecked Sendable {
  private let lock = NSLock()
  private var descriptor: Int32

  init(_ descriptor: Int32) { self.descriptor = descriptor }

  func end() {
    lock.withLock {
      if descriptor >= 0 { close(descriptor) }
      descriptor = -1
    }
  }
}
