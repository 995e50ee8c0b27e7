// What must hold when a scenario is over.

import Daemon
import Foundation

/// The verdict of the lab.
final class LabChecks {
  private let nodes: LabNodes
  private let scenario: LabScenario
  private(set) var acknowledged = 0
  private(set) var conflicts: [ConflictReport] = []
  private var results: [LabReport.Check] = []

  init(nodes: LabNodes, scenario: LabScenario) {
    self.nodes = nodes
    self.scenario = scenario
  }

  /// Runs all checks.
  func run() -> [LabReport.Check] {
    attempt("one list of conflicts", compareConflicts)
    if scenario.workload.isEmpty { attempt("every acknowledged write", findWrites) }
    attempt("databases", checkDatabases)
    if !scenario.check.isEmpty { attempt("the scenario's own check", runCheck) }
    return results
  }

  private func attempt(_ name: String, _ body: () throws -> (held: Bool, detail: String)) {
    do {
      let (held, detail) = try body()
      results.append(LabReport.Check(name: name, held: held, detail: detail))
    } catch {
      results.append(LabReport.Check(name: name, held: false, detail: CommandFailure(error).description))
    }
  }

  private func compareConflicts() throws -> (Bool, String) {
    conflicts = try nodes.all[0].ask([ConflictReport].self, "/v1/conflicts")
    let first = Set(conflicts.map(\.id))
    for node in nodes.all.dropFirst() {
      let other = Set(try node.ask([ConflictReport].self, "/v1/conflicts").map(\.id))
      if other != first {
        return (false, "\(nodes.all[0].name) lists \(first.count), \(node.name) lists \(other.count)")
      }
    }
    return (true, "the same \(Readable.count(first.count, "conflict")) on all nodes")
  }

  // MARK: Writes

  private func findWrites() throws -> (Bool, String) {
    var tried: [String: [LabWrite]] = [:]
    var done: [String: [LabWrite]] = [:]
    for node in nodes.all {
      let notes = (try? String(contentsOfFile: node.acks, encoding: .utf8)) ?? ""
      for line in notes.split(separator: "\n") {
        let words = line.split(separator: " ")
        guard let write = LabWrite(words.dropFirst()) else { continue }
        if words[0] == "done" {
          done[write.path, default: []].append(write)
        } else {
          tried[write.path, default: []].append(write)
        }
      }
    }
    acknowledged = done.values.reduce(0) { $0 + $1.count }
    let lost = try lostClaims()
    var missing: [String] = []
    for (path, writes) in done.sorted(by: { $0.key < $1.key }) {
      for node in nodes.all {
        missing += faults(writes, tried[path] ?? [], in: node.mount, lost[path] ?? []).map { "\($0) on \(node.name)" }
      }
    }
    if missing.isEmpty { return (true, "all \(acknowledged) are there, superseded by their own writer, or conflicts") }
    return (false, "\(missing.count) are missing: " + missing.prefix(5).joined(separator: "; "))
  }

  /// The bytes of what lost its name, by path.
  private func lostClaims() throws -> [String: [[UInt8]]] {
    var lost: [String: [[UInt8]]] = [:]
    for conflict in conflicts where conflict.path.contains("shared/claim-") {
      let path = String(conflict.path.drop { $0 == "/" })
      lost[path, default: []].append(try nodes.all[0].bytes("/v1/conflicts/show", ["id": conflict.id]))
    }
    return lost
  }

  /// Which of the acknowledged writes of one path a mount does not hold.
  private func faults(
    _ done: [LabWrite], _ tried: [LabWrite], in mount: String, _ lost: [[UInt8]]
  ) -> [String] {
    guard let last = done.last else { return [] }
    let parts = last.path.split(separator: "#")
    let held = [UInt8](FileManager.default.contents(atPath: "\(mount)/\(parts[0])") ?? Data())
    switch last.kind {
    case .new: return held == last.content ? [] : [last.line]
    case .replace, .slot:
      let start = parts.count > 1 ? Int(parts[1]) ?? 0 : 0
      let bytes = start < held.count ? Array(held[start..<min(held.count, start + 4_096)]) : []
      // A write that was tried after the last acknowledged one may have come through as well.
      return tried.contains { $0.number >= last.number && $0.content == bytes } ? [] : [last.line]
    case .append:
      let lines = Set(held.split(separator: UInt8(ascii: "\n")).map { String(decoding: $0, as: UTF8.self) })
      return done.filter { !lines.contains(String($0.number)) }.map(\.line)
    case .claim: return done.filter { held != $0.content && !lost.contains($0.content) }.map(\.line)
    }
  }

  // MARK: Databases and the user's own check

  private func checkDatabases() throws -> (Bool, String) {
    let names = LabDatabases.names(in: nodes.all[0].mount)
    if names.isEmpty { return (true, "there are none") }
    for node in nodes.all {
      for name in names {
        let answer = try LabDatabases.ask("PRAGMA integrity_check", name, node)
        if answer != "ok" { return (false, "\(name) on \(node.name): \(answer)") }
      }
    }
    return (true, "integrity_check says ok of \(Readable.count(names.count, "database")) on all nodes")
  }

  private func runCheck() throws -> (Bool, String) {
    for node in nodes.all { try nodes.run(scenario.check, on: node) }
    return (true, "status 0 on all nodes")
  }
}
