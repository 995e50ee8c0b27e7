// A mesh of real nodes in a cell: real processes, real mounts, each with an address of its own.

import Foundation
import Testing

/// The nodes of a test.
struct Cluster: Sendable {
  let cell: Cell
  /// Names of the nodes, which stand at 10.77.1.2, 10.77.2.2, ...
  private(set) var names: [String]
  private var mesh: String { "\(cell.directory)/m" }

  static let scripts = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "Scripts")
    .path
  private static let binary = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    .appending(path: "grapevine").path

  /// Makes a mesh of so many nodes, starts them, runs the body, and ends everything whatever happened.
  static func run(
    nodes count: Int = 3, _ body: (inout Cluster) async throws -> Void
  ) async throws {
    let cell = try Cell()
    defer { cell.close() }
    let regions = (1...count).map { "r\($0)" }
    var cluster = Cluster(cell: cell, names: regions.map { "\($0)-1" })
    do {
      try await cluster.prepare(regions)
      for name in cluster.names { try await cluster.start(name) }
      try await body(&cluster)
    } catch {
      let logs = try? await cell.run("tail -n 15 \(cluster.mesh)/*.log", seconds: 20)
      Issue.record("\(error)\n\(logs ?? "")")
    }
  }

  private func prepare(_ regions: [String]) async throws {
    let sites = regions.enumerated().map { "\($1)=10.77.\($0 + 1).2" }.joined(separator: ",")
    try await cell.run(
      """
      binary=\(Self.binary) mesh=\(mesh) scripts=\(Self.scripts)
      . $scripts/cell.sh
      open_cell && $binary cluster create --name test --regions \(sites) --volume data --dir $mesh >/dev/null
      """)
    for (index, name) in names.enumerated() { try await cell.run("add_link \(name) \(index + 1) && quicken \(name)") }
  }

  // MARK: Nodes

  /// The node's mount.
  func mount(_ name: String) -> String { "\(mesh)/\(name)/mount" }

  /// Starts a node; returns when it is mounted.
  func start(_ name: String) async throws { try await cell.run("start_node \(name)") }

  /// Stops a node, which must end well.
  func stop(_ name: String) async throws { try await cell.run("stop_node \(name)") }

  /// Kills a node.
  func kill(_ name: String) async throws { try await cell.run("kill_node \(name)") }

  /// Makes one more node of the mesh and starts it.
  mutating func add(region: String) async throws -> String {
    let (name, number) = ("\(region)-1", names.count + 1)
    names.append(name)
    try await cell.run(
      """
      $binary cluster issue \(name) --region \(region) --host 10.77.\(number).2 --dir $mesh >/dev/null &&
      add_link \(name) \(number) && quicken \(name) && start_node \(name)
      """)
    return name
  }

  /// Nothing of a node may stay mounted once all have stopped.
  func stopAll() async throws {
    for name in names { try await stop(name) }
    let left = try await cell.run("mounted")
    #expect(left == "0")
  }

  // MARK: Links

  /// Cuts every link between nodes of different groups.
  func partition(_ groups: [String]...) async throws {
    for (index, group) in groups.enumerated() {
      for other in groups[(index + 1)...].joined() {
        for name in group { try await cell.run("cut_link \(name) \(other) && cut_link \(other) \(name)") }
      }
    }
  }

  /// Takes away what one node sends to another; the other way stays.
  func cut(_ from: String, to: String) async throws { try await cell.run("cut_link \(from) \(to)") }

  /// Mends every link.
  func heal() async throws { try await cell.run("heal") }

  // MARK: Trees

  /// Runs a script in a node's mount, with its network.
  @discardableResult
  func on(_ name: String, _ script: String, seconds: Double = 120) async throws -> String {
    let text = script.replacingOccurrences(of: "'", with: "'\\''")
    return try await cell.run("on \(name) bash -euo pipefail -c 'cd \(mount(name)); \(text)'", seconds: seconds)
  }

  /// Whether some file beneath a path of the volume, or something that lost its place there, holds the text.
  func find(_ text: String, in path: String, on name: String) async throws -> Bool {
    let found = try await cell.run(
      "python3 $scripts/conflicts.py $binary $mesh/\(name)/grapevine.sock \(mount(name)) \(path) \(text)")
    return found == "found"
  }

  /// Waits until the trees of the nodes, or of all, are the same down to times, owners, attributes and links. Returns
  /// how many names they have. The bound is for a machine that has much else to do: it decides nothing but failure.
  @discardableResult
  func settle(_ some: [String]? = nil, seconds: Double = 60) async throws -> Int {
    let mounts = (some ?? names).map { mount($0) }.joined(separator: " ")
    let count = try await cell.run("python3 $scripts/tree.py wait \(seconds) \(mounts)", seconds: seconds + 60)
    return Int(count.trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0
  }
}

/// Everything that needs real nodes, one test after the other: two cores have no room for more.
@Suite(.serialized, .enabled(if: Cell.isPossible, "needs root and /dev/fuse")) struct ClusterTests {}
