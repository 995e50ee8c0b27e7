// What the demo does and says, step by step.

import CFuse
import Daemon
import Foundation

/// The story of the demo: each step does something on real mounts and checks what came of it.
final class DemoStory {
  private(set) var steps: [DemoCommand.Step] = []
  private let mesh: DemoMesh
  private let source: String
  private let isQuiet: Bool
  private let start = Date()
  private var stepStart = Date()
  private let lhr: DemoNode
  private let ord: DemoNode
  private let syd: DemoNode

  init(mesh: DemoMesh, source: String, isQuiet: Bool) {
    self.mesh = mesh
    self.source = source
    self.isQuiet = isQuiet
    (lhr, ord, syd) = (mesh.nodes[0], mesh.nodes[1], mesh.nodes[2])
  }

  func tell() throws {
    say("Starting three nodes: \(mesh.nodes.map { "\($0.name) in \($0.region)" }.joined(separator: ", "))")
    try mesh.start()
    done("three nodes found each other and mounted one volume")
    try copy()
    try everybodyWrites()
    try database()
    try partition()
    try heal()
    try conflicts()
  }

  // MARK: Steps

  private func copy() throws {
    say("Copying \(source) into the mount of \(lhr.name)")
    try mesh.run("/bin/cp", "-a", source, lhr.mount + "/tree")
    try write("first line\n", to: lhr, "notes.txt")
    try FileManager.default.linkItem(atPath: lhr.mount + "/notes.txt", toPath: lhr.mount + "/same-notes.txt")
    try FileManager.default.createSymbolicLink(atPath: lhr.mount + "/pointer", withDestinationPath: "tree")
    try write("#!/bin/sh\necho hello\n", to: lhr, "hello.sh")
    chmod(lhr.mount + "/hello.sh", 0o4750)
    try FileManager.default.createDirectory(atPath: lhr.mount + "/shared/empty", withIntermediateDirectories: true)
    setxattr(lhr.mount + "/notes.txt", "user.colour", "purple", 6, 0)
    let files = try Tree(lhr.mount).files
    let copied = Date()
    try converge(seconds: 60)
    let seconds = text(Date().timeIntervalSince(copied))
    let compared = "content, modes, owners, times, links, attributes"
    done(
      "\(files.count) files, \(Readable.bytes(UInt64(files.bytes))): identical on all three \(seconds) after the copy "
        + "(\(compared))")
  }

  private func everybodyWrites() throws {
    say("Every node writes at once: new files, a rename, a truncation, a removal")
    for (number, node) in mesh.nodes.enumerated() {
      for index in 0..<40 { try write("\(node.name) \(index)\n", to: node, "shared/\(node.name)-\(index).txt") }
      try write("a line of \(node.name)\n", to: node, "shared/own-\(number).txt")
    }
    try write(String(repeating: "grape ", count: 60_000), to: lhr, "shared/report.bin")
    try write("the plan\n", to: lhr, "shared/plan.txt")
    try FileManager.default.moveItem(atPath: ord.mount + "/hello.sh", toPath: ord.mount + "/shared/hello.sh")
    truncate(syd.mount + "/notes.txt", 5)
    let last = Date()
    try converge(seconds: 30)
    done("identical on all three \(text(Date().timeIntervalSince(last))) after the last write")
  }

  private func database() throws {
    say("Three programs in three regions use one live SQLite database")
    try DemoDatabase(lhr.mount + "/app.db").run(
      """
      PRAGMA journal_mode = WAL;
      CREATE TABLE visits (id INTEGER PRIMARY KEY, place TEXT NOT NULL);
      WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
      INSERT INTO visits (place) SELECT 'london ' || i FROM n;
      """)
    try catchUp(seconds: 30)
    try DemoDatabase(ord.mount + "/app.db").run("INSERT INTO visits (place) VALUES ('chicago')")
    try catchUp(seconds: 30)
    try DemoDatabase(syd.mount + "/app.db").run(
      "BEGIN; UPDATE visits SET place = 'sydney' WHERE id <= 100; DELETE FROM visits WHERE id = 500; COMMIT")
    try catchUp(seconds: 30)
    let rows = "SELECT id || ' ' || place FROM visits ORDER BY id"
    let seen = try mesh.nodes.map { try DemoDatabase($0.mount + "/app.db").column(rows) }
    let sound = try mesh.nodes.allSatisfy {
      try DemoDatabase($0.mount + "/app.db").column("PRAGMA integrity_check") == ["ok"]
    }
    done(
      "whole transactions arrived: \(seen[0].count) rows, the same on all three, integrity_check says ok",
      sound && Set(seen).count == 1 && seen[0].count == 500 && seen[0].contains("501 chicago"))
  }

