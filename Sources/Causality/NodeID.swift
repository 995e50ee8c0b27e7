// The identity of a node, and of an origin of changes.

/// A random 64-bit identity: of a node in the mesh, or of an origin of changes in a volume.
@frozen
public struct NodeID: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The identity as a number.
  public var rawValue: UInt64

  /// Wraps a number.
  @inlinable
  public init(_ rawValue: UInt64) { self.rawValue = rawValue }

  /// Reads what `description` prints: sixteen hexadecimal digits.
  public init?(text: String) {
    guard text.utf8.count == 16, let value = UInt64(text, radix: 16) else { return nil }
    rawValue = value
  }

  /// Orders by number: the last tie break of every resolver.
  @inlinable
  public static func < (left: NodeID, right: NodeID) -> Bool { left.rawValue < right.rawValue }

  /// Sixteen hexadecimal digits.
  public var description: String {
    let digits = String(rawValue, radix: 16)
    return String(repeating: "0", count: 16 - digits.utf8.count) + digits
  }
}
