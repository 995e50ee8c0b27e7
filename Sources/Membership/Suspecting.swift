// From an unanswered probe to a suspicion, and from that to a death.

import Causality

extension Membership {
  /// Accuses a member that did not answer: it is told first, also over a stream.
  mutating func accuse(
    _ peer: Peer, incarnation accused: UInt64, at now: Instant, into effects: inout [MembershipEffect]
  ) {
    guard peer.isActive, peer.member.incarnation == accused else { return }
    let rumour = Rumour(subject: peer.id, incarnation: accused, status: .suspect, origin: card.id, card: nil)
    let isNew = peer.member.status == .alive
    learn(rumour, through: .gossip, at: now, into: &effects)
    guard isNew, let suspect = roster[peer.id] else { return }
    tell(suspect, into: &effects)
    if !suspect.member.card.sync.isEmpty {
      effects.append(.exchangeState(fullState(), with: suspect.member.card.sync))
    }
  }

  /// Begins a suspicion of the member at a place. Who hears of one tries for itself, so that the truly dead are soon
  /// accused by many.
  mutating func suspect(
    at index: Int, _ rumour: Rumour, now: Instant, into effects: inout [MembershipEffect]
  ) {
    let nodes = meshSize
    let shortest = configuration.shortestSuspicion(nodes: nodes)
    let wanted = min(configuration.confirmations, max(0, nodes - 2))
    roster[index].member.incarnation = rumour.incarnation
    roster.setStatus(.suspect, at: index, now: now, using: &random)
    roster[index].suspicion = Suspicion(
      by: rumour.origin, at: now, shortest: shortest, longest: shortest * configuration.suspicionStretch,
      wanted: wanted)
    effects.append(.changed(roster[index].member))
    spread(rumour, at: now)
    nextSuspicionPing = min(nextSuspicionPing ?? .init(nanoseconds: .max), now + configuration.probeTimeout * 0.5)
    if rumour.origin != card.id, isChecker() { startProbe(of: rumour.subject, at: now, into: &effects) }
  }

  /// Whether this node is one of those who try; in a small mesh everyone is.
  mutating func isChecker() -> Bool {
    Int.random(in: 0..<max(1, roster.activeCount), using: &random) < configuration.checkers
  }

  /// Goes on telling suspects, so that neither loss nor bad luck kills anyone.
  mutating func pingSuspects(at now: Instant, into effects: inout [MembershipEffect]) {
    guard let due = nextSuspicionPing, due <= now else { return }
    let suspects = roster.pick(Self.suspectsAtOnce, using: &random) { $0.member.status == .suspect }
    nextSuspicionPing = suspects.isEmpty ? nil : now + configuration.probeTimeout * 0.5
    for suspect in suspects where isChecker() { tell(suspect, into: &effects) }
  }

  /// How many suspects are told in one go.
  private static let suspectsAtOnce = 16

  /// Those who did not refute in time are dead.
  mutating func endSuspicions(at now: Instant, into effects: inout [MembershipEffect]) {
    for peer in roster.peers {
      guard let suspicion = peer.suspicion, suspicion.deadline <= now else { continue }
      let rumour = Rumour(
        subject: peer.id, incarnation: peer.member.incarnation, status: .dead, origin: card.id, card: nil)
      learn(rumour, through: .gossip, at: now, into: &effects)
    }
  }

  /// Drops members that left long ago.
  mutating func dropForgotten(at now: Instant) {
    guard roster.peers.count > roster.activeCount else { return }
    roster.remove { $0.member.status == .left && now - $0.since >= configuration.rememberLeft }
  }
}
