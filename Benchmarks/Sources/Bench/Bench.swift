// The benchmark: starts a mesh of two nodes, measures, prints ratios, cleans up.

import Foundation

/// Usage: Bench [GRAPEVINE-BINARY] [ROUNDS] [mount|replication|database ...]
@main
struct Bench {
  static func main() throws {
    let arguments = CommandLine.arguments.dropFirst()
    let binary = arguments.first ?? ".build/release/grapevine"
    let rounds = arguments.dropFirst().first.flatMap { Int($0) } ?? 5
    let chosen = Set(arguments.dropFirst(2))
    let mesh = try Mesh(binary: binary)
    defer { mesh.end() }
    print("medians of \(rounds) rounds; native is the file system beneath, in the same round")
    func wants(_ name: String) -> Bool { chosen.isEmpty || chosen.contains(name) }
    if wants("mount") { try MountBench.run(mesh, rounds: rounds) }
    if wants("database") { try DatabaseBench.run(mesh, rounds: rounds) }
    if wants("replication") { try ReplicationBench.run(mesh, rounds: rounds) }
    if wants("idle") { IdleBench.run(mesh) }
  }
}

/// What a clock says between two points, in seconds.
func seconds(_ body: () throws -> Void) rethrows -> Double {
  let start = DispatchTime.now().uptimeNanoseconds
  try body()
  return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
}

/// The middle of some figures.
func median(_ figures: [Double]) -> Double {
  let sorted = figures.sorted()
  return sorted.isEmpty ? .nan : sorted[sorted.count / 2]
}

/// The figure below which a share of them lies.
func percentile(_ figures: [Double], _ share: Double) -> Double {
  let sorted = figures.sorted()
  return sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
}

/// A figure with as many digits as it deserves.
func text(_ value: Double) -> String { String(format: abs(value) < 10 ? "%.3f" : "%.0f", value) }

/// Prints a line of the table: the mount's rate, the native one, their ratio.
func report(_ name: String, mount: [Double], native: [Double], unit: String) {
  let ratio = median(zip(mount, native).map { $0 / $1 })
  print(
    "\(name.padding(toLength: 34, withPad: " ", startingAt: 0)) \(text(median(mount))) \(unit)"
      + "  native \(text(median(native)))  ratio \(String(format: "%.3f", ratio))")
}
