// Scenarios of the lab: those that come with the sources, and what is refused.

import Causality
import Foundation
import Testing

@testable import Daemon

@Suite struct LabScenarioTests {
  private static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appending(path: "Config/scenarios").path

  @Test func `every scenario that comes with the sources can be read and says what it shows`() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: Self.directory).sorted()
    #expect(
      names == [
        "databases.toml", "flap.toml", "long-absence.toml", "one-way.toml", "region-loss.toml", "rolling-restart.toml",
        "split-and-heal.toml",
      ])
    for name in names {
      let scenario = try LabScenario.load(path: "\(Self.directory)/\(name)")
      #expect(!scenario.about.isEmpty && scenario.nodes.count >= 3 && !scenario.steps.isEmpty, "\(name)")
      #expect(scenario.steps.allSatisfy { $0.at <= scenario.duration }, "\(name)")
    }
  }

  @Test func `everything in a scenario is read`() throws {
    let scenario = try LabScenario.parse(
      """
      about = "all of it"
      regions = ["lhr", "ord", "lhr"]
      profile = "lan"
      duration = "7s"
      settle-within = "30s"
      link = { delay = "40ms", jitter = "5ms", loss = "1.5%", bandwidth = "2MB" }
      workload = { run = "echo", nodes = ["ord"] }
      check = { run = "true" }
      [[path]]
      between = ["lhr-1", "lhr-2"]
      delay = "0ms"
      [[step]]
      at = "3s"
      do = "heal"
      [[step]]
      at = "1s"
      every = "4s"
      times = 2
      do = "split"
      groups = ["lhr", "ord"]
      """, file: "all.toml")
    #expect(scenario.nodes == ["lhr-1", "ord-1", "lhr-2"] && scenario.profile == .lan)
    #expect(scenario.link.lossPerMillion == 15_000 && scenario.link.bytesPerSecond == 2_000_000)
    #expect(scenario.link.description == "delay 40ms, jitter 5ms, loss 1.5%, 2000 kB/s")
    #expect(scenario.paths[0].between == ["lhr-1", "lhr-2"] && scenario.paths[0].shape.delay == .zero)
    #expect(scenario.workload == "echo" && scenario.workloadNodes == ["ord-1"] && scenario.check == "true")
    let split = LabScenario.Action.split([["lhr-1", "lhr-2"], ["ord-1"]])
    #expect(scenario.steps.map(\.action) == [split, .heal, split])
    #expect(scenario.steps.map(\.at) == [.seconds(1), .seconds(3), .seconds(5)])
  }

  @Test(arguments: [
    ("regions = [\"a\"]", "regions"), ("regions = [\"a\", \"b\"]\nbogus = 1", "bogus"),
    ("regions = [\"a\", \"b\"]\n[[step]]\ndo = \"dance\"", "[step] do"),
    ("regions = [\"a\", \"b\"]\n[[step]]\ndo = \"kill\"\nnodes = [\"c\"]", "[step] nodes"),
    ("regions = [\"a\", \"b\"]\n[[step]]\ndo = \"split\"\ngroups = [\"a\", \"a b\"]", "[step] groups"),
    ("regions = [\"a\", \"b\"]\n[[step]]\ndo = \"heal\"\ntimes = 3", "[step] times"),
    ("regions = [\"a\", \"b\"]\n[link]\nloss = \"120%\"", "[link] loss"),
  ])
  func `what cannot be played is refused with its key`(text: String, key: String) {
    let error = #expect(throws: ConfigurationError.self) { try LabScenario.parse(text, file: "bad.toml") }
    #expect(error?.key == key && error?.remedy.isEmpty == false)
  }
}
