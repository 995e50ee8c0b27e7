// grapevine demo: three nodes, a partition, and the same bytes everywhere.

import ArgumentParser
import Dispatch
import Foundation

/// `grapevine demo`.
struct DemoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "demo", abstract: "Three nodes on this machine: convergence, a partition, a heal, a conflict.",
    discussion: """
      Starts three nodes in three regions with a mount each, copies a tree into one mount, cuts one node off, writes on
      both sides, heals, and compares everything. Cleans up. Exit status 0 only if all of it held.

      Example:
        grapevine demo
        grapevine demo --source /usr/share/doc
      """)

  @Option(name: .long, help: "The directory that is copied. Default: one of the system's, a few megabytes.")
  var source: String?

  @Flag(name: .long, help: "Leave the directory with data and logs; the nodes are stopped all the same.")
  var keep = false

  @OptionGroup var output: OutputOptions

  /// What was shown.
  struct Report: Encodable {
    var held: Bool
    var seconds: Double
    var directory: String
    var steps: [Step]
  }

  /// One thing that was shown.
  struct Step: Encodable {
    var name: String
    var held: Bool
    var detail: String
    var seconds: Double
  }

  private static let sources = ["/usr/include/linux", "/usr/share/zoneinfo", "/usr/include", "/etc/ssl"]

  func validate() throws {
    if let source, !FileManager.default.fileExists(atPath: source) {
      throw ValidationError("There is no directory \(source).")
    }
  }

  func run() throws {
    let start = Date()
    let mesh = try DemoMesh(regions: ["lhr", "ord", "syd"], keeps: keep)
    let signals = [SIGINT, SIGTERM, SIGHUP].map { (number: Int32) -> any DispatchSourceSignal in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        StandardError.write("\ngrapevine: stopping, cleaning up")
        mesh.end()
        Foundation.exit(128 + number)
      }
      source.resume()
      return source
    }
    defer {
      mesh.end()
      for signal in signals { signal.cancel() }
    }
    let tree = source ?? Self.sources.first { FileManager.default.fileExists(atPath: $0) } ?? "/etc"
    let story = DemoStory(mesh: mesh, source: tree, isQuiet: output.json)
    do {
      try story.tell()
    } catch {
      story.failed(error)
    }
    story.say("Stopping the nodes, unmounting, cleaning up")
    mesh.end()
    let report = Report(
      held: story.steps.allSatisfy(\.held), seconds: Date().timeIntervalSince(start),
      directory: keep ? mesh.directory : "", steps: story.steps)
    try output.print(report) {
      let kept = keep ? "\nKept: \(mesh.directory)" : ""
      return report.held
        ? "\nAll of it held, in \(Int(report.seconds.rounded())) s.\(kept)"
        : "\nNOT all of it held.\(kept)"
    }
    if !report.held { throw ExitCode(1) }
  }
}
