// grapevine leave and forget: gone for now, gone for good.

import Admin
import ArgumentParser
import Daemon
import Foundation

/// `grapevine leave`.
struct LeaveCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "leave", abstract: "Have the node flush, unmount, say goodbye and end.",
    discussion: """
      It may come back any time: start it again.

      Example:
        grapevine leave --admin /run/grapevine.sock
      """)

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let client = try admin.client()
    let report = try client.json(ToldReport.self, "POST", "/v1/leave")
    for _ in 0..<300 {
      usleep(100_000)
      guard (try? client.send("GET", "/healthz")) != nil else {
        return try output.print(report) { "\(report.done.joined()) has left." }
      }
    }
    throw CommandFailure(
      what: "the node is still there", why: "it has not ended within 30 seconds",
      remedy: "Look at its log; a program may keep files of the mount open.")
  }
}

/// `grapevine forget`.
struct ForgetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "forget", abstract: "Declare a member gone for good.",
    discussion: """
      The others stop looking for it, and stop keeping for it the traces of what was deleted. Only a member that is
      not alive can be forgotten. It must not come back with its old data: remove its data directory first.

      Example:
        grapevine forget syd-1
      """)

  @Argument(help: "The member, by name or id.")
  var node: String

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let report = try admin.client().json(ToldReport.self, "POST", "/v1/forget", query: ["node": node])
    try output.print(report) {
      "\(node) is forgotten by \(report.done.joined(separator: ", "))."
        + (report.failed.isEmpty ? "" : "\nNOT by \(report.failed.joined(separator: ", ")): repeat it there.")
    }
    if !report.failed.isEmpty { throw ExitCode(1) }
  }
}
