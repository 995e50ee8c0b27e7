// What a rumour changes: the precedence of claims.

import Causality

/// How a rumour came.
enum Channel: Hashable, Sendable {
  /// As news, or as this node's own finding.
  case gossip
  /// In the full state of this node: no news, so its deaths are only suspicions here.
  case state(NodeID)
}

extension Membership {
  /// Takes a rumour in. Of two claims about a member the one of the higher incarnation holds, and of one incarnation
  /// the worse.
  mutating func learn(
    _ rumour: Rumour, through channel: Channel, at now: Instant, into effects: inout [MembershipEffect]
  ) {
    if rumour.subject == card.id { return hearOfSelf(rumour, at: now, into: &effects) }
    guard let index = roster.index(of: rumour.subject) else { return meet(rumour, at: now, into: &effects) }
    let known = roster[index].member
    guard rumour.incarnation >= known.incarnation else { return }
    let isNewer = rumour.incarnation > known.incarnation
    switch rumour.status {
    case .alive:
      if isNewer {
        hearAlive(rumour, index: index, at: now, into: &effects)
      } else if !known.status.isActive, let address = rumour.card?.gossip {
        // Someone knows it to be alive, so it does not know that it is thought gone: it is told, and refutes.
        tell(roster[index], at: address, into: &effects)
      }
    case .suspect: hearSuspect(rumour, index: index, at: now, into: &effects)
    case .dead:
      if known.status.isActive {
        hearDead(rumour, index: index, through: channel, at: now, into: &effects)
      } else if isNewer {
        roster[index].member.incarnation = rumour.incarnation
        if known.status == .left { settle(index, as: .dead, rumour, at: now, into: &effects) }
      }
    case .left:
      if known.status != .left || isNewer { settle(index, as: .left, rumour, at: now, into: &effects) }
    }
  }

  /// A member that was not known. Without its card nothing can be done with it.
  private mutating func meet(_ rumour: Rumour, at now: Instant, into effects: inout [MembershipEffect]) {
    guard let other = rumour.card, rumour.status != .left else { return }
    guard card.isCompatible(with: other) else { return effects.append(.counted(.incompatible)) }
    guard roster.peers.count < configuration.membersAtMost else { return effects.append(.counted(.overfull)) }
    let status: MemberStatus = rumour.status == .dead ? .dead : .alive
    let member = Member(card: other, incarnation: rumour.incarnation, status: status)
    roster.insert(Peer(member: member, since: now), using: &random)
    effects.append(.changed(member))
    switch rumour.status {
    case .alive: spread(rumour, at: now)
    case .suspect: learn(rumour, through: .gossip, at: now, into: &effects)
    case .dead, .left: scheduleReconnect(at: now)
    }
  }

  private mutating func hearAlive(
    _ rumour: Rumour, index: Int, at now: Instant, into effects: inout [MembershipEffect]
  ) {
    guard let newCard = rumour.card else { return }
    guard card.isCompatible(with: newCard) else { return effects.append(.counted(.incompatible)) }
    let known = roster[index].member
    if newCard.gossip != known.card.gossip { noteMove(of: index, to: newCard.gossip, at: now, into: &effects) }
    roster[index].member.card = newCard
    roster[index].member.incarnation = rumour.incarnation
    roster.setStatus(.alive, at: index, now: now, using: &random)
    if known.status != .alive || known.card != newCard { effects.append(.changed(roster[index].member)) }
    spread(rumour, at: now)
    // Who was thought gone may think the same of us: a greeting brings it to light.
    if !known.status.isActive, isChecker() { tell(roster[index], into: &effects) }
  }

  private mutating func hearSuspect(
    _ rumour: Rumour, index: Int, at now: Instant, into effects: inout [MembershipEffect]
  ) {
    let known = roster[index].member
    if known.status == .alive || rumour.incarnation > known.incarnation {
      suspect(at: index, rumour, now: now, into: &effects)
    } else if known.status == .suspect, roster[index].suspicion?.confirm(by: rumour.origin) == true {
      spread(rumour, at: now)
    }
  }

  /// A death is taken on another's word only if the member has been silent here too, and if it is news: it may have
  /// come back since. Otherwise it is a suspicion, which the member can refute.
  private mutating func hearDead(
    _ rumour: Rumour, index: Int, through channel: Channel, at now: Instant, into effects: inout [MembershipEffect]
  ) {
    let peer = roster[index]
    var doubted = channel != .gossip
    if let heard = peer.member.lastHeard {
      doubted = doubted || now - heard < configuration.shortestSuspicion(nodes: meshSize)
    }
    if doubted, rumour.origin != card.id {
      var doubt = rumour
      doubt.status = .suspect
      doubt.card = nil
      if case .state(let teller) = channel { doubt.origin = teller }
      return hearSuspect(doubt, index: index, at: now, into: &effects)
    }
    settle(index, as: .dead, rumour, at: now, into: &effects)
    scheduleReconnect(at: now)
  }

  /// A member is dead or has left.
  private mutating func settle(
    _ index: Int, as status: MemberStatus, _ rumour: Rumour, at now: Instant, into effects: inout [MembershipEffect]
  ) {
    let before = roster[index].member.status
    roster[index].member.incarnation = rumour.incarnation
    roster.setStatus(status, at: index, now: now, using: &random)
    probes.removeAll { $0.target == rumour.subject }
    if before != status { effects.append(.changed(roster[index].member)) }
    var news = rumour
    news.card = nil
    spread(news, at: now)
  }

  /// What is said of this node, and is not so, is refuted with a higher incarnation.
  private mutating func hearOfSelf(_ rumour: Rumour, at now: Instant, into effects: inout [MembershipEffect]) {
    guard case .running = phase, rumour.incarnation >= incarnation else { return }
    let isTrue = rumour.status == .alive && rumour.incarnation == incarnation && rumour.card == card
    guard !isTrue, rumour.incarnation + 1 < Rumour.incarnationLimit else { return }
    if rumour.status == .alive, let other = rumour.card?.gossip, other != card.gossip {
      guard contradict(at: other, now: now, into: &effects) else { return }
    }
    if rumour.status == .suspect { noteHealth(1) }
    incarnation = rumour.incarnation + 1
    effects.append(.incarnation(incarnation))
    spread(ownRumour, at: now)
  }
}
