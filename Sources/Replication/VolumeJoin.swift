// The join: taking in what another node tells.

import Causality

/// What must happen to bytes because of a join; the owner does it while nobody else touches the file.
public enum ContentWork: Hashable, Sendable {
  /// Put the bytes of this version into the file.
  case write(FileID, index: UInt64, Chunk)
  /// Before anything is overwritten, keep the bytes of this version, which the file holds now, by their hash.
  case keepHeld(FileID, index: UInt64, Chunk)
  /// Keep the bytes of this version, which the sender has.
  case keepSent(FileID, index: UInt64, Chunk)
  /// Nothing is at this chunk any more: make its bytes a hole.
  case erase(FileID, index: UInt64)
  /// Cut or extend the file to its size, after all else.
  case resize(FileID)
}

/// Content that must be at hand before a delta can be joined.
public struct WantedContent: Hashable, Sendable {
  /// Of which file.
  public var file: FileID
  /// Which chunk.
  public var index: UInt64
  /// Its version.
  public var chunk: Chunk
  /// The chunk size of the file.
  public var chunkSize: UInt32
  /// Whether it lost already and is wanted only to be kept.
  public var isLost: Bool

  /// All parts.
  public init(file: FileID, index: UInt64, chunk: Chunk, chunkSize: UInt32, isLost: Bool) {
    self.file = file
    self.index = index
    self.chunk = chunk
    self.chunkSize = chunkSize
    self.isLost = isLost
  }

  /// Where the bytes belong.
  public var place: ContentPlace { ContentPlace(file: file, index: index) }
}

/// How one incoming chunk meets what is held.
enum ChunkVerdict: Equatable {
  case known
  case wins(lost: Chunk?)
  case losesUnseen
  case stale
}

extension File {
  /// Meets an incoming chunk; the notes of both sides are in `notes`, the cuts are joined already.
  func verdict(_ incoming: Chunk, at index: UInt64, seen: VersionVector) -> ChunkVerdict {
    let start = index * UInt64(form.chunkSize)
    let held = chunks[index]
    if let held, held.dot == incoming.dot { return .known }
    if seen.covers(incoming.dot) { return .known }
    let reaching = cuts.filter { start >= $0.size && does($0.dot, beat: incoming.dot) }
    if !reaching.isEmpty {
      return reaching.contains { did($0.dot, see: incoming.dot) } ? .stale : .losesUnseen
    }
    guard let held else { return .wins(lost: nil) }
    if does(incoming.dot, beat: held.dot) {
      return .wins(lost: did(incoming.dot, see: held.dot) ? nil : held)
    }
    return did(held.dot, see: incoming.dot) ? .stale : .losesUnseen
  }

  /// The versions of a chunk that stand here, and the cuts that reach it: what may have replaced others.
  private func standing(at index: UInt64) -> [Dot] {
    var dots = lost.filter { $0.index == index }.map(\.chunk.dot)
    if let chunk = chunks[index] { dots.append(chunk.dot) }
    for cut in cuts where index * UInt64(form.chunkSize) >= cut.size { dots.append(cut.dot) }
    return dots
  }

  /// Whether one of the changes was made by somebody who had seen the version.
  private func isSeen(_ dot: Dot, by changes: [Dot]) -> Bool { changes.contains { $0 != dot && did($0, see: dot) } }

  /// One of its chunks as wanted content.
  public func want(_ chunk: Chunk, at index: UInt64, isLost: Bool) -> WantedContent {
    WantedContent(file: id, index: index, chunk: chunk, chunkSize: form.chunkSize, isLost: isLost)
  }

  mutating func lose(_ chunk: Chunk, at index: UInt64, to winner: Dot) {
    guard !lost.contains(where: { $0.index == index && $0.chunk.dot == chunk.dot }) else { return }
    lost.append(LostChunk(index: index, chunk: chunk, stamp: stamp(of: chunk.dot), winner: winner))
    lost.sort { ($0.index, $0.chunk.dot) < ($1.index, $1.chunk.dot) }
  }

