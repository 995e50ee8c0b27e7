// A delta: what one node tells another of its state.

import Causality

/// Parts of a volume's state. A file in it stands with only those chunks that the receiver lacks; its `vector` claims
/// only what the receiver will hold of the file after the join.
public struct Delta: Hashable, Sendable {
  /// A path and what is known of it.
  public struct PathPart: Hashable, Sendable {
    /// Where.
    public var path: Path
    /// The record.
    public var record: PathRecord

    /// Joins both.
    public init(path: Path, record: PathRecord) {
      self.path = path
      self.record = record
    }
  }

  /// Paths.
  public var paths: [PathPart] = []
  /// Files, in part.
  public var files: [File] = []

  /// Those databases that stand in it with all their pages. Local: a message says it by its kind.
  public var wholes = Set<FileID>()

  /// Tells nothing.
  public init() {}

  /// Whether it tells nothing.
  public var isEmpty: Bool { paths.isEmpty && files.isEmpty }

  /// Every record it touches.
  public var keys: [RecordKey] { paths.map { .path($0.path) } + files.map { .file($0.id) } }

  /// The latest stamp that its changes bear.
  public var latestStamp: Stamp {
    var latest = Stamp.zero
    for part in paths { latest = max(latest, part.record.write?.stamp ?? .zero) }
    for file in files { for note in file.notes.values { latest = max(latest, note.stamp) } }
    return latest
  }
}

extension Volume {
  /// The records with changes that `since` does not cover.
  public mutating func keys(notCoveredBy since: VersionVector) -> [RecordKey] { log.keys(notCoveredBy: since) }

  /// What a peer that holds `since` lacks of one record; nil when it lacks nothing.
  public func append(_ key: RecordKey, notCoveredBy since: VersionVector, to delta: inout Delta) {
    switch key {
    case .path(let path):
      guard let record = paths[path], !since.covers(record.marks) else { return }
      delta.paths.append(Delta.PathPart(path: path, record: record))
    case .file(let id):
      guard let file = files[id], !since.covers(file.marks) else { return }
      delta.files.append(file.part(claiming: file.vector) { !since.covers($0) })
    }
  }

  /// The oldest local changes that were not taken yet as one delta for everybody, with their sequences; nil when
  /// there are none.
  ///
  /// - Parameter limit: about how many records to take; the rest waits for the next call.
  public mutating func takeOutgoing(limit: Int = 256) -> (sequences: ClosedRange<UInt64>, delta: Delta)? {
    guard published < vector[origin] else { return nil }
    let from = published + 1
    var end = min(limit, outgoing.count)
    while end > 0, end < outgoing.count, outgoing[end].sequence == outgoing[end - 1].sequence { end += 1 }
    let last = end == outgoing.count ? vector[origin] : outgoing[end - 1].sequence
    var delta = Delta()
    var seen = Set<RecordKey>()
    for (_, key) in outgoing[..<end] where seen.insert(key).inserted {
      switch key {
      case .path(let path):
        if let record = paths[path] { delta.paths.append(Delta.PathPart(path: path, record: record)) }
      case .file(let id):
        guard let file = files[id] else { continue }
        let own = Dot(origin, min(file.vector[origin], last))
        let claim = own.sequence >= from ? VersionVector([own]) : VersionVector()
        var part = file.part(claiming: claim) { $0.origin == origin && $0.sequence >= from }
        // A database whose state is another's by now: who has that state tells it.
        if file.form.isDatabase, file.tip.origin != origin {
          part.tip = .none
          part.chunks = ChunkTable()
        }
        delta.files.append(part)
      }
    }
    outgoing.removeFirst(end)
    published = last
    return (from...last, delta)
  }
}

extension File {
  /// The file with only those chunks and lost chunks whose changes are wanted, and the notes they need.
  func part(claiming claim: VersionVector, where isWanted: (Dot) -> Bool) -> File {
    var part = self
    part.vector = claim
    part.chunks = ChunkTable()
    for element in chunks.elements where isWanted(element.chunk.dot) { part.chunks[element.index] = element.chunk }
    if !form.isDatabase, !isWanted(truncationDot) {
      // Somebody else's truncation comes with all the rest of that change, or half of it would show.
      part.truncation = 0
      part.truncationDot = .none
    }
    part.cuts = cuts.filter { isWanted($0.dot) }
    if !lost.isEmpty {
      // A version stands with all that lost at its chunk: what is not listed there was replaced by who had seen it.
      var indexes = Set(part.chunks.elements.map(\.index))
      for loser in lost where isWanted(loser.chunk.dot) || isWanted(loser.winner) || isWanted(loser.dropped) {
        indexes.insert(loser.index)
      }
      let cut = part.cuts.map(\.size).min() ?? .max
      part.lost = lost.filter { indexes.contains($0.index) || $0.index * UInt64(form.chunkSize) >= cut }
    }
    let needed = part.referredDots
    part.notes = notes.filter { needed.contains($0.key) }
    return part
  }
}
