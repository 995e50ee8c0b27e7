// What the world tells the core.

import Causality
import Membership
import Replication

/// What the world tells the core.
public enum NodeEvent: Sendable {
  /// For the membership.
  case membership(MembershipEvent)
  /// A sync connection to a node of the mesh stands; its identity is proven.
  case connected(ConnectionID, NodeID)
  /// A sync connection is gone.
  case closed(ConnectionID)
  /// A message came. Contents in it were checked against their hashes; those that failed were taken out.
  case message(ConnectionID, Message)
  /// Local changes are durable and may be told: what `Volume.takeOutgoing` gave, after what `Volume.takeTouched` gave
  /// was stored.
  case stored(volume: String, sequences: ClosedRange<UInt64>, Delta)
  /// All records of a volume that was at this vector have reached the disk for good: a power loss takes nothing of it.
  case durable(volume: String, VersionVector)
  /// The answer to `gather`: what was not found on this machine.
  case gathered(volume: String, parcel: UInt64, missing: [WantedContent])
  /// The answer to `apply`.
  case applied(volume: String, parcel: UInt64, ApplyOutcome)
  /// Time has passed; the owner calls this at least every 50 ms while anything is connected.
  case tick
}

/// How an `apply` ended.
public enum ApplyOutcome: Hashable, Sendable {
  /// Joined, in place, stored.
  case done
  /// Local changes came between and more content is needed; nothing was joined.
  case needsMore
  /// It can not be done now (a full disk, for instance); nothing was joined.
  case failed
}
