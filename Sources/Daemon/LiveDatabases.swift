// The databases of a volume that programs of this node use.

import Causality
import Databases
import Glibc
import Mount
import Replication
import Storage
import Synchronization

/// Follows the live databases of one volume.
final class LiveDatabases: DatabaseHost {
  unowned let volume: CarriedVolume
  unowned let engine: Engine
  private let sessions = Mutex<[FileID: DatabaseSession]>([:])
  /// Sessions by the path at which programs see their database.
  private let watched = Mutex<[String: DatabaseSession]>([:])
  private let watch = Mutex<DatabaseWatch?>(nil)
  /// What earlier lives left, until a session takes it over.
  private let marks = Mutex<[FileID: DatabaseMark]>([:])
  private let end = Mutex<DataDirectory.PreviousEnd>(.none)

  init(volume: CarriedVolume, engine: Engine) {
    self.volume = volume
    self.engine = engine
  }

  /// Who works on the databases; nil where there is nobody, and they are files like any other.
  var helper: DatabaseHelper? { engine.databaseHelper }

  var mountPoint: String? { mount?.mountPoint }
  var mount: VolumeMount? { volume.mount.withLock { $0 } }

  // MARK: Life

  /// Takes over what earlier lives left; before the volume is mounted.
  func load(_ records: [StoredRecord], after end: DataDirectory.PreviousEnd) {
    self.end.withLock { $0 = end }
    for record in records {
      guard let file = DatabaseMark.file(of: record.key), let mark = record.value.flatMap({ DatabaseMark($0) }) else {
        continue
      }
      marks.withLock { $0[file] = mark }
    }
    recoverNames()
    if end == .powerLoss { dropTorn() }
  }

  /// Looks at everything live; after the volume was mounted.
  func start() {
    do {
      let watch = try DatabaseWatch { [weak self] in self?.notice($0) }
      watch.start()
      self.watch.withLock { $0 = watch }
    } catch {
      engine.log.error("commits of databases are seen late", metadata: ["why": "\(error)"])
    }
    for file in liveFiles { session(for: file).signal() }
  }

  /// Captures what there is and closes every database; before the volume is unmounted.
  func stop() {
    for session in all { session.stop() }
    let watch = watch.withLock { watch in
      defer { watch = nil }
      return watch
    }
    watch?.stop()
  }

  /// The databases that have a live form here.
  private var liveFiles: [FileID] {
    ContentStore.names(in: volume.content.directory + "/local").compactMap { name in
      guard name.hasSuffix(".db"), let file = FileID(localName: String(name.dropLast(3))) else { return nil }
      let isKnown = volume.withVolume { volume, _ in volume.files[file]?.form.isDatabase ?? false }
      return isKnown ? file : nil
    }
  }

  // MARK: Sessions

  var all: [DatabaseSession] { sessions.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }

  func session(for id: FileID) -> DatabaseSession {
    sessions.withLock { sessions in
      if let known = sessions[id] { return known }
      let mark = marks.withLock { $0.removeValue(forKey: id) }
      let isTrusted = end.withLock { $0 == .clean } && mark != nil
      let standing = DatabaseSession.Standing(
        mark: mark ?? DatabaseMark(tip: .none, place: .unknown), isTrusted: isTrusted, isPendingKnown: false)
      let session = DatabaseSession(id, owner: self, standing: standing)
      sessions[id] = session
      return session
    }
  }

  /// Notes at which path programs see a database.
  func bind(_ session: DatabaseSession, to path: String, instead old: String?) {
    watched.withLock { watched in
      if let old, watched[old] === session { watched[old] = nil }
      watched[path] = session
    }
    guard let slash = path.lastIndex(of: "/") else { return }
    do {
      try watch.withLock { $0 }?.add(directory: String(path[..<slash]))
    } catch {
      engine.log.warning("commits are seen late", metadata: ["database": "\(path)", "why": "\(error)"])
    }
  }

