// A scenario of the lab: nodes, links, what programs do, and what goes wrong when.

import Causality

/// What `grapevine lab run` plays on real nodes.
public struct LabScenario: Sendable {
  /// How a link carries packets, one way.
  public struct Shape: Hashable, Sendable {
    /// How long a packet takes at least.
    public var delay = Span.zero
    /// How much longer it may take; more than zero reorders packets.
    public var jitter = Span.zero
    /// How many of a million packets are lost.
    public var lossPerMillion: UInt64 = 0
    /// Bytes a second; 0 for as many as there are.
    public var bytesPerSecond: UInt64 = 0

    /// A link that does nothing to packets.
    public init() {}
  }

  /// What is done at a step.
  public enum Action: Hashable, Sendable {
    /// Cuts every link between nodes of different groups.
    case split([[String]])
    /// Loses what some nodes send to others; the other way stays.
    case cut(from: [String], to: [String])
    /// Mends every link.
    case heal
    /// Kills nodes.
    case kill([String])
    /// Stops nodes in order.
    case stop([String])
    /// Starts nodes.
    case start([String])
    /// Stops the time of nodes.
    case freeze([String])
    /// Lets it go on.
    case thaw([String])
    /// Gives the links between the nodes, or all when none is named, another shape.
    case shape(Shape, between: [String])
    /// Runs a shell command on nodes.
    case run(String, [String])
  }

  /// Something that happens at a time.
  public struct Step: Hashable, Sendable {
    /// When, after the workload began.
    public var at: Span
    /// What.
    public var action: Action
  }

  /// Where the scenario was read from.
  public var file = ""
  /// What it shows, in a sentence.
  public var about = ""
  /// The region of each node.
  public var regions: [String] = []
  /// The timing of gossip.
  public var profile = Configuration.Profile.local
  /// For how long programs work.
  public var duration = Span.seconds(10)
  /// How long all nodes may take to come to one tree once everything is mended.
  public var settleWithin = Span.seconds(60)
  /// Every link.
  public var link = Shape()
  /// Links that differ from it: two nodes and the shape between them.
  public var paths: [(between: [String], shape: Shape)] = []
  /// The shell command that works on each node; empty for the built-in one.
  public var workload = ""
  /// The nodes it works on.
  public var workloadNodes: [String] = []
  /// The shell command that judges the mount of each node in the end; empty for none.
  public var check = ""
  /// What goes wrong, by time.
  public var steps: [Step] = []

  /// Names of the nodes: the region and a number, as `grapevine cluster create` gives them.
  public var nodes: [String] { Self.names(of: regions) }

  static func names(of regions: [String]) -> [String] {
    var counts: [String: Int] = [:]
    return regions.map { region in
      counts[region, default: 0] += 1
      return "\(region)-\(counts[region]!)"
    }
  }
}

extension LabScenario.Action: CustomStringConvertible {
  /// The step as the report tells it.
  public var description: String {
    switch self {
    case .split(let groups): "split " + groups.map { $0.joined(separator: " ") }.joined(separator: " | ")
    case .cut(let from, let to): "cut \(from.joined(separator: " ")) -> \(to.joined(separator: " "))"
    case .heal: "heal"
    case .kill(let nodes): "kill " + nodes.joined(separator: " ")
    case .stop(let nodes): "stop " + nodes.joined(separator: " ")
    case .start(let nodes): "start " + nodes.joined(separator: " ")
    case .freeze(let nodes): "freeze " + nodes.joined(separator: " ")
    case .thaw(let nodes): "thaw " + nodes.joined(separator: " ")
    case .shape(let shape, let nodes):
      "link \(nodes.isEmpty ? "all" : nodes.joined(separator: " ")): \(shape)"
    case .run(let command, let nodes): "run on \(nodes.joined(separator: " ")): \(command)"
    }
  }
}

extension LabScenario.Shape: CustomStringConvertible {
  /// The shape as the report tells it.
  public var description: String {
    var parts: [String] = []
    if delay > .zero { parts.append("delay \(Quantities.text(of: delay))") }
    if jitter > .zero { parts.append("jitter \(Quantities.text(of: jitter))") }
    if lossPerMillion > 0 { parts.append("loss \(Double(lossPerMillion) / 10_000)%") }
    if bytesPerSecond > 0 { parts.append("\(bytesPerSecond / 1_000) kB/s") }
    return parts.isEmpty ? "plain" : parts.joined(separator: ", ")
  }
}
