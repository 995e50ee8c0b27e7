// A run of the lab, from the first node's start to the verdict.

import Daemon
import Foundation

/// What came of a scenario.
struct LabReport: Encodable {
  /// Something that must hold.
  struct Check: Encodable {
    var name: String
    var held: Bool
    var detail: String
  }

  /// Something that happened.
  struct Moment: Encodable {
    var atSeconds: Double
    var what: String
  }

  var scenario: String
  var about: String
  var held = false
  var seconds = 0.0
  /// From the last link mended and the last node started until all trees were the same.
  var settledInSeconds: Double?
  var packets: UInt64 = 0
  var bytes: UInt64 = 0
  var packetsLost: UInt64 = 0
  var acknowledged = 0
  var conflicts = 0
  var checks: [Check] = []
  var timeline: [Moment] = []

  static func text(of report: LabReport) -> String {
    var lines = [""]
    for check in report.checks { lines.append("  \(check.held ? "ok  " : "FAIL")  \(check.name): \(check.detail)") }
    let settled = report.settledInSeconds.map { "settled in \(Readable.seconds($0))" } ?? "did not settle"
    lines.append(
      "  \(settled); \(Readable.bytes(report.bytes)) in \(report.packets) packets, \(report.packetsLost) lost; "
        + "\(report.acknowledged) writes acknowledged, \(Readable.count(report.conflicts, "conflict"))")
    lines.append(report.held ? "\nAll of it held." : "\nNOT all of it held.")
    return lines.joined(separator: "\n")
  }
}

/// Plays a scenario.
final class LabRun: @unchecked Sendable {
  private let scenario: LabScenario
  private let directory: String
  private let isQuiet: Bool
  private let nodes: LabNodes
  private let start = Date()
  private var report: LabReport

  init(_ scenario: LabScenario, directory: String, seed: UInt64, isQuiet: Bool) throws {
    self.scenario = scenario
    self.directory = directory
    self.isQuiet = isQuiet
    report = LabReport(scenario: scenario.file, about: scenario.about)
    nodes = try LabNodes(scenario, directory: directory, seed: seed)
  }

  /// Plays it; whatever fails becomes part of the report.
  func play() -> LabReport {
    if !isQuiet, !scenario.about.isEmpty { print(scenario.about + "\n") }
    do {
      try begin()
      try work()
      try mend()
      if settle() { judge() }
      try end()
    } catch {
      check("the scenario", false, CommandFailure(error).description)
    }
    killNodes()
    let total = nodes.links.total
    (report.packets, report.bytes, report.packetsLost) = (total.packets, total.bytes, total.lost)
    report.seconds = Date().timeIntervalSince(start)
    report.held = report.checks.allSatisfy(\.held)
    return report
  }

  /// Kills whatever runs: each node by itself, while its guard is there to cut its mount off.
  func killNodes() { for node in nodes.all { nodes.kill(node) } }

  private func say(_ what: String) {
    let moment = LabReport.Moment(atSeconds: Date().timeIntervalSince(start), what: what)
    report.timeline.append(moment)
    guard !isQuiet else { return }
    let seconds = String(format: "%6.1f s", moment.atSeconds)
    print("\(seconds)  \(what)")
    fflush(nil)
  }

  private func check(_ name: String, _ held: Bool, _ detail: String) {
    report.checks.append(LabReport.Check(name: name, held: held, detail: detail))
  }

  // MARK: Phases

  private func begin() throws {
    say("starting \(nodes.all.map(\.name).joined(separator: ", ")); links: \(scenario.link)")
    for node in nodes.all { try nodes.start(node) }
    try nodes.wait("the nodes to find each other", seconds: 60) {
      try self.nodes.all.allSatisfy {
        try $0.ask(StatusReport.self, "/v1/status").connected == self.nodes.all.count - 1
      }
    }
    if scenario.workload.isEmpty {
      try LabWork.prepare(nodes.all[0].mount, nodes: nodes.all.map(\.name))
      try nodes.wait("the first files", seconds: 60) { try self.differences().isEmpty }
    }
  }