  private func notice(_ event: DatabaseWatch.Event) {
    guard event.kind != .overflow else {
      for session in all { session.signal() }
      return
    }
    var name = event.name
    var isJournal = false
    for suffix in ["-journal", "-wal", "-shm"] where name.hasSuffix(suffix) {
      isJournal = suffix == "-journal"
      name.removeLast(suffix.count)
      break
    }
    let isDatabase = name == event.name
    guard let session = watched.withLock({ $0[event.directory + "/" + name] }) else { return }
    session.signal { news in
      if isJournal { news.journalEvents += 1 }
      guard isDatabase else { return }
      if event.kind == .modified { news.databaseEvents += 1 }
      if event.kind == .closed { news.isClosed = true }
    }
  }

  // MARK: Asked by the mount

  func opened(database: FileID) { session(for: database).signal() }

  func renewed(database old: FileID, as new: FileID) {
    sessions.withLock { $0[old] }?.signal()
  }

  func makeLive(_ database: FileID) throws {
    let session = session(for: database)
    try session.recorded.with {
      let path = volume.content.livePath(of: database)
      guard access(path, F_OK) != 0 else { return }
      let file = volume.withVolume { volume, _ in volume.files[database] }
      guard let file else { throw StorageError.system(operation: "open", path: path, errno: ENOENT) }
      // The live form may not be ahead of what a crash leaves.
      let mark = DatabaseMark(tip: file.tip, place: Self.place(of: file))
      volume.store(durably: false, also: [mark.record(of: database)])
      try copyRecorded(file, to: path)
      session.standing = DatabaseSession.Standing(
        mark: mark, isTrusted: true, isFresh: true)
    }
  }

  /// Where capture stands on a live form just made. A log that is not there yet has no place: the first look compares.
  private static func place(of file: File) -> DatabaseMark.Place {
    file.size == 0 || file.attributes.journal == .log ? .unknown : .counter(0)
  }

  private func copyRecorded(_ file: File, to path: String) throws {
    let draft = path + ".fresh"
    unlink(draft)
    let target = try ContentStore.open(draft, create: true)
    defer { close(target) }
    if access(volume.content.path(of: file.id), F_OK) == 0 {
      let source = try volume.content.open(file.id, create: false)
      defer { close(source) }
      try ContentStore.copy(from: source, to: target, count: file.size, path: draft)
    }
    if file.size > 0, file.attributes.journal == .log {
      try ContentStore.write([2, 2], at: 18, to: target, path: draft)
    }
    guard ftruncate(target, off_t(file.size)) == 0, fsync(target) == 0, rename(draft, path) == 0 else {
      throw StorageError.system(operation: "make the live form", path: path, errno: errno)
    }
  }

  // MARK: Asked by people

  /// Captures all that was committed, as far as that can be had within the time.
  public func settle(milliseconds: Int = 1_000) {
    for session in all where hasLive(session.id) { _ = session.settle(milliseconds: milliseconds) }
  }

  /// Whether everything recorded is in the live databases.
  public var isInstalled: Bool { all.allSatisfy { isInstalled($0) } }

  private func isInstalled(_ session: DatabaseSession) -> Bool {
    guard hasLive(session.id) else { return true }
    return session.recorded.with {
      let tip = volume.withVolume { volume, _ in volume.files[session.id]?.tip ?? .none }
      return session.standing.mark.tip == tip
    }
  }

  /// Which databases are behind, and why.
  public var troubles: [(path: String, why: String)] {
    all.compactMap { session in
      guard let why = session.trouble else { return nil }
      let path = volume.withVolume { volume, _ in volume.visiblePaths(of: session.id).first?.description }
      return path.map { ($0, why) }
    }
  }

  func hasLive(_ file: FileID) -> Bool { access(volume.content.livePath(of: file), F_OK) == 0 }

  /// Forgets files that are gone.
  func forget(_ gone: [FileID]) {
    for file in gone {
      let session = sessions.withLock { $0.removeValue(forKey: file) }
      session?.stop()
      for suffix in ["", "-journal", "-wal", "-shm", ".fresh"] { unlink(volume.content.livePath(of: file) + suffix) }
    }
  }
}
