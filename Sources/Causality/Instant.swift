// Monotonic time as the core sees it: handed in, never read.

/// A point on a node's monotonic clock, in nanoseconds from an arbitrary start.
@frozen
public struct Instant: Hashable, Comparable, Sendable {
  /// Nanoseconds.
  public var nanoseconds: UInt64

  /// Wraps nanoseconds.
  @inlinable
  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// The start of the clock.
  @inlinable
  public static var zero: Instant { Instant(nanoseconds: 0) }

  /// Later is greater.
  @inlinable
  public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

  /// Later by a span; saturates.
  @inlinable
  public static func + (left: Instant, right: Span) -> Instant {
    let (sum, overflow) = left.nanoseconds.addingReportingOverflow(right.nanoseconds)
    return Instant(nanoseconds: overflow ? .max : sum)
  }

  /// The span since an earlier point, zero when that is later.
  @inlinable
  public static func - (left: Instant, right: Instant) -> Span {
    Span(nanoseconds: left.nanoseconds > right.nanoseconds ? left.nanoseconds - right.nanoseconds : 0)
  }
}

/// A length of time in nanoseconds, never negative.
@frozen
public struct Span: Hashable, Comparable, Sendable {
  /// Nanoseconds.
  public var nanoseconds: UInt64

  /// Wraps nanoseconds.
  @inlinable
  public init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

  /// So many milliseconds.
  @inlinable
  public static func milliseconds(_ count: UInt64) -> Span { Span(nanoseconds: count &* 1_000_000) }

  /// So many seconds.
  @inlinable
  public static func seconds(_ count: UInt64) -> Span { Span(nanoseconds: count &* 1_000_000_000) }

  /// No time.
  @inlinable
  public static var zero: Span { Span(nanoseconds: 0) }

  /// In seconds.
  @inlinable
  public var seconds: Double { Double(nanoseconds) / 1e9 }

  /// Longer is greater.
  @inlinable
  public static func < (left: Span, right: Span) -> Bool { left.nanoseconds < right.nanoseconds }

  /// Both together.
  @inlinable
  public static func + (left: Span, right: Span) -> Span { Span(nanoseconds: left.nanoseconds + right.nanoseconds) }

  /// A multiple, not below zero.
  @inlinable
  public static func * (left: Span, right: Double) -> Span {
    Span(nanoseconds: UInt64(max(0, Double(left.nanoseconds) * right)))
  }
}
