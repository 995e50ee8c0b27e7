// The form of files: captions, names, lengths, and words that have no place in them.

import Foundation
import Testing

@Suite struct FormTests {
  @Test func `every Swift file says on its first line what it is`() {
    #expect(Sources.swift.count > 100)
    for file in Sources.swift {
      let first = file.lines.first ?? ""
      #expect(first.hasPrefix("// ") && first.count > 10, "\(file.path) has no caption")
    }
  }

  @Test func `file names are nouns without a plus`() {
    for file in Sources.swift { #expect(!file.name.contains("+"), "\(file.path)") }
  }

  @Test func `no file is longer than five hundred lines`() {
    for file in Sources.swift { #expect(file.lines.count <= 501, "\(file.path) has \(file.lines.count) lines") }
  }

  @Test func `every room has a door of its name`() {
    for room in Sources.rooms("Sources") where !["CFuse", "CSQLite"].contains(room) {
      let door = room.prefix(1).uppercased() + room.dropFirst()
      #expect(Sources.read("Sources/\(room)/\(door).swift") != nil, "Sources/\(room) lacks \(door).swift")
    }
  }

  @Test func `nothing is left to do, and nothing names a place on somebody's machine`() {
    let later = [["TO", "DO"], ["FIX", "ME"]].map { $0.joined() }
    let places = ["/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/"]
    let documents =
      Sources.files(["docs", "Config"], ending: [".md", ".toml", ".service", "Dockerfile"])
      + ["README.md", "Makefile", ".ci/run", "Package.swift"].compactMap { Sources.read($0) }
    #expect(documents.count > 5)
    for file in documents + Sources.swift {
      for (number, line) in file.lines.enumerated() {
        for word in later { #expect(!line.contains(word), "\(file.path):\(number + 1) has \(word)") }
        for place in places where line.contains(place) {
          let isInside = line.components(separatedBy: place).dropLast().allSatisfy { $0.last?.isLetter ?? false }
          #expect(isInside, "\(file.path):\(number + 1) names \(place)")
        }
      }
    }
  }

  @Test func `the links of the documents lead somewhere`() {
    for file in Sources.files(["docs"], ending: [".md"]) + ["README.md"].compactMap({ Sources.read($0) }) {
      let directory = file.path.split(separator: "/").dropLast().joined(separator: "/")
      for line in file.lines {
        for match in line.matches(of: #/\]\(([^)#:]+)(#[^)]*)?\)/#) {
          let target = directory.isEmpty ? String(match.1) : "\(directory)/\(match.1)"
          let path = Sources.root.appending(path: target).standardizedFileURL.path
          #expect(FileManager.default.fileExists(atPath: path), "\(file.path) leads to \(match.1), which is not there")
        }
      }
    }
  }
}
