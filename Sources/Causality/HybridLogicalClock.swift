// A hybrid logical clock that only grows, across restarts and backward jumps.

/// What became of a stamp that a peer sent.
public enum StampVerdict: Equatable, Sendable {
  /// It was taken in; later stamps of this clock exceed it.
  case accepted
  /// It lies further ahead than allowed, by this many milliseconds: hold the change back and raise an alarm.
  case tooFarAhead(milliseconds: UInt64)
}

/// A hybrid logical clock: stamps exceed all earlier stamps of this node and all accepted stamps of its peers.
///
/// A restart never goes back: stamps stay below `lease`, which the owner has made durable before they are used.
/// Source: Kulkarni et al., 2014; the lease is CockroachDB's "HLC upper bound".
public struct HybridLogicalClock: Hashable, Sendable {
  /// The last stamp given or accepted.
  public private(set) var last: Stamp
  /// Stamps are given only below this; the owner persists a higher one in time.
  public private(set) var lease: Stamp
  /// How far a peer may be ahead of our wall clock, in milliseconds.
  public var allowedOffset: UInt64

  /// A clock that continues above `lease`, the durable bound of its previous life.
  public init(resumingAbove lease: Stamp = .zero, allowedOffsetMilliseconds: UInt64 = 60_000) {
    last = lease
    self.lease = lease
    allowedOffset = allowedOffsetMilliseconds
  }

  /// A stamp above all before it.
  ///
  /// - Parameter wall: milliseconds since 1970 by this node's wall clock.
  public mutating func next(wall: UInt64) -> Stamp {
    last = max(Stamp(milliseconds: wall), Stamp(rawValue: last.rawValue + 1))
    return last
  }

  /// Takes in a peer's stamp, or refuses one that is too far ahead, which then moves nothing.
  public mutating func observe(_ stamp: Stamp, wall: UInt64) -> StampVerdict {
    if stamp.milliseconds > wall, stamp.milliseconds - wall > allowedOffset {
      return .tooFarAhead(milliseconds: stamp.milliseconds - wall)
    }
    last = max(last, stamp)
    return .accepted
  }

  /// Whether a new lease must be made durable soon: less than half of `span` milliseconds is left.
  public func needsLease(span: UInt64 = 10_000) -> Bool {
    lease.milliseconds < last.milliseconds + span / 2
  }

  /// The lease to make durable now.
  public func proposedLease(span: UInt64 = 10_000) -> Stamp {
    Stamp(milliseconds: last.milliseconds + span)
  }

  /// Notes that `lease` is durable.
  public mutating func grant(lease: Stamp) { self.lease = max(self.lease, lease) }
}
