// One live database: what the threads that have to do with it share.

import Causality
import Glibc
import Replication

/// A database of a volume that has, or may get, a live form here.
///
/// Programs use the live form; the *recorded* form is what replicates. A thread of its own, the follower, carries
/// transactions from one to the other in both directions while anything happens, and ends when nothing does.
final class DatabaseSession: @unchecked Sendable {
  let id: FileID
  unowned let owner: LiveDatabases

  /// Held while the recorded form changes, pages and table together, and while `standing` is looked at.
  let recorded = PlainLock()
  /// With `recorded`.
  var standing: Standing

  private let control = PlainLock()
  private let changed = PlainCondition()
  // With `control`.
  private var isSignalled = false
  private var isRunning = false
  private var isStopping = false
  private var wantedSettles: UInt64 = 0
  private var doneSettles: UInt64 = 0
  private var news = News()
  private var currentTrouble: String?

  /// Where the live form stands to the recorded one.
  struct Standing {
    /// What is remembered across lives.
    var mark: DatabaseMark
    /// Whether the mark was left by a life that ended in order.
    var isTrusted: Bool
    /// Pages that the recorded form has and the live one lacks.
    var pending = Set<UInt32>()
    /// Whether `pending` is all of them; if not, only comparing can tell.
    var isPendingKnown = true
    /// Whether the live form was just made, or moved into another journal mode, by ourselves: it has no place yet, but
    /// nothing was committed that was not known.
    var isFresh = false
    /// Whether what is recorded is not stored yet.
    var isJoining = false
    /// Whether what is pending does not follow what is live, but replaces it.
    var isDiverged = false
  }

  /// What programs did since the follower looked.
  struct News {
    /// Everything, also what the follower itself did.
    var count: UInt64 = 0
    var databaseEvents = 0
    var journalEvents = 0
    var isClosed = false
    var at: UInt64 = 0
  }

  init(_ id: FileID, owner: LiveDatabases, standing: Standing) {
    self.id = id
    self.owner = owner
    self.standing = standing
  }

  // MARK: Signals

  /// Has the follower look; starts it if need be.
  func signal(_ note: (inout News) -> Void = { _ in }) {
    control.lock()
    news.count &+= 1
    news.at = monotonicMilliseconds()
    note(&news)
    isSignalled = true
    wake()
    control.unlock()
  }

  /// With `control` held.
  private func wake() {
    changed.broadcast()
    guard !isRunning, !isStopping else { return }
    isRunning = true
    startThread { [self] in run() }
  }

  /// Asks for a look and waits until it is done; false when it took longer.
  func settle(milliseconds: Int) -> Bool {
    control.lock()
    defer { control.unlock() }
    guard !isStopping else { return true }
    wantedSettles += 1
    let wanted = wantedSettles
    isSignalled = true
    wake()
    let deadline = PlainCondition.deadline(milliseconds: milliseconds)
    while doneSettles < wanted, isRunning {
      guard changed.wait(control, until: deadline) else { return doneSettles >= wanted }
    }
    return doneSettles >= wanted
  }

  /// Ends the follower and waits for it.
  func stop() {
    control.lock()
    isStopping = true
    changed.broadcast()
    while isRunning { changed.wait(control) }
    control.unlock()
  }

  /// What programs did so far.
  var newsCount: UInt64 { control.with { news.count } }

  /// When they last did anything.
  var newsTime: UInt64 { control.with { news.at } }

  /// What programs did since the last call.
  func takeNews() -> News {
    control.with {
      defer {
        news.databaseEvents = 0
        news.journalEvents = 0
        news.isClosed = false
      }
      return news
    }
  }

  /// Why the live form is not what is recorded, for people.
  var trouble: String? {
    get { control.with { currentTrouble } }
    set { control.with { currentTrouble = newValue } }
  }

  // MARK: The follower's thread

  private func run() {
    let follower = DatabaseFollower(self)
    var milliseconds: Int? = 0
    while let wait = milliseconds {
      control.lock()
      let deadline = PlainCondition.deadline(milliseconds: wait)
      while !isSignalled, !isStopping {
        guard changed.wait(control, until: deadline) else { break }
      }
      isSignalled = false
      let (settles, stops) = (wantedSettles, isStopping)
      control.unlock()
      milliseconds = follower.turn(isLast: stops)
      control.lock()
      doneSettles = max(doneSettles, settles)
      changed.broadcast()
      if stops || milliseconds == nil && !isSignalled {
        isRunning = false
        changed.broadcast()
        control.unlock()
        return
      }
      if milliseconds == nil { milliseconds = 0 }
      control.unlock()
    }
  }
}
