// What a node tells of files, chunks, differences and conflicts: JSON with stable names.

/// A chunk of a file.
public struct ChunkReport: Codable, Hashable, Sendable {
  /// Which chunk of the file, from 0.
  public var index: UInt64
  /// Bytes of it.
  public var length: UInt32
  /// Its SHA-256; `zeros` when all its bytes are zero.
  public var hash: String
  /// The change that wrote it, `origin:sequence`.
  public var dot: String
  /// When it was written, ISO 8601.
  public var writtenAt: String
  /// The stamp of that change, `milliseconds.counter`.
  public var stamp: String
  /// The node that wrote it, its origin when the node is not known.
  public var writtenBy: String
}

/// A file and its chunks.
public struct ChunksReport: Codable, Hashable, Sendable {
  /// The volume.
  public var volume: String
  /// The path in it.
  public var path: String
  /// file, database, directory, link or another kind.
  public var kind: String
  /// The file's id.
  public var file: String
  /// Its size.
  public var size: UInt64
  /// The size of each chunk but the last.
  public var chunkSize: UInt32
  /// All changes of it that are held here.
  public var version: String
  /// Its chunks.
  public var chunks: [ChunkReport]
}

/// Where nodes differ.
public struct DivergeReport: Codable, Hashable, Sendable {
  /// A node and what it shows.
  public struct Side: Codable, Hashable, Sendable {
    /// Its name.
    public var node: String
    /// Whether it answered.
    public var answered: Bool
    /// What it holds of the volume.
    public var position: String
    /// Equal digests: the same names, attributes and bytes.
    public var digest: String
    /// Entries below the path.
    public var entries: UInt64
  }

  /// One path at which they differ.
  public struct Difference: Codable, Hashable, Sendable {
    /// The path.
    public var path: String
    /// missing, kind, target, size, attributes, file or content.
    public var what: [String]
    /// What each node shows there.
    public var shows: [String: String]
    /// Chunks that differ.
    public var chunks: [ChunkDifference]
  }

  /// A chunk at which they differ.
  public struct ChunkDifference: Codable, Hashable, Sendable {
    /// Which chunk.
    public var index: UInt64
    /// The version of each node that has one.
    public var versions: [String: ChunkReport]
    /// The node whose version wins: the later stamp, then the higher origin.
    public var winner: String
  }

  /// The volume.
  public var volume: String
  /// What was compared: this path and all below it.
  public var path: String
  /// Nobody differs, and everybody answered.
  public var isEqual: Bool
  /// Whether all hold the same changes.
  public var isSamePosition: Bool
  /// The nodes compared.
  public var nodes: [Side]
  /// Where they differ, at most `AdminRoutes.differencesAtMost`.
  public var differences: [Difference]
  /// Whether there are more.
  public var isCut: Bool
}

/// What lost to a concurrent winner.
public struct ConflictReport: Codable, Hashable, Sendable {
  /// The name by which it is shown, restored and dropped.
  public var id: String
  /// The volume.
  public var volume: String
  /// Where it was.
  public var path: String
  /// file: a whole file lost its name; chunk: a version of one chunk lost.
  public var kind: String
  /// Which chunk.
  public var index: UInt64?
  /// Bytes that are kept.
  public var bytes: UInt64
  /// Who wrote what lost.
  public var writtenBy: String
  /// When.
  public var writtenAt: String
  /// Who wrote what won; empty when that was a removal.
  public var winner: String
}

/// What came of a restore.
public struct RestoreReport: Codable, Hashable, Sendable {
  /// The conflict.
  public var id: String
  /// Its volume.
  public var volume: String
  /// Where what lost is now.
  public var path: String
}

/// A position, and whether it has been reached.
public struct PositionReport: Codable, Hashable, Sendable {
  /// The volume.
  public var volume: String
  /// What the node holds: a token for `wait`.
  public var position: String
  /// Whether the node holds all of the token that was asked for.
  public var isReached: Bool
  /// How long that took.
  public var waitedMilliseconds: UInt64
}
