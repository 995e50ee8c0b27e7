// A path or a volume, as verbs take it.

import ArgumentParser
import Foundation

/// Which path of which volume a verb is about.
struct PathOptions: ParsableArguments {
  @Argument(help: "A path below a mount. With --volume: a path in that volume.")
  var path: String?

  @Option(name: .long, help: "The volume. Not needed for a path below a mount, or when the node carries only one.")
  var volume: String?

  /// What the node is asked with.
  var query: [String: String] {
    var query: [String: String] = [:]
    query["path"] = path
    query["volume"] = volume
    if volume == nil, path != nil { query["from"] = FileManager.default.currentDirectoryPath }
    return query
  }
}
