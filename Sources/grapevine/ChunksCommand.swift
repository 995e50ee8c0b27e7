// grapevine chunks: what a file is made of.

import Admin
import ArgumentParser
import Daemon

/// `grapevine chunks`.
struct ChunksCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "chunks", abstract: "The chunks of a file: who wrote each, and when. Of a database: its pages.",
    discussion: """
      Example:
        grapevine chunks /data/app/report.bin
      """)

  @OptionGroup var place: PathOptions
  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if place.path == nil { throw ValidationError("Name a file.") }
  }

  func run() throws {
    let report = try admin.client().json(ChunksReport.self, "GET", "/v1/chunks", query: place.query)
    try output.print(report) { Self.text(of: report) }
  }

  static func text(of report: ChunksReport) -> String {
    var lines = ["\(report.path) in \(report.volume): \(report.kind), \(report.size) bytes"]
    if !report.file.isEmpty { lines.append("file \(report.file), version \(report.version)") }
    guard !report.chunks.isEmpty else { return lines.joined(separator: "\n") }
    lines.append("\(report.chunks.count) chunks of \(report.chunkSize) bytes that were written")
    var table = TextTable("#INDEX", "#LENGTH", "WRITTEN BY", "AT", "CHANGE", "SHA-256")
    for chunk in report.chunks {
      table.add(
        String(chunk.index), String(chunk.length), chunk.writtenBy, chunk.writtenAt, chunk.dot,
        String(chunk.hash.prefix(16)))
    }
    return (lines + [table.text]).joined(separator: "\n")
  }
}
