// An inode: what the kernel knows of a file or directory, and what programs changed of it since its last capture.

import CFuse
import Causality
import Glibc
import Replication
import Synchronization

/// What an inode stands for.
enum InodeKind: Equatable {
  case directory
  case file(FileForm)
  /// `.grapevine`
  case virtualDirectory
  /// A file in `.grapevine`, by its name.
  case virtualFile(String)
}

/// One file or directory that the kernel knows.
///
/// A file's inode is found by its file id, so all its names share it; a directory's by its path. The address of an inode
/// is its node id; a node id is valid while `lookups` or `handles` are above zero.
final class Inode: @unchecked Sendable {
  let number: UInt64
  let kind: InodeKind
  /// For a file beside a database that belongs to this node alone; `file` is then that of the database.
  let companion: Companion?
  /// Bytes of a chunk; it changes when a file turns out to be a database.
  private let chunkSize: Atomic<UInt32>
  /// Held by whoever changes content or size, and while a remote change is applied. Attributes and reads do not need it.
  let writing: Lock
  /// Guards all that follows but what says otherwise. Held briefly.
  let state = Lock()

  /// Of a directory; nil once it is gone. Guarded by the table.
  var path: Path?
  /// How often the kernel was told of it and has not forgotten. Guarded by the table.
  var lookups: UInt64 = 0
  /// Its subdirectories; nil when they must be counted again. Guarded by the host's volume.
  var subdirectories: Int?

  /// Of a file.
  var file: FileID
  var attributes: Attributes
  var changed: FileTime
  var size: UInt64
  /// Open handles, and those of them that write.
  var handles = 0
  var writers = 0
  /// No name leads here any more: what is written is not recorded.
  var isUnlinked = false
  /// Written after the last name went: the bytes are in a file of their own, apart from those that are recorded.
  var isDetached = false
  /// A peer's change is being applied to it for the first time: it opens when that is done.
  var isGated = false

  /// The size that the kernel believes, while a remote change has made it another.
  var staleSize: UInt64?
  /// Whether the kernel believes other times than those here.
  var hasStaleTimes = false

  // What is not captured yet.
  var dirty = DirtyRanges()
  var sizeChanged = false
  var attributesChanged = false
  var touchedAt: UInt64 = 0
  var isPending = false
  var isCapturing = false
  /// Bytes by which the file has grown since its last capture.
  var growth: UInt64 = 0
  /// The size as of the last capture, and the least since then.
  var recordedSize: UInt64 {
    didSet { lowestSize = recordedSize }
  }
  var lowestSize: UInt64
  /// Hashes of chunks that were written whole, taken from the request while it was at hand.
  var hashes: [UInt64: ContentHash] = [:]

  // The backing file.
  var descriptor: Int32 = -1
  /// Descriptors of what the file was before it was emptied: reads may still be under way.
  var retired: [Int32] = []
  var pins = 0
  var parkedAt: UInt64 = 0
  /// Whether bytes were written since the backing file was last synchronised.
  var isUnsynchronised = false
  /// Allocated 512-byte blocks; nil when they must be counted again.
  var blocks: UInt64?

  /// Of a database: whether its live form is there, which programs then use. Until then they see what is recorded.
  var hasLive = false

  init(
    number: UInt64, kind: InodeKind, companion: Companion? = nil, file: FileID = .none, attributes: Attributes,
    changed: FileTime, size: UInt64, gate: Lock? = nil
  ) {
    writing = gate ?? Lock()
    isGated = gate != nil
    self.number = number
    self.kind = kind
    self.companion = companion
    if case .file(let form) = kind {
      chunkSize = Atomic(form.chunkSize)
    } else {
      chunkSize = Atomic(FileForm.ordinaryChunkSize)
    }
    self.file = file
    self.attributes = attributes
    self.changed = changed
    self.size = size
    recordedSize = size
    lowestSize = size
  }

  deinit { closeDescriptors() }

  /// What the kernel calls it.
  var node: fuse_ino_t { fuse_ino_t(UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque())) }

  var form: FileForm? {
    guard case .file(var form) = kind else { return nil }
    form.chunkSize = chunkSize.load(ordering: .acquiring)
    return form
  }

  /// Whether it is a database: its content is recorded transaction by transaction, not write by write.
  var isDatabase: Bool {
    guard companion == nil, case .file(let form) = kind, form.kind == .regular else { return false }
    return chunkSize.load(ordering: .acquiring) != FileForm.ordinaryChunkSize
  }

  /// Whether what programs write to it is recorded by others than the mount, or not at all.
  var isLocal: Bool { companion != nil || isDatabase }

  func setChunkSize(_ size: UInt32) { chunkSize.store(size, ordering: .releasing) }

  var isDirectory: Bool { kind == .directory || kind == .virtualDirectory }

  var isVirtual: Bool {
    switch kind {
    case .virtualDirectory, .virtualFile: true
    case .directory, .file: false
    }
  }

  var isRegular: Bool { form?.kind == .regular }

  // MARK: With `state` held

  var hasChanges: Bool { attributesChanged || !isLocal && (!dirty.isEmpty || sizeChanged) }

  var isIdle: Bool {
    handles == 0 && pins == 0 && !isCapturing && (isUnlinked || !hasChanges && (!isDatabase || dirty.isEmpty))
  }

  func closeDescriptors() {
    if descriptor >= 0 { close(descriptor) }
    descriptor = -1
    for old in retired { close(old) }
    retired = []
  }

  /// Notes that something must be captured; true when nobody was told of it yet.
  func touch() -> Bool {
    touchedAt = monotonicMilliseconds()
    defer { isPending = true }
    return !isPending
  }

  /// Marks written bytes.
  func markWritten(_ range: Range<UInt64>) {
    guard let form, !range.isEmpty else { return }
    let size = UInt64(form.chunkSize)
    if companion == nil { dirty.insert(range.lowerBound / size...(range.upperBound - 1) / size) }
    isUnsynchronised = true
    blocks = nil
  }

  /// Moves the end of the file, marking the chunks whose length that changes.
  func setSize(_ new: UInt64) {
    guard let form, new != size else { return }
    if isLocal {
      size = new
      isUnsynchronised = true
      blocks = nil
      return
    }
    let chunk = UInt64(form.chunkSize)
    let old = size
    if new < old {
      let kept = (new + chunk - 1) / chunk
      dirty.removeAll(from: kept)
      if !hashes.isEmpty { hashes = hashes.filter { $0.key < kept } }
      if new % chunk != 0 { dropHash(new / chunk) }
    }
    let edge = min(old, new)
    if edge % chunk != 0 {
      dirty.insert(edge / chunk...edge / chunk)
      dropHash(edge / chunk)
    }
    size = new
    lowestSize = min(lowestSize, new)
    sizeChanged = true
    isUnsynchronised = true
    blocks = nil
  }

  func dropHash(_ index: UInt64) {
    if !hashes.isEmpty { hashes[index] = nil }
  }
}

extension FileTime {
  init(_ time: timespec) {
    self.init(seconds: Int64(time.tv_sec), nanoseconds: UInt32(time.tv_nsec))
  }

  var timespec: Glibc.timespec { Glibc.timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds)) }
}
