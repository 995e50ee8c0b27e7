// One seed, one run, one report.

import Causality

/// What to run; what is nil the seed decides.
public struct SimulationOptions: Hashable, Sendable {
  /// Nodes: 2 to 64.
  public var nodes: Int?
  /// The faults that may strike.
  public var faults: Set<Fault>?
  /// How long programs work and faults strike, in virtual time; nil: 10 to 60 s.
  public var length: Span?
  /// How long all nodes may take after the heal until they hold the same.
  public var patience = Span.seconds(30)
  /// A planted bug.
  public var mutation: Mutation?
  /// Whether to keep a timeline.
  public var isTraced = false
  /// A file whose record the timeline shows whenever it changes.
  public var watched: Dot?

  /// Everything as the seed decides.
  public init() {}
}

/// How a run went.
public struct SimulationReport: Sendable {
  /// The seed.
  public var seed: UInt64
  /// How many nodes.
  public var nodes: Int
  /// Which faults could strike.
  public var faults: Set<Fault>
  /// How long programs worked and faults struck.
  public var length: Span
  /// A planted bug.
  public var mutation: Mutation?
  /// What was found wrong; nil when all held.
  public var failure: Failure?
  /// How long after the heal all nodes held the same.
  public var converged: Span?
  /// Virtual time that passed.
  public var elapsed: Span
  /// A checksum of all that happened: equal runs have equal ones.
  public var checksum: UInt64
  /// How much of what went on.
  public var counts: SimulationCounts
  /// What happened, when it was asked for.
  public var timeline: [TimelineEntry]

  /// The command line that does the same again.
  public var reproduction: String {
    let list = faults.isEmpty ? "none" : faults.sorted().map(\.rawValue).joined(separator: ",")
    var line = "grapevine simulate --seed \(seed) --nodes \(nodes) --faults \(list) --minutes \(length.seconds / 60)"
    if let mutation { line += " --mutation \(mutation.rawValue)" }
    return line
  }

  /// The options that do the same again.
  public var options: SimulationOptions {
    var options = SimulationOptions()
    options.nodes = nodes
    options.faults = faults
    options.length = length
    options.mutation = mutation
    return options
  }
}

/// Runs of the simulator.
public enum Simulation {
  /// Runs one seed.
  public static func run(seed: UInt64, options: SimulationOptions = SimulationOptions()) -> SimulationReport {
    var choice = SeededGenerator.of(seed, 2)
    let (nodes, length) = (Int.random(in: 2...5, using: &choice), choice.span(10_000...60_000))
    let faults = (options.faults ?? FaultPlan.faults(of: seed)).union(options.mutation?.needs ?? [])
    let world = World(
      seed: seed, nodes: max(2, min(64, options.nodes ?? nodes)), faults: faults, length: options.length ?? length,
      options)
    let converged = world.run(patience: options.patience)
    return SimulationReport(
      seed: seed, nodes: world.hosts.count, faults: faults, length: world.length, mutation: options.mutation,
      failure: world.failure, converged: converged, elapsed: world.now - .zero, checksum: world.sum.value,
      counts: world.counts, timeline: world.timeline)
  }

  /// Makes a failing run smaller while it still fails: fewer nodes, fewer faults, shorter.
  ///
  /// - Parameter tries: how many runs that may take.
  public static func shrink(_ report: SimulationReport, tries: Int = 60) -> SimulationReport {
    var best = report
    var left = tries
    func attempt(_ change: (inout SimulationOptions) -> Void) -> Bool {
      guard left > 0 else { return false }
      left -= 1
      var options = best.options
      change(&options)
      let other = run(seed: report.seed, options: options)
      guard other.failure != nil else { return false }
      best = other
      return true
    }
    if let failure = best.failure, failure.kind != .liveness {
      _ = attempt { $0.length = min($0.length!, (failure.at - .zero) + .milliseconds(1)) }
    }
    for fault in report.faults.sorted() { _ = attempt { $0.faults!.remove(fault) } }
    for nodes in stride(from: 2, to: best.nodes, by: 1) where attempt({ $0.nodes = nodes }) { break }
    while best.length > .seconds(2), attempt({ $0.length = $0.length! * 0.6 }) {}
    for fault in best.faults.sorted() { _ = attempt { $0.faults!.remove(fault) } }
    return best
  }
}
