// The verbs that talk to a node: their help, what they refuse, how they print.

import Admin
import ArgumentParser
import Daemon
import Foundation
import Testing

@testable import grapevine

@Suite struct VerbTests {
  /// Every verb for people that is not a group of verbs, with the words that lead to it.
  private static func leaves(
    _ command: any ParsableCommand.Type = Grapevine.self, _ words: [String] = []
  ) -> [(words: [String], command: any ParsableCommand.Type)] {
    let inner = command.configuration.subcommands.filter { $0.configuration.shouldDisplay }
    if inner.isEmpty { return [(words, command)] }
    return inner.flatMap { leaves($0, words + [$0.configuration.commandName ?? ""]) }
  }

  @Test func `every verb has a line on what it does, and an example of itself`() {
    let leaves = Self.leaves()
    #expect(leaves.count > 25)
    for (words, command) in leaves {
      let configuration = command.configuration
      #expect(!configuration.abstract.isEmpty)
      let example = "grapevine \(words.joined(separator: " "))"
      #expect(configuration.discussion.contains(example), "\(words) has no example")
    }
  }

  @Test(arguments: [
    ["wait"], ["wait", "--for", "{}", "--timeout", "soon"], ["conflicts", "drop"], ["conflicts", "drop", "a", "--all"],
    ["conflicts", "show"], ["link", "block"], ["link", "block", "a", "--for", "later"], ["chunks"], ["run"],
    ["run", "--patience", "x", "--", "true"], ["volume", "create", "a", "--size", "big"], ["forget"], ["keys", "use"],
    ["demo", "--source", "/nowhere/at/all"],
  ])
  func `a wrong command line is refused before anything is asked`(arguments: [String]) {
    #expect {
      _ = try Grapevine.parseAsRoot(arguments)
    } throws: {
      Grapevine.exitCode(for: $0) == .validationFailure
    }
  }

  @Test func `a path is asked with the directory it is taken from`() throws {
    let here = FileManager.default.currentDirectoryPath
    #expect(try PathOptions.parse(["a/b"]).query == ["path": "a/b", "from": here])
    #expect(try PathOptions.parse(["/a", "--volume", "v"]).query == ["path": "/a", "volume": "v"])
    #expect(try PathOptions.parse([]).query.isEmpty)
  }

  @Test func `columns line up`() {
    var table = TextTable("NAME", "#COUNT", "REST")
    table.add("a", "10", "x")
    table.add("longer", "7", "")
    #expect(table.text == "NAME    COUNT  REST\na          10  x\nlonger      7")
    #expect([0, 999, 1_500, 123_456_789].map { Readable.bytes($0) } == ["0 B", "999 B", "1.5 KB", "123 MB"])
  }

  @Test func `a mount is written into an app's file beside what stands there, once`() throws {
    let directory = NSTemporaryDirectory() + "grapevine-attach-\(UInt64.random(in: 0...UInt64.max))"
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let file = directory + "/fly.toml"
    let before = "app = \"shop\"\n\n[http_service]\ninternal_port = 8080\n"
    try before.write(toFile: file, atomically: true, encoding: .utf8)
    let arguments = [directory, "--volume", "data", "--mount-path", "/data", "--json"]
    try VolumeAttachCommand.parse(arguments).run()
    try VolumeAttachCommand.parse(arguments).run()
    let after = try String(contentsOfFile: file, encoding: .utf8)
    #expect(after == before + "\n[[mounts]]\nsource = \"data\"\ndestination = \"/data\"\n")
    let configuration = try Configuration.load(path: file, environment: [:])
    #expect(configuration.mounts == [Configuration.Mount(source: "data", destination: "/data")])
    #expect(throws: CommandFailure.self) {
      try VolumeAttachCommand.parse([directory, "--volume", "other", "--mount-path", "/other"]).run()
    }
  }

  @Test func `two trees that differ in anything are not the same`() throws {
    let directory = NSTemporaryDirectory() + "grapevine-trees-\(UInt64.random(in: 0...UInt64.max))"
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let date = Date(timeIntervalSince1970: 1_000_000)
    for name in ["a", "b"] {
      try FileManager.default.createDirectory(atPath: "\(directory)/\(name)/d", withIntermediateDirectories: true)
      for path in ["\(name)/d/f", "\(name)/g"] {
        try "same".write(toFile: "\(directory)/\(path)", atomically: false, encoding: .utf8)
        try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: "\(directory)/\(path)")
      }
      try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: "\(directory)/\(name)/d")
    }
    func differences() throws -> [String] {
      try Tree(directory + "/a").differences(from: try Tree(directory + "/b"))
    }
    #expect(try differences().isEmpty)
    chmod(directory + "/b/g", 0o600)
    #expect(try differences().count == 1)
    try "SAME".write(toFile: directory + "/b/d/f", atomically: false, encoding: .utf8)
    try FileManager.default.setAttributes([.modificationDate: date], ofItemAtPath: directory + "/b/d/f")
    #expect(try differences() == ["/d/f: the bytes differ", "/g: mode 100644 and 100600"])
    try FileManager.default.removeItem(atPath: directory + "/a/g")
    #expect(try differences().contains { $0.hasPrefix("/g is only in") })
  }
}
