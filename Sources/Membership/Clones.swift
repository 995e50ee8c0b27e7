// Two nodes with one id: told from one node that moved.

import Causality

/// How often this node's own address was contradicted of late.
struct Contradictions: Sendable {
  var count = 0
  var first = Instant.zero
  var last = Instant.zero
  var alarmed: Instant?
}

extension Membership {
  /// A clone shows within this time, and is reported once in it.
  private static let cloneWindow = Span.seconds(60)

  /// Notes a claim that this node, in an incarnation it has not had, is elsewhere. Its own former life says so once or
  /// twice; who says so again and again, in ever higher incarnations, lives. Returns whether to refute: against a clone
  /// no more than once in a probe interval, or both would shout for ever.
  mutating func contradict(at other: String, now: Instant, into effects: inout [MembershipEffect]) -> Bool {
    if contradictions.count == 0 || now - contradictions.first > Self.cloneWindow {
      contradictions = Contradictions(first: now, alarmed: contradictions.alarmed)
    }
    if let alarmed = contradictions.alarmed, now - alarmed < Self.cloneWindow,
      now - contradictions.last < configuration.probeInterval
    {
      return false
    }
    contradictions.count += 1
    contradictions.last = now
    let isRested = contradictions.alarmed.map { now - $0 >= Self.cloneWindow } ?? true
    if contradictions.count >= 3, isRested {
      contradictions.alarmed = now
      effects.append(.clone(card.id, [card.gossip, other].sorted()))
    }
    return true
  }

  /// A member is now elsewhere. One that returns to where it just came from is two.
  mutating func noteMove(of index: Int, to address: String, at now: Instant, into effects: inout [MembershipEffect]) {
    let peer = roster[index]
    let current = peer.member.card.gossip
    if let former = peer.formerAddress, former.address == address, now - former.left < Self.cloneWindow {
      let isRested = peer.alarmed.map { now - $0 >= Self.cloneWindow } ?? true
      if isRested {
        roster[index].alarmed = now
        effects.append(.clone(peer.id, [address, current].sorted()))
      }
    }
    roster[index].formerAddress = (current, now)
  }
}
