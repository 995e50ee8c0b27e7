// Conflicts: what lost to a concurrent winner, as everybody sees it.

import Causality

/// What lost to a concurrent winner. Its parts are a function of the state, so all nodes list the same.
public struct Conflict: Hashable, Sendable {
  /// What it is that lost.
  public enum Kind: Hashable, Sendable {
    /// A whole file that has no name any more though somebody's changes to it were not seen by whoever took the name.
    case file(FileID)
    /// A version of one chunk.
    case chunk(FileID, index: UInt64, Chunk, winner: Dot)
  }

  /// What lost.
  public var kind: Kind
  /// Where it was.
  public var path: Path
  /// When the losing version was written.
  public var stamp: Stamp

  /// The name by which people speak of it: the losing dot, and the chunk when there is one.
  public var id: String {
    switch kind {
    case .file(let file): "\(file)"
    case .chunk(_, let index, let chunk, _): "\(chunk.dot):\(index)"
    }
  }
}

extension Volume {
  private func isDisplaced(_ file: File) -> Bool {
    links[file.id] == nil && file.form.kind == .regular && file.hasUnseenChanges && file.size > 0
      || links[file.id] == nil && file.form.kind != .regular && file.hasUnseenChanges
  }

  /// All conflicts, by path and then by losing dot.
  public var conflicts: [Conflict] {
    var found: [Conflict] = []
    for file in files.values {
      if isDisplaced(file) {
        let stamp = file.notes.values.map(\.stamp).max() ?? .zero
        found.append(Conflict(kind: .file(file.id), path: file.home, stamp: stamp))
      }
      for loser in file.lost where loser.dropped == .none {
        // Both sides wrote the same: nobody misses anything while it stands.
        let now = file.chunks[loser.index]
        if now?.hash == loser.chunk.hash, now?.length == loser.chunk.length { continue }
        found.append(
          Conflict(
            kind: .chunk(file.id, index: loser.index, loser.chunk, winner: loser.winner), path: file.home,
            stamp: loser.stamp))
      }
    }
    return found.sorted { ($0.path, $0.id) < ($1.path, $1.id) }
  }

  /// Drops a conflict everywhere; what it kept may go.
  public mutating func drop(_ conflict: Conflict, at stamp: Stamp) throws(VolumeError) {
    switch conflict.kind {
    case .file(let id):
      guard files[id] != nil else { throw .notFound }
      let dot = begin(stamp)
      bury(id, dot)
    case .chunk(let id, let index, let chunk, _):
      guard let place = files[id]?.lost.firstIndex(where: { $0.index == index && $0.chunk.dot == chunk.dot })
      else { throw .notFound }
      let dot = begin(stamp)
      files[id]!.lost[place].dropped = dot
      files[id]!.marks.include(dot)
      note(.file(id), of: dot)
    }
  }

  /// Gives a file that lost its name a name again.
  public mutating func restore(_ id: FileID, at path: Path, stamp: Stamp) throws(VolumeError) {
    try link(id, at: path, stamp: stamp)
  }
}