  /// Joins what another node tells of this file; says what must happen to bytes.
  mutating func join(_ other: File, into work: inout [ContentWork]) {
    let seen = vector
    let stood = other.lost.map { standing(at: $0.index) }
    notes.merge(other.notes) { mine, _ in mine }
    if does(other.attributesDot, beat: attributesDot) {
      attributes = other.attributes
      attributesDot = other.attributesDot
    }
    if other.truncationDot != .none, truncationDot == .none || does(other.truncationDot, beat: truncationDot) {
      truncation = other.truncation
      truncationDot = other.truncationDot
    }
    for cut in other.cuts { take(cut, into: &work) }
    for element in other.chunks.elements {
      switch verdict(element.chunk, at: element.index, seen: seen) {
      case .known, .stale: break
      case .wins(let loser):
        if let loser {
          lose(loser, at: element.index, to: element.chunk.dot)
          work.append(.keepHeld(id, index: element.index, loser))
        }
        chunks[element.index] = element.chunk
        work.append(.write(id, index: element.index, element.chunk))
      case .losesUnseen:
        lose(element.chunk, at: element.index, to: winner(at: element.index))
        work.append(.keepSent(id, index: element.index, element.chunk))
      }
    }
    // What lost is listed unless somebody who saw it as the version that counts replaced it: then it is not on the list
    // that comes with his change. So the list, too, is a function of the changes and not of their order.
    for (loser, standing) in zip(other.lost, stood) { take(loser, unlessSeenBy: standing, into: &work) }
    lost = lost.filter { mine in
      !isSeen(mine.chunk.dot, by: other.standing(at: mine.index))
        || other.lost.contains { $0.index == mine.index && $0.chunk.dot == mine.chunk.dot }
    }
    buried.merge(other.buried)
    vector.merge(other.vector)
    marks.merge(other.marks)
    pruneNotes()
  }

  /// What stands where a version loses: the chunk, or the latest cut that reaches it.
  private func winner(at index: UInt64) -> Dot {
    if let chunk = chunks[index] { return chunk.dot }
    let reaching = cuts.filter { index * UInt64(form.chunkSize) >= $0.size }.map(\.dot)
    return reaching.max { does($1, beat: $0) } ?? truncationDot
  }

  private mutating func take(_ cut: Cut, into work: inout [ContentWork]) {
    guard !cuts.contains(cut), !cuts.contains(where: { $0.size <= cut.size && did($0.dot, see: cut.dot) }) else {
      return
    }
    cuts = cuts.filter { $0.size < cut.size || !did(cut.dot, see: $0.dot) }
    cuts.append(cut)
    cuts.sort { $0.dot < $1.dot }
    let first = (cut.size + UInt64(form.chunkSize) - 1) / UInt64(form.chunkSize)
    let gone = chunks.elements(from: first).filter { does(cut.dot, beat: $0.chunk.dot) }
    for element in gone {
      if !did(cut.dot, see: element.chunk.dot) {
        lose(element.chunk, at: element.index, to: cut.dot)
        work.append(.keepHeld(id, index: element.index, element.chunk))
      }
      work.append(.erase(id, index: element.index))
    }
    guard !gone.isEmpty else { return }
    let indexes = Set(gone.map(\.index))
    chunks.removeAll(from: first) { indexes.contains($0.index) }
  }

  private mutating func take(_ loser: LostChunk, unlessSeenBy stood: [Dot], into work: inout [ContentWork]) {
    if let place = lost.firstIndex(where: { $0.index == loser.index && $0.chunk.dot == loser.chunk.dot }) {
      lost[place].dropped = max(lost[place].dropped, loser.dropped)
      return
    }
    guard !isSeen(loser.chunk.dot, by: stood) else { return }
    lost.append(loser)
    lost.sort { ($0.index, $0.chunk.dot) < ($1.index, $1.chunk.dot) }
    if loser.dropped == .none { work.append(.keepSent(id, index: loser.index, loser.chunk)) }
  }
}

