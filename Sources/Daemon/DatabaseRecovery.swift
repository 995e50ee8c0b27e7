// The first look at a live database after its last follower ended without saying so.

import Causality
import Databases
import Glibc
import Replication
import Storage

/// How a live database stands to the mark that was left of it.
enum DatabaseRelation {
  /// Something was committed after the mark.
  case ahead
  /// What had not been synced is gone, or the recorded version has moved on: nothing was committed after the mark.
  case behind
  /// It cannot be told.
  case unclear

  /// Compares places.
  ///
  /// - Parameters:
  ///   - isUntouched: whether the database file has not been written since the mark.
  ///   - counter: the change counter in the file.
  init(_ mark: DatabaseMark.Place, _ now: DatabaseMark.Place, isUntouched: Bool, counter: UInt32) {
    switch (mark, now) {
    case (.counter(let old), .counter(let new)): self = Int32(bitPattern: new &- old) < 0 ? .behind : .ahead
    case (.log(let old), .log(let new)) where old.salts == new.salts:
      self = new.frame > old.frame ? .ahead : new.frame < old.frame || new.checksum == old.checksum ? .behind : .unclear
    case (.log(let old), .log(let new)):
      self = new.frame > 0 && new.salts.follows(old.salts) ? .ahead : isUntouched ? .behind : .unclear
    case (.counter(let old), .log(let new)): self = new.frame == 0 && counter &- old <= 1 ? .behind : .unclear
    case (.log, .counter), (.unknown, _), (_, .unknown): self = .unclear
    }
  }
}

extension DatabaseFollower {
  /// Finds out whether the live form is ahead of what is recorded or behind, by comparing both. A kill -9 of the daemon
  /// takes with it what the kernel held for the mount and nobody had synced: then the live form is behind its own
  /// recorded version, and gets it back.
  func recoverAfterCrash(_ bound: Bound) throws -> Look {
    guard let (file, standing) = look() else { return .gone }
    guard let header = try bound.live.header() else { return .settled }
    let mode: Mode = header.journal
    let pages = CollectedPages(stagingPath)
    let state = recordedState(file, standing)
    let outcome =
      mode == .log
      ? try bound.live.scanLog(against: state, into: pages.sink)
      : try bound.live.scanRollback(against: state, isLocked: true, into: pages.sink)
    switch outcome {
    case .unsettled, .otherMode: return .unsettled
    case .nothing:
      session.recorded.with {
        session.standing.mark.tip = file.tip
        session.standing.isTrusted = true
      }
      remember(mode)
    case .changed(let shape):
      let relation = DatabaseRelation(
        standing.mark.place, place(mode), isUntouched: standing.mark.modified == volume.liveTime(of: session.id),
        counter: header.changeCounter)
      switch relation {
      case .ahead where standing.mark.tip == file.tip: try record(pages, shape)
      case .behind where isRecordedWhole(pages, file): fallBehind(pages, shape, file)
      case .behind: try record(pages, shape)
      case .ahead, .unclear: try keepDiverged(bound, isLog: mode == .log)
      }
      session.recorded.with { session.standing.isTrusted = true }
    }
    candidates = []
    return .settled
  }

  /// Whether the recorded bytes of pages are what the table says. They are not when the crash came between both, with a
  /// transaction of this node; that of a peer is sent again.
  private func isRecordedWhole(_ pages: CollectedPages, _ file: File) -> Bool {
    guard file.tip.origin == volume.origin else { return true }
    return (try? read(Set(pages.pages.map(\.number)), of: file, Int(file.form.chunkSize))) != nil
  }

  /// The live form lacks these pages of the recorded one.
  private func fallBehind(_ pages: CollectedPages, _ shape: DatabaseShape, _ file: File) {
    session.recorded.with {
      session.standing.mark.tip = .none
      session.standing.mark.place = place(.rollback)
      session.standing.pending.formUnion(pages.pages.map(\.number))
      let count = UInt32(file.size / UInt64(file.form.chunkSize))
      if count > shape.pageCount { session.standing.pending.formUnion((shape.pageCount + 1)...count) }
      session.standing.pending.insert(1)
      session.standing.isPendingKnown = true
      session.standing.isDiverged = true
    }
  }
}
