// Both sides of a partition write; what they come to, and where the losers are.

import Foundation
import Testing

/// Two things done to one name without knowing of each other.
struct Pair: Sendable, CustomTestStringConvertible {
  let name: String
  /// What is there before: a script in the directory of the pair.
  let before: String
  let left: String
  let right: String
  /// What must hold afterwards on every node: a script in the directory of the pair.
  let after: String
  /// What must be found on every node, in the tree or among the conflicts.
  var kept: [String] = []
  var testDescription: String { name }

  static let all: [Pair] = [
    Pair(
      name: "create and create", before: "true", left: "echo left >f", right: "echo right >f",
      after: "grep -qx 'left\\|right' f && [ $(wc -l <f) = 1 ]", kept: ["left", "right"]),
    Pair(
      name: "edit and edit of one chunk", before: "seq 1000 >f",
      left: "printf LEFT | dd of=f bs=1 seek=10 conv=notrunc",
      right: "printf RIGHT | dd of=f bs=1 seek=900 conv=notrunc",
      after: "[ $(stat -c %s f) = 3893 ] && grep -q 'LEFT\\|RIGHT' f", kept: ["LEFT", "RIGHT"]),
    Pair(
      name: "edits of different chunks", before: "head -c 1000000 /dev/zero >f",
      left: "printf LEFT | dd of=f bs=1 seek=10 conv=notrunc",
      right: "printf RIGHT | dd of=f bs=1 seek=900000 conv=notrunc",
      after: "grep -aq LEFT f && grep -aq RIGHT f && [ $(stat -c %s f) = 1000000 ]"),
    Pair(
      name: "atomic replace and atomic replace", before: "echo old >f", left: "echo left >t && mv t f",
      right: "echo right >u && mv u f", after: "grep -qx 'left\\|right' f && [ $(ls | wc -l) = 1 ]",
      kept: ["left", "right"]),
    Pair(
      name: "append and append", before: "echo start >f", left: "echo left >>f", right: "echo right >>f",
      after: "grep -qx start f && grep -q 'left\\|right' f", kept: ["left", "right"]),
    Pair(
      name: "delete and edit", before: "echo old >f", left: "rm f", right: "echo more >>f",
      after: "grep -qx old f && grep -qx more f"),
    Pair(
      name: "delete and replace", before: "echo old >f", left: "rm f", right: "echo new >t && mv t f",
      after: "grep -qx new f"),
    Pair(
      name: "delete and delete", before: "echo old >f", left: "rm f", right: "rm f", after: "[ ! -e f ]"),
    Pair(
      name: "file and directory", before: "true", left: "echo left >f", right: "mkdir f && echo right >f/g",
      after: "[ -f f ] || grep -qx right f/g", kept: ["left", "right"]),
    Pair(
      name: "rename and rename", before: "echo old >f", left: "mv f left", right: "mv f right",
      after: "[ ! -e f ] && (cat left right 2>/dev/null; true) | grep -q old"),
    Pair(
      name: "rename and edit", before: "echo old >f", left: "mv f g", right: "echo more >>f",
      after: "(cat f g 2>/dev/null; true) | grep -qx more"),
    Pair(
      name: "removal of a directory and a file new in it", before: "mkdir d", left: "rmdir d", right: "echo new >d/f",
      after: "grep -qx new d/f"),
    Pair(
      name: "chmod and edit", before: "echo old >f", left: "chmod 600 f", right: "echo more >>f",
      after: "grep -qx more f"),
    Pair(
      name: "truncate and append", before: "seq 100000 >f", left: "truncate -s 100 f", right: "echo more >>f",
      after: "[ -s f ]"),
    Pair(
      name: "links of one file", before: "echo old >f", left: "ln f left", right: "ln f right; echo more >>f",
      after: "[ f -ef left ] && [ f -ef right ] && grep -qx more left"),
  ]
}

extension ClusterTests {
  @Suite struct PartitionTests {
    private func directory(_ index: Int) -> String { "pair-\(index)" }

    @Test func `whatever two sides do to one name, all nodes come to one tree`() async throws {
      try await Cluster.run { cluster in
        let pairs = Array(Pair.all.enumerated())
        func script(_ part: (Pair) -> String) -> String {
          pairs.map { "mkdir -p \(directory($0)); (cd \(directory($0)); \(part($1))) 2>/dev/null" }.joined(
            separator: "\n")
        }
        try await cluster.on("r1-1", script(\.before))
        try await cluster.settle()
        try await cluster.partition(["r1-1"], ["r2-1", "r3-1"])
        try await cluster.on("r1-1", script(\.left))
        try await cluster.on("r2-1", script(\.right))
        try await cluster.settle(["r2-1", "r3-1"])
        try await cluster.heal()
        try await cluster.settle()
        for (index, pair) in pairs {
          for name in cluster.names {
            let holds = try await cluster.on(
              name, "cd \(directory(index)); if { \(pair.after); }; then echo holds; else ls -l; head -c 200 *; fi")
            #expect(holds == "holds", "\(pair.name) on \(name)")
            for text in pair.kept {
              let found = try await cluster.find(text, in: directory(index), on: name)
              #expect(found, "\(pair.name): nothing on \(name) holds \(text) any more")
            }
          }
        }
        try await cluster.stopAll()
      }
    }

    @Test func `a node that hears but is not heard, and the other way round, comes to the same tree`() async throws {
      try await Cluster.run { cluster in
        for (from, to) in [("r1-1", "r2-1"), ("r2-1", "r1-1")] {
          for other in cluster.names where other != "r1-1" {
            try await cluster.cut(from == "r1-1" ? from : other, to: from == "r1-1" ? other : to)
          }
          for name in cluster.names { try await cluster.on(name, "mkdir -p \(name); seq 20000 >\(name)/from-\(from)") }
          try await cluster.heal()
          #expect(try await cluster.settle() >= 6 / 2)
        }
      }
    }

    @Test func `a link that comes and goes delays, and loses nothing`() async throws {
      try await Cluster.run { cluster in
        for round in 1...4 {
          try await cluster.partition(["r1-1", "r2-1"], ["r3-1"])
          for name in cluster.names {
            try await cluster.on(name, "mkdir -p d; echo \(round) >d/\(name)-\(round); sleep 0.3")
          }
          try await cluster.heal()
          try await cluster.on("r1-1", "sleep 0.5")
        }
        #expect(try await cluster.settle() == 13)
      }
    }
  }
}