extension Volume {
  /// The content that a delta brings and that is not held yet.
  public func wanted(by delta: Delta) -> [WantedContent] {
    var wanted: [WantedContent] = []
    for incoming in delta.files {
      if incoming.form.isDatabase {
        wanted += pagesWanted(by: incoming, isWhole: delta.wholes.contains(incoming.id))
        continue
      }
      var file = files[incoming.id] ?? File.stranger(incoming)
      var work: [ContentWork] = []
      let before = file.chunks
      file.join(incoming, into: &work)
      for case .write(_, let index, let chunk) in work where !chunk.hash.isZeros {
        if before[index]?.hash != chunk.hash || before[index]?.length != chunk.length {
          wanted.append(file.want(chunk, at: index, isLost: false))
        }
      }
      for case .keepSent(_, let index, let chunk) in work where !chunk.hash.isZeros {
        wanted.append(file.want(chunk, at: index, isLost: true))
      }
    }
    return wanted
  }

  /// Whether all is here that the authors of a delta's changes of files had seen of them. Databases see to that
  /// themselves.
  public func holdsContext(of delta: Delta) -> Bool {
    delta.files.allSatisfy { incoming in
      let held = files[incoming.id]?.vector ?? VersionVector()
      return incoming.form.isDatabase
        || incoming.notes.allSatisfy { dot, note in
          !incoming.vector.covers(dot)
            || note.context.entries.allSatisfy { incoming.vector.covers($0) || held.covers($0) || vector.covers($0) }
        }
    }
  }

  /// Takes in a delta; returns what must happen to bytes, in order.
  ///
  /// The volume's vector does not move: `acknowledge` does that when all of a round is in.
  public mutating func join(_ delta: Delta) -> [ContentWork] {
    var work: [ContentWork] = []
    latest = max(latest, delta.latestStamp)
    for incoming in delta.files {
      if incoming.form.isDatabase {
        joinDatabase(incoming, isWhole: delta.wholes.contains(incoming.id), into: &work)
      } else {
        join(incoming, into: &work)
      }
    }
    for part in delta.paths { join(part) }
    return work
  }

  private mutating func join(_ incoming: File, into work: inout [ContentWork]) {
    let id = incoming.id
    let old = files[id]
    var file = old ?? File.stranger(incoming)
    let first = work.count
    file.join(incoming, into: &work)
    guard old != file else { return }
    if work.count > first || file.size != old?.size ?? 0 { work.append(.resize(id)) }
    for item in work[first...] {
      guard case .write(_, let index, let chunk) = item else { continue }
      touched.insert(.chunk(id, index))
      learn(chunk, of: id, at: index)
    }
    if let old {
      for element in old.chunks.elements where file.chunks[element.index] == nil {
        touched.insert(.chunk(id, element.index))
      }
    }
    bytes = bytes &- (old?.contentBytes ?? 0) &+ file.contentBytes
    files[id] = file
    touched.insert(.file(id))
    if links[id] == nil { namelessFiles.insert(id) }
    let known = old?.marks ?? VersionVector()
    for dot in file.marks.entries where !known.covers(dot) { log.append(dot, .file(id)) }
    if old?.attributes != file.attributes || old?.size != file.size { events.append(.attributes(id)) }
    refreshNames(of: id)
  }

  private mutating func join(_ part: Delta.PathPart) {
    let path = part.path
    let old = paths[path] ?? PathRecord()
    var record = old
    record.join(part.record)
    guard record != old else { return }
    paths[path] = record
    touched.insert(.path(path))
    for dot in record.marks.entries where !old.marks.covers(dot) { log.append(dot, .path(path)) }
    rename(old.write?.value, record.write?.value, at: path)
    refresh(path)
    if shown[path] == nil { removedPaths.insert(path) }
    if case .file(let id)? = record.write?.value { refreshNames(of: id) }
    if case .directory(let attributes)? = record.write?.value, old.write?.value != .directory(attributes) {
      events.append(.directory(path))
    }
  }

  /// Moves the vector: all changes up to `claim` are held now.
  public mutating func acknowledge(_ claim: VersionVector) {
    guard !vector.covers(claim) else { return }
    vector.merge(claim)
    touched.insert(.vector)
  }
}

extension File {
  /// A file as it is before anything of it was joined.
  static func stranger(_ incoming: File) -> File {
    var file = incoming.part(claiming: VersionVector()) { _ in false }
    file.buried = VersionVector()
    file.marks = VersionVector()
    file.truncation = 0
    file.truncationDot = .none
    file.tip = .none
    file.lostTips = []
    return file
  }
}
