// The sources as text, for rules about their form.

import Foundation

/// A file of the sources, read whole.
struct SourceFile: Sendable {
  /// Its path from the package's directory.
  let path: String
  let lines: [String]

  /// The module or test target it belongs to: the directory beneath Sources or Tests.
  var room: String { path.split(separator: "/").dropFirst().first.map(String.init) ?? "" }
  var name: String { path.split(separator: "/").last.map(String.init) ?? "" }

  /// Lines with their numbers, without what stands behind `//`.
  var code: [(number: Int, text: String)] {
    lines.enumerated().map { number, line in
      (number + 1, line.range(of: "//").map { String(line[..<$0.lowerBound]) } ?? line)
    }
  }

  /// The modules it imports.
  var imports: [String] {
    code.compactMap { _, line in
      let words = line.split(separator: " ")
      guard let index = words.firstIndex(of: "import"), words[..<index].allSatisfy({ Self.marks.contains($0) }),
        index + 1 < words.count
      else { return nil }
      return words.last.flatMap { $0.split(separator: ".").first }.map(String.init)
    }
  }

  private static let marks: Set<Substring> = [
    "public", "package", "internal", "fileprivate", "@testable", "@preconcurrency",
  ]
}

/// The package's files.
enum Sources {
  /// The package's directory.
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// Every file beneath the directories whose name ends so, in order.
  static func files(_ directories: [String], ending endings: [String]) -> [SourceFile] {
    directories.flatMap { directory in
      let base = root.appending(path: directory)
      let found = FileManager.default.enumerator(atPath: base.path)?.compactMap { $0 as? String } ?? []
      return found.filter { path in !path.contains(".build/") && endings.contains { path.hasSuffix($0) } }.sorted()
        .compactMap { read("\(directory)/\($0)") }
    }
  }

  /// A file at a path from the package's directory.
  static func read(_ path: String) -> SourceFile? {
    guard let text = try? String(contentsOf: root.appending(path: path), encoding: .utf8) else { return nil }
    return SourceFile(path: path, lines: text.components(separatedBy: "\n"))
  }

  static let swift = files(["Sources", "Tests"], ending: [".swift"])

  /// The names of the directories beneath a directory.
  static func rooms(_ directory: String) -> [String] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: root.appending(path: directory).path)) ?? []
    return names.sorted().filter { name in
      var isDirectory: ObjCBool = false
      let path = root.appending(path: "\(directory)/\(name)").path
      return FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory) && isDirectory.boolValue
    }
  }
}
