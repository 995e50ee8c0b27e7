// The stamp of a hybrid logical clock.

/// A hybrid logical clock stamp: 48 bits of milliseconds since 1970, 16 bits of counter.
///
/// Source: Kulkarni et al., "Logical Physical Clocks and Consistent Snapshots", 2014.
@frozen
public struct Stamp: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Both parts as one number that orders stamps.
  public var rawValue: UInt64

  /// Wraps a number.
  @inlinable
  public init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Joins both parts; milliseconds beyond 48 bits are cut.
  @inlinable
  public init(milliseconds: UInt64, counter: UInt16 = 0) {
    rawValue = milliseconds << 16 | UInt64(counter)
  }

  /// Before every stamp of a change.
  @inlinable
  public static var zero: Stamp { Stamp(rawValue: 0) }

  /// Milliseconds since 1970-01-01 UTC.
  @inlinable
  public var milliseconds: UInt64 { rawValue >> 16 }

  /// The logical part.
  @inlinable
  public var counter: UInt16 { UInt16(truncatingIfNeeded: rawValue) }

  /// Later stamps are greater.
  @inlinable
  public static func < (left: Stamp, right: Stamp) -> Bool { left.rawValue < right.rawValue }

  /// `milliseconds.counter`.
  public var description: String { "\(milliseconds).\(counter)" }
}
