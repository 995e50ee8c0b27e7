// The lab, as a person runs it.

import Foundation
import Testing

extension ClusterTests {
  @Suite struct LabTests {
    private static let scenarios = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent().appending(path: "Config/scenarios").path

    /// Runs a scenario in a cell, which looks for anything that is left afterwards.
    private func play(_ scenario: String) async throws -> [String: Any] {
      let cell = try Cell()
      defer { cell.close() }
      let binary = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        .appending(path: "grapevine").path
      let text = try await cell.run(
        """
        . \(Cluster.scripts)/cell.sh; open_cell; before=$(mounted); TMPDIR=\(cell.directory)
        export TMPDIR; \(binary) lab run \(scenario) --json >\(cell.directory)/report 2>\(cell.directory)/errors
        cat \(cell.directory)/report \(cell.directory)/errors
        [ "$(mounted)" = "$before" ] && [ -z "$(ls -d \(cell.directory)/gv-lab-* 2>/dev/null)" ]
        """, seconds: 240)
      return try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any] ?? [:]
    }

    @Test(arguments: ["split-and-heal", "one-way", "databases"])
    func `a scenario holds and leaves nothing behind`(name: String) async throws {
      let report = try await play("\(Self.scenarios)/\(name).toml")
      #expect(report["held"] as? Bool == true, "\(report)")
      #expect(report["packetsLost"] as? Int ?? 0 > 0)
      // Only the built-in program tells the lab what was acknowledged.
      #expect((report["acknowledged"] as? Int ?? 0 > 0) == (name != "databases"))
    }

    @Test func `a scenario whose check says no fails`() async throws {
      let file = NSTemporaryDirectory() + "/lab-\(UInt64.random(in: 0...UInt64.max)).toml"
      defer { try? FileManager.default.removeItem(atPath: file) }
      let text = """
        regions = ["a", "b"]
        duration = "1s"
        workload = { run = "echo $GRAPEVINE_NODE >$GRAPEVINE_NODE" }
        check = { run = "[ $(cat a-1 b-1 | wc -l) = 3 ]" }
        """
      try text.write(toFile: file, atomically: true, encoding: .utf8)
      let report = try await play(file)
      let checks = report["checks"] as? [[String: Any]] ?? []
      #expect(report["held"] as? Bool == false)
      #expect(
        checks.filter { $0["held"] as? Bool == false }.map { $0["name"] as? String } == ["the scenario's own check"])
    }
  }
}
