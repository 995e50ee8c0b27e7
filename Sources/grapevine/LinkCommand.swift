// grapevine link: a partition drill on a live mesh.

import Admin
import ArgumentParser
import Daemon

/// `grapevine link`.
struct LinkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "link", abstract: "A partition drill: block links of a running node for a while.",
    subcommands: [LinkBlockCommand.self, LinkUnblockCommand.self, LinkListCommand.self],
    defaultSubcommand: LinkListCommand.self)

  static func text(of links: [LinkReport]) -> String {
    if links.isEmpty { return "No link is blocked." }
    return links.map { "\($0.node) is blocked for \(Readable.seconds($0.remainingSeconds)) more" }
      .joined(separator: "\n")
  }
}

/// `grapevine link block`.
struct LinkBlockCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "block", abstract: "Pretend not to reach members; the links open again by themselves.",
    discussion: """
      Example, this node cut off from everybody for a minute:
        grapevine link block all --for 1m
      """)

  @Argument(help: "Members by name or id, or all.")
  var nodes: [String]

  @Option(name: .customLong("for"), help: "For how long, at most 1h; a number without a unit is seconds.")
  var duration = "30s"

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  private var durationText: String { duration.allSatisfy(\.isNumber) ? duration + "s" : duration }

  func validate() throws {
    if Quantities.duration(durationText) == nil { throw ValidationError("'\(duration)' is not a time. Write 30s.") }
  }

  func run() throws {
    let links = try admin.client().json(
      [LinkReport].self, "POST", "/v1/link/block",
      query: ["node": nodes.joined(separator: ","), "for": durationText])
    try output.print(links) { LinkCommand.text(of: links) }
  }
}

/// `grapevine link unblock`.
struct LinkUnblockCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "unblock", abstract: "Open blocked links now.",
    discussion: """
      Example:
        grapevine link unblock all
      """)

  @Argument(help: "Members by name or id, or all.")
  var nodes: [String]

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let links = try admin.client().json(
      [LinkReport].self, "POST", "/v1/link/unblock", query: ["node": nodes.joined(separator: ",")])
    try output.print(links) { LinkCommand.text(of: links) }
  }
}

/// `grapevine link list`.
struct LinkListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "The links that are blocked.",
    discussion: """
      Example:
        grapevine link list
      """)

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let links = try admin.client().json([LinkReport].self, "GET", "/v1/link")
    try output.print(links) { LinkCommand.text(of: links) }
  }
}
