// Columns of text that line up.

/// A table for a person.
struct TextTable {
  private var rows: [[String]]

  /// A table with a heading for each column; a heading that begins with `#` stands over numbers.
  init(_ headings: String...) { rows = [headings] }

  /// Adds a row.
  mutating func add(_ cells: String...) { rows.append(cells) }

  /// The lines, columns two spaces apart, no spaces at the ends.
  var text: String {
    let isNumber = rows[0].map { $0.hasPrefix("#") }
    var shown = rows
    shown[0] = rows[0].map { $0.hasPrefix("#") ? String($0.dropFirst()) : $0 }
    let widths = shown[0].indices.map { column in shown.map { $0[column].count }.max() ?? 0 }
    return shown.map { row in
      var line = ""
      for (column, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[column] - cell.count)
        line += (column > 0 ? "  " : "") + (isNumber[column] ? padding + cell : cell + padding)
      }
      while line.last == " " { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }
}

/// Numbers for a person.
enum Readable {
  /// `12.3 MB`.
  static func bytes(_ count: UInt64) -> String {
    var value = Double(count)
    for unit in ["B", "KB", "MB", "GB"] {
      if value < 1_000 { return rounded(value, unit) }
      value /= 1_000
    }
    return rounded(value, "TB")
  }

  private static func rounded(_ value: Double, _ unit: String) -> String {
    if unit == "B" || value >= 100 { return "\(Int(value.rounded())) \(unit)" }
    return "\(Double(Int((value * 10).rounded())) / 10) \(unit)"
  }

  /// `3 min`.
  static func seconds(_ seconds: Double) -> String {
    switch seconds {
    case ..<10: "\(Double(Int((seconds * 10).rounded())) / 10) s"
    case ..<120: "\(Int(seconds)) s"
    case ..<7_200: "\(Int(seconds / 60)) min"
    case ..<172_800: "\(Int(seconds / 3_600)) h"
    default: "\(Int(seconds / 86_400)) d"
    }
  }

  /// `1 file`, `2 files`.
  static func count(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
}
