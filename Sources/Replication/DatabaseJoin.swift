// Databases: pages change together, so a version of a database is taken or left as a whole.
//
// A database's chunks are the state as of one change, its tip. A change whose author built on our tip brings the pages
// that differ. Of two concurrent tips the later wins with all its pages; the state that loses is kept by its author as
// a file of its own that has no name: a conflict that opens as a database.

import Causality

/// How an incoming version of a database meets the one that is held.
public enum DatabaseVerdict: Equatable, Sendable {
  /// Nothing new: it is held, or was seen before.
  case known
  /// It builds on what is held, and brings all that differs.
  case forward
  /// It builds on changes that have not come yet: the delta can not be joined, only pulled.
  case incomplete
  /// It replaces what is held, and all its pages are needed for that.
  case needsWhole
  /// It replaces what is held, and all its pages are there; whether what is held lost to it unseen.
  case replaces(isConflict: Bool)
  /// It lost to what is held.
  case loses
}

extension File {
  /// Versions that are remembered as lost, at most.
  public static let lostTipLimit = 256

  /// Meets an incoming version.
  func verdict(of incoming: File, isWhole: Bool) -> DatabaseVerdict {
    guard incoming.tip != .none, !vector.covers(incoming.tip) else { return .known }
    guard let note = incoming.notes[incoming.tip] else { return .incomplete }
    let isComplete = isWhole || vector.merged(with: incoming.vector).covers(note.context)
    guard tip != .none else { return isComplete ? .forward : .incomplete }
    let sees = incoming.tip.origin == tip.origin ? incoming.tip.sequence > tip.sequence : note.context.covers(tip)
    if sees {
      let isOnOtherLine = incoming.lostTips.contains { $0.saw(tip) }
      if isWhole { return .replaces(isConflict: false) }
      return isOnOtherLine ? .needsWhole : isComplete ? .forward : .incomplete
    }
    let mine = stamp(of: tip)
    let wins = note.stamp != mine ? note.stamp > mine : incoming.tip > tip
    guard wins else { return .loses }
    return isWhole ? .replaces(isConflict: true) : .needsWhole
  }

  mutating func remember(_ loser: LostTip) {
    guard !lostTips.contains(where: { $0.dot == loser.dot }) else { return }
    lostTips.append(loser)
    lostTips.sort { $0.dot < $1.dot }
    if lostTips.count > Self.lostTipLimit { lostTips.removeFirst() }
  }
}

extension Volume {
  /// How the databases of a delta meet what is held.
  public func verdicts(of delta: Delta) -> [(file: FileID, verdict: DatabaseVerdict)] {
    delta.files.filter(\.form.isDatabase).map { incoming in
      let held = files[incoming.id] ?? File.stranger(incoming)
      return (incoming.id, held.verdict(of: incoming, isWhole: delta.wholes.contains(incoming.id)))
    }
  }

  /// A file with all its chunks, as a peer needs it whose own line of a database has lost.
  public func whole(_ id: FileID) -> File? {
    files[id].map { file in file.part(claiming: file.vector) { _ in true } }
  }

  func pagesWanted(by incoming: File, isWhole: Bool) -> [WantedContent] {
    let held = files[incoming.id]
    switch (held ?? File.stranger(incoming)).verdict(of: incoming, isWhole: isWhole) {
    case .forward, .replaces:
      return incoming.chunks.elements.compactMap { element in
        let old = held?.chunks[element.index]
        guard !element.chunk.hash.isZeros, old?.hash != element.chunk.hash else { return nil }
        return incoming.want(element.chunk, at: element.index, isLost: false)
      }
    default: return []
    }
  }

  /// Joins an incoming version of a database.
  mutating func joinDatabase(_ incoming: File, isWhole: Bool, into work: inout [ContentWork]) {
    let id = incoming.id
    if files[id] == nil { files[id] = File.stranger(incoming) }
    if links[id] == nil { namelessFiles.insert(id) }
    let verdict = files[id]!.verdict(of: incoming, isWhole: isWhole)
    guard verdict != .incomplete, verdict != .needsWhole else { return }
    let (oldMarks, oldSize) = (files[id]!.marks, files[id]!.size)
    for (dot, note) in incoming.notes where files[id]!.notes[dot] == nil { files[id]!.notes[dot] = note }
    if files[id]!.does(incoming.attributesDot, beat: files[id]!.attributesDot) {
      files[id]!.attributes = incoming.attributes
      files[id]!.attributesDot = incoming.attributesDot
      events.append(.attributes(id))
    }
    for loser in incoming.lostTips { files[id]!.remember(loser) }
    switch verdict {
    case .forward: takePages(of: incoming, isWhole: isWhole, into: &work)
    case .replaces(let isConflict):
      if isConflict { lose(id, files[id]!.tip, to: incoming.tip) }
      takePages(of: incoming, isWhole: true, into: &work)
    case .loses: lose(id, incoming.tip, to: files[id]!.tip)
    case .known, .incomplete, .needsWhole: break
    }
    files[id]!.buried.merge(incoming.buried)
    files[id]!.vector.merge(incoming.vector)
    files[id]!.marks.merge(incoming.marks)
    files[id]!.pruneNotes()
    touched.insert(.file(id))
    for dot in files[id]!.marks.entries where !oldMarks.covers(dot) { log.append(dot, .file(id)) }
    if files[id]!.size != oldSize {
      work.append(.resize(id))
      events.append(.attributes(id))
    }
    refreshNames(of: id)
  }

