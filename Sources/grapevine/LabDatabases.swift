// The databases in the lab's mounts: found by their first bytes, compared by what is in them.

import Foundation

/// SQLite databases that programs may have open.
enum LabDatabases {
  /// The paths of the databases in a mount, from its root.
  static func names(in mount: String) -> [String] {
    var names: [String] = []
    for case let name as String in FileManager.default.enumerator(atPath: mount) ?? .init() {
      guard let file = FileHandle(forReadingAtPath: "\(mount)/\(name)") else { continue }
      defer { try? file.close() }
      if let head = try? file.read(upToCount: 16), head == Data("SQLite format 3\0".utf8) { names.append(name) }
    }
    return names.sorted()
  }

  /// The files of databases as a tree names them. What stands beside a database is of its node and does not replicate.
  static func files(of names: Set<String>) -> Set<String> {
    Set(names.flatMap { name in ["", "-journal", "-wal", "-shm"].map { "/\(name)\($0)" } })
  }

  /// What the `sqlite3` command answers on a node.
  static func ask(_ question: String, _ name: String, _ node: LabNode) throws -> String {
    let answer = node.directory + "/answer"
    var environment = node.environment
    environment["QUESTION"] = question
    environment["DATABASE"] = "\(node.mount)/\(name)"
    let command = "sqlite3 -cmd '.timeout 10000' \"$DATABASE\" \"$QUESTION\""
    try LabProcess.shell("\(command) >'\(answer)'", environment: environment, log: node.directory + "/answer.log")
    return try String(contentsOfFile: answer, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines)
  }

  /// Databases whose schema or rows are not the same on all nodes.
  static func differences(_ names: [String], _ nodes: [LabNode]) throws -> [String] {
    try names.flatMap { name -> [String] in
      let first = try ask(".dump", name, nodes[0])
      return try nodes.dropFirst().filter { try ask(".dump", name, $0) != first }.map {
        "\(nodes[0].name) and \($0.name): /\(name): the rows differ"
      }
    }
  }
}
