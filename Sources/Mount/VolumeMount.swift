// The door of this room: one volume, mounted.

import CFuse
import Glibc
import Replication
import Storage

/// A volume mounted at a directory, from `init` to `unmount`.
public final class VolumeMount: Sendable {
  /// Where it is mounted.
  public let mountPoint: String
  let fileSystem: FileSystem
  private let session: Session
  private let activity = Activity()

  /// Mounts a volume; what a daemon that died left at the mount point is cleaned away first.
  ///
  /// - Parameter volumeName: what `mount` and `df` show as the source.
  public init(host: any VolumeHost, mountPoint: String, volumeName: String, options: MountOptions) throws {
    self.mountPoint = mountPoint
    grapevine_settle_allocator()
    fileSystem = FileSystem(host: host, mountPoint: mountPoint, options: options)
    do {
      session = try Session(fileSystem, mountPoint: mountPoint, volumeName: volumeName)
    } catch {
      fileSystem.slowLane.close()
      throw error
    }
  }

  deinit { unmount() }

  /// Captures what programs wrote, unmounts, and ends the threads. Programs that still have files open are cut off.
  public func unmount() {
    activity.end {
      flushAll()
      session.unmount()
      fileSystem.slowLane.close()
      fileSystem.captureAll()
    } last: {
      session.destroy()
    }
  }

  private func flushAll() {
    let root = open(mountPoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if root >= 0 {
      grapevine_sync_file_system(root)
      close(root)
    }
    // That does not wait for pages: kernels leave FUSE out, lest a dead daemon hang a sync.
    fileSystem.flushWriters()
    fileSystem.captureAll()
  }

  /// Records the writes that have been quiet for `MountOptions.quietMilliseconds`; call it about ten times a second.
  public func capture() { fileSystem.captureQuiet(forMilliseconds: fileSystem.options.quietMilliseconds) }

  /// Records every write that has reached the mount, and returns when that is done.
  public func captureAll() { fileSystem.captureAll() }

  /// Runs `body` while no program's write to the files goes on: what they wrote before is recorded as a change first,
  /// what they write meanwhile waits; reads go on.
  ///
  /// From any thread but one that answers the kernel. List every file that the body's join touches.
  public func exclusively<R>(_ files: [FileID], _ body: () throws -> R) rethrows -> R {
    guard activity.begin() else { return try body() }
    defer { activity.finish() }
    return try fileSystem.exclusively(files, body)
  }

  /// Shows what a join changed, at once and precisely; with no lock held.
  ///
  /// - Parameters:
  ///   - events: of the join.
  ///   - contents: where bytes were written.
  public func show(_ events: [VolumeEvent], contents: [(FileID, offset: Int64, length: Int64)]) {
    guard activity.begin() else { return }
    defer { activity.finish() }
    fileSystem.show(events, contents)
  }

  /// Files whose bytes must stay: open, or without a name but known to the kernel.
  public var openFiles: Set<FileID> {
    var open = Set<FileID>()
    for inode in fileSystem.table.all where inode.form != nil {
      inode.state.with {
        if inode.handles > 0 || inode.isUnlinked { open.insert(inode.file) }
      }
    }
    return open
  }
}

/// Counts who is at work on the mount, so that its end waits for them; it ends once.
private final class Activity: @unchecked Sendable {
  private let lock = Lock()
  private let idle = Condition()
  private var active = 0
  private var isEnded = false

  func begin() -> Bool {
    lock.with {
      if isEnded { return false }
      active += 1
      return true
    }
  }

  func finish() {
    lock.with { active -= 1 }
    idle.broadcast()
  }

  /// The first caller runs `body` while no new work begins, and `last` when all work has finished.
  func end(_ body: () -> Void, last: () -> Void) {
    let isFirst = lock.with { () -> Bool in
      defer { isEnded = true }
      return !isEnded
    }
    guard isFirst else { return }
    body()
    lock.lock()
    while active > 0 { lock.wait(for: idle) }
    lock.unlock()
    last()
  }
}
