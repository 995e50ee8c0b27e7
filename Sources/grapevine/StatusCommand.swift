// grapevine status: health at a glance.

import Admin
import ArgumentParser
import Daemon

/// `grapevine status`.
struct StatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status", abstract: "Health at a glance.",
    discussion: """
      Exit status 0 when the node is mounted, caught up with all it knows of and has no alarm; 1 otherwise.

      Example:
        grapevine status --admin ./try/lhr-1/grapevine.sock
      """)

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let report = try admin.client().json(StatusReport.self, "GET", "/v1/status")
    try output.print(report) { Self.text(of: report) }
    if !report.isReady || !report.isCaughtUp || !report.alarms.isEmpty { throw ExitCode(1) }
  }

  static func text(of report: StatusReport) -> String {
    let state = !report.isReady ? "starting" : report.isCaughtUp ? "caught up" : "catching up"
    let missing = ["suspect", "dead"].compactMap { status in
      report.members[status].flatMap { $0 > 0 ? "\($0) \(status)" : nil }
    }
    var lines = [
      "\(report.node) in \(report.region), mesh \(report.mesh): \(state)",
      "  up       \(Readable.seconds(Double(report.uptimeSeconds)))",
      "  members  \(([String(report.members["alive"] ?? 0) + " alive"] + missing).joined(separator: ", ")), "
        + "\(report.connected) connected",
    ]
    if !report.blocked.isEmpty { lines.append("  drill    blocked: \(report.blocked.joined(separator: ", "))") }
    for volume in report.volumes {
      let place = volume.mountedAt.isEmpty ? "not mounted" : "at \(volume.mountedAt)"
      let behind = volume.peers.filter { $0.behind > 0 }.map { "\($0.node) lacks \($0.behind)" }
      let ahead = volume.peers.filter { $0.ahead > 0 }.map { "\($0.node) has \($0.ahead) more" }
      let lag = behind + ahead
      lines.append(
        "  volume   \(volume.name) \(place): \(volume.entries) \(volume.entries == 1 ? "entry" : "entries"), "
          + "\(Readable.bytes(volume.bytes)), \(Readable.count(volume.conflicts, "conflict"))"
          + (lag.isEmpty ? "" : "; " + lag.joined(separator: ", ")))
    }
    for alarm in report.alarms {
      lines.append("  ALARM    \(alarm.what) (\(Readable.count(Int(alarm.times), "time")))")
    }
    return lines.joined(separator: "\n")
  }
}
