// What programs of this node do to the tree.

import Causality

/// A chunk that a local program wrote.
public struct ChunkWrite: Hashable, Sendable {
  /// Which chunk of the file.
  public var index: UInt64
  /// What its bytes are now.
  public var hash: ContentHash
  /// How many.
  public var length: UInt32

  /// All parts.
  public init(index: UInt64, hash: ContentHash, length: UInt32) {
    self.index = index
    self.hash = hash
    self.length = length
  }
}

extension Volume {
  /// Makes sure that the directory of `path` is there and has a record of its own.
  private mutating func enter(_ path: Path, _ dot: Dot) {
    let parent = path.parent
    guard !parent.isRoot else { return }
    if let record = paths[parent], !record.isRemoved, case .directory? = record.write?.value { return }
    write(.directory(directoryAttributes(parent)), at: parent, dot)
  }

  private func checkFree(_ path: Path) throws(VolumeError) {
    switch shown[path.parent] {
    case .directory?: break
    case .file?: throw .notDirectory
    case nil: throw .notFound
    }
    guard shown[path] == nil else { throw .exists }
  }

  /// Makes a directory.
  public mutating func makeDirectory(_ path: Path, _ attributes: Attributes, at stamp: Stamp) throws(VolumeError) {
    try checkFree(path)
    let dot = begin(stamp)
    enter(path, dot)
    write(.directory(attributes), at: path, dot)
  }

  /// Makes a file of any kind.
  public mutating func createFile(
    _ path: Path, _ form: FileForm, _ attributes: Attributes, at stamp: Stamp
  ) throws(VolumeError) -> FileID {
    try checkFree(path)
    let dot = begin(stamp)
    enter(path, dot)
    files[dot] = File(id: dot, form: form, attributes: attributes, stamp: stamp, home: path)
    note(.file(dot), of: dot)
    write(.file(dot), at: path, dot)
    return dot
  }

  /// Gives all names of a file to a new, empty one: what `O_TRUNC` does, so that two rewrites are never mixed.
  ///
  /// - Parameter chunkSize: of the new file; nil keeps the old one's.
  public mutating func renew(
    _ old: FileID, chunkSize: UInt32? = nil, attributes: Attributes, at stamp: Stamp
  ) throws(VolumeError) -> FileID {
    guard var form = files[old]?.form else { throw .notFound }
    let places = visiblePaths(of: old)
    guard !places.isEmpty else { throw .notFound }
    form.chunkSize = chunkSize ?? form.chunkSize
    let dot = begin(stamp)
    files[dot] = File(id: dot, form: form, attributes: attributes, stamp: stamp, home: places[0])
    note(.file(dot), of: dot)
    for path in places { write(.file(dot), at: path, dot) }
    bury(old, dot)
    return dot
  }

  /// Gives a file one more name.
  public mutating func link(_ file: FileID, at path: Path, stamp: Stamp) throws(VolumeError) {
    guard files[file] != nil else { throw .notFound }
    try checkFree(path)
    let dot = begin(stamp)
    enter(path, dot)
    write(.file(file), at: path, dot)
  }

  /// Takes a name from a file.
  public mutating func unlink(_ path: Path, at stamp: Stamp) throws(VolumeError) {
    guard let what = shown[path] else { throw .notFound }
    guard case .file(let id) = what else { throw .isDirectory }
    let dot = begin(stamp)
    enter(path, dot)
    bury(id, dot)
    remove(path, moved: false, dot)
  }

  /// Removes an empty directory.
  public mutating func removeDirectory(_ path: Path, at stamp: Stamp) throws(VolumeError) {
    guard let what = shown[path], !path.isRoot else { throw .notFound }
    guard what == .directory else { throw .notDirectory }
    guard children[path] == nil else { throw .notEmpty }
    let dot = begin(stamp)
    enter(path, dot)
    remove(path, moved: false, dot)
  }

  /// Moves a file or a directory with all that lies below it, replacing what POSIX lets it replace.
  public mutating func rename(_ source: Path, to target: Path, at stamp: Stamp) throws(VolumeError) {
    guard let moving = shown[source], !source.isRoot else { throw .notFound }
    guard shown[target.parent] == .directory else { throw shown[target.parent] == nil ? .notFound : .notDirectory }
    if source == target { return }
    if target.isBelow(source) { throw .intoItself }
    switch (moving, shown[target]) {
    case (_, nil): break
    case (.directory, .directory?): guard children[target] == nil else { throw .notEmpty }
    case (.directory, .file?): throw .notDirectory
    case (.file, .directory?): throw .isDirectory
    case (.file(let one), .file(let other)?): if one == other { return }
    }
    let dot = begin(stamp)
    enter(source, dot)
    enter(target, dot)
    if case .file(let replaced)? = shown[target] { bury(replaced, dot) }
    move(source, to: target, dot)
  }

