// The command line as a user meets it: the binary itself, its exit statuses, its two outputs.

import Admin
import Foundation
import Testing

@testable import grapevine

/// Runs the binary that was built beside the tests.
private func run(_ arguments: [String]) throws -> (status: Int32, out: String, error: String) {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    .appending(path: "grapevine")
  process.arguments = arguments
  let out = Pipe()
  let error = Pipe()
  process.standardOutput = out
  process.standardError = error
  try process.run()
  let outData = out.fileHandleForReading.readDataToEndOfFile()
  let errorData = error.fileHandleForReading.readDataToEndOfFile()
  process.waitUntilExit()
  let status = process.terminationStatus
  return (status, String(decoding: outData, as: UTF8.self), String(decoding: errorData, as: UTF8.self))
}

@Suite struct CommandLineTests {
  let directory = NSTemporaryDirectory() + "grapevine-line-\(UInt64.random(in: 0...UInt64.max))"

  @Test func `a mesh is made, told as text and as json, and not made twice`() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let made = try run(["cluster", "create", "--name", "try", "--regions", "lhr,ord", "--dir", directory])
    #expect(made.status == 0 && made.out.contains("\(directory)/ord-1/grapevine.toml") && made.error.isEmpty)
    let issued = try run(["cluster", "issue", "syd-1", "--region", "syd", "--dir", directory, "--json"])
    let json = try JSONSerialization.jsonObject(with: Data(issued.out.utf8)) as? [String: Any]
    #expect(issued.status == 0 && json?["name"] as? String == "try")
    let again = try run(["cluster", "create", "--name", "try", "--regions", "lhr", "--dir", directory])
    #expect(again.status == 1 && again.out.isEmpty)
    #expect(again.error.contains("why: ") && again.error.contains("do:  "))
  }

  @Test(arguments: [["bogus"], ["cluster", "create"], ["cluster", "create", "--name", "a", "--regions", ","]])
  func `a wrong command line is status 2 and stands on standard error`(arguments: [String]) throws {
    let result = try run(arguments)
    #expect(result.status == 2 && result.out.isEmpty && !result.error.isEmpty)
  }

  @Test func `help has an example and is no error`() throws {
    for verb in ["create", "issue"] {
      let help = try run(["cluster", verb, "--help"])
      #expect(help.status == 0 && help.out.contains("grapevine cluster \(verb) ") && help.error.isEmpty)
    }
  }

  @Test func `the node to ask is the option's, the environment's, or the configuration's`() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    let file = directory + "/grapevine.toml"
    try "[admin]\nsocket = \"a.sock\"\n".write(toFile: file, atomically: true, encoding: .utf8)
    let environment = ["GRAPEVINE_ADMIN": "/run/env.sock", "GRAPEVINE_CONFIG": file]
    func address(_ arguments: [String], _ environment: [String: String]) throws -> AdminAddress {
      try AdminOptions.parse(arguments).address(environment)
    }
    #expect(try address(["--admin", "http://h:1"], environment) == .http(host: "h", port: 1))
    #expect(try address([], environment) == .socket("/run/env.sock"))
    #expect(try address(["--config", file], environment) == .socket("\(directory)/a.sock"))
    #expect(try address([], ["GRAPEVINE_CONFIG": file]) == .socket("\(directory)/a.sock"))
    #expect(throws: CommandFailure.self) { try address(["--admin", "ftp://h"], [:]) }
  }
}
