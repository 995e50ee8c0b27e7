// What a node tells of itself, of the members and of its volumes: JSON with stable names.

/// Health at a glance.
public struct StatusReport: Codable, Hashable, Sendable {
  /// The node's name.
  public var node: String
  /// Its id, sixteen hexadecimal digits.
  public var id: String
  /// Its region.
  public var region: String
  /// What the mesh is called.
  public var mesh: String
  /// When the node started, ISO 8601.
  public var startedAt: String
  /// For how long it has been running.
  public var uptimeSeconds: UInt64
  /// Whether its volumes are mounted.
  public var isReady: Bool
  /// Whether it holds everything that its peers say they hold, and sees all active members.
  public var isCaughtUp: Bool
  /// How many members there are of each status, this node counted.
  public var members: [String: Int]
  /// Members with a sync connection.
  public var connected: Int
  /// How unwell the node feels; 0 is well.
  public var health: Int
  /// Members blocked by a drill.
  public var blocked: [String]
  /// Its volumes.
  public var volumes: [VolumeReport]
  /// What a person should know.
  public var alarms: [AlarmReport]
}

/// Something that a person should know.
public struct AlarmReport: Codable, Hashable, Sendable {
  /// What.
  public var what: String
  /// How often since the start.
  public var times: UInt64
}

/// A volume of a node.
public struct VolumeReport: Codable, Hashable, Sendable {
  /// Its name.
  public var name: String
  /// Where it is mounted; empty when it is not.
  public var mountedAt: String
  /// Files, directories and links in it.
  public var entries: Int
  /// Bytes of its files, holes not counted.
  public var bytes: UInt64
  /// How many bytes it may hold.
  public var sizeBytes: UInt64
  /// Conflicts that wait for a person.
  public var conflicts: Int
  /// Parcels of changes on their way in.
  public var incoming: Int
  /// The origin under which this node makes changes.
  public var origin: String
  /// What this node holds.
  public var position: String
  /// How the connected peers stand to it.
  public var peers: [LagReport]
}

/// How a peer stands to this node in one volume.
public struct LagReport: Codable, Hashable, Sendable {
  /// The peer's name.
  public var node: String
  /// The volume.
  public var volume: String
  /// Changes that are here and not there.
  public var behind: UInt64
  /// Changes that are there and not here.
  public var ahead: UInt64
}

/// A member of the mesh.
public struct MemberReport: Codable, Hashable, Sendable {
  /// Its name.
  public var name: String
  /// Its id.
  public var id: String
  /// Its region.
  public var region: String
  /// alive, suspect, dead or left.
  public var status: String
  /// Whether it is the node that was asked.
  public var isSelf: Bool
  /// Whether a sync connection stands.
  public var isConnected: Bool
  /// Whether a drill blocks it.
  public var isBlocked: Bool
  /// Where it takes datagrams.
  public var gossip: String
  /// Where it takes streams.
  public var sync: String
  /// The time that a ping and its answer take.
  public var roundTripMilliseconds: Double?
  /// How long ago it was last heard.
  public var lastHeardSeconds: Double?
  /// How it stands to this node, for each volume.
  public var lag: [LagReport]
}

/// A link that a drill blocks.
public struct LinkReport: Codable, Hashable, Sendable {
  /// The member.
  public var node: String
  /// Its id.
  public var id: String
  /// After so many seconds it is open again.
  public var remainingSeconds: Double
}

/// A gossip key, told by its fingerprint only.
public struct KeyReport: Codable, Hashable, Sendable {
  /// Eight hexadecimal digits.
  public var fingerprint: String
  /// Whether this key seals.
  public var isPrimary: Bool
}

/// What came of telling the members.
public struct ToldReport: Codable, Hashable, Sendable {
  /// Members that did it, this node among them.
  public var done: [String]
  /// Members that refused or could not be reached.
  public var failed: [String]
}
