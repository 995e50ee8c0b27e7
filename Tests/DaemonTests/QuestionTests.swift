// Questions, summaries and positions survive the way through bytes and text.

import Causality
import Node
import Replication
import Testing

@testable import Daemon

@Suite struct QuestionTests {
  private func volume() throws -> Volume {
    var volume = Volume(name: "v", origin: NodeID(7))
    try volume.makeDirectory(Path("d"), Attributes(mode: 0o755), at: Stamp(rawValue: 1))
    let id = try volume.createFile(Path("d/f"), FileForm(.regular), Attributes(mode: 0o600), at: Stamp(rawValue: 2))
    let write = ChunkWrite(index: 3, hash: ContentHash(1, 2, 3, 4), length: 9)
    _ = try volume.commit(
      id, [write], size: 3 * 131_072 + 9, attributes: Attributes(mode: 0o640), at: Stamp(rawValue: 3))
    return volume
  }

  private func hash(_ bytes: [UInt8]) -> ContentHash {
    ContentHash(bytes.reduce(5_381) { ($0 &* 33) &+ UInt64($1) }, 1, 2, UInt64(bytes.count))
  }

  @Test func `a question is read back, and cut short it is refused`() throws {
    let questions: [Question] = [
      .summary(below: Path("a/b"), after: Path("a/b/c"), includesEntries: true),
      .summary(below: .root, after: nil, includesEntries: false), .carry(sizeBytes: 1 << 40),
      .keys(.install(String(repeating: "a", count: 64))), .keys(.use("0011aabb")), .keys(.remove("0011aabb")),
      .forget(NodeID(99)),
    ]
    for question in questions {
      let message = Message.ask(volume: "v", id: 1 << 63, question)
      #expect(try Message(message.bytes[...]) == message)
      #expect(throws: (any Error).self) { try Message(message.bytes.dropLast()) }
    }
    let answer = Message.answer(volume: "v", id: 5, [1, 2, 3])
    #expect(try Message(answer.bytes[...]) == answer)
  }

  @Test func `a summary is read back, and its digest covers what programs see`() throws {
    var volume = try volume()
    let summary = volume.summary(below: .root, after: nil, includesEntries: true, hash: hash)
    #expect(try VolumeSummary(summary.bytes[...]) == summary)
    #expect(summary.entries.map(\.path.description) == ["/", "/d", "/d/f"] && summary.next == nil)
    #expect(throws: (any Error).self) { try VolumeSummary(summary.bytes.dropLast()) }
    let below = volume.summary(below: Path("d/f"), after: nil, includesEntries: true, hash: hash)
    #expect(below.count == 1 && below.digest != summary.digest)
    try volume.setAttributes(Path("d"), Attributes(mode: 0o700), at: Stamp(rawValue: 4))
    #expect(volume.summary(below: .root, after: nil, includesEntries: false, hash: hash).digest != summary.digest)
  }

  @Test func `a position is read back from its text`() {
    let vector = VersionVector([Dot(NodeID(1), 5), Dot(NodeID(0xABC), 7)])
    #expect(VersionVector(text: vector.description) == vector)
    #expect(VersionVector(text: "{}") == VersionVector())
    for text in ["", "{", "{x:1}", "{0000000000000001}", "{0000000000000001:-1}", "0000000000000001:1"] {
      #expect(VersionVector(text: text) == nil)
    }
  }

  @Test func `paths are made plain`() {
    #expect(AdminRoutes.normalized("//a/./b/../c/") == "/a/c")
    #expect(AdminRoutes.normalized("/../..") == "/")
  }

  @Test func `metrics escape what labels hold`() {
    var text = MetricsText()
    text.add("m", "gauge", "Help.", [(["a": "x\"y\\z\n"], 1.5)])
    #expect(text.text == "# HELP m Help.\n# TYPE m gauge\nm{a=\"x\\\"y\\\\z\\n\"} 1.5\n")
  }
}
