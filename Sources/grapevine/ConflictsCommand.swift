// grapevine conflicts: what lost to a concurrent winner, with its bytes.

import Admin
import ArgumentParser
import Daemon
import Foundation

/// `grapevine conflicts`.
struct ConflictsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "conflicts", abstract: "What lost to a concurrent winner: list, show, restore, drop.",
    discussion: """
      The winner is in the file already, everywhere. What lost is kept until somebody restores or drops it, on any
      node; then it is gone from the list on all of them.
      """,
    subcommands: [
      ConflictsListCommand.self, ConflictsShowCommand.self, ConflictsRestoreCommand.self, ConflictsDropCommand.self,
    ], defaultSubcommand: ConflictsListCommand.self)
}

/// `grapevine conflicts list`.
struct ConflictsListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List conflicts.",
    discussion: """
      Example:
        grapevine conflicts list
      """)

  @Option(name: .long, help: "Only of this volume.")
  var volume: String?

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let query = volume.map { ["volume": $0] } ?? [:]
    let conflicts = try admin.client().json([ConflictReport].self, "GET", "/v1/conflicts", query: query)
    try output.print(conflicts) { conflicts.isEmpty ? "No conflicts." : Self.text(of: conflicts) }
  }

  static func text(of conflicts: [ConflictReport]) -> String {
    var table = TextTable("ID", "VOLUME", "PATH", "WHAT", "#BYTES", "LOST: WRITTEN BY", "AT", "WON")
    for conflict in conflicts {
      table.add(
        conflict.id, conflict.volume, conflict.path, conflict.index.map { "chunk \($0)" } ?? "file",
        String(conflict.bytes), conflict.writtenBy, conflict.writtenAt, conflict.winner)
    }
    return table.text
  }
}

/// `grapevine conflicts show`.
struct ConflictsShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Write the bytes that lost to standard output.",
    discussion: """
      Example:
        grapevine conflicts show 4be1c02ad7f09913:12:0 > lost.bin
      """)

  @Argument(help: "The conflict, as `conflicts list` names it.")
  var id: String

  @OptionGroup var admin: AdminOptions

  @Flag(name: .long, help: "Print the conflict as JSON, with its bytes as base64.")
  var json = false

  private struct Shown: Encodable {
    var conflict: ConflictReport?
    var base64: String
  }

  func run() throws {
    let client = try admin.client()
    let reply = try client.check(client.send("GET", "/v1/conflicts/show", query: ["id": id]))
    guard json else { return FileHandle.standardOutput.write(Data(reply.body)) }
    let all = try client.json([ConflictReport].self, "GET", "/v1/conflicts")
    try OutputOptions.printJSON(
      Shown(conflict: all.first { $0.id == id }, base64: Data(reply.body).base64EncodedString()))
  }
}

/// `grapevine conflicts restore`.
struct ConflictsRestoreCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Put what lost beside the winner, on all nodes.",
    discussion: """
      A file that lost its name gets another one. Of a lost chunk, a copy of the file is made with that chunk in place.

      Example:
        grapevine conflicts restore 4be1c02ad7f09913:12:0 --to /report.from-lhr.txt
      """)

  @Argument(help: "The conflict, as `conflicts list` names it.")
  var id: String

  @Option(name: .long, help: "The path in the volume. Default: NAME.conflict-NODE beside the winner.")
  var to: String?

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    var query = ["id": id]
    query["to"] = to
    let report = try admin.client().json(RestoreReport.self, "POST", "/v1/conflicts/restore", query: query)
    try output.print(report) { "Restored as \(report.path) in \(report.volume)." }
  }
}

/// `grapevine conflicts drop`.
struct ConflictsDropCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drop", abstract: "Give up what lost, on all nodes.",
    discussion: """
      Example:
        grapevine conflicts drop 4be1c02ad7f09913:12:0
        grapevine conflicts drop --all
      """)

  @Argument(help: "The conflict, as `conflicts list` names it.")
  var id: String?

  @Flag(name: .long, help: "All that are listed.")
  var all = false

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if (id == nil) != all { throw ValidationError("Name one conflict, or all of them with --all.") }
  }

  func run() throws {
    let dropped = try admin.client().json(
      [ConflictReport].self, "POST", "/v1/conflicts/drop", query: ["id": id ?? "all"])
    try output.print(dropped) { "Dropped \(Readable.count(dropped.count, "conflict"))." }
  }
}
