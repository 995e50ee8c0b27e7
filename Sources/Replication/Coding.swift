// The bytes of the values that messages and records are made of.

import Causality
import Wire

/// Bounds of what is read from peers and from disk.
public enum CodingBounds {
  /// Origins in a vector.
  public static let origins = 65_536
  /// Bytes of a path.
  public static let path = 65_536
  /// Extended attributes of one file.
  public static let extendedAttributes = 1_024
  /// Bytes of one extended attribute's value.
  public static let extendedValue = 65_536
  /// Chunks of one file in one message.
  public static let chunks = 1 << 20
  /// Records in one message.
  public static let records = 65_536
}

extension ByteWriter {
  /// A node id or origin.
  public mutating func write(_ value: NodeID) { write(value.rawValue) }

  /// A dot.
  public mutating func write(_ value: Dot) {
    write(value.origin)
    writeVarint(value.sequence)
  }

  /// A stamp.
  public mutating func write(_ value: Stamp) { write(value.rawValue) }

  /// A vector.
  public mutating func write(_ value: VersionVector) {
    writeVarint(value.entries.count)
    for dot in value.entries { write(dot) }
  }

  /// A content hash.
  public mutating func write(_ value: ContentHash) {
    write(value.words.0)
    write(value.words.1)
    write(value.words.2)
    write(value.words.3)
  }

  /// A chunk.
  public mutating func write(_ value: Chunk) {
    write(value.hash)
    writeVarint(UInt64(value.length))
    write(value.dot)
  }

  mutating func write(_ value: FileTime) {
    writeSigned(value.seconds)
    writeVarint(UInt64(value.nanoseconds))
  }

  /// Attributes.
  public mutating func write(_ value: Attributes) {
    writeVarint(UInt64(value.mode))
    writeVarint(UInt64(value.owner))
    writeVarint(UInt64(value.group))
    write(value.accessed)
    write(value.modified)
    writeVarint(value.extended.count)
    for attribute in value.extended {
      writeBytes(attribute.name)
      writeBytes(attribute.value)
    }
  }

  /// A path record.
  public mutating func write(_ value: PathRecord) {
    write(value.write != nil)
    if let write = value.write {
      self.write(write.dot)
      self.write(write.stamp)
      switch write.value {
      case .directory(let attributes):
        self.write(UInt8(0))
        self.write(attributes)
      case .file(let id):
        self.write(UInt8(1))
        self.write(id)
      }
    }
    write(value.removed)
    write(value.moved)
    write(value.marks)
  }

  /// A file without its chunks.
  public mutating func writeHeader(_ value: File) {
    write(value.id)
    write(value.form.kind.rawValue)
    writeVarint(UInt64(value.form.chunkSize))
    writeBytes(value.form.target)
    writeVarint(value.form.device)
    write(value.attributes)
    write(value.attributesDot)
    writeVarint(value.truncation)
    write(value.truncationDot)
    writeVarint(value.cuts.count)
    for cut in value.cuts {
      writeVarint(cut.size)
      write(cut.dot)
    }
    writeVarint(value.notes.count)
    for (dot, note) in value.notes.sorted(by: { $0.key < $1.key }) {
      write(dot)
      write(note.stamp)
      write(note.context)
    }
    write(value.vector)
    write(value.buried)
    write(value.marks)
    writeVarint(value.lost.count)
    for loser in value.lost {
      writeVarint(loser.index)
      write(loser.chunk)
      write(loser.stamp)
      write(loser.winner)
      write(loser.dropped)
    }
    write(value.tip)
    writeVarint(value.lostTips.count)
    for loser in value.lostTips {
      write(loser.dot)
      write(loser.context)
      write(loser.winner)
    }
    writeBytes(value.home.bytes)
  }

  /// A delta.
  public mutating func write(_ value: Delta) {
    writeVarint(value.paths.count)
    for part in value.paths {
      writeBytes(part.path.bytes)
      write(part.record)
    }
    writeVarint(value.files.count)
    for file in value.files {
      writeHeader(file)
      writeVarint(file.chunks.elements.count)
      for element in file.chunks.elements {
        writeVarint(element.index)
        write(element.chunk)
      }
    }
  }
}

extension ByteReader {
  /// A node id or origin.
  public mutating func readNodeID() throws(WireError) -> NodeID { NodeID(try readUInt64()) }

  /// A dot.
  public mutating func readDot() throws(WireError) -> Dot { Dot(try readNodeID(), try readVarint()) }

  /// A stamp.
  public mutating func readStamp() throws(WireError) -> Stamp { Stamp(rawValue: try readUInt64()) }

  /// A vector, which must be sorted and without zeros.
  public mutating func readVector() throws(WireError) -> VersionVector {
    var dots: [Dot] = []
    for _ in 0..<(try readCount(atMost: CodingBounds.origins)) {
      let dot = try readDot()
      guard dot.sequence > 0, dots.last.map({ $0.origin < dot.origin }) ?? true else { throw .invalid("vector") }
      dots.append(dot)
    }
    return VersionVector(dots)
  }

