// Capture: what programs wrote becomes a change of the volume.

import CFuse
import Causality
import Glibc
import Replication
import Storage

/// What a capture took out of an inode.
private struct Taken {
  var file: FileID
  var form: FileForm
  var attributes: Attributes
  var size: UInt64
  var dirty: DirtyRanges
  var hashes: [UInt64: ContentHash]
  var sizeChanged: Bool
  var attributesChanged: Bool
  var growth: UInt64
}

extension FileSystem {
  /// Beyond so many bytes a capture is left to the slow lane.
  static let inlineCapture: UInt64 = 1 << 20
  /// At most so many chunks of a hole are written down where a file that was cut has grown again.
  static let writtenHoles = 4_096

  /// Notes that an inode has changes that must be captured some time.
  func addPending(_ inode: Inode) {
    pendingLock.with { pending[ObjectIdentifier(inode)] = inode }
  }

  /// Records what is not recorded yet of one inode.
  func capture(_ inode: Inode, durably: Bool = false) throws(Refusal) {
    inode.writing.lock()
    defer {
      inode.writing.unlock()
      table.settle(inode)
    }
    try captureHeld(inode, durably: durably)
  }

  /// Records what changed, on the slow lane when that is much.
  func captureSoon(_ inode: Inode, then: @escaping @Sendable () -> Void = {}) {
    let bytes = inode.state.with { inode.dirty.count &* UInt64(inode.form?.chunkSize ?? 0) }
    guard bytes > Self.inlineCapture else {
      try? capture(inode)
      return then()
    }
    slowLane.add { [self] in
      try? capture(inode)
      then()
    }
  }

  /// Captures what has been quiet for so long.
  func captureQuiet(forMilliseconds quiet: UInt64) {
    let now = monotonicMilliseconds()
    let due = pendingLock.with {
      var due: [Inode] = []
      for (key, inode) in pending {
        inode.state.lock()
        defer { inode.state.unlock() }
        if !inode.hasChanges {
          inode.isPending = false
          pending[key] = nil
        } else if !inode.isUnlinked, !inode.isCapturing, inode.touchedAt + quiet <= now {
          due.append(inode)
        }
      }
      return due
    }
    for inode in due { captureSoon(inode) }
  }

  /// Captures everything, and returns when it is done.
  func captureAll() {
    let all = pendingLock.with { Array(pending.values) }
    for inode in all { try? capture(inode) }
  }

  /// Records what changed, with `writing` held.
  func captureHeld(_ inode: Inode, durably: Bool) throws(Refusal) {
    guard let form = inode.form else { return try captureDirectory(inode) }
    var isLocal = inode.isLocal
    if !isLocal { isLocal = try becomeDatabase(inode) }
    if isLocal {
      try captureLocal(inode)
      if durably { try synchronise(inode) }
      return
    }
    guard let taken = take(inode, form) else {
      if durably { try synchronise(inode) }
      return
    }
    defer { inode.state.with { inode.isCapturing = false } }
    do throws(Refusal) {
      let writes = try chunkWrites(inode, taken)
      if durably { try synchronise(inode) }
      let events = try change { volume, stamp -> [VolumeEvent] in
        guard let file = volume.files[taken.file] else { return [] }
        let wasCut = file.truncationDot != .none
        let wanted = writes.filter { !$0.hash.isZeros || wasCut || file.chunks[$0.index] != nil }
        try volume.commit(taken.file, wanted, size: taken.size, attributes: taken.attributes, at: stamp())
        return volume.takeEvents()
      }
      // A write that a peer's removal had not seen brings the name back, of which the kernel does not know.
      if !events.isEmpty { slowLane.add { [self] in show(events, []) } }
      grownBytes.subtract(taken.growth, ordering: .relaxed)
      inode.state.with { inode.recordedSize = taken.size }
      reportCaptured(inode, taken.file, hadContent: !writes.isEmpty || taken.sizeChanged)
    } catch {
      giveBack(inode, taken)
      throw error
    }
  }

  private func take(_ inode: Inode, _ form: FileForm) -> Taken? {
    inode.state.lock()
    defer { inode.state.unlock() }
    guard inode.hasChanges, !inode.isUnlinked else { return nil }
    var taken = Taken(
      file: inode.file, form: form, attributes: inode.attributes, size: inode.size, dirty: inode.dirty,
      hashes: inode.hashes, sizeChanged: inode.sizeChanged, attributesChanged: inode.attributesChanged,
      growth: inode.growth)
    inode.dirty = DirtyRanges()
    inode.hashes = [:]
    inode.sizeChanged = false
    inode.attributesChanged = false
    inode.growth = 0
    inode.isCapturing = true
    // Where the file was cut and has grown again, what is not written is a hole.
    if inode.lowestSize < inode.size {
      let chunk = UInt64(form.chunkSize)
      let first = inode.lowestSize / chunk
      if first <= (inode.size - 1) / chunk { taken.dirty.insert(first...(inode.size - 1) / chunk) }
    }
    return taken
  }

  private func giveBack(_ inode: Inode, _ taken: Taken) {
    let isNews = inode.state.with {
      inode.dirty.formUnion(taken.dirty)
      inode.sizeChanged = inode.sizeChanged || taken.sizeChanged
      inode.attributesChanged = inode.attributesChanged || taken.attributesChanged
      inode.growth += taken.growth
      return inode.touch()
    }
    if isNews { addPending(inode) }
  }

