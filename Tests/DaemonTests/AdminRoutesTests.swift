// What a running node answers: real nodes on loopback, nothing mounted.

import Admin
import Causality
import Foundation
import Node
import Replication
import Testing

@testable import Daemon

@Suite(.serialized) struct AdminRoutesTests {
  @Test func `two nodes tell of each other, and of a file down to its chunks`() async throws {
    let mesh = try await LiveMesh("lhr", "ord")
    let (lhr, ord) = (mesh.nodes[0], mesh.nodes[1])
    try lhr.make("a.txt", "hello")
    try await mesh.converge()
    let status = try await ord.ask(StatusReport.self, "GET", "/v1/status")
    #expect(status.node == "ord-1" && status.region == "ord" && status.mesh == "live")
    #expect(status.isReady && status.connected == 1 && status.members["alive"] == 2 && status.alarms.isEmpty)
    let members = try await ord.ask([MemberReport].self, "GET", "/v1/members")
    #expect(members.map(\.name) == ["lhr-1", "ord-1"] && members.map(\.isSelf) == [false, true])
    #expect(members[0].isConnected && !members[0].isBlocked)
    let volumes = try await ord.ask([VolumeReport].self, "GET", "/v1/volumes", ["name": "data"])
    #expect(volumes.map(\.entries) == [1] && volumes[0].bytes == 5 && volumes[0].sizeBytes == 1_000_000_000)
    let chunks = try await ord.ask(ChunksReport.self, "GET", "/v1/chunks", ["path": "/a.txt"])
    #expect(chunks.kind == "file" && chunks.size == 5 && chunks.chunks.map(\.writtenBy) == ["lhr-1"])
    let metrics = String(decoding: try await ord.bytes("GET", "/metrics"), as: UTF8.self)
    #expect(metrics.contains("grapevine_members{status=\"alive\"} 2\n"))
    #expect(metrics.contains("# TYPE grapevine_volume_entries gauge\ngrapevine_volume_entries{volume=\"data\"} 1\n"))
    #expect(String(decoding: try await ord.bytes("GET", "/"), as: UTF8.self).hasPrefix("<!doctype html>"))
    await mesh.stop()
  }

  @Test func `what lost in a partition is listed, shown and restored on any node`() async throws {
    let mesh = try await LiveMesh("lhr", "ord")
    let (lhr, ord) = (mesh.nodes[0], mesh.nodes[1])
    let file = try lhr.make("a.txt", "first")
    try await mesh.converge()
    let blocked = try await ord.ask([LinkReport].self, "POST", "/v1/link/block", ["node": "all", "for": "10m"])
    #expect(blocked.map(\.node) == ["lhr-1"])
    try await LiveMesh.until("the cut") { ord.engine.read { $0.connected.isEmpty } }
    try lhr.overwrite(file, "loser")
    try lhr.make("b.txt", "lhr b")
    try await Task.sleep(for: .milliseconds(5))
    try ord.overwrite(file, "wins!")
    try ord.make("b.txt", "ord b")
    let alone = try await ord.ask(DivergeReport.self, "GET", "/v1/diverge")
    #expect(!alone.isEqual && alone.nodes.map(\.answered) == [true, false])
    let open = try await ord.ask([LinkReport].self, "POST", "/v1/link/unblock", ["node": "lhr-1"])
    #expect(open.isEmpty)
    try await mesh.converge()
    #expect(lhr.content("a.txt") == "wins!" && lhr.content("b.txt") == "ord b")
    let equal = try await lhr.ask(DivergeReport.self, "GET", "/v1/diverge")
    #expect(equal.isEqual && equal.isSamePosition && equal.differences.isEmpty)

    let lists = [
      try await lhr.ask([ConflictReport].self, "GET", "/v1/conflicts"),
      try await ord.ask([ConflictReport].self, "GET", "/v1/conflicts"),
    ]
    #expect(lists[0] == lists[1] && lists[0].map(\.kind) == ["chunk", "file"])
    #expect(lists[0].map(\.writtenBy) == ["lhr-1", "lhr-1"] && lists[0].map(\.winner) == ["ord-1", "ord-1"])
    for (conflict, bytes) in zip(lists[0], ["loser", "lhr b"]) {
      let shown = try await ord.bytes("GET", "/v1/conflicts/show", ["id": conflict.id])
      #expect(String(decoding: shown, as: UTF8.self) == bytes)
    }
    let chunk = try await ord.ask(
      RestoreReport.self, "POST", "/v1/conflicts/restore", ["id": lists[0][0].id, "to": "/back.txt"])
    #expect(chunk.path == "/back.txt")
    let whole = try await lhr.ask(RestoreReport.self, "POST", "/v1/conflicts/restore", ["id": lists[0][1].id])
    #expect(whole.path == "/b.txt.conflict-lhr-1")
    try await mesh.converge()
    for node in mesh.nodes {
      #expect(node.content("back.txt") == "loser" && node.content("b.txt.conflict-lhr-1") == "lhr b")
      #expect(node.content("a.txt") == "wins!")
      let left = try await node.ask([ConflictReport].self, "GET", "/v1/conflicts")
      #expect(left.isEmpty)
    }
    await mesh.stop()
  }

