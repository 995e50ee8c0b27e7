// Which keys there are, and which of another file's keys are let be.

/// The keys of a configuration file.
enum ConfigurationSchema {
  /// Our tables and their keys, as Config/grapevine.toml has them.
  static let tables: [(name: String, keys: [String])] = [
    ("node", ["name", "region", "data-dir", "max-clock-offset"]),
    ("mesh", ["credentials", "join", "max-offline"]),
    ("gossip", ["bind", "advertise", "profile"]),
    ("sync", ["bind", "advertise"]),
    ("admin", ["socket", "http", "token"]),
    ("log", ["level", "format"]),
    ("mount", ["source", "destination"]),
    ("volume", ["name", "size", "regions", "resolver", "history"]),
  ]

  /// Keys of a rule in `resolver`.
  static let resolverKeys = ["match", "use"]

  /// What a fly.toml has at its top beside the tables we understand. Source: Fly.io's configuration reference.
  static let foreignTop: Set<String> = [
    "app", "app_name", "build", "checks", "console_command", "deploy", "env", "experimental", "files",
    "host_dedication_id", "http_service", "kill_signal", "kill_timeout", "metrics", "primary_region", "processes",
    "restart", "services", "statics", "swap_size_mb", "vm",
  ]

  /// What a fly.toml has in a mount beside `source` and `destination`.
  static let foreignMount: Set<String> = [
    "auto_extend_size_increment", "auto_extend_size_limit", "auto_extend_size_threshold", "initial_size", "processes",
    "scheduled_snapshots", "snapshot_retention",
  ]

  static func keys(of table: String) -> [String] { tables.first { $0.name == table }?.keys ?? [] }

  /// The known key nearest to one that is not, with its table; of equally near ones that of the same table.
  static func nearest(to key: String, in table: String) -> String {
    let candidates = (tables + [("volume.resolver", resolverKeys)]).flatMap { entry in
      entry.keys.map { (table: entry.name, key: $0) }
    }
    let best = candidates.min { left, right in
      rank(left.key, left.table == table, to: key) < rank(right.key, right.table == table, to: key)
    }
    return best.map { "`\($0.key)` in [\($0.table)]" } ?? ""
  }

  /// The known table nearest to one that is not.
  static func nearestTable(to name: String) -> String {
    tables.map(\.name).min { distance($0, name) < distance($1, name) } ?? ""
  }

  private static func rank(_ candidate: String, _ sameTable: Bool, to key: String) -> Int {
    distance(candidate, key) * 2 + (sameTable ? 0 : 1)
  }

  /// How many letters must be put in, left out or replaced.
  static func distance(_ left: String, _ right: String) -> Int {
    let left = Array(left.utf8)
    let right = Array(right.utf8)
    var row = Array(0...right.count)
    for (index, letter) in left.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for (column, other) in right.enumerated() {
        let replaced = diagonal + (letter == other ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(replaced, diagonal + 1, row[column] + 1)
      }
    }
    return row[right.count]
  }
}
