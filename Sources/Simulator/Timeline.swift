// The timeline of a run as text.

/// The timeline of a run as text.
public enum TimelineText {
  /// One entry as a line.
  public static func line(_ entry: TimelineEntry) -> String {
    let clock = TimelineEntry.clock(entry.at)
    let padding = String(repeating: " ", count: max(0, 10 - clock.count))
    return "\(padding)\(clock)  \(entry.node.map { "node \($0)" } ?? "      ")  \(entry.text)"
  }

  /// All entries, a line each; those of one node when it is given.
  public static func text(_ report: SimulationReport, node: Int? = nil) -> String {
    report.timeline.filter { node == nil || $0.node == node || $0.node == nil }.map(line).joined(separator: "\n")
  }
}
