// What one node asks another on behalf of a person: beside the replication, never part of it.

import Causality
import Replication
import Wire

/// A question of a person, or an order, that one node passes to another. The answer is bytes of the owner's.
public enum Question: Hashable, Sendable {
  /// What do you show at this path and below? A page of entries when they are wanted. Answer: `VolumeSummary`.
  case summary(below: Path, after: Path?, includesEntries: Bool)
  /// Carry a volume of this size in bytes, 0 for no bound. Answer: empty.
  case carry(sizeBytes: UInt64)
  /// Change the ring of gossip keys. Answer: empty.
  case keys(KeyOrder)
  /// A node is gone for good: keep nothing for it. Answer: empty.
  case forget(NodeID)

  /// What is to be done with a gossip key.
  public enum KeyOrder: Hashable, Sendable {
    /// Open with this key, 64 hexadecimal digits, from now on.
    case install(String)
    /// Seal with the key of this fingerprint.
    case use(String)
    /// Forget the key of this fingerprint.
    case remove(String)
  }

  private enum Tag: UInt8 {
    case summary = 1
    case carry, install, use, remove, forget
  }

  /// The question as bytes.
  public var bytes: [UInt8] {
    var writer = ByteWriter()
    switch self {
    case .summary(let top, let after, let includesEntries):
      writer.write(Tag.summary.rawValue)
      writer.writeBytes(top.bytes)
      writer.write(after != nil)
      if let after { writer.writeBytes(after.bytes) }
      writer.write(includesEntries)
    case .carry(let size):
      writer.write(Tag.carry.rawValue)
      writer.writeVarint(size)
    case .keys(.install(let text)):
      writer.write(Tag.install.rawValue)
      writer.writeString(text)
    case .keys(.use(let text)):
      writer.write(Tag.use.rawValue)
      writer.writeString(text)
    case .keys(.remove(let text)):
      writer.write(Tag.remove.rawValue)
      writer.writeString(text)
    case .forget(let node):
      writer.write(Tag.forget.rawValue)
      writer.write(node)
    }
    return writer.bytes
  }

  /// Reads a question; every bound is checked.
  public init(_ bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = ByteReader(bytes)
    guard let tag = Tag(rawValue: try reader.readUInt8()) else { throw .invalid("question") }
    switch tag {
    case .summary:
      let top = try reader.readPath()
      let after = try reader.readBool() ? try reader.readPath() : nil
      self = .summary(below: top, after: after, includesEntries: try reader.readBool())
    case .carry: self = .carry(sizeBytes: try reader.readVarint())
    case .install: self = .keys(.install(try reader.readString(atMost: 64)))
    case .use: self = .keys(.use(try reader.readString(atMost: 64)))
    case .remove: self = .keys(.remove(try reader.readString(atMost: 64)))
    case .forget: self = .forget(try reader.readNodeID())
    }
  }
}
