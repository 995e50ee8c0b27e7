// Serving pulls: what a peer lacks, in parts, as fast as it applies them.

import Causality
import Replication

/// A round of pulling, seen from the side that sends.
struct PullServer: Sendable {
  /// Parts sent and not yet applied, at most.
  static let window = 8
  /// Bytes of chunk content that travel inside one part or push, at most.
  static let inlineBytes = 1 << 20
  /// Bytes of content of one file that travel inside, at most; larger files are fetched chunk by chunk.
  static let inlineFileBytes: UInt64 = 1 << 20

  let round: UInt64
  let since: VersionVector
  let claim: VersionVector
  private var keys: ArraySlice<RecordKey>
  private var next: UInt64 = 0
  private var outstanding = 0
  private var isFinished = false

  init(round: UInt64, since: VersionVector, of volume: inout Volume) {
    self.round = round
    self.since = since
    claim = volume.vector
    keys = volume.keys(notCoveredBy: since)[...]
  }

  mutating func partDone() { outstanding = max(0, outstanding - 1) }

  /// The next part, while the window has room; nil when there is none to send now.
  mutating func nextPart(of volume: Volume, volumeName: String) -> (Message, [WantedContent])? {
    guard !isFinished, outstanding < Self.window else { return nil }
    var delta = Delta()
    var contents: [WantedContent] = []
    var size = 0
    var budget = Self.inlineBytes
    while let key = keys.first, size < 256 << 10, budget > 0, delta.paths.count + delta.files.count < 512 {
      keys.removeFirst()
      let files = delta.files.count
      volume.append(key, notCoveredBy: since, to: &delta)
      size += 128
      guard delta.files.count > files else { continue }
      size += 64 * delta.files[files].chunks.elements.count
      contents += delta.files[files].inlineContents(within: &budget)
    }
    isFinished = keys.isEmpty
    outstanding += 1
    next += 1
    let part = Message.part(
      volume: volumeName, round: round, number: next, claim: isFinished ? claim : nil, delta, [])
    return (part, contents)
  }
}

extension File {
  /// The chunks of a partial file whose bytes should travel with it, all or none.
  func inlineContents(within budget: inout Int) -> [WantedContent] {
    let bytes = chunks.elements.reduce(0) { $0 + ($1.chunk.hash.isZeros ? 0 : Int($1.chunk.length)) }
    guard bytes <= budget, UInt64(bytes) <= PullServer.inlineFileBytes else { return [] }
    budget -= bytes
    return chunks.elements.filter { !$0.chunk.hash.isZeros }.map { want($0.chunk, at: $0.index, isLost: false) }
  }
}

extension Delta {
  /// The chunks whose bytes should travel with a push.
  var inlineContents: [WantedContent] {
    var budget = PullServer.inlineBytes
    return files.flatMap { $0.inlineContents(within: &budget) }
  }
}
