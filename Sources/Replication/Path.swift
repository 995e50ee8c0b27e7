// A path inside a volume, as bytes.

/// A path inside a volume: components joined by `/`, without one at either end; the root is empty.
///
/// Components hold any byte but `/` and NUL, so a path is bytes, not text.
public struct Path: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The bytes.
  public let bytes: [UInt8]

  /// The root of a volume.
  public static let root = Path([])

  /// Takes bytes that follow the rules above.
  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// A path from text, for people and tests.
  public init(_ text: String) { bytes = Array(text.utf8.drop { $0 == UInt8(ascii: "/") }) }

  /// Whether this is the root.
  public var isRoot: Bool { bytes.isEmpty }

  /// The directory that holds it; the root holds itself.
  public var parent: Path {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return .root }
    return Path(Array(bytes[..<slash]))
  }

  /// The last component.
  public var name: [UInt8] {
    guard let slash = bytes.lastIndex(of: UInt8(ascii: "/")) else { return bytes }
    return Array(bytes[(slash + 1)...])
  }

  /// The path of an entry of this directory.
  public func appending(_ name: some Collection<UInt8>) -> Path {
    if bytes.isEmpty { return Path(Array(name)) }
    var joined = [UInt8]()
    joined.reserveCapacity(bytes.count + 1 + name.count)
    joined.append(contentsOf: bytes)
    joined.append(UInt8(ascii: "/"))
    joined.append(contentsOf: name)
    return Path(joined)
  }

  /// Whether it lies somewhere below `directory`, not counting itself.
  public func isBelow(_ directory: Path) -> Bool {
    guard !directory.isRoot else { return !isRoot }
    return bytes.count > directory.bytes.count + 1 && bytes[directory.bytes.count] == UInt8(ascii: "/")
      && bytes.starts(with: directory.bytes)
  }

  /// The same place below `target` that this has below `directory`.
  public func moved(from directory: Path, to target: Path) -> Path {
    self == directory ? target : Path(target.bytes + bytes[directory.bytes.count...])
  }

  /// Orders by bytes.
  public static func < (left: Path, right: Path) -> Bool { left.bytes.lexicographicallyPrecedes(right.bytes) }

  /// As text; bytes that are not UTF-8 show as replacement characters.
  public var description: String { "/" + String(decoding: bytes, as: UTF8.self) }
}
