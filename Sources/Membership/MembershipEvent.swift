// What goes into membership and what comes out of it.

import Causality

/// What happened; the owner hands it in.
public enum MembershipEvent: Sendable {
  /// The time of `nextDeadline` has come.
  case tick
  /// Begin, or begin again after leaving. The addresses are where other nodes may be: `host:port`, tried for ever.
  case start(join: [String])
  /// A datagram arrived, opened, from this address.
  case datagram([UInt8], from: String)
  /// A peer's full state arrived over a stream; the answer carries the token.
  case stateRequested(UInt64, [UInt8])
  /// The answer to an `exchangeState` arrived.
  case stateAnswered([UInt8])
  /// An `exchangeState` with this address came to nothing.
  case stateFailed(String)
  /// From now on these bytes ride on pings and acks; at most `Membership.digestBytes`.
  case setDigest([UInt8])
  /// Say goodbye. `departed` follows.
  case leave
  /// Declare a member gone for good: it is no longer tried. It may refute.
  case forget(NodeID)
}

/// What is to be done, in this order.
public enum MembershipEffect: Hashable, Sendable {
  /// Our incarnation has grown: make it durable if that is wanted; what follows may carry it.
  case incarnation(UInt64)
  /// Send a datagram (not yet sealed). The address is a card's gossip address, the source of a datagram, or a join
  /// address, which may be a name.
  case send([UInt8], to: String)
  /// Send our full state over a stream; then hand in `stateAnswered` or `stateFailed`. The address is a card's sync
  /// address, or a join address that has not answered datagrams.
  case exchangeState([UInt8], with: String)
  /// Answer the peer that asked with this token.
  case answerState(UInt64, [UInt8])
  /// A member joined, is suspected, died, left, came back or changed its card.
  case changed(Member)
  /// The digest of a live member: as it just sent it, or just confirmed that it has not changed.
  case digest([UInt8], of: NodeID)
  /// Two nodes at these addresses use one id. Raised at most once a minute.
  case clone(NodeID, [String])
  /// A datagram was dropped, or taken with a remark.
  case counted(DatagramFault)
  /// The goodbye has been said; this node is silent now.
  case departed
}

/// Why a datagram or a state was dropped, or what was odd about it.
public enum DatagramFault: String, Error, Hashable, Sendable, CaseIterable {
  /// It does not read as a packet.
  case malformed
  /// It belongs to another mesh.
  case foreign
  /// It is larger than allowed.
  case oversized
  /// It is of a format or a protocol that this node does not speak.
  case incompatible
  /// It carries this node's own id: its own, come back, or a clone's.
  case echoed
  /// It answers a ping that no longer waits.
  case late
  /// It names a member more than can be remembered.
  case overfull
}
