// The file system behind the kernel's requests: what its handlers share.

import CFuse
import Causality
import Glibc
import Replication
import Storage
import Synchronization

/// What all requests of one mount share.
final class FileSystem: @unchecked Sendable {
  let host: any VolumeHost
  let options: MountOptions
  let mountPoint: String
  let table: InodeTable
  let slowLane: SlowLane
  /// Inodes with changes that no capture has taken, and the lock that guards them.
  let pendingLock = Lock()
  var pending: [ObjectIdentifier: Inode] = [:]
  /// Inodes whose backing file stays open though nobody has them open, oldest first, with `pendingLock`.
  var parked: [(inode: Inode, at: UInt64)] = []
  var parkings: UInt64 = 0
  /// Bytes that the volume holds, as of the last look, and bytes by which uncaptured writes have grown it.
  let recordedBytes = Atomic<UInt64>(0)
  let grownBytes = Atomic<UInt64>(0)
  /// Grows with each change that the mount makes, and what of them survives a power loss.
  let treeVersion = Atomic<UInt64>(0)
  let durableVersion = Atomic<UInt64>(0)
  /// Threads of this process that are at work on the mount itself, so that their requests change nothing.
  let internalThreads = Mutex<Set<Int>>([])
  let internalCount = Atomic<Int>(0)
  /// Held while a remote change is applied: one at a time.
  let applying = Lock()
  /// When a remote change was last applied, in milliseconds of the monotonic clock.
  let appliedAt = Atomic<UInt64>(0)
  let bufferKey: pthread_key_t
  /// libfuse's session; set before the first request, valid while anybody notifies.
  nonisolated(unsafe) var session: OpaquePointer?
  /// Whether the kernel takes away set-uid bits only through us, and whether that has been settled.
  let offersPrivileges = Atomic<Bool>(false)
  let isNegotiated = Atomic<Bool>(false)

  init(host: any VolumeHost, mountPoint: String, options: MountOptions) {
    self.host = host
    self.mountPoint = mountPoint
    self.options = options
    slowLane = SlowLane(threads: options.slowWorkers)
    let (attributes, bytes) = host.withVolume { volume, _ in (volume.directoryAttributes(.root), volume.bytes) }
    table = InodeTable(root: Self.dated(attributes))
    recordedBytes.store(bytes, ordering: .relaxed)
    var key = pthread_key_t()
    pthread_key_create(&key) { free($0) }
    bufferKey = key
  }

  deinit { pthread_key_delete(bufferKey) }

  /// A directory that has no times of its own shows the present.
  private static func dated(_ attributes: Attributes) -> Attributes {
    guard attributes.modified.seconds == 0 else { return attributes }
    var dated = attributes
    dated.modified = FileTime(currentTime())
    dated.accessed = dated.modified
    return dated
  }

  /// A buffer of this thread for reads, of at least 1 MiB.
  func buffer(_ size: Int) -> UnsafeMutableRawBufferPointer? {
    let capacity = 1 << 20
    guard size <= capacity else { return nil }
    if let old = pthread_getspecific(bufferKey) { return UnsafeMutableRawBufferPointer(start: old, count: size) }
    guard let new = malloc(capacity) else { return nil }
    pthread_setspecific(bufferKey, new)
    return UnsafeMutableRawBufferPointer(start: new, count: size)
  }

  /// Works on the tree. The kernel knows of what its own requests change, so no events are left.
  func change<R>(_ body: (inout Volume, () -> Stamp) throws -> R) throws(Refusal) -> R {
    do {
      return try host.withVolume { volume, stamp in
        defer {
          _ = volume.takeEvents()
          recordedBytes.store(volume.bytes, ordering: .relaxed)
          treeVersion.add(1, ordering: .releasing)
        }
        return try withoutActuallyEscaping(stamp) { try body(&volume, $0) }
      }
    } catch {
      throw Refusal(error)
    }
  }