  private func partition() throws {
    say("Cutting \(syd.name) off from the others, and writing on both sides")
    _ = try syd.ask([LinkReport].self, "POST", "/v1/link/block", ["node": "all", "for": "10m"])
    try mesh.wait("the cut", seconds: 20) {
      try self.syd.ask(StatusReport.self, "GET", "/v1/status").connected == 0
        && self.lhr.ask(StatusReport.self, "GET", "/v1/status").connected == 1
    }
    // The same chunk on both sides: one of them must lose. Another chunk on one side: it must stay.
    try overwrite("WRITTEN IN LONDON", at: 100, on: lhr, "shared/report.bin")
    try overwrite("only in london", at: 300_000, on: lhr, "shared/report.bin")
    usleep(20_000)
    try overwrite("WRITTEN IN SYDNEY", at: 100, on: syd, "shared/report.bin")
    try write("made in chicago\n", to: ord, "shared/from-ord.txt")
    try write("made in sydney\n", to: syd, "shared/from-syd.txt")
    // An edit wins over a removal that did not see it.
    try FileManager.default.removeItem(atPath: lhr.mount + "/shared/plan.txt")
    try overwrite("the PLAN", at: 0, on: syd, "shared/plan.txt")
    try mesh.wait("the two connected nodes", seconds: 20) {
      FileManager.default.fileExists(atPath: self.lhr.mount + "/shared/from-ord.txt")
        && !FileManager.default.fileExists(atPath: self.ord.mount + "/shared/plan.txt")
    }
    let isApart =
      !FileManager.default.fileExists(atPath: syd.mount + "/shared/from-ord.txt")
      && !FileManager.default.fileExists(atPath: lhr.mount + "/shared/from-syd.txt")
    let seen = try lhr.ask(DivergeReport.self, "GET", "/v1/diverge")
    let silent = seen.nodes.filter { !$0.answered }.map(\.node)
    done(
      "both sides went on reading and writing; \(lhr.name) and \(ord.name) agree, \(silent.joined()) cannot be asked",
      isApart && silent == [syd.name])
  }

  private func heal() throws {
    say("Healing")
    let healed = Date()
    _ = try syd.ask([LinkReport].self, "POST", "/v1/link/unblock", ["node": "all"])
    try converge(seconds: 60)
    let seconds = text(Date().timeIntervalSince(healed))
    let equal = try mesh.nodes.allSatisfy { try $0.ask(DivergeReport.self, "GET", "/v1/diverge").isEqual }
    done("identical on all three \(seconds) after the heal, and every node says so of the others", equal)
    let report = try read(ord, "shared/report.bin")
    done(
      "the later write of the chunk that both changed won, the other chunk stayed",
      report.contains("WRITTEN IN SYDNEY") && report.contains("only in london"))
    let plan = try? read(lhr, "shared/plan.txt")
    done("the edit won over the removal that had not seen it", plan == "the PLAN\n")
  }

