// Joining changes of databases: what is live is captured first, what loses is kept.

import Causality
import Glibc
import Node
import Replication
import Storage

extension Engine {
  /// How long a join waits for the capture of what was committed here.
  private static let settleMilliseconds = 30

  /// Runs a join while the recorded forms of its databases stand still; the live ones get what it brought afterwards.
  ///
  /// - Parameter body: the join; says which bytes it changed.
  func joinDatabases(
    _ volume: CarriedVolume, _ delta: Delta, _ body: () -> [(FileID, offset: Int64, length: Int64)]
  ) {
    let ids = Set(delta.files.filter(\.form.isDatabase).map(\.id)).sorted()
    guard !ids.isEmpty else {
      _ = body()
      return
    }
    let sessions = ids.map { volume.live.session(for: $0) }
    for session in sessions where volume.live.hasLive(session.id) && volume.live.mountPoint != nil {
      _ = session.settle(milliseconds: Self.settleMilliseconds)
    }
    for session in sessions { session.recorded.lock() }
    let verdicts = withVolume(volume.name) { state, _ in state.verdicts(of: delta) }
    for id in ids { keepIfLosing(id, volume, delta) }
    let changed = body()
    for session in sessions {
      note(changed, in: session, volume, replaces: verdicts.contains { $0.file == session.id && $0.verdict.replaces })
      session.standing.isJoining = true
      session.recorded.unlock()
    }
  }

  /// The join is stored: what it brought may be installed. Not earlier, or a crash would leave a live form that is ahead
  /// of all that is known, and its content would come back as a change of this node.
  func installDatabases(_ volume: CarriedVolume, _ delta: Delta) {
    for id in Set(delta.files.filter(\.form.isDatabase).map(\.id)).sorted() {
      let session = volume.live.session(for: id)
      session.recorded.with { session.standing.isJoining = false }
      if volume.live.hasLive(id) { session.signal() }
    }
  }

  /// The empty files of a delta's paths that its databases take the place of: a program here may have one of them open,
  /// because it saw the database before the first transaction in it.
  func emptyPredecessors(_ volume: CarriedVolume, _ delta: Delta) -> [(old: FileID, new: FileID)] {
    let databases = Set(delta.files.filter(\.form.isDatabase).map(\.id))
    guard !databases.isEmpty else { return [] }
    return withVolume(volume.name) { state, _ in
      delta.paths.compactMap { entry in
        guard case .file(let new)? = entry.record.write?.value, databases.contains(new), state.files[new] == nil,
          case .file(let old)? = state[entry.path], state.files[old]?.size == 0
        else { return nil }
        return (old, new)
      }
    }
  }

  /// What the live form lacks now, with `recorded` held.
  private func note(
    _ changed: [(FileID, offset: Int64, length: Int64)], in session: DatabaseSession, _ volume: CarriedVolume,
    replaces: Bool
  ) {
    guard volume.live.hasLive(session.id),
      let pageSize = withVolume(volume.name, { state, _ in state.files[session.id]?.form.chunkSize })
    else { return }
    for (file, offset, _) in changed where file == session.id {
      session.standing.pending.insert(UInt32(offset / Int64(pageSize)) + 1)
    }
    if replaces { session.standing.isDiverged = true }
  }

  /// Before this node's own version of a database is replaced by a concurrent one it becomes a conflict.
  private func keepIfLosing(_ id: FileID, _ volume: CarriedVolume, _ delta: Delta) {
    guard withVolume(volume.name, { state, _ in state.losesOwn(id, to: delta) }) else { return }
    let draft = volume.content.stagingPath(of: "conflict-" + id.localName)
    do {
      let source = try volume.content.open(id, create: true)
      defer { close(source) }
      unlink(draft)
      let target = try ContentStore.open(draft, create: true)
      defer { close(target) }
      let size = withVolume(volume.name) { state, _ in state.files[id]?.size ?? 0 }
      try ContentStore.copy(from: source, to: target, count: size, path: draft)
      let copy = try withVolume(volume.name) { state, stamp in
        let copy = try state.keepCopy(of: id, at: stamp())
        _ = rename(draft, volume.content.path(of: copy))
        return copy
      }
      log.notice(
        "two nodes wrote one database: the earlier version is kept as a conflict",
        metadata: ["database": "\(id)", "conflict": "\(copy)"])
    } catch {
      storageFailed(error)
    }
  }
}

extension DatabaseVerdict {
  /// Whether what is held does not lead to what comes.
  var replaces: Bool {
    if case .replaces = self { return true }
    return false
  }
}
