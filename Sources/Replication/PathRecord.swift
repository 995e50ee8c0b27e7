// What is known of one path: who wrote it last, and what its removals had seen.

import Causality

/// What a path names.
public enum PathValue: Hashable, Sendable {
  /// A directory, which has no identity but its path.
  case directory(Attributes)
  /// A file, which may have other names too.
  case file(FileID)
}

/// The write of a path: a last-writer-wins register.
public struct PathWrite: Hashable, Sendable {
  /// The change that wrote it.
  public var dot: Dot
  /// When.
  public var stamp: Stamp
  /// What it says.
  public var value: PathValue

  /// All parts.
  public init(dot: Dot, stamp: Stamp, value: PathValue) {
    self.dot = dot
    self.stamp = stamp
    self.value = value
  }

  /// Whether this write beats the other: later stamp, then higher dot.
  func beats(_ other: PathWrite) -> Bool {
    stamp != other.stamp ? stamp > other.stamp : dot > other.dot
  }
}

/// One path: the latest write, and the union of what all removals had seen.
///
/// A pair of a maximum and a union is a lattice, so the join needs no order. The path is absent when the removals have
/// seen the latest write; a write that no removal saw stays: a write wins over a delete it did not see.
public struct PathRecord: Hashable, Sendable {
  /// The latest write; nil when only removals are known.
  public var write: PathWrite?
  /// The writes of this path that removals had seen.
  public var removed = VersionVector()
  /// Those of them that were renames to elsewhere: an unseen edit of the file does not bring this name back.
  public var moved = VersionVector()
  /// Every change that touched this path.
  public var marks = VersionVector()

  /// A path nobody has touched.
  public init() {}

  /// Whether the latest write has been removed.
  public var isRemoved: Bool { write.map { removed.covers($0.dot) } ?? true }

  /// Whether the latest write was removed by a rename.
  var isMovedAway: Bool { write.map { moved.covers($0.dot) } ?? false }

  /// The join.
  mutating func join(_ other: PathRecord) {
    if let theirs = other.write, write.map({ theirs.beats($0) }) ?? true { write = theirs }
    removed.merge(other.removed)
    moved.merge(other.moved)
    marks.merge(other.marks)
  }
}
