// Who a node is, as its certificate says it.

import Causality

/// The identity a mesh's authority vouches for.
public struct NodeIdentity: Hashable, Sendable {
  /// The mesh, a random 64-bit number.
  public let mesh: UInt64
  /// The node.
  public let node: NodeID
  /// What people call the node.
  public let name: String
  /// Where the node stands.
  public let region: String

  /// An identity; the name and the region must be valid names.
  public init(mesh: UInt64, node: NodeID, name: String, region: String) {
    self.mesh = mesh
    self.node = node
    self.name = name
    self.region = region
  }

  /// The identity as the certificate's subject alternative name carries it.
  public var uri: String { "grapevine://\(Self.text(ofMesh: mesh))/\(node)/\(region)/\(name)" }

  /// Reads what `uri` writes.
  public init?(uri: String) {
    let scheme = "grapevine://"
    guard uri.hasPrefix(scheme) else { return nil }
    let parts = uri.dropFirst(scheme.count).split(separator: "/", omittingEmptySubsequences: false).map(String.init)
    guard parts.count == 4, let mesh = Self.mesh(ofText: parts[0]), let node = NodeID(text: parts[1]),
      Self.isValidName(parts[2]), Self.isValidName(parts[3])
    else { return nil }
    self.init(mesh: mesh, node: node, name: parts[3], region: parts[2])
  }

  /// Whether a mesh, node or region may be called so: 1 to 63 of letters, digits, `.`, `-` and `_`, not starting with
  /// a dot or a dash. Such a name is also a file name, a host label and a word of a command line.
  public static func isValidName(_ name: String) -> Bool {
    guard (1...63).contains(name.utf8.count), let first = name.utf8.first else { return false }
    let allowed = name.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
        true
      default: false
      }
    }
    return allowed && first != UInt8(ascii: ".") && first != UInt8(ascii: "-")
  }

  /// A mesh id as sixteen hexadecimal digits.
  public static func text(ofMesh mesh: UInt64) -> String { NodeID(mesh).description }

  /// Reads sixteen hexadecimal digits.
  public static func mesh(ofText text: String) -> UInt64? { NodeID(text: text)?.rawValue }
}
