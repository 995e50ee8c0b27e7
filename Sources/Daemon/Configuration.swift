// What a node is told: every setting with its meaning and default. Config/grapevine.toml says the same to people.

import Causality

/// The settings of a node. All defaults together are a valid configuration that mounts nothing.
public struct Configuration: Hashable, Sendable {
  /// The node itself.
  public struct NodeSettings: Hashable, Sendable {
    /// What people call the node. Empty: the name in its credentials.
    public var name = ""
    /// Where the node stands; nodes of one region are near. Empty: `primary_region`, or that of its credentials.
    public var region = ""
    /// Where volumes, their history and the node's own records are kept. Must not lie inside a mount.
    public var dataDirectory = "/var/lib/grapevine"
    /// How far ahead of this node's clock a peer's stamp may be before it is held back. Above zero.
    public var maxClockOffset = Span.seconds(60)
  }

  /// The mesh the node is of.
  public struct MeshSettings: Hashable, Sendable {
    /// The directory of credentials that `grapevine cluster create` or `cluster issue` made.
    public var credentials = "/etc/grapevine/credentials"
    /// Gossip addresses to find the mesh by: `host:port`, or `dns:host:port` for every address of a name. One that
    /// answers is enough; empty entries are ignored, and an entry may hold several with commas between.
    public var join: [String] = []
    /// How long a node may be away before it is expelled and has to rebase. At least an hour.
    public var maxOffline = Span.seconds(30 * 86_400)
  }

  /// How a node's timing is tuned.
  public enum Profile: String, Hashable, Sendable, CaseIterable {
    /// All nodes on one machine.
    case local
    /// All nodes in one place.
    case lan
    /// Nodes across the world.
    case wan
  }

  /// Gossip over UDP.
  public struct GossipSettings: Hashable, Sendable {
    /// The address to listen on.
    public var bind = "0.0.0.0:7946"
    /// The address other nodes reach this one by. Empty: the bound address, or that of the route out.
    public var advertise = ""
    /// The timing of probes and suspicion.
    public var profile = Profile.wan
  }

  /// Connections that carry changes, over TCP with TLS 1.3.
  public struct SyncSettings: Hashable, Sendable {
    /// The address to listen on.
    public var bind = "0.0.0.0:7947"
    /// The address other nodes reach this one by. Empty: the host of gossip's with the port bound here.
    public var advertise = ""
  }

  /// How people and programs ask the node.
  public struct AdminSettings: Hashable, Sendable {
    /// The Unix socket of the command line, for its owner only.
    public var socket = "/run/grapevine.sock"
    /// The TCP address of API, metrics and page; read-only without the token. Empty: off.
    public var http = "127.0.0.1:7948"
    /// The bearer token that may change things over `http`. Empty: nobody may.
    public var token = ""
  }

  /// A volume mounted on this machine.
  public struct Mount: Hashable, Sendable {
    /// The volume's name.
    public var source: String
    /// The directory it appears at; made when it is missing.
    public var destination: String

    /// A mount of a volume at a directory.
    public init(source: String, destination: String) {
      self.source = source
      self.destination = destination
    }
  }

  /// How concurrent changes of one file are joined.
  public enum ResolverName: String, Hashable, Sendable, CaseIterable {
    /// Chunk by chunk, the later one.
    case chunks
    /// The whole file, the later one.
    case newest
    /// Row by row, for SQLite databases.
    case rows
  }

  /// Which files a resolver is for.
  public struct ResolverRule: Hashable, Sendable {
    /// A path pattern: `*` within one name, `**` across names, `?` one character.
    public var match: String
    /// The resolver.
    public var use: ResolverName

    /// A resolver for the paths that match.
    public init(match: String, use: ResolverName) {
      self.match = match
      self.use = use
    }
  }

  /// A volume this node declares to the mesh.
  public struct Volume: Hashable, Sendable {
    /// The volume's name, the same on every node.
    public var name: String
    /// How many bytes it may hold. 0: as many as the disk does.
    public var sizeBytes: UInt64 = 0
    /// The regions whose nodes carry it. Empty: all.
    public var regions: [String] = []
    /// The first rule that matches a path decides; without one databases are joined by rows, other files by chunks.
    public var resolver: [ResolverRule] = []
    /// How long superseded bytes are kept.
    public var history = Span.seconds(86_400)

    /// A volume with the defaults.
    public init(name: String) { self.name = name }
  }

  /// How much is logged, and how.
  public enum LogLevel: String, Hashable, Sendable, CaseIterable {
    /// From everything to nearly nothing.
    case trace, debug, info, notice, warning, error, critical
  }

  /// How log lines look.
  public enum LogFormat: String, Hashable, Sendable, CaseIterable {
    /// For people.
    case text
    /// For machines, one object a line.
    case json
  }

  /// The log, on standard error.
  public struct LogSettings: Hashable, Sendable {
    /// What is logged: this level and those above it.
    public var level = LogLevel.info
    /// How.
    public var format = LogFormat.text
  }

  /// `[node]`.
  public var node = NodeSettings()
  /// `[mesh]`.
  public var mesh = MeshSettings()
  /// `[gossip]`.
  public var gossip = GossipSettings()
  /// `[sync]`.
  public var sync = SyncSettings()
  /// `[admin]`.
  public var admin = AdminSettings()
  /// `[log]`.
  public var log = LogSettings()
  /// `[[mount]]`.
  public var mounts: [Mount] = []
  /// `[[volume]]`.
  public var volumes: [Volume] = []

  /// All defaults.
  public init() {}
}
