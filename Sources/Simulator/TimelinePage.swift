// The timeline of a run as one HTML page that needs nothing else.

/// The timeline of a run as one HTML page: a column for each node, time downwards.
public enum TimelinePage {
  /// The page.
  public static func html(_ report: SimulationReport) -> String {
    var rows = ""
    for entry in report.timeline {
      let column = entry.node.map { $0 + 2 } ?? 2
      let span = entry.node == nil ? "\(column) / span \(report.nodes)" : "\(column)"
      let kind = entry.text.hasPrefix("FAILED") ? "bad" : entry.node == nil ? "world" : kind(of: entry.text)
      rows += "<time>\(TimelineEntry.clock(entry.at))</time>"
      rows += "<p class=\"\(kind)\" style=\"grid-column:\(span)\">\(escape(entry.text))</p>\n"
    }
    let names = (0..<report.nodes).map { "<th style=\"grid-column:\($0 + 2)\">node \($0)</th>" }.joined()
    let verdict = report.failure.map { "<p class=\"bad\">\(escape($0.description))</p>" } ?? "<p>All held.</p>"
    return """
      <!doctype html><html lang="en"><meta charset="utf-8"><title>Seed \(report.seed)</title>
      <style>
      body{font:13px/1.35 system-ui,sans-serif;margin:1.5em;color:#222;background:#fff}
      main{display:grid;grid-template-columns:6em repeat(\(report.nodes),minmax(11em,1fr));gap:1px 8px}
      main p,main time,main th{margin:0;padding:1px 6px;overflow-wrap:anywhere}
      main time{grid-column:1;color:#777;font-variant-numeric:tabular-nums}
      main th{position:sticky;top:0;background:#fff;text-align:left;border-bottom:1px solid #aaa}
      .bad{background:#c22;color:#fff}.world{background:#fe9}.fault{background:#fcc}
      .change{background:#dfd}.join{background:#def}.quiet{color:#888}
      body.brief .quiet{display:none}
      @media(prefers-color-scheme:dark){body,main th{background:#181818;color:#ddd}
      .change{background:#253}.join{background:#235}.fault{background:#522}.world{background:#550}}
      </style>
      <h1>Seed \(report.seed), \(report.nodes) nodes</h1><p><code>\(escape(report.reproduction))</code></p>
      \(verdict)<p><button onclick="document.body.classList.toggle('brief')">With or without membership</button></p>
      <main>\(names)
      \(rows)</main></html>
      """
  }

  private static func kind(of text: String) -> String {
    let faults = ["is killed", "loses power", "goes away", "stands still", "its clock", "its disk", "a bit", "starts"]
    if faults.contains(where: { text.hasPrefix($0) }) { return "fault" }
    if text.hasPrefix("takes in") { return "join" }
    if text.hasPrefix("believes") || text.contains("connection") { return "quiet" }
    return "change"
  }

  private static func escape(_ text: String) -> String {
    text.map { character in
      switch character {
      case "<": "&lt;"
      case ">": "&gt;"
      case "&": "&amp;"
      case "\"": "&quot;"
      default: String(character)
      }
    }.joined()
  }
}
