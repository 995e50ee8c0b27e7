// What a tree shows, entry by entry and chunk by chunk: by this, nodes are compared.

import Causality
import Wire

/// One version of one chunk, with the time it was written.
public struct ChunkSummary: Hashable, Sendable {
  /// Which chunk of the file.
  public var index: UInt64
  /// Its version.
  public var chunk: Chunk
  /// When it was written; zero when that is no longer known.
  public var stamp: Stamp
}

/// What is visible at one path.
public struct EntrySummary: Hashable, Sendable {
  /// Chunks that are told of one file, at most.
  public static let chunksAtMost = 65_536

  /// Where.
  public var path: Path
  /// The kind of file; nil for a directory.
  public var kind: FileKind?
  /// The file; `Dot.none` for a directory.
  public var file: FileID
  /// Its size in bytes.
  public var size: UInt64
  /// Where a symbolic link points.
  public var target: [UInt8]
  /// Mode, owner, times, extended attributes.
  public var attributes: Attributes
  /// The content, at most `chunksAtMost` chunks of it.
  public var chunks: [ChunkSummary]

  /// The bytes that a digest covers: what programs can see, and nothing of who wrote it.
  func writeSeen(into writer: inout ByteWriter) {
    writer.writeBytes(path.bytes)
    writer.write(kind?.rawValue ?? 0)
    writer.writeVarint(size)
    writer.writeBytes(target)
    writer.write(attributes)
    for summary in chunks where !summary.chunk.hash.isZeros {
      writer.writeVarint(summary.index)
      writer.write(summary.chunk.hash)
      writer.writeVarint(UInt64(summary.chunk.length))
    }
  }
}

/// A volume as a node shows it, or a page of that.
public struct VolumeSummary: Hashable, Sendable {
  /// The origin under which the node makes changes.
  public var origin: NodeID
  /// What it holds.
  public var vector: VersionVector
  /// Equal digests: the same names, attributes and bytes.
  public var digest: ContentHash
  /// Visible paths below the one asked for, itself included.
  public var count: UInt64
  /// Entries by path.
  public var entries: [EntrySummary] = []
  /// The last path of this page when more follow.
  public var next: Path?

  /// About how many bytes of entries stand in one page.
  public static let pageBytes = 4 << 20

  /// A summary without entries.
  public init(origin: NodeID, vector: VersionVector, digest: ContentHash, count: UInt64) {
    self.origin = origin
    self.vector = vector
    self.digest = digest
    self.count = count
  }
}

extension Volume {
  /// One visible entry.
  public func summary(of path: Path) -> EntrySummary? {
    switch shown[path] {
    case nil: return nil
    case .directory?:
      return EntrySummary(
        path: path, kind: nil, file: .none, size: 0, target: [], attributes: directoryAttributes(path), chunks: [])
    case .file(let id)?:
      guard let file = files[id] else { return nil }
      let chunks = file.chunks.elements.prefix(EntrySummary.chunksAtMost).map {
        ChunkSummary(index: $0.index, chunk: $0.chunk, stamp: file.stamp(of: $0.chunk.dot))
      }
      return EntrySummary(
        path: path, kind: file.form.kind, file: id, size: file.size, target: file.form.target,
        attributes: file.attributes, chunks: chunks)
    }
  }

  /// What is visible at `top` and below.
  ///
  /// - Parameters:
  ///   - after: only what follows this path; nil for all.
  ///   - includesEntries: whether the entries are wanted, or only digest and count.
  ///   - hash: the digest function.
  public func summary(
    below top: Path, after: Path?, includesEntries: Bool, hash: ([UInt8]) -> ContentHash
  ) -> VolumeSummary {
    let paths = shown.keys.filter { $0 == top || $0.isBelow(top) }.sorted()
    var writer = ByteWriter(capacity: 1 << 16)
    var summary = VolumeSummary(origin: origin, vector: vector, digest: .zeros, count: UInt64(paths.count))
    var size = 0
    for path in paths {
      guard let entry = self.summary(of: path) else { continue }
      entry.writeSeen(into: &writer)
      if writer.count > 1 << 16 { writer = Self.folded(writer, hash) }
      guard includesEntries, summary.next == nil, after.map({ $0 < path }) ?? true else { continue }
      summary.entries.append(entry)
      size += 128 + path.bytes.count + 64 * entry.chunks.count
      if size > VolumeSummary.pageBytes, path != paths.last { summary.next = path }
    }
    summary.digest = hash(writer.bytes)
    return summary
  }

  private static func folded(_ writer: ByteWriter, _ hash: ([UInt8]) -> ContentHash) -> ByteWriter {
    var next = ByteWriter(capacity: 1 << 16)
    next.write(hash(writer.bytes))
    return next
  }
}

extension VolumeSummary {
  /// The summary as bytes.
  public var bytes: [UInt8] {
    var writer = ByteWriter(capacity: 1_024)
    writer.write(origin)
    writer.write(vector)
    writer.write(digest)
    writer.writeVarint(count)
    writer.writeVarint(entries.count)
    for entry in entries {
      writer.writeBytes(entry.path.bytes)
      writer.write(entry.kind?.rawValue ?? 0)
      writer.write(entry.file)
      writer.writeVarint(entry.size)
      writer.writeBytes(entry.target)
      writer.write(entry.attributes)
      writer.writeVarint(entry.chunks.count)
      for summary in entry.chunks {
        writer.writeVarint(summary.index)
        writer.write(summary.chunk)
        writer.write(summary.stamp)
      }
    }
    writer.write(next != nil)
    if let next { writer.writeBytes(next.bytes) }
    return writer.bytes
  }

  /// Reads a summary; every bound is checked.
  public init(_ bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = ByteReader(bytes)
    self.init(
      origin: try reader.readNodeID(), vector: try reader.readVector(), digest: try reader.readHash(),
      count: try reader.readVarint())
    for _ in 0..<(try reader.readCount(atMost: 1 << 20)) { entries.append(try Self.entry(&reader)) }
    next = try reader.readBool() ? try reader.readPath() : nil
  }

  private static func entry(_ reader: inout ByteReader) throws(WireError) -> EntrySummary {
    let path = try reader.readPath()
    let rawKind = try reader.readUInt8()
    let kind = FileKind(rawValue: rawKind)
    guard rawKind == 0 || kind != nil else { throw .invalid("file kind") }
    var entry = EntrySummary(
      path: path, kind: kind, file: try reader.readDot(), size: try reader.readVarint(),
      target: Array(try reader.readBytes(atMost: 4_096)), attributes: try reader.readAttributes(), chunks: [])
    for _ in 0..<(try reader.readCount(atMost: EntrySummary.chunksAtMost)) {
      entry.chunks.append(
        ChunkSummary(
          index: try reader.readVarint(), chunk: try reader.readChunk(), stamp: try reader.readStamp()))
    }
    return entry
  }
}
