// grapevine simulate: the deterministic simulator.

import ArgumentParser
import Causality
import Foundation
import Simulator

/// `grapevine simulate`.
struct SimulateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "simulate",
    abstract: "Run the core of many nodes under virtual time and faults, all decided by a seed.",
    discussion: """
      Each seed draws the nodes, the faults, and what programs do; then everything heals, and all nodes must hold the same
      bytes. A seed that fails is made smaller, and printed as one line that does the same again.

      Examples:
        grapevine simulate --seeds 100
        grapevine simulate --seed 42 --nodes 3 --faults partition,kill --minutes 2 --trace
        grapevine simulate --seed 42 --html timeline.html
      """)

  @Option(name: .long, help: "The first seed. Default: from the clock.")
  var seed: UInt64?

  @Option(name: .long, help: "How many seeds, one after another.")
  var seeds: UInt64 = 1

  @Option(name: .long, help: "Nodes, 2 to 64. Default: the seed decides, 2 to 5.")
  var nodes: Int?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Faults that may strike, with commas between, or `none` or `all`: \(Fault.allCases.map(\.rawValue).joined(separator: ", ")). Default: the seed decides.",
      valueName: "fault,..."))
  var faults: String?

  @Option(name: .long, help: "How long programs work and faults strike, in virtual minutes. Default: the seed decides.")
  var minutes: Double?

  @Option(name: .long, help: ArgumentHelp("Plant a bug, to see it found.", visibility: .hidden))
  var mutation: String?

  @Flag(name: .long, help: "Print what happened on each node.")
  var trace = false

  @Option(
    name: .long,
    help: ArgumentHelp("With --trace: the record of this file, whenever it changes.", valueName: "origin:sequence"))
  var file: String?

  @Option(name: .long, help: ArgumentHelp("Write what happened as one HTML page.", valueName: "file"))
  var html: String?

  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let nodes, !(2...64).contains(nodes) { throw ValidationError("--nodes is 2 to 64.") }
    if seeds == 0 { throw ValidationError("--seeds is at least 1.") }
    if let minutes, !(0.001...10_000).contains(minutes) { throw ValidationError("--minutes is 0.001 to 10000.") }
    if trace || html != nil, seeds > 1 { throw ValidationError("--trace and --html show one seed; leave out --seeds.") }
    _ = try options()
  }

  private func options() throws -> SimulationOptions {
    var options = SimulationOptions()
    options.nodes = nodes
    options.length = minutes.map { Span(nanoseconds: UInt64($0 * 60e9)) }
    options.isTraced = trace || html != nil
    switch faults {
    case nil: break
    case "all"?: options.faults = Set(Fault.allCases)
    case "none"?: options.faults = []
    case let list?:
      options.faults = []
      for name in list.split(separator: ",") {
        guard let fault = Fault(rawValue: String(name)) else {
          throw ValidationError("There is no fault \(name). See grapevine simulate --help.")
        }
        options.faults!.insert(fault)
      }
    }
    if let file {
      let parts = file.split(separator: ":").map(String.init)
      guard parts.count == 2, let origin = NodeID(text: parts[0]), let sequence = UInt64(parts[1]) else {
        throw ValidationError("--file is an origin of sixteen hexadecimal digits and a number: 0123456789abcdef:7.")
      }
      options.watched = Dot(origin, sequence)
    }
    if let mutation {
      guard let known = Mutation(rawValue: mutation) else {
        throw ValidationError("There is no bug \(mutation) to plant.")
      }
      options.mutation = known
    }
    return options
  }

  func run() throws {
    let options = try options()
    let first = seed ?? UInt64(Date().timeIntervalSince1970 * 1_000)
    var summary = SimulationSummary()
    for number in 0..<seeds {
      let report = Simulation.run(seed: first &+ number, options: options)
      summary.add(report)
      if let html { try TimelinePage.html(report).write(toFile: html, atomically: true, encoding: .utf8) }
      if trace, !output.json { print(TimelineText.text(report)) }
      if report.failure != nil {
        let small = Simulation.shrink(report)
        summary.add(failed: small)
        if !output.json {
          StandardError.write(
            "seed \(report.seed): \(small.failure ?? report.failure!)\n  again: \(small.reproduction)")
        }
      }
      if StandardError.isTerminal, seeds > 1, number % 16 == 15 {
        StandardError.write("\(number + 1) of \(seeds) seeds")
      }
    }
    try output.print(summary) { summary.text }
    if !summary.failures.isEmpty { throw ExitCode(1) }
  }
}

/// What came of some seeds.
struct SimulationSummary: Encodable {
  struct Failed: Encodable {
    var seed: UInt64
    var what: String
    var again: String
  }

  var seeds = 0
  var virtualSeconds = 0.0
  var changes: UInt64 = 0
  var faults: [String: UInt64] = [:]
  var slowestConvergenceSeconds = 0.0
  var checksum: String = "0"
  var failures: [Failed] = []

  mutating func add(_ report: SimulationReport) {
    seeds += 1
    virtualSeconds += report.elapsed.seconds
    changes += report.counts.changes
    for (fault, count) in report.counts.faults { faults[fault.rawValue, default: 0] += count }
    slowestConvergenceSeconds = max(slowestConvergenceSeconds, report.converged?.seconds ?? 0)
    checksum = String(report.checksum, radix: 16)
  }

  mutating func add(failed report: SimulationReport) {
    failures.append(
      Failed(seed: report.seed, what: report.failure?.description ?? "", again: report.reproduction))
  }

  var text: String {
    let list = faults.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    return """
      \(seeds) seeds, \(failures.count) failed; \(Int(virtualSeconds)) virtual seconds, \(changes) changes
      slowest convergence after the heal: \(slowestConvergenceSeconds) s; checksum of the last seed \(checksum)
      faults: \(list.isEmpty ? "none" : list)
      """
  }
}
