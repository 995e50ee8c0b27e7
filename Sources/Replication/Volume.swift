// A volume: the replicated state of one directory tree, as one node holds it.

import Causality

/// What a path shows.
public enum Shown: Hashable, Sendable {
  /// A directory.
  case directory
  /// A file.
  case file(FileID)
}

/// What a join changed for those who look at the tree.
public enum VolumeEvent: Hashable, Sendable {
  /// Another thing, or nothing, is at the path now.
  case name(Path)
  /// The attributes of a directory changed.
  case directory(Path)
  /// Attributes, size or number of names of a file changed.
  case attributes(FileID)
}

/// A chunk of a file.
public struct ContentPlace: Hashable, Comparable, Sendable {
  /// The file.
  public var file: FileID
  /// Which chunk of it.
  public var index: UInt64

  /// Joins both.
  public init(file: FileID, index: UInt64) {
    self.file = file
    self.index = index
  }

  /// By file, then by index.
  public static func < (left: ContentPlace, right: ContentPlace) -> Bool {
    left.file != right.file ? left.file < right.file : left.index < right.index
  }
}

/// The replicated state of one directory tree as one node holds it: a pure value.
///
/// The state is a function of the set of changes it has taken in. Local operations make changes; `join` takes in
/// those of others, in any order and any number of times. What must be made durable collects in `takeTouched`, what must
/// be sent to peers in `takeOutgoing`, what viewers must be told in `takeEvents`.
public struct Volume: Sendable {
  /// The volume's name.
  public let name: String
  /// The origin under which this node makes changes.
  public internal(set) var origin: NodeID
  /// All changes that are held here, by origin.
  public internal(set) var vector = VersionVector()
  /// Every path that anybody ever wrote and that was not collected.
  public internal(set) var paths: [Path: PathRecord] = [:]
  /// Every file that was not collected.
  public internal(set) var files: [FileID: File] = [:]
  /// The latest stamp in the volume: a new change must exceed it.
  public internal(set) var latest = Stamp.zero
  /// The bytes of all files, for statfs: sizes of chunks, holes not counted.
  public internal(set) var bytes: UInt64 = 0

  var names: [FileID: Set<Path>] = [:]
  var shown: [Path: Shown] = [.root: .directory]
  var children: [Path: Set<[UInt8]>] = [:]
  var links: [FileID: Int] = [:]
  /// Paths with a record that show nothing, and files that show nowhere: what collection looks at.
  var removedPaths = Set<Path>()
  var namelessFiles = Set<FileID>()
  var log = ChangeLog()
  var touched = Set<TouchedRecord>()
  var outgoing: [(sequence: UInt64, key: RecordKey)] = []
  var published: UInt64 = 0
  /// Where content with a hash can be found here, by the hash's first word; an entry may be out of date.
  var places: [UInt64: ContentPlace] = [:]
  var events: [VolumeEvent] = []

  /// An empty volume.
  public init(name: String, origin: NodeID) {
    self.name = name
    self.origin = origin
  }

  // MARK: Looking

  /// What is at a path.
  public subscript(path: Path) -> Shown? { shown[path] }

  /// The names in a directory, in no order.
  public func entries(of directory: Path) -> Set<[UInt8]> { children[directory] ?? [] }

  /// In how many places the file is visible.
  public func linkCount(_ file: FileID) -> Int { links[file] ?? 0 }

  /// The attributes of a visible directory; one that lives by its children alone has none of its own.
  public func directoryAttributes(_ path: Path) -> Attributes {
    if let write = paths[path]?.write, case .directory(let attributes) = write.value { return attributes }
    return Attributes(mode: 0o755)
  }

  /// The visible paths of a file, sorted.
  public func visiblePaths(of file: FileID) -> [Path] {
    (names[file] ?? []).filter { shown[$0] == .file(file) }.sorted()
  }

  /// How many paths are visible, not counting the root.
  public var entryCount: Int { shown.count - 1 }

  /// Every visible path, sorted; for tools and tests.
  public var visible: [(path: Path, shown: Shown)] {
    shown.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
  }

  /// A chunk of this volume that has the content, when one is known.
  public func place(of hash: ContentHash, length: UInt32) -> ContentPlace? {
    guard let place = places[hash.words.0], let chunk = files[place.file]?.chunks[place.index], chunk.hash == hash,
      chunk.length == length
    else { return nil }
    return place
  }

  // MARK: What collects

  /// The records to make durable since the last call.
  public mutating func takeTouched() -> [TouchedRecord] {
    defer { touched.removeAll(keepingCapacity: true) }
    return touched.sorted()
  }