  private func conflicts() throws {
    say("Looking for what lost")
    let lists = try mesh.nodes.map { try $0.ask([ConflictReport].self, "GET", "/v1/conflicts") }
    let ids = lists.map { Set($0.map(\.id)) }
    guard let lost = lists[0].first(where: { $0.path == "/shared/report.bin" }) else {
      return done("the chunk that lost is listed", false)
    }
    done("the chunk that lost, written by \(lost.writtenBy), is listed on all three", Set(ids).count == 1)
    let bytes = String(decoding: try ord.bytes("/v1/conflicts/show", ["id": lost.id]), as: UTF8.self)
    done("its bytes are there: '\(bytes.dropFirst(100).prefix(17))'", bytes.contains("WRITTEN IN LONDON"))
    let restored = try ord.ask(RestoreReport.self, "POST", "/v1/conflicts/restore", ["id": lost.id])
    try converge(seconds: 30)
    let copy = String(restored.path.dropFirst())
    let everywhere = try mesh.nodes.allSatisfy { try read($0, copy).contains("WRITTEN IN LONDON") }
    let left = try mesh.nodes.map {
      try $0.ask([ConflictReport].self, "GET", "/v1/conflicts").filter { $0.id == lost.id }.count
    }
    done(
      "restored on \(ord.name) as \(restored.path): it is on all three, and off every list",
      everywhere && left == [0, 0, 0])
  }

  // MARK: Checks

  /// Waits until every node holds what each holds.
  private func catchUp(seconds: Double) throws {
    let positions = try mesh.nodes.map { try $0.ask(PositionReport.self, "GET", "/v1/position").position }
    for node in mesh.nodes {
      for position in positions {
        let query = ["token": position, "timeout": "\(Int(seconds))s"]
        let report = try node.ask(PositionReport.self, "GET", "/v1/wait", query)
        guard report.isReached else {
          throw CommandFailure(
            what: "\(node.name) is not where the others are after \(Int(seconds)) s",
            why: "it holds \(report.position), not all of \(position)")
        }
      }
    }
  }

  /// Waits until every node holds what each holds, then compares the trees as programs see them. A live database is
  /// compared through SQLite instead: where its pages lie, in the file or in the log beside it, is each node's own.
  private func converge(seconds: Double) throws {
    try catchUp(seconds: seconds)
    var last: [String] = []
    do {
      try mesh.wait("the trees to be identical", seconds: 10) {
        let trees = try mesh.nodes.map { try Tree($0.mount, leavingOut: ["/app.db", "/app.db-wal", "/app.db-shm"]) }
        last = trees.dropFirst().flatMap { trees[0].differences(from: $0) }
        return last.isEmpty
      }
    } catch  where !last.isEmpty {
      throw CommandFailure(what: "the trees differ", why: last.joined(separator: "\n       "))
    }
  }

  // MARK: Files

  private func write(_ text: String, to node: DemoNode, _ path: String) throws {
    try Data(text.utf8).write(to: URL(fileURLWithPath: node.mount + "/" + path))
  }

  private func overwrite(_ text: String, at offset: UInt64, on node: DemoNode, _ path: String) throws {
    let file = try FileHandle(forUpdating: URL(fileURLWithPath: node.mount + "/" + path))
    try file.seek(toOffset: offset)
    try file.write(contentsOf: Data(text.utf8))
    try file.synchronize()
    try file.close()
  }

  private func read(_ node: DemoNode, _ path: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(fileURLWithPath: node.mount + "/" + path)), as: UTF8.self)
  }

  // MARK: Saying

  /// Announces what is done next.
  func say(_ text: String) {
    stepStart = Date()
    line("\n\(text) …")
  }

  private func done(_ text: String, _ held: Bool = true) {
    let seconds = Date().timeIntervalSince(stepStart)
    steps.append(DemoCommand.Step(name: text, held: held, detail: "", seconds: seconds))
    line("  \(held ? "ok " : "NO ") \(text)")
    stepStart = Date()
  }

  /// Notes a step that could not be finished.
  func failed(_ error: any Error) {
    let failure = mesh.death ?? CommandFailure(error)
    steps.append(
      DemoCommand.Step(
        name: failure.what, held: false, detail: failure.why, seconds: Date().timeIntervalSince(stepStart)))
    line("  NO  \(failure.what)" + (failure.why.isEmpty ? "" : "\n      \(failure.why)"))
  }

  private func line(_ text: String) {
    if isQuiet {
      if StandardError.isTerminal { StandardError.write(text) }
    } else {
      FileHandle.standardOutput.write(Data((text + "\n").utf8))
    }
  }

  private func text(_ seconds: Double) -> String { "\(Double(Int(seconds * 100)) / 100) s" }
}
