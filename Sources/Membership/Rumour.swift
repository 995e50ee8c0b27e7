// A claim about a member, and its bytes.

import Causality
import Wire

/// A claim that travels: the subject, in that incarnation, is so.
struct Rumour: Hashable, Sendable {
  /// Whom it is about.
  var subject: NodeID
  /// Which incarnation of it.
  var incarnation: UInt64
  /// What is claimed.
  var status: MemberStatus
  /// Who claims it; for `alive` and `left` usually the subject itself.
  var origin: NodeID
  /// The subject's card: always with `alive`, and in a full state.
  var card: MemberCard?

  /// Incarnations beyond this are nobody's.
  static let incarnationLimit: UInt64 = 1 << 62

  private static let cardFlag: UInt8 = 4
  private static let originFlag: UInt8 = 8

  /// Writes it; suspicions and deaths of others name their origin.
  func write(into writer: inout ByteWriter) {
    precondition(status != .alive || card != nil)
    let named = origin != subject
    writer.write(status.rawValue | (card == nil ? 0 : Self.cardFlag) | (named ? Self.originFlag : 0))
    writer.write(subject.rawValue)
    writer.writeVarint(incarnation)
    if named { writer.write(origin.rawValue) }
    card?.write(into: &writer)
  }

  /// Its bytes.
  var bytes: [UInt8] {
    var writer = ByteWriter(capacity: 96)
    write(into: &writer)
    return writer.bytes
  }
}

extension Rumour {
  /// Reads what `write` wrote.
  init(from reader: inout ByteReader) throws(WireError) {
    let head = try reader.readUInt8()
    guard head < 16, let status = MemberStatus(rawValue: head & 3) else { throw .invalid("rumour") }
    self.status = status
    subject = NodeID(try reader.readUInt64())
    incarnation = try reader.readVarint()
    guard incarnation < Self.incarnationLimit else { throw .invalid("incarnation") }
    origin = head & Self.originFlag == 0 ? subject : NodeID(try reader.readUInt64())
    card = head & Self.cardFlag == 0 ? nil : try MemberCard(id: subject, from: &reader)
    guard status != .alive || card != nil else { throw .invalid("rumour without card") }
  }
}