  /// The path of an entry of a directory, with the volume held.
  func path(_ name: [UInt8], in directory: Inode) throws -> Path {
    guard let parent = table.path(of: directory) else { throw Refusal(ENOENT) }
    guard name.count <= 255 else { throw Refusal(ENAMETOOLONG) }
    guard parent.bytes.count + name.count < CodingBounds.path else { throw Refusal(ENAMETOOLONG) }
    return parent.appending(name)
  }

  /// Whether a name at the root is taken by the virtual directory.
  func isReserved(_ name: [UInt8], in directory: Inode) -> Bool {
    directory === table.root && name.count == 10 && name.elementsEqual(".grapevine".utf8)
  }

  // MARK: Inodes, with the volume held

  /// The inode of what is at a path, with one more lookup.
  func look(_ path: Path, _ shown: Shown, in volume: Volume) -> Inode? {
    switch shown {
    case .directory:
      return table.look(path) { number in
        let attributes = Self.dated(volume.directoryAttributes(path))
        return Inode(
          number: number, kind: .directory, attributes: attributes, changed: attributes.modified, size: 0)
      }
    case .file(let id):
      guard let file = volume.files[id] else { return nil }
      return table.look(id) { number, gate in
        let live = file.form.isDatabase ? liveSize(of: id) : nil
        let inode = Inode(
          number: number, kind: .file(file.form), file: id, attributes: file.attributes, changed: file.changeTime,
          size: live ?? file.size, gate: gate)
        inode.hasLive = live != nil
        return inode
      }
    }
  }

  /// How many names lead to an inode.
  func linkCount(of inode: Inode, in volume: Volume) -> Int {
    switch inode.kind {
    case .directory:
      guard let path = table.path(of: inode) else { return 0 }
      if let known = inode.subdirectories { return 2 + known }
      var count = 0
      for name in volume.entries(of: path) where volume[path.appending(name)] == .directory { count += 1 }
      inode.subdirectories = count
      return 2 + count
    case .file:
      if inode.companion != nil { return inode.state.with { inode.isUnlinked ? 0 : 1 } }
      let (file, isDetached) = inode.state.with { (inode.file, inode.isDetached) }
      return isDetached ? 0 : volume.linkCount(file)
    case .virtualDirectory: return 2
    case .virtualFile: return 1
    }
  }

  /// What the kernel is told of an inode that it looked up.
  func entry(_ inode: Inode, links: Int) -> fuse_entry_param {
    var entry = fuse_entry_param()
    entry.ino = table.node(of: inode)
    entry.generation = 1
    entry.attr = status(of: inode, links: links)
    entry.attr_timeout = inode.isVirtual ? 0 : options.timeoutSeconds
    entry.entry_timeout = inode.isVirtual ? 0 : options.timeoutSeconds
    return entry
  }

  /// Whether the request comes from this process's own work on the mount.
  func isInternal(_ caller: fuse_ctx) -> Bool {
    guard internalCount.load(ordering: .acquiring) > 0 else { return false }
    return internalThreads.withLock { $0.contains(Int(caller.pid)) }
  }

  /// Works on the mount as this process itself, not as a program.
  func asItself<R>(_ body: () -> R) -> R {
    let thread = grapevine_thread_id()
    internalThreads.withLock { _ = $0.insert(thread) }
    internalCount.add(1, ordering: .acquiringAndReleasing)
    defer {
      internalCount.subtract(1, ordering: .acquiringAndReleasing)
      internalThreads.withLock { _ = $0.remove(thread) }
    }
    return body()
  }
}

extension File {
  /// When attributes or content were last changed, as far as is remembered.
  var changeTime: FileTime {
    let milliseconds = notes[attributesDot]?.stamp.milliseconds ?? 0
    let stamped = FileTime(
      seconds: Int64(milliseconds / 1_000), nanoseconds: UInt32(milliseconds % 1_000) * 1_000_000)
    return max(stamped, attributes.modified)
  }
}
