// What the core asks of the world.

import Causality
import Membership
import Replication

/// A sync connection; a new number for each.
public typealias ConnectionID = UInt64

/// What the core asks of the world. Effects are carried out in order.
public enum NodeEffect: Sendable {
  /// Carry out for the membership.
  case membership(MembershipEffect)
  /// Open a sync connection to a member.
  case connect(NodeID, address: String)
  /// Close a connection, and why.
  case close(ConnectionID, reason: String)
  /// Send a message.
  case send(ConnectionID, Message)
  /// Read the bytes of these chunks, keep those that hash right, put them into the message (a push or a part), and
  /// send it to all.
  case sendWithContents([ConnectionID], Message, [WantedContent])
  /// Read the bytes, check them, and answer each with a `content` message.
  case serve(ConnectionID, volume: String, [ContentRequest])
  /// Look whether the bytes are on this machine already: in what an earlier transfer left behind, or at `place`;
  /// put them aside for the parcel and answer with `gathered`.
  case gather(volume: String, parcel: UInt64, [GatherItem])
  /// Put bytes aside for a parcel.
  case stage(volume: String, parcel: UInt64, WantedContent, ArraySlice<UInt8>)
  /// Join the parcel's delta and put its bytes in place, persist both, then answer with `applied`.
  case apply(volume: String, Parcel)
  /// Forget what was put aside for a parcel that will not come.
  case abandon(volume: String, parcel: UInt64)
  /// Something a person should know.
  case alarm(NodeAlarm)
}

/// Content that is wanted, and where on this machine it may be.
public struct GatherItem: Hashable, Sendable {
  /// What is wanted.
  public var wanted: WantedContent
  /// Where it may be.
  public var place: ContentPlace?

  /// Joins both.
  public init(wanted: WantedContent, place: ContentPlace?) {
    self.wanted = wanted
    self.place = place
  }
}

/// Something a person should know.
public enum NodeAlarm: Hashable, Sendable {
  /// A peer's stamp lies further ahead than allowed; its changes are held back until their time has come.
  case stampAhead(NodeID, milliseconds: UInt64)
  /// A peer said something that cannot be; its connection was closed.
  case badMessage(NodeID?, String)
  /// A peer claims changes of our own origin that we never made: the data directory was cloned, or lost writes.
  case originStolen(volume: String, claimed: UInt64, ours: UInt64)
}

/// A delta on its way in, with what has been collected for it.
public struct Parcel: Hashable, Sendable {
  /// Whence, and what it means for the vector.
  public enum Kind: Hashable, Sendable {
    /// Changes of an origin as they happened.
    case push(origin: NodeID, ClosedRange<UInt64>)
    /// Part of a round of pulling.
    case part(round: UInt64, number: UInt64)
  }

  /// Its name in this node's life.
  public var id: UInt64
  /// Who sent it.
  public var sender: NodeID
  /// Over which connection.
  public var connection: ConnectionID
  /// What it means.
  public var kind: Kind
  /// The state it brings.
  public var delta: Delta
  /// The bytes that came with it, by place.
  public var contents: [ContentPlace: PlacedContent]
  /// The bytes that were put aside for it.
  public var staged: Set<WantedContent> = []
}
