// grapevine position and wait: read your writes in another region.

import Admin
import ArgumentParser
import Daemon

/// `grapevine position`.
struct PositionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "position", abstract: "What the node holds of a volume, as a token for `wait`.",
    discussion: """
      Everything that was closed or fsynced below the mount before the call is covered by the token.

      Example:
        grapevine position /data
      """)

  @OptionGroup var place: PathOptions
  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let report = try admin.client().json(PositionReport.self, "GET", "/v1/position", query: place.query)
    try output.print(report) { report.position }
  }
}

/// `grapevine wait`.
struct WaitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wait", abstract: "Wait until the node holds what a token says.",
    discussion: """
      Exit status 0 when it does, 1 when the time is over first.

      Example, from the machine of lhr-1 to that of ord-1:
        TOKEN=$(grapevine position /data)
        ssh ord grapevine wait /data --for "'$TOKEN'" --timeout 10s
      """)

  @OptionGroup var place: PathOptions

  @Option(name: .customLong("for"), help: "The token that `position` printed.")
  var token: String

  @Option(name: .long, help: "How long to wait; a number without a unit is seconds.")
  var timeout = "30s"

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  private var timeoutText: String { timeout.allSatisfy(\.isNumber) ? timeout + "s" : timeout }

  func validate() throws {
    if Quantities.duration(timeoutText) == nil { throw ValidationError("'\(timeout)' is not a time. Write 30s.") }
  }

  func run() throws {
    var query = place.query
    query["token"] = token
    query["timeout"] = timeoutText
    let seconds = Int((Quantities.duration(timeoutText) ?? .zero).seconds) + 10
    let report = try admin.client(timeoutSeconds: seconds).json(PositionReport.self, "GET", "/v1/wait", query: query)
    try output.print(report) {
      report.isReached
        ? "Reached after \(report.waitedMilliseconds) ms."
        : "Not reached after \(report.waitedMilliseconds) ms. The node holds \(report.position)"
    }
    if !report.isReached { throw ExitCode(1) }
  }
}
