// Membership: SWIM with Lifeguard, as a value.
//
// Each node probes another one every interval: by turns the next of the ring of ids (so that nobody waits longer than
// two intervals for a probe) and the next of a shuffled round. Who does not answer, neither directly nor through
// helpers, is suspected; it is told first, and has time to refute that shrinks with every further accuser. News rides
// on the packets that are sent anyway and on rounds of gossip while there is any. Nobody who died is given up: it is
// pinged for ever, is told that it is thought dead, and refutes. Full states are exchanged over streams now and then,
// and in datagrams where there is no stream. Nothing here reads a clock, draws its own randomness or does IO.
//
// Sources: Das, Gupta, Motivala, "SWIM", 2002; Dadgar, Phillips, Currey, "Lifeguard", 2017.

import Causality

/// The members of a mesh as one node sees them. Its owner hands in events and performs the effects in their order.
public struct Membership: Sendable {
  /// The largest digest, in bytes.
  public static let digestBytes = Envelope.digestBytes

  enum Phase: Sendable {
    case idle
    case running
    case leaving(until: Instant)
  }

  let configuration: MembershipConfiguration
  let card: MemberCard
  var incarnation: UInt64
  var random: SeededGenerator
  var phase = Phase.idle
  var roster = Roster()
  var queue = RumourQueue()
  var ownDigest: [UInt8] = []
  var ownDigestSum: UInt32 = 0

  var sequence: UInt32
  var probes: [Probe] = []
  var relays: [Relay] = []
  var health = 0
  var ringTurn = true

  var joins: [JoinAddress] = []
  var joinDelay = Span.zero
  var settles = 0
  var pulled: [PulledAddress] = []
  var contradictions = Contradictions()

  var nextProbe: Instant?
  var nextSuspicionPing: Instant?
  var nextGossip: Instant?
  var lastGossip = Instant.zero
  var nextReconnect: Instant?
  var nextExchange: Instant?
  var nextJoin: Instant?
  var nextSettle: Instant?
  var exchangeFreeAt = Instant.zero

  /// A node that has not started. `incarnation` is the durable one of its previous life, or 0: the mesh corrects it.
  ///
  /// - Parameter seed: decides all its choices; two nodes should not share one.
  public init(configuration: MembershipConfiguration, card: MemberCard, incarnation: UInt64, seed: UInt64) {
    precondition(configuration.problems.isEmpty, configuration.problems.joined(separator: "; "))
    precondition(card.isValid && incarnation < Rumour.incarnationLimit)
    self.configuration = configuration
    self.card = card
    self.incarnation = incarnation
    random = SeededGenerator(seed: seed)
    sequence = UInt32.random(in: 1..<8_192, using: &random)
  }

  /// All members, sorted by id: this node, and every other that is remembered, the dead and the left ones too.
  public var members: [Member] {
    var all = roster.peers.map(\.member)
    let own = Member(card: card, incarnation: incarnation, status: ownStatus)
    all.insert(own, at: all.firstIndex { card.id < $0.id } ?? all.endIndex)
    return all
  }

  /// What rides on this node's pings and acks.
  public var digest: [UInt8] { ownDigest }

  /// How unwell this node feels: 0 is well. Lifeguard's local health multiplier is this + 1.
  public var healthScore: Int { health }

  /// When the owner must call with `tick` at the latest; nil when there is nothing to wait for.
  public var nextDeadline: Instant? {
    var earliest: Instant?
    func consider(_ instant: Instant?) {
      guard let instant else { return }
      earliest = min(earliest ?? instant, instant)
    }
    switch phase {
    case .idle: return nil
    case .leaving(let end):
      consider(end)
      consider(nextGossip)
      return earliest
    case .running: break
    }
    for instant in [
      nextProbe, nextSuspicionPing, nextGossip, nextReconnect, nextExchange, nextJoin, nextSettle,
    ] { consider(instant) }
    for probe in probes { consider(probe.deadline) }
    for relay in relays { consider(relay.deadline) }
    for peer in roster.peers { consider(peer.suspicion?.deadline) }
    return earliest
  }

  /// Takes an event in and appends what is to be done.
  public mutating func handle(_ event: MembershipEvent, at now: Instant, into effects: inout [MembershipEffect]) {
    switch event {
    case .start(let addresses): start(join: addresses, at: now, into: &effects)
    case .tick: tick(at: now, into: &effects)
    case .datagram(let bytes, let address): receive(bytes, from: address, at: now, into: &effects)
    case .stateRequested(let token, let bytes):
      receiveState(bytes, at: now, into: &effects)
      if case .running = phase { effects.append(.answerState(token, fullState())) }
    case .stateAnswered(let bytes): receiveState(bytes, at: now, into: &effects)
    case .stateFailed(let address): exchangeFailed(with: address, at: now, into: &effects)
    case .setDigest(let bytes):
      precondition(bytes.count <= Self.digestBytes)
      ownDigest = bytes
      ownDigestSum = DigestNote.sum(of: bytes)
    case .leave: leave(at: now, into: &effects)
    case .forget(let id): forget(id, at: now, into: &effects)
    }
  }

  /// Does all that is due.
  private mutating func tick(at now: Instant, into effects: inout [MembershipEffect]) {
    switch phase {
    case .idle: return
    case .leaving(let end):
      gossip(at: now, into: &effects)
      if now >= end { depart(into: &effects) }
      return
    case .running: break
    }
    forgiveStall(at: now)
    advanceProbes(at: now, into: &effects)
    advanceRelays(at: now, into: &effects)
    endSuspicions(at: now, into: &effects)
    pingSuspects(at: now, into: &effects)
    probe(at: now, into: &effects)
    reconnect(at: now, into: &effects)
    joinAgain(at: now, into: &effects)
    settle(at: now, into: &effects)
    exchange(at: now, into: &effects)
    gossip(at: now, into: &effects)
  }

  var ownStatus: MemberStatus {
    if case .leaving = phase { return .left }
    return .alive
  }

  /// What this node claims about itself.
  var ownRumour: Rumour {
    Rumour(subject: card.id, incarnation: incarnation, status: ownStatus, origin: card.id, card: card)
  }

  /// This node and all active ones.
  var meshSize: Int { roster.activeCount + 1 }

  mutating func nextSequence() -> UInt32 {
    sequence = sequence == .max ? 1 : sequence + 1
    return sequence
  }
}
