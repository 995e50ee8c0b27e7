// A suspicion: the more accusers, the sooner it ends.

import Causality

/// The time a suspected member has to refute.
///
/// One accuser may be at fault itself, so it is given the longest time; each independent accuser shortens it.
/// Source: Dadgar, Phillips, Currey, "Lifeguard: Local Health Awareness for More Accurate Failure Detection", 2017.
struct Suspicion: Hashable, Sendable {
  /// When it began.
  private(set) var start: Instant
  /// When the member is dead if it has not refuted.
  private(set) var deadline: Instant
  private var accusers: [NodeID]
  private let shortest: Span
  private let longest: Span
  private let wanted: Int

  /// Begins with one accuser. `wanted` further ones bring it to `shortest`.
  init(by accuser: NodeID, at now: Instant, shortest: Span, longest: Span, wanted: Int) {
    precondition(shortest <= longest && wanted >= 0)
    start = now
    deadline = now
    accusers = [accuser]
    self.shortest = shortest
    self.longest = longest
    self.wanted = wanted
    deadline = now + patience
  }

  /// Takes in another accuser; false when it is not a new one or no more are wanted.
  mutating func confirm(by accuser: NodeID) -> Bool {
    guard accusers.count <= wanted, !accusers.contains(accuser) else { return false }
    accusers.append(accuser)
    deadline = start + patience
    return true
  }

  /// Begins the time anew with the same accusers: this node was not awake to hear a refutation.
  mutating func restart(at now: Instant) {
    start = now
    deadline = now + patience
  }

  /// Who accused first.
  var accuser: NodeID { accusers[0] }

  private var patience: Span {
    guard wanted > 0 else { return shortest }
    let share = binaryLogarithm(Double(accusers.count)) / binaryLogarithm(Double(wanted + 1))
    let low = Double(shortest.nanoseconds)
    let high = Double(longest.nanoseconds)
    return Span(nanoseconds: UInt64(max(low, high - (high - low) * share)))
  }
}