  /// A content hash.
  public mutating func readHash() throws(WireError) -> ContentHash {
    ContentHash(try readUInt64(), try readUInt64(), try readUInt64(), try readUInt64())
  }

  /// A chunk.
  public mutating func readChunk() throws(WireError) -> Chunk {
    Chunk(hash: try readHash(), length: UInt32(try readCount(atMost: 1 << 24)), dot: try readDot())
  }

  mutating func readTime() throws(WireError) -> FileTime {
    FileTime(seconds: try readSigned(), nanoseconds: UInt32(try readCount(atMost: 999_999_999)))
  }

  private mutating func readNumber() throws(WireError) -> UInt32 { UInt32(try readCount(atMost: Int(UInt32.max))) }

  /// Attributes.
  public mutating func readAttributes() throws(WireError) -> Attributes {
    var attributes = Attributes(
      mode: try readNumber(), owner: try readNumber(), group: try readNumber(), accessed: try readTime(),
      modified: try readTime())
    for _ in 0..<(try readCount(atMost: CodingBounds.extendedAttributes)) {
      let name = Array(try readBytes(atMost: 255))
      attributes.extended.append(
        ExtendedAttribute(name: name, value: Array(try readBytes(atMost: CodingBounds.extendedValue))))
    }
    return attributes
  }

  /// A path, which must follow the rules of paths.
  public mutating func readPath() throws(WireError) -> Path {
    let path = Path(Array(try readBytes(atMost: CodingBounds.path)))
    guard !path.bytes.isEmpty else { return path }
    for name in path.bytes.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    where name.isEmpty || name.count > 255 || name.contains(0) || name == [0x2E] || name == [0x2E, 0x2E] {
      throw .invalid("path")
    }
    return path
  }

  /// A path record.
  public mutating func readPathRecord() throws(WireError) -> PathRecord {
    var record = PathRecord()
    if try readBool() {
      let (dot, stamp) = (try readDot(), try readStamp())
      switch try readUInt8() {
      case 0: record.write = PathWrite(dot: dot, stamp: stamp, value: .directory(try readAttributes()))
      case 1: record.write = PathWrite(dot: dot, stamp: stamp, value: .file(try readDot()))
      default: throw .invalid("path value")
      }
    }
    record.removed = try readVector()
    record.moved = try readVector()
    record.marks = try readVector()
    return record
  }

  /// A file without its chunks.
  public mutating func readHeader() throws(WireError) -> File {
    let id = try readDot()
    guard let kind = FileKind(rawValue: try readUInt8()) else { throw .invalid("file kind") }
    let chunkSize = UInt32(try readCount(atMost: 1 << 24))
    guard chunkSize >= 512, chunkSize & (chunkSize - 1) == 0 else { throw .invalid("chunk size") }
    let form = FileForm(
      kind, chunkSize: chunkSize, target: Array(try readBytes(atMost: 4_096)), device: try readVarint())
    var file = File(id: id, form: form, attributes: try readAttributes(), stamp: .zero, home: .root)
    file.attributesDot = try readDot()
    file.truncation = try readVarint()
    file.truncationDot = try readDot()
    for _ in 0..<(try readCount(atMost: CodingBounds.chunks)) {
      file.cuts.append(Cut(size: try readVarint(), dot: try readDot()))
    }
    file.notes = [:]
    for _ in 0..<(try readCount(atMost: CodingBounds.chunks)) {
      let dot = try readDot()
      file.notes[dot] = ChangeNote(stamp: try readStamp(), context: try readVector())
    }
    file.vector = try readVector()
    file.buried = try readVector()
    file.marks = try readVector()
    for _ in 0..<(try readCount(atMost: CodingBounds.chunks)) {
      file.lost.append(
        LostChunk(
          index: try readVarint(), chunk: try readChunk(), stamp: try readStamp(), winner: try readDot(),
          dropped: try readDot()))
    }
    file.tip = try readDot()
    for _ in 0..<(try readCount(atMost: File.lostTipLimit)) {
      file.lostTips.append(LostTip(dot: try readDot(), context: try readVector(), winner: try readDot()))
    }
    file.home = try readPath()
    return file
  }

  /// A delta.
  public mutating func readDelta() throws(WireError) -> Delta {
    var delta = Delta()
    for _ in 0..<(try readCount(atMost: CodingBounds.records)) {
      delta.paths.append(Delta.PathPart(path: try readPath(), record: try readPathRecord()))
    }
    for _ in 0..<(try readCount(atMost: CodingBounds.records)) {
      var file = try readHeader()
      for _ in 0..<(try readCount(atMost: CodingBounds.chunks)) {
        let index = try readVarint()
        let chunk = try readChunk()
        guard chunk.length > 0, chunk.length <= file.form.chunkSize, index < 1 << 46 else { throw .invalid("chunk") }
        file.chunks[index] = chunk
      }
      delta.files.append(file)
    }
    return delta
  }
}
