// grapevine keys: rotation of the keys that seal gossip.

import Admin
import ArgumentParser
import Daemon

/// `grapevine keys`.
struct KeysCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keys", abstract: "Rotate the keys that seal gossip, on a live mesh.",
    discussion: """
      Install a new key, use it, remove the old one. Each step is done on the node that is asked and on all members it
      can reach, and written to their credentials; go on when no member is named as missing.

      Example:
        grapevine keys install
        grapevine keys list
        grapevine keys use 9f3a01bc
        grapevine keys remove 41d0e6aa
      """,
    subcommands: [KeysListCommand.self, KeysInstallCommand.self, KeysUseCommand.self, KeysRemoveCommand.self],
    defaultSubcommand: KeysListCommand.self)

  /// Tells who has done it; status 1 when somebody has not.
  static func finish(_ verb: String, _ told: ToldReport, _ output: OutputOptions) throws {
    try output.print(told) {
      "\(verb) on \(told.done.joined(separator: ", "))."
        + (told.failed.isEmpty
          ? "" : "\nMISSING: \(told.failed.joined(separator: ", ")). Repeat it when they are connected again.")
    }
    if !told.failed.isEmpty { throw ExitCode(1) }
  }
}

/// `grapevine keys list`.
struct KeysListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "The keys of the node that is asked, by fingerprint.",
    discussion: """
      Example:
        grapevine keys list
      """)

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let keys = try admin.client().json([KeyReport].self, "GET", "/v1/keys")
    try output.print(keys) {
      keys.map { "\($0.fingerprint)  \($0.isPrimary ? "seals and opens" : "opens")" }.joined(separator: "\n")
    }
  }
}

/// `grapevine keys install`.
struct KeysInstallCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "install", abstract: "Add a key that opens and does not seal yet; a new one when none is given.",
    discussion: """
      Example:
        grapevine keys install
      """)

  @Argument(help: "The key, 64 hexadecimal digits.")
  var key: String?

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let told = try admin.client(timeoutSeconds: 60).json(
      ToldReport.self, "POST", "/v1/keys", query: ["do": "install", "key": key ?? ""])
    try KeysCommand.finish("Installed", told, output)
  }
}

/// `grapevine keys use`.
struct KeysUseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "use", abstract: "Seal with an installed key.",
    discussion: """
      Example:
        grapevine keys use 9f3a01bc
      """)

  @Argument(help: "The key's fingerprint.")
  var fingerprint: String

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let told = try admin.client(timeoutSeconds: 60).json(
      ToldReport.self, "POST", "/v1/keys", query: ["do": "use", "key": fingerprint])
    try KeysCommand.finish("In use", told, output)
  }
}

/// `grapevine keys remove`.
struct KeysRemoveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "remove", abstract: "Forget a key that does not seal.",
    discussion: """
      Example:
        grapevine keys remove 41d0e6aa
      """)

  @Argument(help: "The key's fingerprint.")
  var fingerprint: String

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let told = try admin.client(timeoutSeconds: 60).json(
      ToldReport.self, "POST", "/v1/keys", query: ["do": "remove", "key": fingerprint])
    try KeysCommand.finish("Removed", told, output)
  }
}
