// The name of a change: its origin and its sequence.

/// The name of a change: the origin that made it, and its place in that origin's sequence, from 1, without gaps.
///
/// Source: Preguiça et al., "Dotted Version Vectors", 2010.
@frozen
public struct Dot: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Who made the change.
  public var origin: NodeID
  /// Its number among the changes of that origin in one volume; 0 names no change.
  public var sequence: UInt64

  /// Names a change.
  @inlinable
  public init(_ origin: NodeID, _ sequence: UInt64) {
    self.origin = origin
    self.sequence = sequence
  }

  /// The name of no change.
  @inlinable
  public static var none: Dot { Dot(NodeID(0), 0) }

  /// Orders by origin, then by sequence.
  @inlinable
  public static func < (left: Dot, right: Dot) -> Bool {
    left.origin != right.origin ? left.origin < right.origin : left.sequence < right.sequence
  }

  /// `origin:sequence`.
  public var description: String { "\(origin):\(sequence)" }
}
