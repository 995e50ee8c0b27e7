// What can go wrong, and the plan by which it does.

import Causality

/// A kind of fault. Each seed switches on some of them.
public enum Fault: String, CaseIterable, Comparable, Sendable {
  /// Datagrams are lost.
  case loss
  /// Links are slow, each in its own way.
  case delay
  /// Datagrams overtake each other.
  case reorder
  /// Datagrams arrive twice.
  case duplication
  /// Datagrams arrive damaged; their seal tells.
  case corruption
  /// The mesh parts in two.
  case partition
  /// One direction of a link is dead.
  case oneWay = "one-way"
  /// A link comes and goes.
  case flap
  /// A link takes everything and delivers late.
  case clog
  /// A node stands still for a while.
  case pause
  /// A node is killed, in the middle of whatever it writes, and comes back.
  case kill
  /// A node loses power and with it what was not synced, and comes back.
  case powerLoss = "power-loss"
  /// What a power loss left behind may be torn and out of order.
  case torn
  /// A node is away for a long time.
  case away
  /// A node joins late.
  case join
  /// Wall clocks differ.
  case clockOffset = "clock-offset"
  /// Wall clocks run fast or slow.
  case clockDrift = "clock-drift"
  /// A wall clock jumps forth or back.
  case clockJump = "clock-jump"
  /// A wall clock stands still for a while.
  case clockFreeze = "clock-freeze"
  /// A disk is full for a while.
  case fullDisk = "full-disk"
  /// A byte on a disk changes by itself.
  case bitRot = "bit-rot"

  /// By the order of the cases.
  public static func < (left: Fault, right: Fault) -> Bool { left.number < right.number }

  /// Its place among the cases.
  var number: Int { Self.allCases.firstIndex(of: self)! }
}

/// A fault that lasts from a time on, somewhere.
struct Episode: Hashable, Sendable {
  var fault: Fault
  var at: Instant
  var length: Span
  /// The first is meant; with partitions all of one side.
  var nodes: [Int]
  /// The other end of a link.
  var peer: Int
  /// A number whose meaning is the fault's own.
  var amount: Int64
}

/// Everything that will go wrong, in order of time.
struct FaultPlan: Sendable {
  var episodes: [Episode] = []

  /// The faults that a seed switches on by itself: each with a chance of about a third.
  static func faults(of seed: UInt64) -> Set<Fault> {
    var random = SeededGenerator.of(seed, 1)
    let likelihood = [0.1, 0.25, 0.4].randomElement(using: &random)!
    return Set(Fault.allCases.filter { _ in random.chance(likelihood) })
  }

  /// Draws the episodes of each kind from a generator of its own: leaving a kind out changes no other.
  init(seed: UInt64, faults: Set<Fault>, nodes: Int, length: Span) {
    for fault in faults.sorted() {
      var random = SeededGenerator.of(seed, 100 + UInt64(fault.number))
      draw(fault, nodes: nodes, length: length, &random)
    }
    episodes.sort { ($0.at, $0.fault) < ($1.at, $1.fault) }
  }

  private mutating func draw(_ fault: Fault, nodes: Int, length: Span, _ random: inout SeededGenerator) {
    let total = max(2_000, length.nanoseconds / 1_000_000)
    func add(_ count: Int, lasting: ClosedRange<UInt64>, amount: ClosedRange<Int64> = 0...0) {
      for _ in 0..<count {
        let start = UInt64.random(in: 500...total, using: &random)
        let order = Array(0..<nodes).shuffled(using: &random)
        let side =
          fault == .partition ? Array(order.prefix(Int.random(in: 1...max(1, nodes / 2), using: &random))) : [order[0]]
        episodes.append(
          Episode(
            fault: fault, at: Instant(nanoseconds: start * 1_000_000), length: random.span(lasting), nodes: side,
            peer: order[nodes > 1 ? 1 : 0], amount: .random(in: amount, using: &random)))
      }
    }
    let some = Int(1 + total / 10_000)
    switch fault {
    case .loss, .delay, .reorder, .duplication, .corruption, .clockOffset, .clockDrift, .torn, .join: break
    case .partition: add(some, lasting: 500...12_000)
    case .oneWay: add(some, lasting: 500...10_000)
    case .flap: add(some, lasting: 2_000...10_000)
    case .clog: add(some, lasting: 200...5_000)
    case .pause: add(some, lasting: 100...6_000)
    case .kill: add(2 * some, lasting: 100...5_000, amount: -1...12)
    case .powerLoss: add(some, lasting: 200...5_000)
    case .away: add(1, lasting: total / 3...total)
    case .clockJump: add(some, lasting: 0...0, amount: -15_000...15_000)
    case .clockFreeze: add(some, lasting: 500...8_000)
    case .fullDisk: add(some, lasting: 500...5_000)
    case .bitRot: add(2 * some, lasting: 0...0, amount: 0...1_000_000)
    }
  }
}
