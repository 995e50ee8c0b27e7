// Finding the mesh, and finding it again.

import Causality

/// A place where other nodes may be.
struct JoinAddress: Sendable {
  var address: String
  /// The last attempt.
  var sequence: UInt32 = 0
  var attempts = 0
  /// Who answered last; may be this node itself.
  var answeredBy: NodeID?
}

/// An address that was asked for its state, and when.
struct PulledAddress: Sendable {
  var address: String
  var at: Instant
}

extension Membership {
  /// Begins: tries all join addresses at once.
  mutating func start(join addresses: [String], at now: Instant, into effects: inout [MembershipEffect]) {
    if case .running = phase { return }
    if case .leaving = phase { raiseIncarnation(into: &effects) }
    phase = .running
    joins = addresses.map { JoinAddress(address: $0) }
    joinDelay = .milliseconds(250)
    nextProbe = now + configuration.probeInterval * Double.random(in: 0..<1, using: &random)
    nextExchange = now + exchangePause()
    nextJoin = joins.isEmpty ? nil : now
    scheduleReconnect(at: now)
    joinAgain(at: now, into: &effects)
  }

  private mutating func raiseIncarnation(into effects: inout [MembershipEffect]) {
    incarnation += 1
    effects.append(.incarnation(incarnation))
  }

  /// Tries the join addresses where no live member is; every third time over a stream too. For ever.
  mutating func joinAgain(at now: Instant, into effects: inout [MembershipEffect]) {
    guard let due = nextJoin, due <= now else { return }
    var isComplete = true
    for place in joins.indices where !isAnswered(joins[place]) {
      isComplete = false
      joins[place].attempts += 1
      joins[place].sequence = nextSequence()
      let address = joins[place].address
      send(.pull(joins[place].sequence, ownRumour), to: address, peer: nil, into: &effects)
      if joins[place].attempts % 3 == 0 { effects.append(.exchangeState(fullState(), with: address)) }
    }
    joinDelay = isComplete ? .milliseconds(250) : min(joinDelay * 2, configuration.rejoinInterval)
    nextJoin = now + (isComplete ? configuration.rejoinInterval : joinDelay)
  }

  private func isAnswered(_ join: JoinAddress) -> Bool {
    if join.address == card.gossip { return true }
    // A name may stand for several nodes, this one among them: alone it goes on asking.
    if join.answeredBy == card.id { return roster.activeCount > 0 }
    if let id = join.answeredBy, roster[id]?.isActive == true { return true }
    return roster.peers.contains { $0.isActive && $0.member.card.gossip == join.address }
  }

  /// A state arrived: perhaps the answer of a join address. A little later others are asked too, since many may be
  /// joining at once; and what did not fit into datagrams is fetched over a stream.
  mutating func joined(
    _ sequence: UInt32, through sender: NodeID, complete: Bool, at now: Instant, into effects: inout [MembershipEffect]
  ) {
    if let place = joins.firstIndex(where: { $0.sequence == sequence && sequence != 0 }) {
      if joins[place].answeredBy == nil { beginSettling(at: now) }
      joins[place].answeredBy = sender
    }
    guard !complete, let peer = roster[sender], !peer.member.card.sync.isEmpty, exchangeFreeAt <= now else { return }
    exchangeFreeAt = now + .milliseconds(500)
    effects.append(.exchangeState(fullState(), with: peer.member.card.sync))
  }

  /// For a short while random members are asked for their state.
  mutating func beginSettling(at now: Instant) {
    settles = 3
    nextSettle = min(nextSettle ?? .init(nanoseconds: .max), now + .milliseconds(400))
  }

  /// Asks a random member for its state, while settling.
  mutating func settle(at now: Instant, into effects: inout [MembershipEffect]) {
    guard let due = nextSettle, due <= now else { return }
    settles -= 1
    nextSettle = settles > 0 ? now + .milliseconds(600) : nil
    for peer in roster.pick(1, using: &random, where: { $0.member.status == .alive }) {
      pull(from: peer.member.card.gossip, peer: peer.id, at: now, into: &effects)
    }
  }

  /// Asks an address for its state by datagram, at most twice a second.
  mutating func pull(
    from address: String, peer: NodeID, at now: Instant, into effects: inout [MembershipEffect]
  ) {
    pulled.removeAll { now - $0.at >= .milliseconds(500) }
    guard pulled.count < 64, !pulled.contains(where: { $0.address == address }) else { return }
    pulled.append(PulledAddress(address: address, at: now))
    send(.pull(nextSequence(), ownRumour), to: address, peer: peer, into: &effects)
  }

  /// Says goodbye: to some members at once, then by gossip for a while.
  mutating func leave(at now: Instant, into effects: inout [MembershipEffect]) {
    guard case .running = phase else { return }
    phase = .leaving(until: now + configuration.leaveDuration)
    queue.clear()
    var goodbye = ownRumour
    goodbye.card = nil
    spread(goodbye, at: now)
    for peer in roster.pick(32, using: &random, where: { $0.isActive }) {
      send(.gossip, to: peer.member.card.gossip, peer: peer.id, first: [goodbye], into: &effects)
    }
    probes.removeAll()
    relays.removeAll()
    if roster.activeCount == 0 { depart(into: &effects) }
  }

  /// The goodbye has been said.
  mutating func depart(into effects: inout [MembershipEffect]) {
    raiseIncarnation(into: &effects)
    phase = .idle
    queue.clear()
    nextGossip = nil
    effects.append(.departed)
  }

  /// Declares a member gone for good.
  mutating func forget(_ id: NodeID, at now: Instant, into effects: inout [MembershipEffect]) {
    guard let peer = roster[id] else { return }
    let rumour = Rumour(
      subject: id, incarnation: peer.member.incarnation, status: .left, origin: card.id, card: nil)
    learn(rumour, through: .gossip, at: now, into: &effects)
  }
}