  private mutating func lose(_ id: FileID, _ loser: Dot, to winner: Dot) {
    let context = files[id]!.notes[loser]?.context ?? VersionVector()
    files[id]!.remember(LostTip(dot: loser, context: context, winner: winner))
  }

  private mutating func takePages(of incoming: File, isWhole: Bool, into work: inout [ContentWork]) {
    let id = incoming.id
    let chunkSize = UInt64(incoming.form.chunkSize)
    var gone = files[id]!.chunks.elements(from: (incoming.size + chunkSize - 1) / chunkSize).map(\.index)
    if isWhole {
      gone += files[id]!.chunks.elements.map(\.index).filter {
        incoming.chunks[$0] == nil && $0 * chunkSize < incoming.size
      }
    }
    for index in gone {
      bytes -= UInt64(files[id]!.chunks[index]!.length)
      files[id]!.chunks[index] = nil
      touched.insert(.chunk(id, index))
      work.append(.erase(id, index: index))
    }
    for element in incoming.chunks.elements where element.index * chunkSize < incoming.size {
      let old = files[id]!.chunks[element.index]
      if old == element.chunk { continue }
      bytes = bytes &- UInt64(old?.length ?? 0) &+ UInt64(element.chunk.length)
      files[id]!.chunks[element.index] = element.chunk
      touched.insert(.chunk(id, element.index))
      learn(element.chunk, of: id, at: element.index)
      if old?.hash != element.chunk.hash { work.append(.write(id, index: element.index, element.chunk)) }
    }
    files[id]!.truncation = incoming.truncation
    files[id]!.truncationDot = incoming.truncationDot
    files[id]!.tip = incoming.tip
  }

  /// Records a transaction of a database: all its pages as one change, which becomes the tip.
  ///
  /// - Parameters:
  ///   - pages: those that differ from the recorded state; zero-based.
  ///   - size: of the database after it, in bytes.
  @discardableResult
  public mutating func commitDatabase(
    _ id: FileID, pages: [ChunkWrite], size: UInt64, attributes: Attributes? = nil, at stamp: Stamp
  ) throws(VolumeError) -> Dot? {
    guard let form = files[id]?.form, form.isDatabase else { throw .notFound }
    let chunkSize = UInt64(form.chunkSize)
    let isSame = pages.allSatisfy { page in
      let old = files[id]!.chunks[page.index]
      return old?.hash == page.hash && old?.length == page.length
    }
    let oldSize = files[id]!.size
    guard !isSame || size != oldSize || attributes.map({ $0 != files[id]!.attributes }) ?? false else { return nil }
    let dot = begin(stamp)
    let context = VersionVector(files[id]!.vector.entries.filter { $0.origin != origin })
    files[id]!.notes[dot] = ChangeNote(stamp: stamp, context: context)
    for page in pages where page.index * chunkSize < size {
      let old = files[id]!.chunks[page.index]
      let chunk = Chunk(hash: page.hash, length: page.length, dot: dot)
      bytes = bytes &- UInt64(old?.length ?? 0) &+ UInt64(page.length)
      files[id]!.chunks[page.index] = chunk
      touched.insert(.chunk(id, page.index))
      learn(chunk, of: id, at: page.index)
    }
    if size != oldSize {
      for element in Array(files[id]!.chunks.elements(from: (size + chunkSize - 1) / chunkSize)) {
        bytes -= UInt64(element.chunk.length)
        files[id]!.chunks[element.index] = nil
        touched.insert(.chunk(id, element.index))
      }
      files[id]!.truncation = size
      files[id]!.truncationDot = dot
    }
    if let attributes {
      files[id]!.attributes = attributes
      files[id]!.attributesDot = dot
    }
    files[id]!.tip = dot
    files[id]!.vector.include(dot)
    files[id]!.marks.include(dot)
    files[id]!.pruneNotes()
    note(.file(id), of: dot)
    refreshNames(of: id)
    return dot
  }

  /// Whether the version of a database that is held would lose to a delta and is this node's to keep.
  public func losesOwn(_ id: FileID, to delta: Delta) -> Bool {
    guard let held = files[id], held.tip.origin == origin else { return false }
    return verdicts(of: delta).contains { $0.file == id && $0.verdict == .replaces(isConflict: true) }
  }

  /// Keeps the version of a database that is held as a file without a name: a conflict on every node.
  ///
  /// - Returns: the new file, whose bytes are those of the old one now.
  public mutating func keepCopy(of id: FileID, at stamp: Stamp) throws(VolumeError) -> FileID {
    guard let file = files[id] else { throw .notFound }
    let dot = begin(stamp)
    var copy = File(id: dot, form: file.form, attributes: file.attributes, stamp: stamp, home: file.home)
    for element in file.chunks.elements {
      copy.chunks[element.index] = Chunk(hash: element.chunk.hash, length: element.chunk.length, dot: dot)
      touched.insert(.chunk(dot, element.index))
    }
    copy.truncation = file.size
    copy.truncationDot = dot
    copy.tip = dot
    bytes += copy.contentBytes
    files[dot] = copy
    namelessFiles.insert(dot)
    note(.file(dot), of: dot)
    return dot
  }
}
