// Probes: direct, then through helpers, with nacks and the local health.

import Causality

/// A ping that waits for its answer.
struct Probe: Sendable {
  var sequence: UInt32
  var target: NodeID
  /// The incarnation that is accused if no answer comes.
  var incarnation: UInt64
  var sent: Instant
  /// When the next step is due: first the helpers, then the verdict.
  var deadline: Instant
  /// How many helpers were asked; nil before that.
  var helpers: Int?
  var nacks = 0
}

/// A ping on behalf of another node.
struct Relay: Sendable {
  /// Who asked, from where, and under which sequence.
  struct Request: Sendable {
    var address: String
    var sequence: UInt32
    var by: NodeID
  }

  var sequence: UInt32
  var target: NodeID
  var request: Request
  /// First when the nack is due, then when the relay is forgotten.
  var deadline: Instant
  var nacked = false

  static let atMost = 256
}

extension Membership {
  /// The scheduled probe: by turns the next of the ring and the next of the shuffled round.
  mutating func probe(at now: Instant, into effects: inout [MembershipEffect]) {
    guard let due = nextProbe, due <= now else { return }
    nextProbe = now + configuration.probeInterval * Double(health + 1)
    dropForgotten(at: now)
    let target = ringTurn ? roster.successor(of: card.id) : roster.nextInOrder(using: &random)
    ringTurn.toggle()
    if let target { startProbe(of: target, at: now, into: &effects) }
  }

  /// Pings a member and waits for the answer.
  mutating func startProbe(of id: NodeID, at now: Instant, into effects: inout [MembershipEffect]) {
    guard let peer = roster[id], !probes.contains(where: { $0.target == id }) else { return }
    let probe = Probe(
      sequence: nextSequence(), target: id, incarnation: peer.member.incarnation, sent: now,
      deadline: now + patience(for: peer))
    probes.append(probe)
    let ping = Packet.ping(probe.sequence, target: id, digestNote(for: id))
    send(ping, to: peer.member.card.gossip, peer: id, into: &effects)
  }

  /// How long an answer may take: longer for a far node, and when this node feels unwell.
  private func patience(for peer: Peer) -> Span {
    max(configuration.probeTimeout, (peer.member.roundTrip ?? .zero) * 3) * Double(health + 1)
  }

  /// Asks helpers where no direct answer came, and accuses where none came at all.
  mutating func advanceProbes(at now: Instant, into effects: inout [MembershipEffect]) {
    for probe in probes where probe.deadline <= now {
      guard let place = probes.firstIndex(where: { $0.sequence == probe.sequence }) else { continue }
      guard let peer = roster[probe.target], peer.isActive else {
        probes.remove(at: place)
        continue
      }
      if let helpers = probe.helpers {
        probes.remove(at: place)
        let missed = helpers - probe.nacks
        noteHealth(helpers > 0 ? missed : 1)
        accuse(peer, incarnation: probe.incarnation, at: now, into: &effects)
      } else {
        askHelpers(probe, at: place, peer: peer, now: now, into: &effects)
      }
    }
  }

  private mutating func askHelpers(
    _ probe: Probe, at place: Int, peer: Peer, now: Instant, into effects: inout [MembershipEffect]
  ) {
    let helpers = roster.pick(configuration.indirectProbes, using: &random) {
      $0.member.status == .alive && $0.id != probe.target
    }
    probes[place].helpers = helpers.count
    probes[place].deadline = now + patience(for: peer) * 1.5
    let address = peer.member.card.gossip
    for helper in helpers {
      let request = Packet.pingRequest(probe.sequence, target: probe.target, address: address)
      send(request, to: helper.member.card.gossip, peer: helper.id, into: &effects)
    }
    let ping = Packet.ping(probe.sequence, target: probe.target, digestNote(for: probe.target))
    send(ping, to: address, peer: probe.target, into: &effects)
  }

  /// An answer from the target itself.
  mutating func acknowledge(
    _ sequence: UInt32, by sender: NodeID, at now: Instant, into effects: inout [MembershipEffect]
  ) {
    guard sequence != 0 else { return }
    if let place = probes.firstIndex(where: { $0.sequence == sequence && $0.target == sender }) {
      let probe = probes.remove(at: place)
      noteHealth(-1)
      if probe.helpers == nil, let index = roster.index(of: sender) {
        let sample = now - probe.sent
        let old = roster[index].member.roundTrip ?? sample
        roster[index].member.roundTrip = Span(nanoseconds: (old.nanoseconds * 7 + sample.nanoseconds) / 8)
      }
    } else if let place = relays.firstIndex(where: { $0.sequence == sequence && $0.target == sender }) {
      let relay = relays.remove(at: place)
      let first = roster[sender].map { [claim(about: $0, withCard: true)] } ?? []
      let request = relay.request
      send(.relayed(request.sequence), to: request.address, peer: request.by, first: first, into: &effects)
    } else {
      effects.append(.counted(.late))
    }
  }

  /// A helper's word that the target answered it.
  mutating func acknowledgeRelayed(_ sequence: UInt32, at now: Instant, into effects: inout [MembershipEffect]) {
    guard let place = probes.firstIndex(where: { $0.sequence == sequence }) else {
      return effects.append(.counted(.late))
    }
    let probe = probes.remove(at: place)
    noteHealth(-1)
    if let index = roster.index(of: probe.target) { roster[index].member.lastHeard = now }
  }

  /// A helper's word that it is well and the target has not answered it so far.
  mutating func noteNack(_ sequence: UInt32) {
    guard let place = probes.firstIndex(where: { $0.sequence == sequence }) else { return }
    probes[place].nacks = min(probes[place].nacks + 1, probes[place].helpers ?? 0)
  }

  /// Pings the target for another node.
  mutating func relay(
    _ request: Relay.Request, target: NodeID, at address: String, now: Instant, into effects: inout [MembershipEffect]
  ) {
    guard target != card.id, relays.count < Relay.atMost else { return }
    let relay = Relay(
      sequence: nextSequence(), target: target, request: request, deadline: now + configuration.probeTimeout * 0.9)
    relays.append(relay)
    let ping = Packet.ping(relay.sequence, target: target, digestNote(for: target))
    send(ping, to: roster[target]?.member.card.gossip ?? address, peer: target, into: &effects)
  }

  /// Sends the nacks that are due, and forgets relays nobody waits for.
  mutating func advanceRelays(at now: Instant, into effects: inout [MembershipEffect]) {
    for place in relays.indices where relays[place].deadline <= now && !relays[place].nacked {
      let request = relays[place].request
      send(.nack(request.sequence), to: request.address, peer: nil, into: &effects)
      relays[place].nacked = true
      relays[place].deadline = now + configuration.probeTimeout * Double(configuration.healthMaximum + 1)
    }
    relays.removeAll { $0.nacked && $0.deadline <= now }
  }

  /// Lifeguard's local health: worse by so much, or better.
  mutating func noteHealth(_ change: Int) {
    health = min(max(health + change, 0), configuration.healthMaximum)
  }

  /// A process that was stopped must not take its own silence for that of others: what ran out meanwhile begins anew.
  mutating func forgiveStall(at now: Instant) {
    guard let due = nextDeadline, now - due > configuration.probeInterval else { return }
    noteHealth(1)
    for place in probes.indices { probes[place].deadline = now + configuration.probeTimeout }
    for index in roster.peers.indices { roster[index].suspicion?.restart(at: now) }
  }
}