  /// Swaps two names, with all that lies below them.
  public mutating func exchange(_ one: Path, with other: Path, at stamp: Stamp) throws(VolumeError) {
    guard shown[one] != nil, shown[other] != nil, !one.isRoot, !other.isRoot else { throw .notFound }
    if one == other { return }
    if one.isBelow(other) || other.isBelow(one) { throw .intoItself }
    let dot = begin(stamp)
    enter(one, dot)
    enter(other, dot)
    let first = subtree(one)
    let second = subtree(other)
    for (path, _) in (first + second).reversed() { remove(path, moved: true, dot) }
    for (path, value) in first { write(value, at: path.moved(from: one, to: other), dot) }
    for (path, value) in second { write(value, at: path.moved(from: other, to: one), dot) }
  }

  private mutating func move(_ source: Path, to target: Path, _ dot: Dot) {
    let moving = subtree(source)
    for (path, value) in moving { write(value, at: path.moved(from: source, to: target), dot) }
    for (path, _) in moving.reversed() { remove(path, moved: true, dot) }
  }

  /// A visible path and all below it, parents first.
  public func subtree(_ path: Path) -> [(path: Path, value: PathValue)] {
    guard let what = shown[path] else { return [] }
    guard what == .directory else {
      if case .file(let id) = what { return [(path, .file(id))] }
      return []
    }
    return [(path, .directory(directoryAttributes(path)))]
      + entries(of: path).sorted { $0.lexicographicallyPrecedes($1) }.flatMap { subtree(path.appending($0)) }
  }

  /// Sets the attributes of a directory.
  public mutating func setAttributes(
    _ path: Path, _ attributes: Attributes, at stamp: Stamp
  ) throws(VolumeError) {
    guard shown[path] == .directory else { throw .notFound }
    let dot = begin(stamp)
    write(.directory(attributes), at: path, dot)
  }

  /// Records what programs wrote into a file as one change; nil when nothing differs.
  ///
  /// - Parameters:
  ///   - writes: the chunks that were written; whoever truncates into a chunk lists it too, with its new length.
  ///   - size: the size of the file now.
  ///   - attributes: its attributes now.
  @discardableResult
  public mutating func commit(
    _ id: FileID, _ writes: [ChunkWrite], size: UInt64, attributes: Attributes, at stamp: Stamp
  ) throws(VolumeError) -> Dot? {
    guard let file = files[id] else { throw .notFound }
    let changed = writes.filter { write in
      guard UInt64(write.index) * UInt64(file.form.chunkSize) < size else { return false }
      let old = file.chunks[write.index]
      return old?.hash != write.hash || old?.length != write.length
    }
    var after = file
    after.chunks.removeAll(from: 0) { $0.index * UInt64(file.form.chunkSize) >= size }
    let cuts = after.chunks.elements.count < file.chunks.elements.count
    for write in changed {
      after.chunks[write.index] = Chunk(hash: write.hash, length: write.length, dot: .none)
    }
    let truncates = cuts || after.size != size
    guard !changed.isEmpty || truncates || file.attributes != attributes else { return nil }

    let dot = begin(stamp)
    let context = VersionVector(file.vector.entries.filter { $0.origin != origin })
    after.notes[dot] = ChangeNote(stamp: stamp, context: context)
    after.vector.include(dot)
    after.marks.include(dot)
    for write in changed {
      after.chunks[write.index] = Chunk(hash: write.hash, length: write.length, dot: dot)
      touched.insert(.chunk(id, write.index))
      learn(after.chunks[write.index]!, of: id, at: write.index)
    }
    after.lost.removeAll { loser in
      guard let replaced = file.chunks[loser.index], loser.dropped == .none else { return false }
      return after.chunks[loser.index] != replaced && replaced.hash == loser.chunk.hash
        && replaced.length == loser.chunk.length
    }
    if truncates {
      for element in file.chunks.elements where after.chunks[element.index] == nil {
        touched.insert(.chunk(id, element.index))
      }
      after.truncation = size
      after.truncationDot = dot
      if size < file.size {
        after.cuts.removeAll { $0.size >= size }
        after.cuts.append(Cut(size: size, dot: dot))
        after.cuts.sort { $0.dot < $1.dot }
      }
    }
    if file.attributes != attributes {
      after.attributes = attributes
      after.attributesDot = dot
    }
    after.pruneNotes()
    bytes = bytes &- file.contentBytes &+ after.contentBytes
    files[id] = after
    note(.file(id), of: dot)
    refreshNames(of: id)
    return dot
  }
}

extension File {
  /// The bytes of all chunks, holes not counted.
  var contentBytes: UInt64 { chunks.elements.reduce(0) { $0 + UInt64($1.chunk.length) } }
}
