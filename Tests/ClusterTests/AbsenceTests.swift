// Nodes that go, come back, or come late; and deletes, which stay.

import Foundation
import Testing

extension ClusterTests {
  @Suite struct AbsenceTests {
    @Test func `a node that was away catches up, and what it wrote alone is everywhere`() async throws {
      try await Cluster.run { cluster in
        try await cluster.on("r1-1", "mkdir d; for i in $(seq 100); do echo $i >d/$i; done")
        try await cluster.settle()
        try await cluster.partition(["r3-1"], ["r1-1", "r2-1"])
        try await cluster.on("r3-1", "echo alone >alone; sync alone")
        try await cluster.stop("r3-1")
        try await cluster.heal()
        try await cluster.on("r1-1", "rm -r d; mkdir e; for i in $(seq 100); do echo $i >e/$i; done")
        try await cluster.on("r2-1", "head -c 3000000 /dev/urandom >e/big")
        try await cluster.settle(["r1-1", "r2-1"])
        try await cluster.start("r3-1")
        #expect(try await cluster.settle() == 103)
        #expect(try await cluster.on("r1-1", "cat alone") == "alone")
      }
    }

    @Test func `a node that joins late gets everything`() async throws {
      try await Cluster.run(nodes: 2) { cluster in
        try await cluster.cell.run("python3 $scripts/tree.py make \(cluster.mount("r1-1"))/tree 11")
        try await cluster.settle()
        let late = try await cluster.add(region: "late")
        let count = try await cluster.settle()
        #expect(count > 100)
        try await cluster.on(late, "echo here >late")
        #expect(try await cluster.settle() == count + 1)
        try await cluster.stopAll()
      }
    }

    @Test func `deletes do not come back, whoever was away and however often nodes restart`() async throws {
      try await Cluster.run { cluster in
        try await cluster.on("r1-1", "mkdir -p d/e; for i in $(seq 50); do echo $i >d/$i; echo $i >d/e/$i; done")
        try await cluster.settle()
        try await cluster.stop("r3-1")
        try await cluster.on("r2-1", "rm -r d/e; rm d/[1-4]*")
        try await cluster.settle(["r1-1", "r2-1"])
        let left = try await cluster.on("r1-1", "find d | sort")
        try await cluster.stop("r1-1")
        try await cluster.start("r3-1")
        try await cluster.settle(["r2-1", "r3-1"])
        try await cluster.kill("r2-1")
        try await cluster.start("r1-1")
        try await cluster.settle(["r1-1", "r3-1"])
        try await cluster.start("r2-1")
        try await cluster.settle()
        for name in cluster.names { #expect(try await cluster.on(name, "find d | sort") == left) }
      }
    }

    @Test func `a node that stands still for a while goes on where it was`() async throws {
      try await Cluster.run { cluster in
        try await cluster.on("r2-1", "echo before >before")
        try await cluster.settle()
        try await cluster.cell.run("freeze_node r2-1")
        try await cluster.on("r1-1", "mkdir d; for i in $(seq 50); do echo $i >d/$i; done; rm before; sleep 4")
        try await cluster.cell.run("thaw_node r2-1")
        #expect(try await cluster.settle() == 51)
        try await cluster.on("r2-1", "echo after >after")
        #expect(try await cluster.settle() == 52)
      }
    }
  }
}
