// Nodes killed under load, again and again.

import Foundation
import Testing

extension ClusterTests {
  @Suite struct KillTests {
    /// How often a node is killed; `make soak-kills` asks for more.
    static let kills = ProcessInfo.processInfo.environment["GRAPEVINE_KILLS"].flatMap { Int($0) } ?? 10

    @Test func `kill -9 under load: what fsync acknowledged is there, and the mesh comes to one tree`() async throws {
      try await Cluster.run { cluster in
        var random = SystemRandomNumberGenerator()
        for name in cluster.names { try await cluster.on(name, "mkdir \(name)") }
        for round in 0..<Self.kills {
          let victim = cluster.names[round % cluster.names.count]
          let delay = Double(Int.random(in: 200...1_000, using: &random)) / 1_000
          let writers = cluster.names.map { name in
            """
            : >>$mesh/\(name).acks
            python3 $scripts/load.py write \(cluster.mount(name))/\(name) $mesh/\(name).acks >/dev/null & \
            writer_\(name.replacing("-", with: "_"))=$!
            """
          }
          let ends = cluster.names.map { "kill -TERM $writer_\($0.replacing("-", with: "_"))" }
          try await cluster.cell.run(
            """
            \(writers.joined(separator: "\n"))
            sleep \(delay)
            kill_node \(victim)
            { \(ends.joined(separator: "; ")); } 2>/dev/null
            wait \(cluster.names.map { "$writer_\($0.replacing("-", with: "_"))" }.joined(separator: " "))
            start_node \(victim)
            """)
          for name in cluster.names {
            try await cluster.cell.run(
              "python3 $scripts/load.py check \(cluster.mount(name))/\(name) $mesh/\(name).acks")
          }
          if round % 5 == 4 { try await settleAndCheck(cluster) }
        }
        try await settleAndCheck(cluster)
        try await cluster.stopAll()
      }
    }

    /// All nodes hold what any of them acknowledged.
    private func settleAndCheck(_ cluster: Cluster) async throws {
      try await cluster.settle()
      for name in cluster.names {
        for other in cluster.names {
          try await cluster.cell.run(
            "python3 $scripts/load.py check \(cluster.mount(other))/\(name) $mesh/\(name).acks")
        }
      }
    }
  }
}
