// The files of a mesh before any node runs: its authority, and one ready directory for each node.

import Causality
import Foundation
import Transport

/// Files of a mesh that cannot be made. What had been made before the error stays.
public struct ClusterError: Error, Equatable, CustomStringConvertible {
  /// What failed.
  public let what: String
  /// Why.
  public let why: String
  /// What to do.
  public let remedy: String

  /// An error with all three.
  public init(_ what: String, why: String, remedy: String) {
    self.what = what
    self.why = why
    self.remedy = remedy
  }

  /// All three in one line.
  public var description: String { "\(what): \(why). \(remedy)" }
}

/// A mesh's directory: `authority/`, which stays where it is, and `NODE/grapevine.toml` with `NODE/credentials/` for
/// each node, which go to the node's machine as they are.
public struct ClusterFiles: Sendable {
  /// A node as the directory knows it.
  public struct Node: Codable, Hashable, Sendable {
    /// Its name.
    public var name: String
    /// Its region.
    public var region: String
    /// Its id, sixteen hexadecimal digits.
    public var id: String
    /// Its directory.
    public var directory: String
    /// Where others reach it, `host:port`; empty when that is not known yet.
    public var address: String
  }

  /// Where a new node will stand.
  public struct Site: Hashable, Sendable {
    /// The region.
    public var region: String
    /// The host others reach it at, and the port of its gossip when it is not 7946; empty when not known yet.
    public var host: String

    /// A region, and a host there.
    public init(region: String, host: String = "") {
      self.region = region
      self.host = host
    }

    /// Reads `lhr` or `lhr=host` or `lhr=host:port`.
    public init(text: String) {
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      self.init(region: String(parts[0]), host: parts.count > 1 ? String(parts[1]) : "")
    }
  }

  /// A volume that every new node declares and mounts at `mount` in its directory.
  public struct NewVolume: Codable, Hashable, Sendable {
    /// Its name.
    public var name: String
    /// Its size as written in a configuration; empty for none.
    public var size: String

    /// A volume.
    public init(name: String, size: String) {
      self.name = name
      self.size = size
    }
  }

  private struct Record: Codable {
    var local: Bool
    var firstPort: Int?
    var volume: NewVolume?
    var nodes: [Node]
  }

  /// The directory.
  public let directory: String
  /// The authority.
  public let authority: MeshAuthority
  /// The nodes, oldest first.
  public var nodes: [Node] { record.nodes }
  private var record: Record

  /// Makes a mesh with one node a site. `local` puts all of them on this machine, each with ports of its own: ten for
  /// each node, from `firstPort` on.
  public static func create(
    name: String, sites: [Site], directory: String, local: Bool = false, firstPort: Int = 7_946,
    volume: NewVolume? = nil
  ) throws -> ClusterFiles {
    guard !sites.isEmpty else {
      throw ClusterError(
        "no mesh was made", why: "it has no region", remedy: "Name one or more with --regions lhr,ord.")
    }
    if FileManager.default.fileExists(atPath: "\(directory)/authority") {
      throw ClusterError(
        "no mesh was made", why: "\(directory) holds one already",
        remedy: "Choose another --dir, or add a node to it with `grapevine cluster issue`.")
    }
    if let volume {
      guard NodeIdentity.isValidName(volume.name) else {
        throw ClusterError(
          "no mesh was made", why: "'\(volume.name)' cannot be the name of a volume",
          remedy: "Choose 1 to 63 letters, digits, dots, dashes or underscores.")
      }
      guard volume.size.isEmpty || Quantities.bytes(volume.size) != nil else {
        throw ClusterError(
          "no mesh was made", why: "'\(volume.size)' is not a size", remedy: "Write one such as 10GB or 512MiB.")
      }
    }
    let authority = try MeshAuthority.create(name: name)
    for site in sites { try check(site) }
    var files = ClusterFiles(
      directory: directory, authority: authority,
      record: Record(local: local, firstPort: firstPort, volume: volume, nodes: []))
    var planned: [Node] = []
    for site in sites { planned.append(try files.plan(nil, site, after: planned)) }
    try authority.save(to: "\(directory)/authority")
    for node in planned { try files.make(node, peers: planned) }
    try files.save()
    return files
  }

