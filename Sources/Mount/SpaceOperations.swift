// Space: fallocate, lseek to data and holes, copy_file_range.

import CFuse
import Glibc
import Replication

extension FileSystem {
  func allocate(
    _ request: consuming Request, _ node: fuse_ino_t, _ mode: Int32, _ offset: off_t, _ length: off_t
  ) {
    let inode = table.inode(node)
    guard inode.isRegular else { return request.fail(ENODEV) }
    guard offset >= 0, length > 0 else { return request.fail(EINVAL) }
    let keepsSize = mode & FALLOC_FL_KEEP_SIZE != 0
    let clears: Bool
    switch mode & ~FALLOC_FL_KEEP_SIZE {
    case 0: clears = false
    case FALLOC_FL_ZERO_RANGE: clears = true
    case FALLOC_FL_PUNCH_HOLE where keepsSize: clears = true
    default: return request.fail(EOPNOTSUPP)
    }
    let range = UInt64(offset)..<UInt64(offset) + UInt64(length)
    do throws(Refusal) {
      inode.writing.lock()
      defer { inode.writing.unlock() }
      try detachIfUnlinked(inode)
      let size = inode.state.with { inode.size }
      let growth = range.upperBound > size && mode & FALLOC_FL_PUNCH_HOLE == 0 ? range.upperBound - size : 0
      try reserve(growth)
      grownBytes.subtract(growth, ordering: .relaxed)
      try withDescriptor(inode, create: true) { (descriptor) throws(Refusal) in
        guard grapevine_fallocate(descriptor!, mode, Int64(offset), Int64(length)) == 0 else { throw Refusal(errno) }
      }
      let isNews = inode.state.with { () -> Bool in
        // The kernel keeps the times of files that are written, and sends them later.
        inode.changed = FileTime(currentTime())
        if !keepsSize, range.upperBound > inode.size { inode.setSize(range.upperBound) }
        if clears, range.lowerBound < inode.size {
          let cleared = range.clamped(to: 0..<inode.size)
          inode.markWritten(cleared)
          inode.hashes = [:]
        }
        inode.blocks = nil
        return inode.touch()
      }
      if isNews { addPending(inode) }
      request.succeed()
    } catch {
      request.fail(error)
    }
  }

  /// Answers lseek; what a writer has not flushed is asked of the kernel first, from another thread.
  func seek(_ request: consuming Request, _ node: fuse_ino_t, _ offset: off_t, _ whence: Int32) {
    let inode = table.inode(node)
    guard inode.isRegular else { return request.fail(EINVAL) }
    guard inode.state.with({ inode.writers > 0 }) else { return seek(request, inode, offset, whence) }
    let pending = request.handOver()
    slowLane.add { [self] in
      flush(inode)
      seek(pending.resume(), inode, offset, whence)
    }
  }

  private func seek(_ request: consuming Request, _ inode: Inode, _ offset: off_t, _ whence: Int32) {
    let size = inode.state.with { inode.size }
    guard offset >= 0, UInt64(offset) < size else { return request.fail(ENXIO) }
    do throws(Refusal) {
      let found = try withDescriptor(inode, create: false) { (descriptor) throws(Refusal) -> off_t in
        guard let descriptor else {
          guard whence == GRAPEVINE_SEEK_HOLE else { throw Refusal(ENXIO) }
          return offset
        }
        let found = lseek(descriptor, offset, whence)
        guard found >= 0 else { throw Refusal(errno) }
        return min(found, off_t(size))
      }
      request.position(Int64(found))
    } catch {
      request.fail(error)
    }
  }

  func copy(
    _ request: consuming Request, from source: (node: fuse_ino_t, offset: off_t),
    to target: (node: fuse_ino_t, offset: off_t), _ length: Int
  ) {
    let (from, to) = (table.inode(source.node), table.inode(target.node))
    guard from.isRegular, to.isRegular else { return request.fail(EOPNOTSUPP) }
    to.writing.lock()
    defer { to.writing.unlock() }
    do throws(Refusal) {
      try detachIfUnlinked(to)
      let copied = try withDescriptor(from, create: false) { (input) throws(Refusal) -> Int in
        guard let input else { throw Refusal(EOPNOTSUPP) }
        return try withDescriptor(to, create: true) { (output) throws(Refusal) -> Int in
          try copy(input, source.offset, output!, target.offset, length)
        }
      }
      let isNews = to.state.with { () -> Bool in
        let range = UInt64(target.offset)..<UInt64(target.offset) + UInt64(copied)
        if range.upperBound > to.size, !range.isEmpty { to.setSize(range.upperBound) }
        to.markWritten(range)
        to.hashes = [:]
        to.changed = FileTime(currentTime())
        return to.touch()
      }
      if isNews { addPending(to) }
      request.written(copied)
    } catch {
      request.fail(error)
    }
  }

  private func copy(
    _ input: Int32, _ inputOffset: off_t, _ output: Int32, _ outputOffset: off_t, _ length: Int
  ) throws(Refusal) -> Int {
    try reserve(UInt64(length))
    grownBytes.subtract(UInt64(length), ordering: .relaxed)
    var (from, to) = (Int64(inputOffset), Int64(outputOffset))
    let count = retrying { grapevine_copy_file_range(input, &from, output, &to, length) }
    guard count >= 0 else { throw Refusal(errno == EINVAL ? EOPNOTSUPP : errno) }
    return count
  }
}
