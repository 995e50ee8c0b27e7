// Trees of all kinds, the same on every node.

import Foundation
import Testing

extension ClusterTests {
  @Suite struct TreeTests {
    @Test func `a tree with everything a file system has is the same on all nodes`() async throws {
      try await Cluster.run { cluster in
        try await cluster.cell.run("python3 $scripts/tree.py make $mesh/source 7")
        try await cluster.cell.run("cp -a $mesh/source \(cluster.mount("r1-1"))/tree")
        #expect(try await cluster.settle() > 100)
        let mounts = cluster.names.map { "\(cluster.mount($0))/tree" }.joined(separator: " ")
        try await cluster.cell.run("python3 $scripts/tree.py wait 5 $mesh/source \(mounts)")
        try await cluster.stopAll()
      }
    }

    @Test func `rsync finds no difference, whichever way it looks`() async throws {
      try await Cluster.run(nodes: 2) { cluster in
        let (first, second) = (cluster.mount("r1-1"), cluster.mount("r2-1"))
        try await cluster.cell.run(
          "python3 $scripts/tree.py make $mesh/source 8 && rsync -aHAX $mesh/source/ \(first)/")
        try await cluster.settle()
        for (from, to) in [("$mesh/source", second), (first, second), (second, first)] {
          let found = try await cluster.cell.run("rsync -aHAXn --delete --itemize-changes \(from)/ \(to)/")
          #expect(found == "")
        }
        try await cluster.cell.run(
          "find $mesh/source/src -name '*2.bin' -delete && rsync -aHAX --delete $mesh/source/ \(second)/")
        try await cluster.settle()
        #expect(try await cluster.cell.run("rsync -aHAXn --delete --itemize-changes $mesh/source/ \(first)/") == "")
      }
    }

    @Test func `a git repository that one node works on is whole on another`() async throws {
      try await Cluster.run(nodes: 2) { cluster in
        try await cluster.cell.run(
          """
          export HOME=$mesh GIT_CONFIG_NOSYSTEM=1
          git config --global user.name test && git config --global user.email test@example.com &&
          git config --global safe.directory '*' && git config --global init.defaultBranch main &&
          git init -q $mesh/origin && python3 $scripts/tree.py make $mesh/origin/files 9 &&
          chmod -R u+rw $mesh/origin/files && git -C $mesh/origin add -A && git -C $mesh/origin commit -qm first
          """)
        try await cluster.on("r1-1", "git clone -q \(cluster.cell.directory)/m/origin copy")
        for number in 1...5 {
          try await cluster.on(
            "r1-1",
            "cd copy; seq \(number) $((\(number) * 1000)) >numbers; git add -A; git commit -qm 'number \(number)'; git tag t\(number)"
          )
        }
        try await cluster.on("r1-1", "cd copy; git gc -q --aggressive --prune=now")
        try await cluster.settle()
        let head = try await cluster.on("r1-1", "git -C copy rev-parse HEAD")
        #expect(
          try await cluster.on("r2-1", "git -C copy fsck --full --strict >&2; git -C copy rev-parse HEAD") == head)
        #expect(try await cluster.on("r2-1", "git -C copy status --porcelain") == "")
        try await cluster.on(
          "r2-1", "cd copy; git checkout -q -b more; echo more >more; git add -A; git commit -qm more")
        try await cluster.settle()
        try await cluster.on("r1-1", "cd copy; git fsck --full --strict; [ $(cat more) = more ]")
      }
    }
  }
}
