// The keys that seal datagrams: several may open, one seals, so that they can be rotated on a live mesh.

import Crypto

/// A 256-bit AES key and the byte that names it in a datagram.
public struct GossipKey: Hashable, Sendable {
  /// The 32 bytes of the key.
  public let bytes: [UInt8]
  /// The byte that stands in a sealed datagram.
  public let id: UInt8
  /// Eight hexadecimal digits by which people name the key without showing it.
  public let fingerprint: String

  /// Wraps 32 bytes; nil for any other count.
  public init?(bytes: [UInt8]) {
    guard bytes.count == 32 else { return nil }
    self.bytes = bytes
    let digest = Array(SHA256.hash(data: Array("grapevine gossip key".utf8) + bytes))
    id = digest[0]
    fingerprint = Hexadecimal.text(digest[0..<4])
  }

  /// Reads 64 hexadecimal digits.
  public init?(text: String) {
    guard let bytes = Hexadecimal.bytes(text) else { return nil }
    self.init(bytes: bytes)
  }

  /// A new random key.
  public static func random() -> GossipKey {
    var generator = SystemRandomNumberGenerator()
    let bytes = (0..<4).flatMap { _ in withUnsafeBytes(of: generator.next()) { Array($0) } }
    return GossipKey(bytes: bytes)!
  }

  /// The key as 64 hexadecimal digits.
  public var text: String { Hexadecimal.text(bytes) }
}

/// Why a key ring could not be changed or read. The ring is as it was.
public enum KeyRingError: Error, Equatable, Sendable {
  /// A line of the file is not 64 hexadecimal digits.
  case notAKey(line: Int)
  /// A ring holds 1 to 8 keys.
  case wrongCount(Int)
  /// Another key of the ring goes by the same byte: make a new one.
  case sameID(fingerprint: String)
  /// No key of the ring has this fingerprint.
  case unknown(fingerprint: String)
  /// The key that seals cannot be removed: use another one first.
  case inUse(fingerprint: String)
}

/// The keys of a node; the first one seals, all of them open.
public struct GossipKeyRing: Hashable, Sendable {
  /// The most keys a ring holds.
  public static let maxKeys = 8
  /// The keys, the one that seals first.
  public private(set) var keys: [GossipKey]

  /// A ring of keys, the first of which seals.
  public init(_ keys: [GossipKey]) throws(KeyRingError) {
    guard (1...Self.maxKeys).contains(keys.count) else { throw .wrongCount(keys.count) }
    self.keys = []
    for key in keys { try install(key) }
  }

  /// Reads a file: one key a line, 64 hexadecimal digits, the primary first; `#` starts a comment.
  public init(text: String) throws(KeyRingError) {
    var keys: [GossipKey] = []
    for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let content = line.prefix { $0 != "#" }.filter { !$0.isWhitespace }
      if content.isEmpty { continue }
      guard let key = GossipKey(text: String(content)) else { throw .notAKey(line: index + 1) }
      keys.append(key)
    }
    try self.init(keys)
  }

  /// The file that `init(text:)` reads.
  public var text: String {
    "# Gossip keys of the mesh, secret. The first one seals, all of them open.\n"
      + keys.map { $0.text + "\n" }.joined()
  }

  /// The key that seals.
  public var primary: GossipKey { keys[0] }

  /// Adds a key that opens from now on and does not seal yet. A key already there changes nothing.
  public mutating func install(_ key: GossipKey) throws(KeyRingError) {
    if keys.contains(key) { return }
    guard keys.count < Self.maxKeys else { throw .wrongCount(keys.count + 1) }
    if let other = keys.first(where: { $0.id == key.id }) { throw .sameID(fingerprint: other.fingerprint) }
    keys.append(key)
  }

  /// Makes an installed key the one that seals.
  public mutating func use(_ fingerprint: String) throws(KeyRingError) {
    guard let index = keys.firstIndex(where: { $0.fingerprint == fingerprint }) else {
      throw .unknown(fingerprint: fingerprint)
    }
    keys.insert(keys.remove(at: index), at: 0)
  }

  /// Forgets a key that does not seal.
  public mutating func remove(_ fingerprint: String) throws(KeyRingError) {
    guard let index = keys.firstIndex(where: { $0.fingerprint == fingerprint }) else {
      throw .unknown(fingerprint: fingerprint)
    }
    guard index > 0 else { throw .inUse(fingerprint: fingerprint) }
    keys.remove(at: index)
  }
}

/// Bytes as hexadecimal digits and back.
enum Hexadecimal {
  static func text(_ bytes: some Sequence<UInt8>) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  static func bytes(_ text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count.isMultiple(of: 2) else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
      bytes.append(high << 4 | low)
    }
    return bytes
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
