// From the live form of a database to the recorded one.

import Causality
import Databases
import Glibc
import Replication
import Storage

/// Pages that a scan found, with their hashes; many of them wait in a file.
final class CollectedPages {
  private(set) var pages: [(number: UInt32, hash: ContentHash)] = []
  private let path: String
  private var memory: [UInt32: [UInt8]] = [:]
  private var descriptor: Int32 = -1
  private var pageSize = 0
  private static let memoryLimit = 16 << 20

  /// - Parameter path: of the file, made when it is needed.
  init(_ path: String) { self.path = path }

  deinit {
    guard descriptor >= 0 else { return }
    close(descriptor)
    unlink(path)
  }

  var sink: PageSink {
    PageSink(
      begin: { [self] in
        pages = []
        memory = [:]
        if descriptor >= 0 { ftruncate(descriptor, 0) }
      }, found: { [self] in try add($0) })
  }

  func add(_ image: PageImage) throws {
    pageSize = image.bytes.count
    pages.append((image.number, ContentHasher.hash(image.bytes[...])))
    if descriptor < 0, memory.count * pageSize < Self.memoryLimit {
      memory[image.number] = image.bytes
      return
    }
    if descriptor < 0 {
      unlink(path)
      descriptor = try ContentStore.open(path, create: true)
      for (number, bytes) in memory { try write(bytes, number) }
      memory = [:]
    }
    try write(image.bytes, image.number)
  }

  private func write(_ bytes: [UInt8], _ number: UInt32) throws {
    try ContentStore.write(bytes, at: UInt64(number - 1) * UInt64(bytes.count), to: descriptor, path: path)
  }

  /// The bytes of a page that was found.
  func bytes(_ number: UInt32) throws -> [UInt8] {
    if let bytes = memory[number] { return bytes }
    guard descriptor >= 0,
      let bytes = ContentStore.read(pageSize, at: UInt64(number - 1) * UInt64(pageSize), from: descriptor)
    else { throw StorageError.system(operation: "read", path: path, errno: errno) }
    return bytes
  }
}

extension DatabaseFollower {
  var stagingPath: String { volume.content.stagingPath(of: "capture-" + session.id.localName) }

  /// The recorded state as capture compares with it: the hashes say what is recorded.
  func recordedState(_ file: File, _ standing: DatabaseSession.Standing) -> RecordedHashes {
    guard file.tip != .none else { return .nothing }
    let pageSize = Int(file.form.chunkSize)
    return RecordedHashes(
      pageSize: pageSize, pageCount: UInt32(file.size / UInt64(pageSize)), raisedCookie: raisedCookie,
      table: file.chunks)
  }

  typealias Mode = JournalKind

  /// Where capture stands.
  func place(_ mode: Mode) -> DatabaseMark.Place {
    switch mode {
    case .log: bound?.live.position.map { .log($0) } ?? .unknown
    case .rollback: bound?.live.counter.map { .counter($0) } ?? .unknown
    }
  }

  /// Records transactions out of the log as one change.
  func record(_ transactions: [CapturedTransaction]) throws {
    guard let last = transactions.last else { return }
    var latest: [UInt32: [UInt8]] = [:]
    for transaction in transactions {
      for page in transaction.pages { latest[page.number] = page.bytes }
    }
    let pages = latest.filter { $0.key <= last.pageCount }.sorted { $0.key < $1.key }.map { number, bytes in
      (number, ContentHasher.hash(bytes[...]))
    }
    let shape = (last.pageSize, last.pageCount)
    if try !commit(pages, shape, .log, bytes: { latest[$0]! }), let bound { try keepDiverged(bound, isLog: true) }
  }

  /// Records what a scan found as one change.
  func record(_ pages: CollectedPages, _ shape: DatabaseShape) throws {
    let mode: Mode = try bound?.live.header()?.journal == .log ? .log : .rollback
    let isRecorded = try commit(pages.pages, (shape.pageSize, shape.pageCount), mode, bytes: { try pages.bytes($0) })
    if !isRecorded, let bound { try keepDiverged(bound, isLog: mode == .log) }
  }

  /// Notes that the live form equals what is recorded.
  func remember(_ mode: Mode) {
    session.recorded.with {
      let tip = volume.withVolume(quietly: { volume in volume.files[session.id]?.tip })
      guard let tip, tip == session.standing.mark.tip || session.standing.mark.tip == .none else { return }
      session.standing.mark = DatabaseMark(tip: tip, place: place(mode), raisedCookie: raisedCookie)
      session.standing.isPendingKnown = true
      session.standing.isFresh = false
      volume.note(session.standing.mark, of: session.id)
    }
  }

