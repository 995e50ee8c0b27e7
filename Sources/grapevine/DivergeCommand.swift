// grapevine diverge: where nodes differ, down to chunks.

import Admin
import ArgumentParser
import Daemon

/// `grapevine diverge`.
struct DivergeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diverge", abstract: "Where nodes differ, down to chunks: whose version, and which one wins.",
    discussion: """
      The node that is asked compares what it shows with what the others show: names, attributes, links, bytes. Exit
      status 0 when all are equal, 1 while anything differs or some node did not answer.

      Examples:
        grapevine diverge
        grapevine diverge /data/app --node ord-1 --node syd-1
      """)

  @OptionGroup var place: PathOptions

  @Option(name: .long, help: "Compare this node; may stand more than once. One alone is compared with the node asked.")
  var node: [String] = []

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    var query = place.query
    if !node.isEmpty { query["node"] = node.joined(separator: ",") }
    let report = try admin.client(timeoutSeconds: 120).json(DivergeReport.self, "GET", "/v1/diverge", query: query)
    try output.print(report) { Self.text(of: report) }
    if !report.isEqual { throw ExitCode(1) }
  }

  static func text(of report: DivergeReport) -> String {
    let silent = report.nodes.filter { !$0.answered }.map(\.node)
    let answered = report.nodes.filter(\.answered)
    var lines: [String] = []
    if report.differences.isEmpty {
      lines.append(
        "\(report.path) in \(report.volume): equal on \(answered.map(\.node).joined(separator: ", ")), "
          + "\(answered.first?.entries ?? 0) entries"
          + (report.isSamePosition ? "" : "; changes are still on their way"))
    } else {
      lines.append("\(report.path) in \(report.volume): \(report.differences.count) paths differ")
    }
    if !silent.isEmpty { lines.append("not compared, no answer: \(silent.joined(separator: ", "))") }
    for difference in report.differences {
      lines.append("\(difference.path): \(difference.what.joined(separator: ", "))")
      for (node, shows) in difference.shows.sorted(by: { $0.key < $1.key }) { lines.append("  \(node): \(shows)") }
      for chunk in difference.chunks {
        lines.append("  chunk \(chunk.index), \(chunk.winner) wins: the later change")
        for (node, version) in chunk.versions.sorted(by: { $0.key < $1.key }) {
          lines.append(
            "    \(node): \(version.hash.prefix(12)) of \(version.length) bytes, by \(version.writtenBy) at "
              + "\(version.writtenAt), \(version.dot)")
        }
      }
    }
    if report.isCut { lines.append("and more") }
    return lines.joined(separator: "\n")
  }
}
