// A file: content with an identity of its own.

import Causality

/// The name of a file: the dot of the change that created it.
public typealias FileID = Dot

/// What kind of thing a file is. Directories are not files: they are path entries.
public enum FileKind: UInt8, Sendable {
  /// Bytes.
  case regular = 1
  /// A symbolic link; its target is the file's `target`.
  case symbolicLink = 2
  /// A named pipe.
  case pipe = 3
  /// A socket.
  case socket = 4
  /// A character device.
  case characterDevice = 5
  /// A block device.
  case blockDevice = 6
}

/// What never changes about a file.
public struct FileForm: Hashable, Sendable {
  /// The chunk size of ordinary files, in bytes.
  public static let ordinaryChunkSize: UInt32 = 131_072

  /// Its kind.
  public var kind: FileKind
  /// Bytes of each chunk but the last: 128 KiB, or the page size of a database.
  public var chunkSize: UInt32
  /// Where a symbolic link points.
  public var target: [UInt8]
  /// The number of a device.
  public var device: UInt64

  /// All parts.
  public init(
    _ kind: FileKind, chunkSize: UInt32 = FileForm.ordinaryChunkSize, target: [UInt8] = [], device: UInt64 = 0
  ) {
    self.kind = kind
    self.chunkSize = chunkSize
    self.target = target
    self.device = device
  }

  /// Whether the chunks are the pages of a SQLite database, which is resolved as a whole.
  public var isDatabase: Bool { kind == .regular && chunkSize != Self.ordinaryChunkSize }
}

/// What a change says of itself: when it was made, and what its author had seen of the file.
public struct ChangeNote: Hashable, Sendable {
  /// When.
  public var stamp: Stamp
  /// The author's vector of the file, without its own origin, of which it has seen all.
  public var context: VersionVector

  /// Joins both.
  public init(stamp: Stamp, context: VersionVector) {
    self.stamp = stamp
    self.context = context
  }
}

/// A truncation that took chunks away: what starts at or after its size and is older is gone.
///
/// The latest size alone does not tell: a shorter one before it may have come between, unknown to its author.
public struct Cut: Hashable, Sendable {
  /// The size of the file after it.
  public var size: UInt64
  /// The change that made it.
  public var dot: Dot

  /// Joins both.
  public init(size: UInt64, dot: Dot) {
    self.size = size
    self.dot = dot
  }
}

/// A chunk version that lost to a concurrent winner; its bytes are kept by hash.
public struct LostChunk: Hashable, Sendable {
  /// Which chunk of the file.
  public var index: UInt64
  /// The version that lost.
  public var chunk: Chunk
  /// When it was written.
  public var stamp: Stamp
  /// The change that won.
  public var winner: Dot
  /// The change by which a person dropped it; `Dot.none` while it is listed.
  public var dropped: Dot

  /// All parts.
  public init(index: UInt64, chunk: Chunk, stamp: Stamp, winner: Dot, dropped: Dot = .none) {
    self.index = index
    self.chunk = chunk
    self.stamp = stamp
    self.winner = winner
    self.dropped = dropped
  }
}

/// A version of a whole database that lost to a concurrent winner.
public struct LostTip: Hashable, Sendable {
  /// The last change of the version that lost.
  public var dot: Dot
  /// What its author had seen of the file.
  public var context: VersionVector
  /// The change that won.
  public var winner: Dot

  /// All parts.
  public init(dot: Dot, context: VersionVector, winner: Dot) {
    self.dot = dot
    self.context = context
    self.winner = winner
  }

  /// Whether its author had seen a change, or it is that change.
  func saw(_ earlier: Dot) -> Bool {
    dot.origin == earlier.origin ? dot.sequence >= earlier.sequence : context.covers(earlier)
  }
}

/// The replicated state of one file.
public struct File: Hashable, Sendable {
  /// Its name.
  public let id: FileID
  /// What never changes.
  public let form: FileForm
  /// Mode, owner, times, extended attributes: the later change wins.
  public var attributes: Attributes
  /// Who wrote `attributes`.
  public var attributesDot: Dot
  /// The cuts that may still reach chunks of others: all but those that a later, deeper cut had seen. Sorted by dot.
  public var cuts: [Cut] = []
  /// The least size, as the last truncation or extension set it.
  public var truncation: UInt64 = 0
  /// Who wrote `truncation`; none for a file that never was.
  public var truncationDot: Dot = .none
  /// The content.
  public var chunks = ChunkTable()
  /// What the changes that are still referred to say of themselves.
  public var notes: [Dot: ChangeNote]
  /// The changes of the content and attributes seen here.
  public var vector: VersionVector
  /// What those who unlinked or replaced the file had seen of it: covers `vector` when nothing unseen was lost.
  public var buried = VersionVector()
  /// Every change that touched this record, burials and drops too: what the log names it by.
  public var marks: VersionVector
  /// Chunk versions that lost, by index and dot.
  public var lost: [LostChunk] = []
  /// Of a database: the change whose whole state the chunks are; `Dot.none` before the first.
  public var tip: Dot = .none
  /// Of a database: versions that lost, by dot.
  public var lostTips: [LostTip] = []
  /// The last path at which it was visible here; local, for people.
  public var home: Path

  /// A new file.
  public init(id: FileID, form: FileForm, attributes: Attributes, stamp: Stamp, home: Path) {
    self.id = id
    self.form = form
    self.attributes = attributes
    attributesDot = id
    notes = [id: ChangeNote(stamp: stamp, context: VersionVector())]
    vector = VersionVector([id])
    marks = vector
    self.home = home
  }

  /// The size in bytes: what the truncation says, or the end of the last chunk.
  public var size: UInt64 {
    guard let last = chunks.elements.last else { return truncation }
    return max(truncation, last.index * UInt64(form.chunkSize) + UInt64(last.chunk.length))
  }

  /// Whether some change was made that nobody who removed the file had seen.
  public var hasUnseenChanges: Bool { !buried.covers(vector) }

  /// When a change was made; zero for one that is no longer referred to.
  func stamp(of dot: Dot) -> Stamp { notes[dot]?.stamp ?? .zero }

  /// Whether the author of `later` had seen `earlier`.
  func did(_ later: Dot, see earlier: Dot) -> Bool {
    if later.origin == earlier.origin { return later.sequence >= earlier.sequence }
    return notes[later]?.context.covers(earlier) ?? false
  }

  /// Whether `challenger` beats `holder`: later stamp, then higher origin, then sequence.
  func does(_ challenger: Dot, beat holder: Dot) -> Bool {
    let (mine, theirs) = (stamp(of: challenger), stamp(of: holder))
    return mine != theirs ? mine > theirs : challenger > holder
  }

  /// The dots whose notes are still needed.
  var referredDots: Set<Dot> {
    var dots: Set<Dot> = [attributesDot, truncationDot, tip]
    if form.isDatabase { return dots }
    for cut in cuts { dots.insert(cut.dot) }
    for element in chunks.elements { dots.insert(element.chunk.dot) }
    for loser in lost { dots.formUnion([loser.chunk.dot, loser.winner]) }
    return dots
  }

  /// Forgets the notes of changes that nothing refers to any more, when there are many.
  mutating func pruneNotes() {
    guard form.isDatabase || notes.count > 2 * chunks.elements.count + 32 else { return }
    let needed = referredDots
    notes = notes.filter { needed.contains($0.key) }
  }
}
