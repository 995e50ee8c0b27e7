// Opening and closing files.

import CFuse
import Glibc
import Replication

/// What `fh` says of a handle on a file.
enum FileHandle {
  static let reading: UInt64 = 0
  static let writing: UInt64 = 1
  /// This process's own: counts for nothing.
  static let own: UInt64 = 2
}

extension FileSystem {
  func open(_ request: consuming Request, _ node: fuse_ino_t, _ wanted: fuse_file_info) {
    let inode = table.inode(node)
    var handle = wanted
    if inode.isVirtual { return openVirtual(request, inode, handle) }
    handle.keep_cache = 1
    let caller = request.caller
    if isInternal(caller) {
      handle.fh = FileHandle.own
      _ = request.opened(handle)
      return
    }
    if inode.state.with({ inode.isGated }) { inode.writing.with {} }
    if handle.flags & O_TRUNC != 0 {
      do throws(Refusal) {
        try truncateAtOpen(inode, by: caller)
      } catch {
        return request.fail(error)
      }
    }
    if inode.isDatabase { return openDatabase(request, inode, handle) }
    handle.fh = takeHandle(inode, flags: handle.flags)
    if !request.opened(handle) { release(inode, handle.fh) }
  }

  private func truncateAtOpen(_ inode: Inode, by caller: fuse_ctx) throws(Refusal) {
    guard inode.isRegular else { throw Refusal(EINVAL) }
    inode.writing.lock()
    defer { inode.writing.unlock() }
    let size = inode.state.with { () -> UInt64 in
      if caller.uid != 0 { inode.dropPrivileges() }
      return inode.size
    }
    if size > 0 { try empty(inode) }
  }

  /// Counts a handle.
  func takeHandle(_ inode: Inode, flags: Int32) -> UInt64 {
    let writes = flags & O_ACCMODE != O_RDONLY
    inode.state.with {
      inode.handles += 1
      if writes { inode.writers += 1 }
      inode.parkedAt = 0
    }
    return writes ? FileHandle.writing : FileHandle.reading
  }

  func release(_ request: consuming Request, _ node: fuse_ino_t, _ handle: fuse_file_info) {
    let inode = table.inode(node)
    if case .virtualFile = inode.kind { releaseVirtual(handle.fh) }
    request.succeed()
    if inode.isVirtual || handle.fh == FileHandle.own { return }
    release(inode, handle.fh)
  }

  /// Gives a handle back; what it wrote becomes a change.
  func release(_ inode: Inode, _ handle: UInt64) {
    let hasChanges = inode.state.with { () -> Bool in
      guard handle == FileHandle.writing else { return false }
      inode.writers -= 1
      return inode.hasChanges && !inode.isUnlinked
    }
    guard hasChanges else { return finishRelease(inode) }
    // The handle is counted until the capture is done, so that the inode stays.
    captureSoon(inode) { [self] in finishRelease(inode) }
  }

  private func finishRelease(_ inode: Inode) {
    let (isLast, isUnlinked) = inode.state.with { () -> (Bool, Bool) in
      inode.handles -= 1
      return (inode.handles == 0, inode.isUnlinked)
    }
    guard isLast else { return }
    if isUnlinked { dropChanges(inode) }
    park(inode)
    table.settle(inode)
  }
}