  /// Writes pages into the recorded form and commits them; false when a peer's version has come between.
  private func commit(
    _ pages: [(number: UInt32, hash: ContentHash)], _ shape: (pageSize: Int, pageCount: UInt32), _ mode: Mode,
    bytes: (UInt32) throws -> [UInt8]
  ) throws -> Bool {
    session.recorded.lock()
    defer { session.recorded.unlock() }
    let file = volume.withVolume(quietly: { volume in volume.files[session.id] })
    guard let file, file.form.chunkSize == UInt32(shape.pageSize) else { return true }
    guard file.tip == session.standing.mark.tip || file.tip == .none else { return false }
    let size = UInt64(shape.pageCount) * UInt64(shape.pageSize)
    let changed = pages.filter { file.chunks[UInt64($0.number - 1)]?.hash != $0.hash }
    if let first = pages.first, first.number == 1 {
      baseCookie = PageOne.schemaCookie(of: try bytes(1))
      raisedCookie = nil
    }
    var tip = file.tip
    if !changed.isEmpty || size != file.size {
      try write(changed, size, UInt64(shape.pageSize), bytes)
      let writes = changed.map {
        ChunkWrite(index: UInt64($0.number - 1), hash: $0.hash, length: UInt32(shape.pageSize))
      }
      let place = place(mode)
      try volume.withVolume { state, stamp in
        var attributes = state.files[session.id]?.attributes ?? file.attributes
        attributes.modified = SystemClock.fileTime
        attributes.journal = mode == .log ? .log : .rollback
        guard
          let dot = try state.commitDatabase(
            session.id, pages: writes, size: size, attributes: attributes, at: stamp())
        else { return }
        tip = dot
        volume.note(DatabaseMark(tip: dot, place: place, raisedCookie: raisedCookie), of: session.id)
      }
    }
    session.standing.mark = DatabaseMark(tip: tip, place: place(mode), raisedCookie: raisedCookie)
    session.standing.isPendingKnown = true
    session.standing.isFresh = false
    return true
  }

  private func write(
    _ pages: [(number: UInt32, hash: ContentHash)], _ size: UInt64, _ pageSize: UInt64,
    _ bytes: (UInt32) throws -> [UInt8]
  ) throws {
    if backing < 0 { backing = try volume.content.open(session.id, create: true) }
    let path = volume.content.path(of: session.id)
    for page in pages {
      let image = try bytes(page.number)
      volume.recent.keep(image, as: page.hash)
      try ContentStore.write(image, at: UInt64(page.number - 1) * pageSize, to: backing, path: path)
    }
    guard ftruncate(backing, off_t(size)) == 0 else {
      throw StorageError.system(operation: "resize", path: path, errno: errno)
    }
  }

  // MARK: Divergence

  /// A transaction was committed here after a peer's version was recorded and before it was installed: what stands here
  /// is kept as a conflict, and the recorded version will replace it.
  func keepDiverged(_ bound: Bound, isLog: Bool) throws {
    let pages = CollectedPages(stagingPath)
    let outcome =
      isLog
      ? try bound.live.scanLog(against: .nothing, into: pages.sink)
      : try bound.live.scanRollback(against: .nothing, isLocked: true, into: pages.sink)
    guard case .changed(let shape) = outcome else { return }
    session.recorded.lock()
    defer { session.recorded.unlock() }
    guard let file = volume.withVolume(quietly: { volume in volume.files[session.id] }) else { return }
    let size = UInt64(shape.pageCount) * UInt64(shape.pageSize)
    let differing = pages.pages.filter { (file.chunks[UInt64($0.number - 1)]?.hash ?? .zeros) != $0.hash }
    if differing.isEmpty, size == file.size {
      session.standing.mark = DatabaseMark(
        tip: file.tip, place: place(isLog ? .log : .rollback), raisedCookie: raisedCookie)
      session.standing.pending = []
      session.standing.isPendingKnown = true
      return
    }
    let expected = session.standing.pending.count
    let draft = volume.content.stagingPath(of: "conflict-" + session.id.localName)
    try writeCopy(pages, size, UInt64(shape.pageSize), to: draft)
    let writes = pages.pages.map {
      ChunkWrite(index: UInt64($0.number - 1), hash: $0.hash, length: UInt32(shape.pageSize))
    }
    let copy = try volume.withVolume { state, stamp in
      let copy = try state.keepCopy(of: session.id, at: stamp())
      _ = rename(draft, volume.content.path(of: copy))
      try state.commitDatabase(copy, pages: writes, size: size, at: stamp())
      return copy
    }
    owner.engine.log.notice(
      "two nodes wrote one database: the version here is kept as a conflict",
      metadata: [
        "database": "\(bound.path)", "conflict": "\(copy)",
        "log": "\(isLog ? bound.live.lossReason ?? "read" : "none")",
        "pages": "\(differing.count)", "expected": "\(expected)",
      ])
    session.standing.pending = Set(differing.map(\.number))
    let count = file.size / UInt64(file.form.chunkSize)
    if count > UInt64(shape.pageCount) {
      session.standing.pending.formUnion((shape.pageCount + 1)...UInt32(count))
    }
    session.standing.isPendingKnown = true
    session.standing.isDiverged = true
    if session.standing.mark.tip == file.tip { session.standing.mark.tip = .none }
    session.standing.mark.place = place(isLog ? .log : .rollback)
  }

  private func writeCopy(_ pages: CollectedPages, _ size: UInt64, _ pageSize: UInt64, to path: String) throws {
    unlink(path)
    let descriptor = try ContentStore.open(path, create: true)
    defer { close(descriptor) }
    for page in pages.pages {
      try ContentStore.write(
        try pages.bytes(page.number), at: UInt64(page.number - 1) * pageSize, to: descriptor, path: path)
    }
    guard ftruncate(descriptor, off_t(size)) == 0 else {
      throw StorageError.system(operation: "resize", path: path, errno: errno)
    }
  }
}
