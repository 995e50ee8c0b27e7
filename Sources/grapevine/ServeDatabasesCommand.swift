// grapevine serve-databases: started by the daemon, not by people.

import ArgumentParser
import Daemon

/// The process that holds SQLite's connections on live databases.
struct ServeDatabasesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve-databases", abstract: "Work on live databases for the daemon at standard input.",
    shouldDisplay: false)

  func run() { DatabaseServants.run() }
}