  @Test func `a position of one node is waited for on another`() async throws {
    let mesh = try await LiveMesh("lhr", "ord")
    let (lhr, ord) = (mesh.nodes[0], mesh.nodes[1])
    try await mesh.converge()
    try lhr.make("a.txt", "x")
    let position = try await lhr.ask(PositionReport.self, "GET", "/v1/position").position
    let reached = try await ord.ask(PositionReport.self, "GET", "/v1/wait", ["token": position, "timeout": "30s"])
    #expect(reached.isReached && ord.content("a.txt") == "x")
    let beyond = "{ffffffffffffffff:1}"
    let never = try await ord.ask(PositionReport.self, "GET", "/v1/wait", ["token": beyond, "timeout": "1ms"])
    #expect(!never.isReached)
    await mesh.stop()
  }

  @Test func `keys and volumes reach the other node`() async throws {
    let mesh = try await LiveMesh("lhr", "ord")
    let (lhr, ord) = (mesh.nodes[0], mesh.nodes[1])
    try await mesh.converge()
    let old = try await lhr.ask([KeyReport].self, "GET", "/v1/keys")
    let told = try await lhr.ask(ToldReport.self, "POST", "/v1/keys", ["do": "install"])
    #expect(told.done == ["lhr-1", "ord-1"] && told.failed.isEmpty)
    let new = try await ord.ask([KeyReport].self, "GET", "/v1/keys").first { !$0.isPrimary }
    let fingerprint = try #require(new?.fingerprint)
    _ = try await lhr.ask(ToldReport.self, "POST", "/v1/keys", ["do": "use", "key": fingerprint])
    _ = try await lhr.ask(ToldReport.self, "POST", "/v1/keys", ["do": "remove", "key": old[0].fingerprint])
    let left = try await ord.ask([KeyReport].self, "GET", "/v1/keys")
    #expect(left == [KeyReport(fingerprint: fingerprint, isPrimary: true)])
    let made = try await ord.ask(ToldReport.self, "POST", "/v1/volumes", ["name": "photos", "size": "5MB"])
    #expect(made.done == ["ord-1", "lhr-1"])
    let volumes = try await lhr.ask([VolumeReport].self, "GET", "/v1/volumes")
    #expect(volumes.map(\.name) == ["data", "photos"] && volumes[1].sizeBytes == 5_000_000)
    await mesh.stop()
  }

  @Test func `what was deleted while a node was away leaves its trace until that node is forgotten`() async throws {
    let mesh = try await LiveMesh("lhr", "ord")
    let (lhr, ord) = (mesh.nodes[0], mesh.nodes[1])
    try lhr.make("a.txt", "x")
    try await mesh.converge()
    await ord.stop()
    try await LiveMesh.until("the goodbye") {
      try await lhr.ask([MemberReport].self, "GET", "/v1/members").contains { $0.status == "left" }
    }
    try lhr.remove("a.txt")
    lhr.data.store(durably: true)
    #expect(lhr.engine.core.withLock { node, _ in node.collect("data") { _ in false } }.isEmpty)
    #expect(lhr.engine.read { $0.volume("data")?.paths[Path("a.txt")] }?.isRemoved == true)
    let told = try await lhr.ask(ToldReport.self, "POST", "/v1/forget", ["node": "ord-1"])
    #expect(told.done == ["lhr-1"] && told.failed.isEmpty)
    #expect(lhr.engine.core.withLock { node, _ in node.collect("data") { _ in false } }.count == 1)
    await mesh.stop()
  }

  @Test func `a request that cannot be done says what, why and what to do`() async throws {
    let mesh = try await LiveMesh("lhr")
    let requests: [(String, String, [String: String])] = [
      ("GET", "/v1/chunks", ["path": "/nope"]), ("GET", "/v1/wait", ["token": "junk"]),
      ("GET", "/v1/wait", ["token": "{}", "timeout": "soon"]), ("POST", "/v1/link/block", ["node": "nobody"]),
      ("POST", "/v1/link/block", ["node": "lhr-1"]), ("POST", "/v1/link/block", ["node": "all", "for": "2h"]),
      ("POST", "/v1/forget", ["node": "lhr-1"]), ("POST", "/v1/keys", ["do": "use", "key": "00000000"]),
      ("POST", "/v1/keys", ["do": "install", "key": "short"]), ("POST", "/v1/volumes", ["name": "a/b"]),
      ("POST", "/v1/volumes", ["name": "data"]), ("POST", "/v1/volumes", ["name": "x", "size": "big"]),
      ("POST", "/v1/conflicts/drop", ["id": "1:1"]), ("GET", "/v1/volumes", ["name": "nope"]),
      ("POST", "/v1/status", [:]), ("GET", "/nope", [:]),
    ]
    for (method, path, query) in requests {
      await #expect("\(method) \(path) \(query)") {
        _ = try await mesh.nodes[0].bytes(method, path, query)
      } throws: { error in
        guard let failure = error as? AdminFailure else { return false }
        return !failure.what.isEmpty && !failure.why.isEmpty && !failure.remedy.isEmpty
      }
    }
    await mesh.stop()
  }
}
