// A scenario of the lab from its TOML file.

import Causality
import Foundation
import Transport

extension LabScenario {
  private static let topKeys = [
    "about", "regions", "profile", "duration", "settle-within", "link", "path", "workload", "check", "step",
  ]
  private static let shapeKeys = ["delay", "jitter", "loss", "bandwidth"]
  private static let verbs: [String: [String]] = [
    "split": ["groups"], "cut": ["from", "to"], "heal": [], "kill": ["nodes"], "stop": ["nodes"], "start": ["nodes"],
    "freeze": ["nodes"], "thaw": ["nodes"], "link": ["between"] + shapeKeys, "run": ["run", "nodes"],
  ]

  /// Reads a file.
  public static func load(path: String) throws -> LabScenario {
    guard let data = FileManager.default.contents(atPath: path), let text = String(data: data, encoding: .utf8) else {
      throw ConfigurationError(
        file: path, key: "", what: "there is no such file, or it is not text",
        remedy: "Name a scenario such as Config/scenarios/split-and-heal.toml.")
    }
    return try parse(text, file: path)
  }

  /// Reads a file's text.
  public static func parse(_ text: String, file: String) throws -> LabScenario {
    let root = ConfigurationTable(
      file: file, name: "", values: try ConfigurationValue.parse(text, file: file), directory: ".", variables: [:])
    try check(root, topKeys)
    var scenario = LabScenario()
    scenario.file = file
    scenario.about = try root.text("about", default: "")
    scenario.regions = try root.texts("regions").map { try root.checkedName("regions", $0) }
    guard (2...32).contains(scenario.regions.count) else {
      throw root.error("regions", "names \(scenario.regions.count) nodes", "Name the region of each of 2 to 32 nodes.")
    }
    scenario.profile = try root.choice("profile", default: scenario.profile)
    scenario.duration = try root.duration("duration", default: scenario.duration, atLeast: .milliseconds(100))
    scenario.settleWithin = try root.duration("settle-within", default: scenario.settleWithin, atLeast: .seconds(1))
    if let table = try root.tables("link").first {
      try check(table, shapeKeys)
      scenario.link = try shape(table, from: scenario.link)
    }
    for table in try root.tables("path") {
      try check(table, ["between"] + shapeKeys)
      let ends = try nodes(table, "between", of: scenario)
      guard ends.count == 2 else { throw table.error("between", "names \(ends.count) nodes", "Name two.") }
      scenario.paths.append((ends, try shape(table, from: scenario.link)))
    }
    scenario.workloadNodes = scenario.nodes
    if let table = try root.tables("workload").first {
      try check(table, ["run", "nodes"])
      scenario.workload = try table.text("run", default: "")
      scenario.workloadNodes = try nodes(table, "nodes", of: scenario)
    }
    if let table = try root.tables("check").first {
      try check(table, ["run"])
      scenario.check = try table.requiredText("run")
    }
    scenario.steps = try root.tables("step").flatMap { try steps($0, of: scenario) }
    scenario.steps = scenario.steps.enumerated().sorted { ($0.element.at, $0.offset) < ($1.element.at, $1.offset) }
      .map(\.element)
    return scenario
  }

  private static func check(_ table: ConfigurationTable, _ known: [String]) throws {
    for key in table.values.keys.sorted() where !known.contains(key) {
      throw table.error(key, "there is no such key", "These are: \(known.joined(separator: ", ")).")
    }
  }

  private static func shape(_ table: ConfigurationTable, from standard: Shape) throws -> Shape {
    var shape = standard
    shape.delay = try table.duration("delay", default: shape.delay)
    shape.jitter = try table.duration("jitter", default: shape.jitter)
    if table.values["bandwidth"] != nil { shape.bytesPerSecond = try table.bytes("bandwidth") }
    let loss = try table.text("loss", default: "")
    if !loss.isEmpty {
      guard loss.hasSuffix("%"), let percent = Double(loss.dropLast()), (0...100).contains(percent) else {
        throw table.error("loss", "\"\(loss)\" is not a share", "Write one such as \"2%\".")
      }
      shape.lossPerMillion = UInt64(percent * 10_000)
    }
    return shape
  }

  /// Nodes by name or by region; all when the key is not there.
  private static func nodes(_ table: ConfigurationTable, _ key: String, of scenario: LabScenario) throws -> [String] {
    guard table.values[key] != nil else { return scenario.nodes }
    return try table.texts(key).flatMap { try resolve($0, key, table, scenario) }
  }

  private static func resolve(
    _ text: String, _ key: String, _ table: ConfigurationTable, _ scenario: LabScenario
  ) throws -> [String] {
    try text.split(whereSeparator: { $0 == " " || $0 == "," }).flatMap { word -> [String] in
      let found = zip(scenario.nodes, scenario.regions).filter { $0.0 == word || $0.1 == word }.map(\.0)
      if found.isEmpty {
        throw table.error(
          key, "there is no node or region \(word)", "These are: \(scenario.nodes.joined(separator: ", ")).")
      }
      return found
    }
  }

  private static func steps(_ table: ConfigurationTable, of scenario: LabScenario) throws -> [Step] {
    let verb = try table.requiredText("do")
    guard let keys = verbs[verb] else {
      throw table.error(
        "do", "nothing is called \"\(verb)\"", "Write one of \(verbs.keys.sorted().joined(separator: ", ")).")
    }
    try check(table, ["at", "every", "times", "do"] + keys)
    let action = try action(verb, table, scenario)
    let first = try table.duration("at", default: .zero)
    let every = try table.duration("every", default: .zero)
    var times = 1
    if let value = table.values["times"] {
      guard case .integer(let number) = value, (1...10_000).contains(number), every > .zero else {
        throw table.error("times", "is not a number of times", "Write times = 5 together with every = \"2s\".")
      }
      times = number
    }
    return (0..<times).map { round in
      Step(at: Span(nanoseconds: first.nanoseconds + every.nanoseconds * UInt64(round)), action: action)
    }
  }

  private static func action(_ verb: String, _ table: ConfigurationTable, _ scenario: LabScenario) throws -> Action {
    switch verb {
    case "split":
      let groups = try table.texts("groups").map { try resolve($0, "groups", table, scenario) }
      guard groups.count > 1, groups.joined().count == Set(groups.joined()).count else {
        throw table.error(
          "groups", "does not say who is parted from whom", "Write groups = [\"lhr-1\", \"ord-1 syd-1\"].")
      }
      return .split(groups)
    case "cut": return .cut(from: try nodes(table, "from", of: scenario), to: try nodes(table, "to", of: scenario))
    case "kill": return .kill(try nodes(table, "nodes", of: scenario))
    case "stop": return .stop(try nodes(table, "nodes", of: scenario))
    case "start": return .start(try nodes(table, "nodes", of: scenario))
    case "freeze": return .freeze(try nodes(table, "nodes", of: scenario))
    case "thaw": return .thaw(try nodes(table, "nodes", of: scenario))
    case "link":
      let ends = table.values["between"] == nil ? [] : try nodes(table, "between", of: scenario)
      return .shape(try shape(table, from: scenario.link), between: ends)
    case "run": return .run(try table.requiredText("run"), try nodes(table, "nodes", of: scenario))
    default: return .heal
    }
  }
}
