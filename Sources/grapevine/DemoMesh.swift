// The three nodes of the demo: child processes of this binary in a directory that is removed afterwards.

import Admin
import Daemon
import Foundation
import Transport

/// A node of the demo.
final class DemoNode {
  let name: String
  let region: String
  let directory: String
  var mount: String { directory + "/mount" }
  var socket: String { directory + "/grapevine.sock" }
  var log: String { directory + "/log" }
  let process = Process()

  init(_ node: ClusterFiles.Node) {
    name = node.name
    region = node.region
    directory = node.directory
  }

  /// Asks the node.
  func ask<Value: Decodable>(
    _ type: Value.Type, _ method: String = "GET", _ path: String, _ query: [String: String] = [:]
  ) throws -> Value {
    guard let address = AdminAddress(socket) else {
      throw CommandFailure(what: "\(socket) cannot be a socket", why: "the path is too long", remedy: "Set TMPDIR.")
    }
    return try AdminClient(address, timeoutSeconds: 60).json(type, method, path, query: query)
  }

  /// The raw bytes of an answer.
  func bytes(_ path: String, _ query: [String: String]) throws -> [UInt8] {
    guard let address = AdminAddress(socket) else { return [] }
    let client = AdminClient(address, timeoutSeconds: 60)
    return try client.check(client.send("GET", path, query: query)).body
  }
}

/// Three nodes in three regions on this machine.
final class DemoMesh: @unchecked Sendable {
  let directory: String
  let keeps: Bool
  private(set) var nodes: [DemoNode] = []
  private let lock = NSLock()
  private var isGone = false
  private var tool: Process?

  /// Makes the files; nothing runs yet.
  init(regions: [String], keeps: Bool) throws {
    guard access("/dev/fuse", R_OK | W_OK) == 0 else {
      throw CommandFailure(
        what: "the demo cannot mount", why: "/dev/fuse may not be opened by this user",
        remedy: "Run it as root on a machine with FUSE; `grapevine doctor` tells more.")
    }
    self.keeps = keeps
    directory = NSTemporaryDirectory() + "grapevine-demo-\(getpid())"
    let files = try ClusterFiles.create(
      name: "demo", sites: regions.map { ClusterFiles.Site(region: $0) }, directory: directory, local: true,
      firstPort: try Self.freePorts(30), volume: ClusterFiles.NewVolume(name: "data", size: "10GB"))
    nodes = files.nodes.map { DemoNode($0) }
  }

  /// Starts all nodes and returns when each is mounted and sees the others.
  func start() throws {
    for node in nodes {
      _ = FileManager.default.createFile(atPath: node.log, contents: nil)
      let log = FileHandle(forWritingAtPath: node.log)
      node.process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
      node.process.arguments = ["up", "--config", node.directory + "/grapevine.toml"]
      node.process.standardInput = FileHandle.nullDevice
      node.process.standardOutput = log
      node.process.standardError = log
      try node.process.run()
    }
    try wait("the nodes to find each other", seconds: 30) {
      try self.nodes.allSatisfy { node in
        guard node.process.isRunning else { throw self.death(of: node) }
        guard let status = try? node.ask(StatusReport.self, "GET", "/v1/status") else { return false }
        return status.isReady && status.isCaughtUp && status.connected == self.nodes.count - 1
      }
    }
  }

  /// Runs a program to its end.
  func run(_ command: String...) throws {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: command[0])
    process.arguments = Array(command.dropFirst())
    let log = directory + "/tool.log"
    _ = FileManager.default.createFile(atPath: log, contents: nil)
    process.standardError = FileHandle(forWritingAtPath: log)
    process.standardInput = FileHandle.nullDevice
    try lock.withLock {
      guard !isGone else { return }
      try process.run()
      tool = process
    }
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      let lines = (try? String(contentsOfFile: log, encoding: .utf8))?.split(separator: "\n").prefix(3) ?? []
      throw CommandFailure(
        what: "\(command.joined(separator: " ")) failed", why: lines.joined(separator: "\n       "))
    }
  }

  /// Why the story cannot go on, when that is because a node has ended.
  var death: CommandFailure? { nodes.first { !$0.process.isRunning }.map { death(of: $0) } }

  private func death(of node: DemoNode) -> CommandFailure {
    let log = (try? String(contentsOfFile: node.log, encoding: .utf8)) ?? ""
    let lines = log.split(separator: "\n").suffix(3).joined(separator: "\n       ")
    return CommandFailure(what: "\(node.name) ended", why: lines, remedy: "Run the demo with --keep and read its log.")
  }

  /// Waits until the condition holds; how long that took.
  @discardableResult
  func wait(_ what: String, seconds: Double, until condition: () throws -> Bool) throws -> Double {
    let start = Date()
    while try !condition() {
      guard Date().timeIntervalSince(start) < seconds else {
        throw CommandFailure(
          what: "waited \(Int(seconds)) s in vain for \(what)", why: "see the logs of the nodes",
          remedy: "Run the demo with --keep, then look at \(directory)/*/log.")
      }
      usleep(20_000)
    }
    return Date().timeIntervalSince(start)
  }

  /// Ends the nodes in order, by force where that is needed, unmounts and removes everything. Once.
  func end() {
    lock.lock()
    defer { lock.unlock() }
    if isGone { return }
    isGone = true
    if let tool, tool.isRunning { kill(tool.processIdentifier, SIGKILL) }
    for node in nodes where node.process.isRunning { kill(node.process.processIdentifier, SIGTERM) }
    let deadline = Date().addingTimeInterval(15)
    while nodes.contains(where: \.process.isRunning), Date() < deadline { usleep(20_000) }
    for node in nodes where node.process.isRunning { kill(node.process.processIdentifier, SIGKILL) }
    usleep(50_000)
    for node in nodes where Self.isMounted(node.mount) { umount2(node.mount, Int32(MNT_DETACH)) }
    guard !keeps, !nodes.contains(where: { Self.isMounted($0.mount) }) else { return }
    try? FileManager.default.removeItem(atPath: directory)
  }

  private static func isMounted(_ path: String) -> Bool {
    let mounts = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
    return mounts.split(separator: "\n").contains { line in
      let parts = line.split(separator: " ")
      return parts.count > 1 && parts[1] == path
    }
  }

  /// The first of so many ports on loopback that are all free for datagrams and for streams.
  private static func freePorts(_ count: Int) throws -> Int {
    for _ in 0..<100 {
      let first = Int.random(in: 2_000...3_000) * 10
      if (0..<count).allSatisfy({ isFree(first + $0, SOCK_STREAM) && isFree(first + $0, SOCK_DGRAM) }) { return first }
    }
    throw CommandFailure(what: "no free ports were found", why: "ports 20000 to 30000 of loopback are in use")
  }

  private static func isFree(_ port: Int, _ kind: __socket_type) -> Bool {
    let descriptor = socket(AF_INET, Int32(kind.rawValue), 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = in_port_t(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
      }
    }
  }
}
