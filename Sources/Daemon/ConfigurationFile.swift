// A TOML file to a configuration.

import Foundation
import Transport

extension Configuration {
  /// Where a configuration is looked for when none is named.
  public static let standardPath = "/etc/grapevine/grapevine.toml"

  /// Reads a file. Relative paths in it are taken from its directory.
  public static func load(
    path: String, environment: [String: String] = ProcessInfo.processInfo.environment
  ) throws -> Configuration {
    guard let data = FileManager.default.contents(atPath: path) else {
      let exists = FileManager.default.fileExists(atPath: path)
      throw ConfigurationError(
        file: path, key: "", what: exists ? "not readable for this user" : "there is no such file",
        remedy: "Name one with --config, or make one with `grapevine cluster create`.")
    }
    guard let text = String(data: data, encoding: .utf8) else {
      throw ConfigurationError(file: path, key: "", what: "not UTF-8", remedy: "Save it as UTF-8.")
    }
    let absolute = URL(fileURLWithPath: path).deletingLastPathComponent().standardizedFileURL.path
    return try parse(text, file: path, directory: absolute, environment: environment)
  }

  /// Reads a file's text. Variables are those of the environment, and below them those of a fly.toml's `[env]`.
  public static func parse(
    _ text: String, file: String, directory: String, environment: [String: String]
  ) throws -> Configuration {
    let values = try ConfigurationValue.parse(text, file: file)
    var variables: [String: String] = [:]
    if case .table(let env) = values["env"] {
      for case (let name, .text(let value)) in env { variables[name] = value }
    }
    variables.merge(environment) { $1 }
    let root = ConfigurationTable(file: file, name: "", values: values, directory: directory, variables: variables)
    return try read(root)
  }

  private static func read(_ root: ConfigurationTable) throws -> Configuration {
    let tables = ConfigurationSchema.tables.map(\.name)
    for key in root.values.keys.sorted()
    where !tables.contains(key) && key != "mounts" && !ConfigurationSchema.foreignTop.contains(key) {
      throw root.error(
        key, "there is no such table", "Did you mean [\(ConfigurationSchema.nearestTable(to: key))]?")
    }
    var configuration = Configuration()
    if let table = try section("node", of: root) {
      let defaults = NodeSettings()
      configuration.node.name = try table.text("name", default: defaults.name)
      configuration.node.region = try table.text("region", default: defaults.region)
      configuration.node.dataDirectory = try table.path("data-dir", default: defaults.dataDirectory)
      configuration.node.maxClockOffset = try table.duration(
        "max-clock-offset", default: defaults.maxClockOffset, atLeast: .milliseconds(1))
      for (key, name) in [("name", configuration.node.name), ("region", configuration.node.region)] where !name.isEmpty
      {
        _ = try table.checkedName(key, name)
      }
    }
    if configuration.node.region.isEmpty {
      configuration.node.region = try root.text("primary_region", default: "")
    }
    if let table = try section("mesh", of: root) {
      let defaults = MeshSettings()
      configuration.mesh.credentials = try table.path("credentials", default: defaults.credentials)
      configuration.mesh.join = try joinAddresses(table)
      configuration.mesh.maxOffline = try table.duration(
        "max-offline", default: defaults.maxOffline, atLeast: .seconds(3_600))
    }
    if let table = try section("gossip", of: root) {
      let defaults = GossipSettings()
      configuration.gossip.bind = try table.address("bind", default: defaults.bind)
      configuration.gossip.advertise = try table.address("advertise", default: defaults.advertise, mayBeEmpty: true)
      configuration.gossip.profile = try table.choice("profile", default: defaults.profile)
    }
    if let table = try section("sync", of: root) {
      let defaults = SyncSettings()
      configuration.sync.bind = try table.address("bind", default: defaults.bind)
      configuration.sync.advertise = try table.address("advertise", default: defaults.advertise, mayBeEmpty: true)
    }
    if let table = try section("admin", of: root) {
      let defaults = AdminSettings()
      configuration.admin.socket = try table.path("socket", default: defaults.socket)
      guard configuration.admin.socket.utf8.count <= 107 else {
        throw table.error("socket", "the path is longer than a socket's may be (107 bytes)", "Choose a shorter one.")
      }
      configuration.admin.http = try table.address("http", default: defaults.http, mayBeEmpty: true)
      configuration.admin.token = try table.text("token", default: defaults.token)
    }
    if let table = try section("log", of: root) {
      let defaults = LogSettings()
      configuration.log.level = try table.choice("level", default: defaults.level)
      configuration.log.format = try table.choice("format", default: defaults.format)
    }
    configuration.mounts = try mounts(root)
    configuration.volumes = try volumes(root)
    return configuration
  }

  /// One of our single tables, with its keys checked.
  private static func section(_ name: String, of root: ConfigurationTable) throws -> ConfigurationTable? {
    let tables = try root.tables(name)
    if tables.count > 1 { throw root.error(name, "stands more than once", "Write one [\(name)] table.") }
    try tables.first?.checkKeys(ConfigurationSchema.keys(of: name))
    return tables.first
  }

  private static func joinAddresses(_ table: ConfigurationTable) throws -> [String] {
    let entries = try table.texts("join").flatMap { $0.split(separator: ",") }
      .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    for entry in entries {
      guard Endpoint(entry.hasPrefix("dns:") ? String(entry.dropFirst(4)) : entry) != nil else {
        throw table.error("join", "\"\(entry)\" is not an address", "Write host:port or dns:host:port.")
      }
    }
    return entries
  }

  private static func mounts(_ root: ConfigurationTable) throws -> [Mount] {
    var mounts: [Mount] = []
    for table in try root.tables("mount") + root.tables("mounts") {
      try table.checkKeys(ConfigurationSchema.keys(of: "mount"), foreign: ConfigurationSchema.foreignMount)
      let source = try table.checkedName("source", table.requiredText("source"))
      _ = try table.requiredText("destination")
      let destination = try table.path("destination", default: "")
      if mounts.contains(where: { $0.destination == destination }) {
        throw table.error("destination", "\(destination) is mounted twice", "Give each mount a directory of its own.")
      }
      if mounts.contains(where: { $0.source == source }) {
        throw table.error("source", "the volume \(source) is mounted twice", "Mount it once; a link can show it again.")
      }
      mounts.append(Mount(source: source, destination: destination))
    }
    return mounts
  }

  private static func volumes(_ root: ConfigurationTable) throws -> [Volume] {
    var volumes: [Volume] = []
    for table in try root.tables("volume") {
      try table.checkKeys(ConfigurationSchema.keys(of: "volume"))
      var volume = Volume(name: try table.checkedName("name", table.requiredText("name")))
      if volumes.contains(where: { $0.name == volume.name }) {
        throw table.error("name", "the volume \(volume.name) is declared twice", "Remove one of them.")
      }
      volume.sizeBytes = try table.bytes("size")
      volume.regions = try table.texts("regions").map { try table.checkedName("regions", $0) }
      volume.history = try table.duration("history", default: volume.history)
      volume.resolver = try table.tables("resolver").map { rule in
        try rule.checkKeys(ConfigurationSchema.resolverKeys)
        return ResolverRule(
          match: try rule.requiredText("match"), use: try rule.choice("use", default: ResolverName.chunks))
      }
      volumes.append(volume)
    }
    return volumes
  }
}