  /// Whether anything waits in `takeTouched` or `takeOutgoing`.
  public var hasWork: Bool { !touched.isEmpty || published < vector[origin] }

  /// What viewers must be told since the last call.
  public mutating func takeEvents() -> [VolumeEvent] {
    defer { events.removeAll(keepingCapacity: true) }
    return events
  }

  // MARK: Making changes

  /// Starts a local change: names it, and takes it into the vector.
  mutating func begin(_ stamp: Stamp) -> Dot {
    precondition(stamp > latest, "a stamp must exceed all stamps of the volume")
    latest = stamp
    let dot = Dot(origin, vector[origin] + 1)
    vector.include(dot)
    touched.insert(.vector)
    return dot
  }

  mutating func note(_ key: RecordKey, of dot: Dot) {
    log.append(dot, key)
    outgoing.append((dot.sequence, key))
    switch key {
    case .path(let path): touched.insert(.path(path))
    case .file(let id): touched.insert(.file(id))
    }
  }

  mutating func write(_ value: PathValue, at path: Path, _ dot: Dot) {
    let old = paths[path]?.write?.value
    paths[path, default: PathRecord()].write = PathWrite(dot: dot, stamp: latest, value: value)
    paths[path]!.marks.include(dot)
    rename(old, value, at: path)
    note(.path(path), of: dot)
    refresh(path)
    if case .file(let id) = value { refreshNames(of: id) }
  }

  mutating func remove(_ path: Path, moved: Bool, _ dot: Dot) {
    guard let write = paths[path]?.write else { return }
    paths[path]!.removed.include(write.dot)
    if moved { paths[path]!.moved.include(write.dot) }
    paths[path]!.marks.include(dot)
    note(.path(path), of: dot)
    refresh(path)
    if case .file(let id) = write.value { refreshNames(of: id) }
  }

  /// Notes on a file that one of its names goes, with everything of it seen.
  mutating func bury(_ id: FileID, _ dot: Dot) {
    guard let vector = files[id]?.vector else { return }
    files[id]!.buried.merge(vector)
    files[id]!.marks.include(dot)
    note(.file(id), of: dot)
    refreshNames(of: id)
  }

  // MARK: What is visible

  /// Keeps `names` true when the write of a path changes.
  mutating func rename(_ old: PathValue?, _ new: PathValue?, at path: Path) {
    guard old != new else { return }
    if case .file(let id)? = old {
      names[id]?.remove(path)
      refreshNames(of: id)
    }
    if case .file(let id)? = new { names[id, default: []].insert(path) }
  }

  mutating func refreshNames(of id: FileID) {
    guard let paths = names[id] else { return }
    if paths.count == 1 { refresh(paths.first!) } else { for path in paths.sorted() { refresh(path) } }
  }

  private func hasLiveName(_ id: FileID) -> Bool {
    (names[id] ?? []).contains { !(paths[$0]?.isRemoved ?? true) }
  }

  private func resolve(_ path: Path) -> Shown? {
    if path.isRoot || children[path] != nil { return .directory }
    guard let record = paths[path], let write = record.write else { return nil }
    switch write.value {
    case .directory: return record.isRemoved ? nil : .directory
    case .file(let id):
      guard let file = files[id] else { return nil }
      if !record.isRemoved { return .file(id) }
      if !record.isMovedAway, file.hasUnseenChanges, !hasLiveName(id) { return .file(id) }
      return nil
    }
  }

  /// Recomputes what a path shows, and what hangs on it: its directory lives while it does.
  mutating func refresh(_ path: Path) {
    let before = shown[path]
    let now = resolve(path)
    guard before != now else { return }
    shown[path] = now
    if now == nil { removedPaths.insert(path) } else { removedPaths.remove(path) }
    if case .file(let id)? = before {
      let count = (links[id] ?? 1) - 1
      links[id] = count == 0 ? nil : count
      if count == 0 { namelessFiles.insert(id) }
      events.append(.attributes(id))
    }
    if case .file(let id)? = now {
      links[id, default: 0] += 1
      namelessFiles.remove(id)
      events.append(.attributes(id))
      if files[id]!.home != path {
        files[id]!.home = path
        touched.insert(.file(id))
      }
    }
    events.append(.name(path))
    guard !path.isRoot, (before == nil) != (now == nil) else { return }
    let parent = path.parent
    if now != nil {
      children[parent, default: []].insert(path.name)
    } else {
      children[parent]!.remove(path.name)
      if children[parent]!.isEmpty { children[parent] = nil }
    }
    refresh(parent)
  }
}
