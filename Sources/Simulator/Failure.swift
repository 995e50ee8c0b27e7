// What a run found wrong.

import Causality

/// What a run found wrong, and where and when.
public struct Failure: Hashable, Sendable, CustomStringConvertible {
  /// What did not hold.
  public enum Kind: String, Sendable {
    /// A vector claims what is not held.
    case claim
    /// The sequences of an origin have a gap, or a sequence names two changes.
    case sequence
    /// A stamp did not grow.
    case clock
    /// Something visible was overwritten by a concurrent winner and not kept.
    case overwrite
    /// Bytes on disk are not what the chunk table says.
    case bytes
    /// What was removed is back, or what should be there is not.
    case resurrection
    /// What was synced did not survive.
    case durability
    /// Nodes that hold the same changes differ.
    case divergence
    /// The nodes did not hold the same changes in time.
    case liveness
    /// Something that can not be.
    case crash
    /// The same seed did two different things.
    case determinism
  }

  /// What did not hold.
  public var kind: Kind
  /// On which node.
  public var node: Int
  /// When, in virtual time.
  public var at: Instant
  /// In words.
  public var text: String

  /// One line.
  public var description: String {
    "\(kind.rawValue) on node \(node) at \(TimelineEntry.clock(at)): \(text)"
  }
}

/// Something that happened, for people.
public struct TimelineEntry: Hashable, Sendable {
  /// When, in virtual time.
  public var at: Instant
  /// On which node; nil for the network.
  public var node: Int?
  /// What.
  public var text: String

  /// Seconds with three decimals.
  static func clock(_ instant: Instant) -> String {
    let milliseconds = instant.nanoseconds / 1_000_000
    let rest = String(milliseconds % 1_000)
    return "\(milliseconds / 1_000)." + String(repeating: "0", count: 3 - rest.count) + rest + " s"
  }
}

/// How much of what went on.
public struct SimulationCounts: Hashable, Sendable {
  /// Events handled.
  public var events: UInt64 = 0
  /// Local changes made.
  public var changes: UInt64 = 0
  /// Datagrams sent.
  public var datagrams: UInt64 = 0
  /// Frames sent over streams.
  public var frames: UInt64 = 0
  /// Bytes of those frames.
  public var frameBytes: UInt64 = 0
  /// Faults that struck, by kind.
  public var faults: [Fault: UInt64] = [:]
  /// Alarms raised.
  public var alarms: UInt64 = 0
  /// Damaged chunks that were fetched again.
  public var repairs: UInt64 = 0
  /// Conflicts listed at the end.
  public var conflicts: UInt64 = 0
}
