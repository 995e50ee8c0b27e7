// What a volume keeps on disk: keys and values, and the way back.

import Causality
import Wire

/// A part of the state that must be made durable.
public enum TouchedRecord: Hashable, Comparable, Sendable {
  /// Origin, vector and latest stamp.
  case vector
  /// A path.
  case path(Path)
  /// A file without its chunks.
  case file(FileID)
  /// A chunk of a file.
  case chunk(FileID, UInt64)
}

/// A record as bytes: what a key-value store holds. No value means that the key is deleted.
public struct StoredRecord: Hashable, Sendable {
  /// One letter of kind, then the parts of the name, big-endian so that keys sort as values do.
  public var key: [UInt8]
  /// The value.
  public var value: [UInt8]?

  /// Joins both.
  public init(key: [UInt8], value: [UInt8]?) {
    self.key = key
    self.value = value
  }
}

/// Why stored records make no volume.
public enum RecordError: Error, Equatable, Sendable {
  /// A key or value of a kind that this version does not know.
  case unknown(key: [UInt8])
  /// A value that cannot be read.
  case damaged(key: [UInt8], WireError)
}

extension TouchedRecord {
  /// The key under which it is stored.
  public var key: [UInt8] {
    switch self {
    case .vector: [UInt8(ascii: "V")]
    case .path(let path): [UInt8(ascii: "P")] + path.bytes
    case .file(let id): [UInt8(ascii: "F")] + Self.bytes(id)
    case .chunk(let id, let index): [UInt8(ascii: "C")] + Self.bytes(id) + Self.bigEndian(index)
    }
  }

  private static func bytes(_ id: FileID) -> [UInt8] { bigEndian(id.origin.rawValue) + bigEndian(id.sequence) }

  private static func bigEndian(_ value: UInt64) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: value >> (56 - 8 * UInt64($0))) }
  }

  static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 { bytes.reduce(0) { $0 << 8 | UInt64($1) } }
}

extension Volume {
  /// The record as it is now.
  public func stored(_ record: TouchedRecord) -> StoredRecord {
    var writer = ByteWriter()
    switch record {
    case .vector:
      writer.write(origin)
      writer.write(vector)
      writer.write(latest)
    case .path(let path):
      guard let known = paths[path] else { return StoredRecord(key: record.key, value: nil) }
      writer.write(known)
    case .file(let id):
      guard let file = files[id] else { return StoredRecord(key: record.key, value: nil) }
      writer.writeHeader(file)
    case .chunk(let id, let index):
      guard let chunk = files[id]?.chunks[index] else { return StoredRecord(key: record.key, value: nil) }
      writer.write(chunk)
    }
    return StoredRecord(key: record.key, value: writer.bytes)
  }

  /// Everything as records, sorted by key: a snapshot, and the canonical bytes of the state.
  public var allRecords: [StoredRecord] {
    var records: [StoredRecord] = [stored(.vector)]
    for path in paths.keys { records.append(stored(.path(path))) }
    for file in files.values {
      records.append(stored(.file(file.id)))
      for element in file.chunks.elements { records.append(stored(.chunk(file.id, element.index))) }
    }
    return records.sorted { $0.key.lexicographicallyPrecedes($1.key) }
  }

  /// A volume from its stored records, in any order but chunks after nothing in particular.
  ///
  /// - Parameter origin: for a volume that has no record yet.
  public init(name: String, origin: NodeID, records: some Sequence<StoredRecord>) throws(RecordError) {
    self.init(name: name, origin: origin)
    var chunks: [(FileID, UInt64, Chunk)] = []
    for record in records {
      guard let value = record.value else { continue }
      var reader = ByteReader(value)
      do throws(WireError) {
        switch record.key.first {
        case UInt8(ascii: "V"):
          self.origin = try reader.readNodeID()
          vector = try reader.readVector()
          latest = try reader.readStamp()
        case UInt8(ascii: "P"): paths[Path(Array(record.key.dropFirst()))] = try reader.readPathRecord()
        case UInt8(ascii: "F"):
          let file = try reader.readHeader()
          files[file.id] = file
        case UInt8(ascii: "C"):
          guard record.key.count == 25 else { throw .invalid("key") }
          let id = Dot(NodeID(TouchedRecord.number(record.key[1..<9])), TouchedRecord.number(record.key[9..<17]))
          chunks.append((id, TouchedRecord.number(record.key[17..<25]), try reader.readChunk()))
        default: throw .invalid("kind")
        }
      } catch {
        if error == .invalid("kind") { throw .unknown(key: record.key) }
        throw .damaged(key: record.key, error)
      }
    }
    for (id, index, chunk) in chunks { files[id]?.chunks[index] = chunk }
    restore()
  }

  /// Derives what is not stored.
  private mutating func restore() {
    for path in paths.keys.sorted() {
      let record = paths[path]!
      if case .file(let id)? = record.write?.value { names[id, default: []].insert(path) }
      for dot in record.marks.entries { log.append(dot, .path(path)) }
    }
    for id in files.keys.sorted() {
      bytes += files[id]!.contentBytes
      for element in files[id]!.chunks.elements { learn(element.chunk, of: id, at: element.index) }
      for dot in files[id]!.marks.entries { log.append(dot, .file(id)) }
    }
    let homes = files.mapValues(\.home)
    for path in paths.keys.sorted() { refresh(path) }
    for (id, home) in homes { files[id]!.home = home }
    removedPaths = Set(paths.keys.filter { shown[$0] == nil })
    namelessFiles = Set(files.keys.filter { links[$0] == nil })
    events.removeAll()
    touched.removeAll()
    published = vector[self.origin]
  }

  mutating func learn(_ chunk: Chunk, of file: FileID, at index: UInt64) {
    if !chunk.hash.isZeros { places[chunk.hash.words.0] = ContentPlace(file: file, index: index) }
  }

  /// Goes on under another origin: after a power loss this node can not know which changes it had named and sent.
  ///
  /// What is here beyond the vector may have lost its author's memory, and nobody would ask for it: the new origin marks
  /// it as its own first change, for others to pull.
  public mutating func adopt(origin: NodeID) {
    self.origin = origin
    let strays = keys(notCoveredBy: vector)
    if !strays.isEmpty {
      let dot = Dot(origin, vector[origin] + 1)
      vector.include(dot)
      for key in strays { mark(key, by: dot) }
    }
    published = vector[origin]
    touched.insert(.vector)
  }

  private mutating func mark(_ key: RecordKey, by dot: Dot) {
    switch key {
    case .path(let path):
      paths[path]?.marks.include(dot)
      touched.insert(.path(path))
    case .file(let id):
      files[id]?.marks.include(dot)
      touched.insert(.file(id))
    }
    log.append(dot, key)
  }
}
