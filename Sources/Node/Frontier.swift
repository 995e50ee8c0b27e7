// The frontier: what every node is known to hold.

import Causality
import Replication

extension Node {
  /// What every other node that carries the volume holds whatever happens to it, when everything that any of them had is
  /// held here too. A node that left counts until it is forgotten: it comes back with what it had.
  ///
  /// What lies below it can never meet a change made without having seen it: not even a power loss brings a node back to
  /// before it. Nil while some holder's vector is unknown, or has what is not here yet.
  public func frontier(of name: String) -> VersionVector? {
    guard let sync = syncs[name] else { return nil }
    var frontier = sync.durable
    for holder in holders(of: name) {
      guard let held = sync.held[holder], let durable = sync.heldDurably[holder], sync.volume.vector.covers(held)
      else { return nil }
      frontier = frontier.meet(durable)
    }
    return frontier
  }

  /// Whether a power loss would take something of what is held; then nothing is forgotten on the strength of it.
  public func isVolatile(_ name: String) -> Bool { syncs[name].map { $0.durable != $0.volume.vector } ?? false }

  /// Every other node that ever said what it holds of the volume, every one that such a node knows of, and every member
  /// that has not left.
  public func holders(of name: String) -> [NodeID] {
    var holders = Set(membership.members.filter { $0.status != .left }.map(\.id))
    if let sync = syncs[name] { holders.formUnion(sync.hearsay.union(sync.held.keys)) }
    holders.remove(id)
    return holders.sorted()
  }

  /// Takes in what a node held durably in an earlier life of this one, unless it has said more since.
  public mutating func remember(_ holder: NodeID, holding vector: VersionVector, of name: String) {
    guard holder != id, syncs[name] != nil, syncs[name]!.held[holder] == nil else { return }
    syncs[name]!.held[holder] = vector
    syncs[name]!.heldDurably[holder] = vector
  }

  /// A node is gone for good: nothing is kept for it any more.
  public mutating func forget(_ holder: NodeID) {
    forgotten.insert(holder)
    for name in volumeNames {
      syncs[name]!.held[holder] = nil
      syncs[name]!.heldDurably[holder] = nil
      syncs[name]!.hearsay.remove(holder)
    }
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