  /// Brings the backing file to the disk when bytes were written to it since that was last done.
  func synchronise(_ inode: Inode) throws(Refusal) {
    guard inode.state.with({ inode.isUnsynchronised }) else { return }
    try withDescriptor(inode, create: false) { (descriptor) throws(Refusal) in
      guard let descriptor else { return }
      guard fdatasync(descriptor) == 0 else { throw Refusal(errno) }
    }
    inode.state.with { inode.isUnsynchronised = false }
  }

  private func reportCaptured(_ inode: Inode, _ file: FileID, hadContent: Bool) {
    guard hadContent else { return }
    try? withDescriptor(inode, create: false) { (descriptor) throws(Refusal) in
      var status = stat()
      guard let descriptor, fstat(descriptor, &status) == 0 else { return }
      host.captured(file, modified: status.st_mtim, size: UInt64(status.st_size))
    }
  }

  // MARK: Hashing

  private func chunkWrites(_ inode: Inode, _ taken: Taken) throws(Refusal) -> [ChunkWrite] {
    guard !taken.dirty.isEmpty else { return [] }
    return try withDescriptor(inode, create: false) { (descriptor) throws(Refusal) in
      var writes: [ChunkWrite] = []
      guard let buffer = buffer(Int(taken.form.chunkSize)) else { throw Refusal(ENOMEM) }
      for range in taken.dirty.ranges {
        try append(range, taken, descriptor, buffer, to: &writes)
      }
      return writes
    }
  }

  private func append(
    _ range: ClosedRange<UInt64>, _ taken: Taken, _ descriptor: Int32?, _ buffer: UnsafeMutableRawBufferPointer,
    to writes: inout [ChunkWrite]
  ) throws(Refusal) {
    let chunk = UInt64(taken.form.chunkSize)
    var index = range.lowerBound
    while index <= range.upperBound, index * chunk < taken.size {
      let length = Int(min(chunk, taken.size - index * chunk))
      if length == Int(chunk), let hash = taken.hashes[index] {
        writes.append(ChunkWrite(index: index, hash: hash, length: UInt32(length)))
        index += 1
        continue
      }
      let last = min(range.upperBound, (taken.size - 1) / chunk)
      let data = firstData(descriptor, from: index * chunk) ?? .max
      if data >= (index + 1) * chunk {
        let next = min(last + 1, data == .max ? .max : data / chunk)
        appendHoles(index...(next - 1), taken, to: &writes)
        index = next
        continue
      }
      let piece = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
      let count = try readAll(descriptor!, piece, at: index * chunk)
      if count < length { memset(piece.baseAddress! + count, 0, length - count) }
      let hash = ContentHasher.hash(UnsafeRawBufferPointer(piece))
      writes.append(ChunkWrite(index: index, hash: hash, length: UInt32(length)))
      index += 1
    }
  }

  /// Where the first byte that is not in a hole lies; nil when there is none.
  private func firstData(_ descriptor: Int32?, from offset: UInt64) -> UInt64? {
    guard let descriptor else { return nil }
    let found = lseek(descriptor, off_t(offset), GRAPEVINE_SEEK_DATA)
    if found >= 0 { return UInt64(found) }
    return errno == ENXIO ? nil : offset
  }

  /// Holes are written down only where the volume knows a chunk; and where a file grows again that was cut: a peer that
  /// has not seen the cut must learn that nothing is there any more.
  private func appendHoles(_ range: ClosedRange<UInt64>, _ taken: Taken, to writes: inout [ChunkWrite]) {
    let chunk = UInt64(taken.form.chunkSize)
    let indices = host.withVolume { volume, _ -> [UInt64] in
      guard let file = volume.files[taken.file] else { return [] }
      var indices = file.chunks.elements(from: range.lowerBound).prefix { $0.index <= range.upperBound }.map(\.index)
      let grown = max(range.lowerBound, (file.size + chunk - 1) / chunk)
      if file.truncationDot != .none, grown <= range.upperBound {
        indices = indices.filter { $0 < grown } + Array((grown...range.upperBound).prefix(Self.writtenHoles))
      }
      return indices
    }
    for index in indices {
      let length = UInt32(min(chunk, taken.size - index * chunk))
      writes.append(ChunkWrite(index: index, hash: .zeros, length: length))
    }
  }

  // MARK: Directories

  /// Records the times that entries moved, and other attributes.
  private func captureDirectory(_ inode: Inode) throws(Refusal) {
    let attributes: Attributes? = inode.state.with {
      guard inode.attributesChanged else { return nil }
      inode.attributesChanged = false
      return inode.attributes
    }
    guard let attributes else { return }
    try change { volume, stamp in
      guard let path = table.path(of: inode), volume[path] == .directory,
        volume.directoryAttributes(path) != attributes
      else { return }
      try volume.setAttributes(path, attributes, at: stamp())
    }
  }

  /// Forgets changes that nobody will see: of a file that no name leads to and nobody has open.
  func dropChanges(_ inode: Inode) {
    let growth = inode.state.with { () -> UInt64 in
      defer { inode.growth = 0 }
      inode.dirty = DirtyRanges()
      inode.hashes = [:]
      inode.sizeChanged = false
      inode.attributesChanged = false
      return inode.growth
    }
    grownBytes.subtract(growth, ordering: .relaxed)
  }
}