  /// Reads the directory that `create` made.
  public static func load(_ directory: String) throws -> ClusterFiles {
    let authority = try MeshAuthority.load(from: "\(directory)/authority")
    let path = "\(directory)/authority/nodes.json"
    guard let data = FileManager.default.contents(atPath: path),
      let record = try? JSONDecoder().decode(Record.self, from: data)
    else {
      throw ClusterError(
        "cannot read \(path)", why: "it is missing or not what `grapevine cluster create` writes",
        remedy: "Name the mesh's directory with --dir.")
    }
    return ClusterFiles(directory: directory, authority: authority, record: record)
  }

  /// Makes the directory of one more node.
  public mutating func issue(_ name: String, site: Site) throws -> Node {
    try Self.check(site)
    let node = try plan(name, site, after: record.nodes)
    try make(node, peers: record.nodes)
    try save()
    return node
  }

  private static func check(_ site: Site) throws {
    guard NodeIdentity.isValidName(site.region) else {
      throw ClusterError(
        "nothing was made", why: "'\(site.region)' cannot be the name of a region",
        remedy: "Write regions as lhr,ord or, with a host each, as lhr=host,ord=host.")
    }
    guard site.host.isEmpty || address(of: site.host) != nil else {
      throw ClusterError(
        "nothing was made", why: "'\(site.host)' is not a host", remedy: "Write host, host:port or [IPv6]:port.")
    }
  }

  private static func address(of host: String) -> Endpoint? { Endpoint(host) ?? Endpoint("\(host):7946") }

  private func plan(_ wanted: String?, _ site: Site, after others: [Node]) throws -> Node {
    var name = wanted ?? ""
    var number = 0
    while wanted == nil, number == 0 || others.contains(where: { $0.name == name }) {
      number += 1
      name = "\(site.region)-\(number)"
    }
    guard NodeIdentity.isValidName(name), name != "authority" else {
      throw ClusterError(
        "no node was made", why: "'\(name)' cannot be the name of a node", remedy: "Choose a name such as lhr-2.")
    }
    let nodeDirectory = "\(directory)/\(name)"
    if others.contains(where: { $0.name == name }) || FileManager.default.fileExists(atPath: nodeDirectory) {
      throw ClusterError(
        "no node was made", why: "\(nodeDirectory) is there already",
        remedy: "Choose another name, or move that directory away.")
    }
    var address = Self.address(of: site.host)
    if record.local {
      address = Endpoint(host: "127.0.0.1", port: (record.firstPort ?? 7_946) + 10 * others.count)
    }
    return Node(
      name: name, region: site.region, id: NodeID(UInt64.random(in: 1...UInt64.max)).description,
      directory: nodeDirectory, address: site.host.isEmpty && !record.local ? "" : address?.description ?? "")
  }

  private mutating func make(_ node: Node, peers: [Node]) throws {
    let credentials = try authority.issue(node: node.name, region: node.region, id: NodeID(text: node.id))
    try credentials.save(to: "\(node.directory)/credentials")
    let template = NodeTemplate(
      node: node, peers: peers.filter { $0.name != node.name }, local: record.local, volume: record.volume)
    try write(template.text, to: "\(node.directory)/grapevine.toml")
    record.nodes.append(node)
  }

  private func save() throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    let text = String(decoding: try encoder.encode(record), as: UTF8.self) + "\n"
    try write(text, to: "\(directory)/authority/nodes.json")
  }

  private func write(_ text: String, to path: String) throws {
    do {
      try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
      throw ClusterError(
        "cannot write \(path)", why: String(describing: error), remedy: "Choose a directory this user may write.")
    }
  }
}
