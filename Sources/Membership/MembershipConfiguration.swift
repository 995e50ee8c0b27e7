// The settings of membership, and three profiles of them.

import Causality

/// How patient and how talkative membership is. Start from a profile: `local`, `lan` or `wan`.
///
/// All nodes of a mesh may differ in these without harm; they should not differ in `mesh`.
public struct MembershipConfiguration: Hashable, Sendable {
  /// The mesh. Datagrams of any other mesh are counted and dropped. Default: none, it must be given.
  public var mesh: UInt64
  /// Time between two scheduled probes, in nanoseconds; a node that feels unwell multiplies it by its health score + 1.
  /// Every second probe goes to the next node of the ring, so a node is probed at least every second interval.
  /// Default: local 500 ms, lan 1.5 s, wan 2.5 s. Range: 50 ms to 60 s, and more than `probeTimeout`.
  public var probeInterval: Span
  /// Time an answer to a probe may take before others are asked to try, and half again that they get; multiplied like
  /// the interval. Default: local 150 ms, lan 400 ms, wan 500 ms. Range: 10 ms to 10 s.
  public var probeTimeout: Span
  /// How many others are asked to probe a node that did not answer. Default: 3. Range: 0 to 8.
  public var indirectProbes: Int
  /// The shortest suspicion, as a multiple of `probeInterval` x max(1.5, log10(nodes)).
  /// Default: local 2.5, lan 1.5, wan 0.9. Range: 0.5 to 20.
  public var suspicionMultiplier: Double
  /// The longest suspicion, that of a single accuser, as a multiple of the shortest. Default: 6. Range: 1 to 20.
  public var suspicionStretch: Double
  /// How many further accusers shrink a suspicion to its shortest. Default: 3. Range: 0 to 16.
  public var confirmations: Int
  /// About how many nodes try a suspected node themselves as soon as they hear of it. Default: 32. Range: 0 to 1,000.
  public var checkers: Int
  /// The highest health score; 0 is well. Default: 4. Range: 0 to 16.
  public var healthMaximum: Int
  /// Time between two rounds of gossip while there is news, in nanoseconds. Fresh news starts a round at once, at the
  /// earliest a quarter of this after the last. Default: local 100 ms, lan and wan 200 ms. Range: 20 ms to 10 s.
  public var gossipInterval: Span
  /// To how many nodes a round of gossip goes. Default: 3. Range: 1 to 16.
  public var gossipFanout: Int
  /// A rumour is sent this many times log2(nodes). Default: 2. Range: 1 to 10.
  public var retransmissions: Int
  /// Time between two exchanges of the full state with a random node, in nanoseconds.
  /// Default: local 15 s, lan 30 s, wan 60 s. Range: 1 s to 1 h.
  public var exchangeInterval: Span
  /// Time between two attempts at a dead node, in nanoseconds, for ever. Default: local 500 ms, lan 1.5 s, wan 2 s.
  /// Range: 100 ms to 10 min.
  public var reconnectInterval: Span
  /// The longest time between two attempts at a join address where no member is, in nanoseconds, for ever.
  /// Default: local 2 s, lan and wan 5 s. Range: 250 ms to 10 min.
  public var rejoinInterval: Span
  /// How long a leaving node goes on telling it, in nanoseconds. Default: 1 s. Range: 0 to 60 s.
  public var leaveDuration: Span
  /// How long a node that left is remembered, in nanoseconds. Default: 24 h. Range: 1 min and more.
  public var rememberLeft: Span
  /// The largest datagram before sealing, in bytes, sent and accepted. Default: 1,400. Range: 1,200 to 1,400.
  public var datagramBytes: Int
  /// How many other nodes are remembered. Default: 4,096. Range: 1 to 4,096.
  public var membersAtMost: Int

  /// The settings of a wide area: regions, up to 300 ms away.
  public static func wan(mesh: UInt64) -> MembershipConfiguration {
    MembershipConfiguration(
      mesh: mesh, probeInterval: .milliseconds(2_500), probeTimeout: .milliseconds(500), suspicionMultiplier: 0.9,
      gossipInterval: .milliseconds(200), exchangeInterval: .seconds(60), reconnectInterval: .seconds(2),
      rejoinInterval: .seconds(5))
  }

