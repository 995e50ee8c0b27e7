// What is known about a member: its card, its incarnation, its status.

import Causality
import Wire

/// What the mesh believes about a member. Of two claims about one incarnation the later in this order holds.
public enum MemberStatus: UInt8, Comparable, Sendable, CaseIterable {
  /// It answers.
  case alive
  /// Someone got no answer; it may still refute.
  case suspect
  /// It did not refute. It is tried again for ever.
  case dead
  /// It said that it goes, or it was declared gone for good. It is not tried again.
  case left

  /// By the order of the cases.
  public static func < (left: MemberStatus, right: MemberStatus) -> Bool { left.rawValue < right.rawValue }

  /// Whether members of this status are probed and gossiped with.
  public var isActive: Bool { self <= .suspect }
}

/// How a node presents itself. A node changes its card only together with its incarnation.
public struct MemberCard: Hashable, Sendable {
  /// Who it is.
  public var id: NodeID
  /// Its name for people, at most 64 bytes of UTF-8.
  public var name: String
  /// Its region, at most 64 bytes of UTF-8.
  public var region: String
  /// Where it takes datagrams, `ip:port`, 1 to 128 bytes.
  public var gossip: String
  /// Where it takes streams, `ip:port`, at most 128 bytes; empty when it takes none.
  public var sync: String
  /// The oldest protocol it speaks.
  public var protocolMinimum: UInt16
  /// The newest protocol it speaks.
  public var protocolMaximum: UInt16

  /// Makes a card.
  public init(
    id: NodeID, name: String, region: String, gossip: String, sync: String, protocolMinimum: UInt16 = 1,
    protocolMaximum: UInt16 = 1
  ) {
    self.id = id
    self.name = name
    self.region = region
    self.gossip = gossip
    self.sync = sync
    self.protocolMinimum = protocolMinimum
    self.protocolMaximum = protocolMaximum
  }

  /// Whether both speak a common protocol.
  public func isCompatible(with other: MemberCard) -> Bool {
    protocolMinimum <= other.protocolMaximum && other.protocolMinimum <= protocolMaximum
  }

  /// Whether every field is within its bounds.
  public var isValid: Bool {
    name.utf8.count <= Self.textBytes && region.utf8.count <= Self.textBytes
      && (1...Self.addressBytes).contains(gossip.utf8.count) && sync.utf8.count <= Self.addressBytes
      && protocolMinimum <= protocolMaximum
  }

  static let textBytes = 64
  static let addressBytes = 128

  /// Writes all but the id.
  func write(into writer: inout ByteWriter) {
    writer.writeString(name)
    writer.writeString(region)
    writer.writeString(gossip)
    writer.writeString(sync)
    writer.writeVarint(UInt64(protocolMinimum))
    writer.writeVarint(UInt64(protocolMaximum))
  }

  /// Reads all but the id.
  init(id: NodeID, from reader: inout ByteReader) throws(WireError) {
    self.id = id
    name = try reader.readString(atMost: Self.textBytes)
    region = try reader.readString(atMost: Self.textBytes)
    gossip = try reader.readString(atMost: Self.addressBytes)
    sync = try reader.readString(atMost: Self.addressBytes)
    protocolMinimum = UInt16(try reader.readCount(atMost: Int(UInt16.max)))
    protocolMaximum = UInt16(try reader.readCount(atMost: Int(UInt16.max)))
    guard isValid else { throw .invalid("member card") }
  }
}

/// A member as this node sees it.
public struct Member: Hashable, Sendable {
  /// How it presents itself.
  public var card: MemberCard
  /// Which of its self-descriptions this is; only the member itself raises it.
  public var incarnation: UInt64
  /// What is believed about it.
  public var status: MemberStatus
  /// The smoothed time that a ping and its answer take; nil before the first answer.
  public var roundTrip: Span?
  /// When a datagram of its own, or a helper's word that it answered, last arrived; nil before the first.
  public var lastHeard: Instant?

  /// Who it is.
  public var id: NodeID { card.id }

  /// Makes a member.
  public init(
    card: MemberCard, incarnation: UInt64, status: MemberStatus, roundTrip: Span? = nil, lastHeard: Instant? = nil
  ) {
    self.card = card
    self.incarnation = incarnation
    self.status = status
    self.roundTrip = roundTrip
    self.lastHeard = lastHeard
  }
}