  /// Programs work while the steps happen.
  private func work() throws {
    for node in nodes.all where scenario.workloadNodes.contains(node.name) {
      node.hasProgram = true
      try nodes.startProgram(node)
    }
    let begun = Date()
    say("programs at work")
    for step in scenario.steps {
      let wait = step.at.seconds - Date().timeIntervalSince(begun)
      if wait > 0 { usleep(UInt32(min(wait, 3_600) * 1_000_000)) }
      say(step.action.description)
      try perform(step.action)
    }
    let rest = scenario.duration.seconds - Date().timeIntervalSince(begun)
    if rest > 0 { usleep(UInt32(min(rest, 3_600) * 1_000_000)) }
    for node in nodes.all {
      node.hasProgram = false
      nodes.stopProgram(node)
    }
    say("programs ended")
  }

  private func perform(_ action: LabScenario.Action) throws {
    func each(_ names: [String], _ body: (LabNode) throws -> Void) rethrows { try names.map(nodes.named).forEach(body) }
    func cut(_ from: [String], _ to: [String]) {
      each(from) { one in each(to) { if one !== $0 { nodes.links.cut(one.number - 1, $0.number - 1) } } }
    }
    switch action {
    case .split(let groups):
      for (index, group) in groups.enumerated() {
        for (place, other) in groups.enumerated() where place != index { cut(group, other) }
      }
    case .cut(let from, let to): cut(from, to)
    case .heal: nodes.links.heal()
    case .kill(let names): each(names) { nodes.kill($0) }
    case .stop(let names): each(names) { if !nodes.stop($0) { check("stop of \($0.name)", false, "did not end well") } }
    case .start(let names): try each(names) { try nodes.start($0) }
    case .freeze(let names): each(names) { $0.process?.send(SIGSTOP) }
    case .thaw(let names): each(names) { $0.process?.send(SIGCONT) }
    case .shape(let shape, let between):
      let ends = between.isEmpty ? nodes.all : between.map(nodes.named)
      for one in ends {
        for other in ends where one !== other { nodes.links.shape(one.number - 1, other.number - 1, shape) }
      }
    case .run(let command, let names): try each(names) { try nodes.run(command, on: $0) }
    }
  }

  private func mend() throws {
    nodes.links.heal()
    for node in nodes.all {
      node.process?.send(SIGCONT)
      try nodes.start(node)
    }
    say("all links mended, all nodes running")
  }

  /// Where the trees differ: byte by byte, and databases, which are live, by what is in them.
  private func differences() throws -> [String] {
    let names = Set(nodes.all.flatMap { LabDatabases.names(in: $0.mount) })
    let leftOut = LabDatabases.files(of: names)
    let first = try Tree(nodes.all[0].mount, leavingOut: leftOut)
    let found = try nodes.all.dropFirst().flatMap { node in
      try first.differences(from: Tree(node.mount, leavingOut: leftOut)).map {
        "\(nodes.all[0].name) and \(node.name): \($0)"
      }
    }
    return try found.isEmpty ? LabDatabases.differences(names.sorted(), nodes.all) : found
  }

  /// Waits until all trees are the same, twice in a row.
  private func settle() -> Bool {
    let begun = Date()
    var found = ["nothing was compared"]
    var same: Double?
    while Date().timeIntervalSince(begun) < scenario.settleWithin.seconds {
      let seconds = Date().timeIntervalSince(begun)
      found = (try? differences()) ?? ["a tree changed while it was read"]
      if !found.isEmpty { same = nil }
      if found.isEmpty, let same {
        report.settledInSeconds = same
        say("all trees are the same")
        check("one tree", true, "the same names, attributes, bytes and rows on all \(nodes.all.count) nodes")
        return true
      }
      if found.isEmpty { same = seconds }
      usleep(100_000)
    }
    check("one tree", false, "after \(Int(scenario.settleWithin.seconds)) s: " + found.joined(separator: "; "))
    return false
  }

  private func judge() {
    let checks = LabChecks(nodes: nodes, scenario: scenario)
    for result in checks.run() { report.checks.append(result) }
    report.acknowledged = checks.acknowledged
    report.conflicts = checks.conflicts.count
  }

  private func end() throws {
    let bad = nodes.all.filter { !nodes.stop($0) }.map(\.name)
    check("an orderly end", bad.isEmpty, bad.isEmpty ? "all nodes ended and unmounted" : bad.joined(separator: ", "))
    let left = nodes.all.filter { !((try? FileManager.default.contentsOfDirectory(atPath: $0.mount)) ?? []).isEmpty }
    check(
      "nothing mounted", left.isEmpty, left.isEmpty ? "no volume is left" : left.map(\.mount).joined(separator: ", "))
  }
}
