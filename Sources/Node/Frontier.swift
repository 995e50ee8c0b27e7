// The frontier: what every node is known to hold.

import Causality
import Replication

extension Node {
  /// The vector covered by every active or away member, when everything that any of them had is held here too.
  ///
  /// What lies below it can never meet a change made without having seen it. Nil while some member's vector is
  /// unknown, or holds what is not here yet.
  public func frontier(of name: String) -> VersionVector? {
    guard let own = syncs[name]?.volume.vector else { return nil }
    var frontier = own
    for member in membership.members where member.id != id && member.status != .left {
      guard let held = syncs[name]!.held[member.id], own.covers(held) else { return nil }
      frontier = frontier.meet(held)
    }
    return frontier
  }

  /// Forgets what every node has seen go; returns the files whose bytes may go.
  public mutating func collect(_ name: String, isPinned: (FileID) -> Bool) -> [FileID] {
    guard let frontier = frontier(of: name) else { return [] }
    guard syncs[name]!.parcels.isEmpty, syncs[name]!.round == nil else { return [] }
    return syncs[name]!.volume.collect(frontier: frontier, isPinned: isPinned)
  }

  /// Refuses sync connections with a node, or allows them again: a drill.
  public mutating func block(_ peer: NodeID, _ isBlocked: Bool, into effects: inout [NodeEffect]) {
    if isBlocked {
      blocked.insert(peer)
      if let connection = peers[peer]?.connection { effects.append(.close(connection, reason: "the link is blocked")) }
    } else {
      blocked.remove(peer)
      dials[peer] = Dial(next: .zero, failures: 0)
    }
  }

  /// The nodes with which connections are refused.
  public var blockedPeers: [NodeID] { blocked.sorted() }
}
