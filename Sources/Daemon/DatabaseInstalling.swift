// From the recorded form of a database to the live one.

import Causality
import Databases
import Glibc
import Replication
import Storage

extension DatabaseFollower {
  /// What came of an attempt.
  enum Attempt {
    case installed
    /// Something was committed here meanwhile: capture first.
    case refused
    case busy(String)
  }

  /// Puts the recorded version into the live database as one transaction, if all that was committed there is captured.
  func install() throws -> Attempt {
    guard let bound else { return .refused }
    if !session.recorded.with({ session.standing.isPendingKnown }) { try findPending(bound) }
    var installing: (tip: Dot, pages: Set<UInt32>, cookie: UInt32?)?
    defer {
      // What was not installed is still to be.
      if let installing { session.recorded.with { session.standing.pending.formUnion(installing.pages) } }
    }
    let outcome = try bound.live.install {
      if let before = installing { session.recorded.with { session.standing.pending.formUnion(before.pages) } }
      installing = nil
      session.recorded.lock()
      defer { session.recorded.unlock() }
      guard let file = volume.withVolume(quietly: { volume in volume.files[session.id] }), file.tip != .none else {
        return nil
      }
      let pageSize = Int(file.form.chunkSize)
      let count = UInt32(file.size / UInt64(pageSize))
      let pages = session.standing.pending
      let images = try read(pages.filter { $0 <= count }, of: file, pageSize)
      let imageCookie = images[1].map { PageOne.schemaCookie(of: $0) }
      installing = (file.tip, pages, imageCookie)
      session.standing.pending = []
      let follows = session.standing.isDiverged ? nil : baseCookie
      return RemoteDatabase.Order(
        pageSize: pageSize, pageCount: count, cookie: follows.map { .following($0) } ?? .aboveAll, pages: images)
    }
    switch outcome {
    case .refused: return .refused
    case .busy(let obstacle): return .busy(Self.words(obstacle))
    case .installed(let cookie, let isLog):
      guard let done = installing else { return .refused }
      installing = nil
      finish(done, isLog ? .log : .rollback, cookie)
      try keepUp(bound)
      return .installed
    }
  }

  private func finish(
    _ done: (tip: Dot, pages: Set<UInt32>, cookie: UInt32?), _ mode: Mode, _ cookie: UInt32
  ) {
    if let image = done.cookie {
      raisedCookie = image == cookie ? nil : (live: cookie, recorded: image)
      baseCookie = image
    }
    session.recorded.with {
      session.standing.mark = DatabaseMark(tip: done.tip, place: place(mode), raisedCookie: raisedCookie)
      if session.standing.pending.isEmpty { session.standing.isDiverged = false }
      volume.note(session.standing.mark, of: session.id)
    }
  }

  /// Keeps the log short, which nobody else does where programs only read; and the mode that of the author.
  private func keepUp(_ bound: Bound) throws {
    guard let file = look()?.file, let kind = try bound.live.header()?.journal else { return }
    if kind == .log, let frame = bound.live.position?.frame, frame > 1_000 { try bound.live.checkpoint() }
    guard kind != file.attributes.journal, file.vector[volume.origin] == 0 else { return }
    bound.live.close()
    session.recorded.with { session.standing.isFresh = true }
    _ = try bound.live.move(into: file.attributes.journal)
  }

  /// The recorded bytes of pages; they must be what the table says.
  func read(_ numbers: Set<UInt32>, of file: File, _ pageSize: Int) throws -> [UInt32: [UInt8]] {
    let descriptor = try volume.content.open(session.id, create: true)
    defer { close(descriptor) }
    var images: [UInt32: [UInt8]] = [:]
    let lockByte = DatabaseHeader.lockBytePage(pageSize: pageSize)
    for number in numbers where number != lockByte {
      let offset = UInt64(number - 1) * UInt64(pageSize)
      var bytes = ContentStore.read(pageSize, at: offset, from: descriptor) ?? []
      if bytes.count < pageSize { bytes += [UInt8](repeating: 0, count: pageSize - bytes.count) }
      let hash = file.chunks[UInt64(number - 1)]?.hash ?? .zeros
      guard ContentHasher.hash(bytes[...]) == hash else {
        throw DatabaseError.damaged(path: volume.content.path(of: session.id), "page \(number) is not what is recorded")
      }
      images[number] = bytes
    }
    return images
  }

  /// Whether a database that has no place yet differs by nothing but what is pending; it has a place then.
  func isOnlyBehind(_ bound: Bound, isLog: Bool) throws -> Bool {
    guard let (file, standing) = look(), standing.isFresh, standing.isPendingKnown else { return false }
    let pages = CollectedPages(stagingPath)
    let state = recordedState(file, standing)
    let outcome =
      isLog
      ? try bound.live.scanLog(against: state, into: pages.sink)
      : try bound.live.scanRollback(against: state, isLocked: true, into: pages.sink)
    switch outcome {
    case .unsettled, .otherMode: return false
    case .nothing, .changed: break
    }
    guard pages.pages.allSatisfy({ standing.pending.contains($0.number) }) else { return false }
    session.recorded.with { session.standing.isFresh = false }
    return true
  }

  /// Finds out by comparing which pages the live form lacks.
  private func findPending(_ bound: Bound) throws {
    guard let (file, standing) = look() else { return }
    let pages = CollectedPages(stagingPath)
    let state = recordedState(file, standing)
    let isLog = try bound.live.header()?.journal == .log
    let outcome =
      isLog
      ? try bound.live.scanLog(against: state, into: pages.sink)
      : try bound.live.scanRollback(against: state, isLocked: true, into: pages.sink)
    switch outcome {
    case .unsettled, .otherMode: return
    case .nothing, .changed: break
    }
    session.recorded.with {
      session.standing.pending.formUnion(pages.pages.map(\.number))
      let count = UInt32(file.size / UInt64(file.form.chunkSize))
      let liveCount = UInt32(clamping: DatabaseSignature(bound.path).size / Int64(file.form.chunkSize))
      if count > liveCount { session.standing.pending.formUnion((liveCount + 1)...count) }
      session.standing.pending.insert(1)
      session.standing.isPendingKnown = true
    }
  }

  private static func words(_ obstacle: InstallOutcome.Obstacle) -> String {
    switch obstacle {
    case .writer: "a program is writing, or holds the database exclusively"
    case .readers: "programs are reading, and the journal mode lets nobody write meanwhile"
    case .openElsewhere: "the page size can only change while no program has the database open"
    }
  }
}
