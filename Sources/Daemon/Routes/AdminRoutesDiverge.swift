// Where nodes differ: what each shows, compared entry by entry and chunk by chunk.

import Admin
import Causality
import Membership
import Node
import Replication

extension AdminRoutes {
  /// What one node shows.
  private struct Shown {
    var node: String
    var summary: VolumeSummary?
    var entries: [Path: EntrySummary] = [:]
  }

  func diverge(_ request: AdminRequest) async throws -> DivergeReport {
    let (carried, top) = try place(request)
    carried.mount.withLock { $0 }?.captureAll()
    await engine.learnOrigins(of: carried.name)
    var sides: [Shown] = []
    let members = try compared(request.query["node"])
    for member in members {
      let summary = await summary(of: member.id, carried.name, top, after: nil, includesEntries: false)
      sides.append(Shown(node: member.card.name, summary: summary))
    }
    let answered = sides.compactMap(\.summary)
    var report = DivergeReport(
      volume: carried.name, path: top.description, isEqual: answered.count == sides.count,
      isSamePosition: Set(answered.map(\.vector)).count <= 1,
      nodes: sides.map { side in
        DivergeReport.Side(
          node: side.node, answered: side.summary != nil, position: side.summary?.vector.description ?? "",
          digest: side.summary?.digest.description ?? "", entries: side.summary?.count ?? 0)
      }, differences: [], isCut: false)
    guard Set(answered.map(\.digest)).count > 1 else { return report }
    for index in sides.indices where sides[index].summary != nil {
      sides[index].entries = await entries(of: members[index].id, carried.name, top)
    }
    compare(sides.filter { $0.summary != nil }, in: carried.name, into: &report)
    if !report.differences.isEmpty { report.isEqual = false }
    return report
  }

  /// The members to compare: those named, else all that have not left, this node first.
  private func compared(_ names: String?) throws -> [Member] {
    let own = service.identity.node
    if let names, !names.isEmpty {
      let named = try names.split(separator: ",").map { try member(String($0)) }
      if named.count > 1 || named[0].id == own { return named }
      return [try member(own.description)] + named
    }
    return engine.read { $0.membership.members }.filter { $0.status != .left }
      .sorted { ($0.id == own ? "" : $0.card.name) < ($1.id == own ? "" : $1.card.name) }
  }

  private func summary(
    of member: NodeID, _ volume: String, _ top: Path, after: Path?, includesEntries: Bool
  ) async -> VolumeSummary? {
    if member == service.identity.node {
      return engine.summary(of: volume, below: top, after: after, includesEntries: includesEntries)
    }
    let question = Question.summary(below: top, after: after, includesEntries: includesEntries)
    guard let bytes = await engine.ask(member, question, of: volume) else { return nil }
    return try? VolumeSummary(bytes[...])
  }

  private func entries(of member: NodeID, _ volume: String, _ top: Path) async -> [Path: EntrySummary] {
    var entries: [Path: EntrySummary] = [:]
    var after: Path?
    repeat {
      guard let page = await summary(of: member, volume, top, after: after, includesEntries: true) else { break }
      for entry in page.entries { entries[entry.path] = entry }
      after = page.next
    } while after != nil
    return entries
  }

  private func compare(_ sides: [Shown], in volume: String, into report: inout DivergeReport) {
    let paths = Set(sides.flatMap(\.entries.keys)).sorted()
    for path in paths {
      let shown = sides.map { ($0.node, $0.entries[path]) }
      let what = Self.differences(shown.map(\.1))
      guard !what.isEmpty else { continue }
      guard report.differences.count < Self.differencesAtMost else {
        report.isCut = true
        return
      }
      let texts = shown.map { ($0.0, $0.1.map { text(of: $0, in: volume) } ?? "nothing") }
      report.differences.append(
        DivergeReport.Difference(
          path: path.description, what: what, shows: Dictionary(uniqueKeysWithValues: texts),
          chunks: what.contains("content") ? chunkDifferences(shown, in: volume) : []))
    }
  }

  private static func differences(_ entries: [EntrySummary?]) -> [String] {
    let there = entries.compactMap { $0 }
    guard there.count == entries.count else { return ["missing"] }
    func differ<Value: Hashable>(_ value: (EntrySummary) -> Value) -> Bool { Set(there.map(value)).count > 1 }
    var what: [String] = []
    if differ(\.kind) { what.append("kind") }
    if differ(\.target) { what.append("target") }
    if differ(\.size) { what.append("size") }
    if differ(\.attributes) { what.append("attributes") }
    if differ({ $0.chunks.filter { !$0.chunk.hash.isZeros }.map { ChunkBytes($0) } }) { what.append("content") }
    return what
  }

  /// What of a chunk programs can see.
  private struct ChunkBytes: Hashable {
    var index: UInt64
    var hash: ContentHash
    var length: UInt32

    init(_ summary: ChunkSummary) {
      index = summary.index
      hash = summary.chunk.hash
      length = summary.chunk.length
    }
  }

  private func text(of entry: EntrySummary, in volume: String) -> String {
    guard let kind = entry.kind else { return "directory, mode \(String(entry.attributes.mode, radix: 8))" }
    let by = engine.name(ofOrigin: entry.file.origin, in: volume)
    let name = kind == .regular ? "file" : kind == .symbolicLink ? "link" : "special file"
    return "\(name) made by \(by), \(entry.size) bytes, mode \(String(entry.attributes.mode, radix: 8))"
  }

  private func chunkDifferences(
    _ shown: [(String, EntrySummary?)], in volume: String
  ) -> [DivergeReport.ChunkDifference] {
    var versions: [UInt64: [String: ChunkSummary]] = [:]
    for (node, entry) in shown {
      for chunk in entry?.chunks ?? [] { versions[chunk.index, default: [:]][node] = chunk }
    }
    return versions.sorted { $0.key < $1.key }.filter { _, held in
      held.count < shown.count || Set(held.values.map { ChunkBytes($0) }).count > 1
    }.prefix(Self.differencesAtMost).map { index, held in
      let winner = held.max { ($0.value.stamp, $0.value.chunk.dot) < ($1.value.stamp, $1.value.chunk.dot) }
      return DivergeReport.ChunkDifference(
        index: index, versions: held.mapValues { report($0, in: volume) }, winner: winner?.key ?? "")
    }
  }
}