  /// The settings of one data centre.
  public static func lan(mesh: UInt64) -> MembershipConfiguration {
    MembershipConfiguration(
      mesh: mesh, probeInterval: .milliseconds(1_500), probeTimeout: .milliseconds(400), suspicionMultiplier: 1.5,
      gossipInterval: .milliseconds(200), exchangeInterval: .seconds(30), reconnectInterval: .milliseconds(1_500),
      rejoinInterval: .seconds(5))
  }

  /// The settings of one machine.
  public static func local(mesh: UInt64) -> MembershipConfiguration {
    MembershipConfiguration(
      mesh: mesh, probeInterval: .milliseconds(500), probeTimeout: .milliseconds(150), suspicionMultiplier: 2.5,
      gossipInterval: .milliseconds(100), exchangeInterval: .seconds(15), reconnectInterval: .milliseconds(500),
      rejoinInterval: .seconds(2))
  }

  private init(
    mesh: UInt64, probeInterval: Span, probeTimeout: Span, suspicionMultiplier: Double, gossipInterval: Span,
    exchangeInterval: Span, reconnectInterval: Span, rejoinInterval: Span
  ) {
    self.mesh = mesh
    self.probeInterval = probeInterval
    self.probeTimeout = probeTimeout
    self.suspicionMultiplier = suspicionMultiplier
    self.gossipInterval = gossipInterval
    self.exchangeInterval = exchangeInterval
    self.reconnectInterval = reconnectInterval
    self.rejoinInterval = rejoinInterval
    indirectProbes = 3
    suspicionStretch = 6
    confirmations = 3
    checkers = 32
    healthMaximum = 4
    gossipFanout = 3
    retransmissions = 2
    leaveDuration = .seconds(1)
    rememberLeft = .seconds(86_400)
    datagramBytes = 1_400
    membersAtMost = 4_096
  }

  /// What is out of range, a sentence each; empty when all is well.
  public var problems: [String] {
    var found: [String] = []
    func check<Value: Comparable>(_ name: String, _ value: Value, _ range: ClosedRange<Value>, _ text: String) {
      if !range.contains(value) { found.append("\(name) must be \(text)") }
    }
    let day = Span.seconds(86_400)
    check("probeInterval", probeInterval, .milliseconds(50)...(.seconds(60)), "50 ms to 60 s")
    check("probeTimeout", probeTimeout, .milliseconds(10)...(.seconds(10)), "10 ms to 10 s")
    if probeTimeout >= probeInterval { found.append("probeTimeout must be shorter than probeInterval") }
    check("indirectProbes", indirectProbes, 0...8, "0 to 8")
    check("suspicionMultiplier", suspicionMultiplier, 0.5...20, "0.5 to 20")
    check("suspicionStretch", suspicionStretch, 1...20, "1 to 20")
    check("confirmations", confirmations, 0...16, "0 to 16")
    check("checkers", checkers, 0...1_000, "0 to 1,000")
    check("healthMaximum", healthMaximum, 0...16, "0 to 16")
    check("gossipInterval", gossipInterval, .milliseconds(20)...(.seconds(10)), "20 ms to 10 s")
    check("gossipFanout", gossipFanout, 1...16, "1 to 16")
    check("retransmissions", retransmissions, 1...10, "1 to 10")
    check("exchangeInterval", exchangeInterval, .seconds(1)...(.seconds(3_600)), "1 s to 1 h")
    check("reconnectInterval", reconnectInterval, .milliseconds(100)...(.seconds(600)), "100 ms to 10 min")
    check("rejoinInterval", rejoinInterval, .milliseconds(250)...(.seconds(600)), "250 ms to 10 min")
    check("leaveDuration", leaveDuration, .zero...(.seconds(60)), "0 to 60 s")
    check("rememberLeft", rememberLeft, .seconds(60)...(day * 36_500), "1 min and more")
    check("datagramBytes", datagramBytes, 1_200...1_400, "1,200 to 1,400")
    check("membersAtMost", membersAtMost, 1...4_096, "1 to 4,096")
    return found
  }

  /// The shortest suspicion in a mesh of so many nodes.
  func shortestSuspicion(nodes: Int) -> Span {
    probeInterval * (suspicionMultiplier * max(1.5, decimalLogarithm(Double(max(1, nodes)))))
  }

  /// How often a rumour is sent in a mesh of so many nodes.
  func transmissions(nodes: Int) -> Int {
    retransmissions * (Int.bitWidth - max(1, nodes).leadingZeroBitCount)
  }
}
