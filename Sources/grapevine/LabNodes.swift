// The nodes of the lab: this binary, each time in a network namespace of its own.

import Admin
import Daemon
import Foundation

/// A node of the lab.
final class LabNode: @unchecked Sendable {
  let name: String
  let region: String
  /// From 1; the third part of its address.
  let number: Int
  let directory: String
  var mount: String { directory + "/mount" }
  /// What its program acknowledged.
  var acks: String { directory + "/acks" }
  var process: LabProcess?
  var program: LabProcess?
  /// Whether its program shall run whenever the node does.
  var hasProgram = false

  init(_ node: ClusterFiles.Node, number: Int) {
    name = node.name
    region = node.region
    directory = node.directory
    self.number = number
  }

  /// A command that runs on the node's network.
  func command(_ command: [String]) -> [String] { ["/usr/bin/nsenter", "--net=/run/netns/\(name)"] + command }

  /// What a program finds in its environment.
  var environment: [String: String] {
    [
      "GRAPEVINE_NODE": name, "GRAPEVINE_REGION": region, "GRAPEVINE_MOUNT": mount, "GRAPEVINE_ACKS": acks,
      "GRAPEVINE_ADMIN": directory + "/grapevine.sock",
    ]
  }

  /// Asks the node.
  func ask<Value: Decodable>(_ type: Value.Type, _ path: String, _ query: [String: String] = [:]) throws -> Value {
    try client().json(type, "GET", path, query: query)
  }

  /// The raw bytes of an answer.
  func bytes(_ path: String, _ query: [String: String]) throws -> [UInt8] {
    let client = try client()
    return try client.check(client.send("GET", path, query: query)).body
  }

  private func client() throws -> AdminClient {
    guard let address = AdminAddress(directory + "/grapevine.sock") else {
      throw CommandFailure(what: "\(directory) is too long a path for a socket", remedy: "Set TMPDIR to a shorter one.")
    }
    return AdminClient(address, timeoutSeconds: 60)
  }
}

/// All nodes of the lab.
final class LabNodes: @unchecked Sendable {
  private(set) var all: [LabNode] = []
  let links: LabLinks
  private let scenario: LabScenario
  private let directory: String
  private let log: String
  private let binary = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath().path

  /// Makes the files and the networks; nothing runs yet.
  init(_ scenario: LabScenario, directory: String, seed: UInt64) throws {
    self.scenario = scenario
    self.directory = directory
    log = directory + "/lab.log"
    links = LabLinks(count: scenario.nodes.count, seed: seed)
    try detachForeignMounts()
    try LabProcess.shell("mount -t tmpfs tmpfs /run && ip link set lo up", log: log)
    let files = try ClusterFiles.create(
      name: "lab",
      sites: scenario.regions.enumerated().map { .init(region: $1, host: LabLinks.address($0 + 1)) },
      directory: directory + "/m", volume: .init(name: "data", size: "10GB"))
    all = files.nodes.enumerated().map { LabNode($1, number: $0 + 1) }
    for node in all {
      try quicken(node)
      try links.makeTunnel("gv\(node.number)")
      let inside = "ip -n \(node.name)"
      try LabProcess.shell(
        """
        ip netns add \(node.name) && ip link set gv\(node.number) netns \(node.name) &&
        \(inside) link set lo up && \(inside) addr add \(LabLinks.address(node.number))/32 dev gv\(node.number) &&
        \(inside) link set gv\(node.number) up && \(inside) route add default dev gv\(node.number)
        """, log: log)
    }
    for one in all {
      for other in all where other.number > one.number {
        let own = scenario.paths.last { Set($0.between) == [one.name, other.name] }?.shape
        links.shape(one.number - 1, other.number - 1, own ?? scenario.link)
      }
    }
    links.start()
  }

  /// Mounts that were there when the cell was made are copies of others', which must not be kept busy.
  private func detachForeignMounts() throws {
    let mounts = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
    for line in mounts.split(separator: "\n") {
      let parts = line.split(separator: " ")
      if parts.count > 2, parts[2] == "fuse.grapevine" { umount2(String(parts[1]), Int32(MNT_DETACH)) }
    }
  }

  private func quicken(_ node: LabNode) throws {
    let path = node.directory + "/grapevine.toml"
    let text = try String(contentsOfFile: path, encoding: .utf8)
    let timed = text.replacingOccurrences(of: "profile = \"wan\"", with: "profile = \"\(scenario.profile.rawValue)\"")
    let detailed = timed + "\n[log]\nlevel = \"debug\"\n"
    try detailed.write(toFile: path, atomically: true, encoding: .utf8)
  }

  /// The node of a name.
  func named(_ name: String) -> LabNode { all.first { $0.name == name }! }

  // MARK: Life

  /// Starts a node; returns when it is mounted.
  func start(_ node: LabNode) throws {
    guard node.process?.isRunning != true else { return }
    let process = try LabProcess.start(
      node.command([binary, "up", "--config", node.directory + "/grapevine.toml"]), log: node.directory + "/log")
    node.process = process
    try wait("\(node.name) to be ready", seconds: 90) {
      guard process.isRunning else {
        throw CommandFailure(what: "\(node.name) ended at its start", why: lastLines(node.directory + "/log"))
      }
      return (try? node.ask(StatusReport.self, "/v1/status"))?.isReady ?? false
    }
    if node.hasProgram { try startProgram(node) }
  }

  /// Stops a node in order, its program first; whether it ended well.
  func stop(_ node: LabNode) -> Bool {
    stopProgram(node)
    guard let process = node.process else { return true }
    process.send(SIGCONT)
    process.send(SIGTERM)
    let status = process.wait(seconds: 60)
    if status == nil { kill(node) }
    node.process = nil
    return status == 0
  }

  /// Kills a node under its program.
  func kill(_ node: LabNode) {
    node.process?.send(SIGKILL)
    _ = node.process?.wait()
    node.process = nil
    stopProgram(node)
    umount2(node.mount, Int32(MNT_DETACH))
  }

  // MARK: Programs

  /// Starts the scenario's program on a node.
  func startProgram(_ node: LabNode) throws {
    let command =
      scenario.workload.isEmpty
      ? [binary, "lab", "work", "--number", String(node.number)]
      : ["/bin/sh", "-c", "cd \"$GRAPEVINE_MOUNT\" || exit 1\n" + scenario.workload]
    node.program = try LabProcess.start(
      node.command(command), environment: node.environment, log: node.directory + "/program.log")
  }

  /// Ends it.
  func stopProgram(_ node: LabNode) {
    node.program?.endGroup()
    node.program = nil
  }

  /// Runs a shell command in a node's mount.
  func run(_ command: String, on node: LabNode) throws {
    let status = try LabProcess.start(
      node.command(["/bin/sh", "-c", "cd \"$GRAPEVINE_MOUNT\" || exit 1\n" + command]), environment: node.environment,
      log: node.directory + "/run.log"
    ).wait()
    if status != 0 {
      throw CommandFailure(
        what: "status \(status) on \(node.name): \(command)", why: lastLines(node.directory + "/run.log"))
    }
  }

  private func lastLines(_ path: String) -> String {
    let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").suffix(4).joined(separator: "\n       ")
  }

  /// Waits until the condition holds; how long that took.
  @discardableResult
  func wait(_ what: String, seconds: Double, until condition: () throws -> Bool) throws -> Double {
    let start = Date()
    while try !condition() {
      guard Date().timeIntervalSince(start) < seconds else {
        throw CommandFailure(what: "waited \(Int(seconds)) s in vain for \(what)")
      }
      usleep(50_000)
    }
    return Date().timeIntervalSince(start)
  }
}
