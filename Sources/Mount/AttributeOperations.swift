// Changing attributes: setattr.

import CFuse
import Glibc
import Replication

extension FileSystem {
  func setAttributes(_ request: consuming Request, _ node: fuse_ino_t, _ wanted: stat, _ mask: Int32) {
    let inode = table.inode(node)
    let caller = request.caller
    if isInternal(caller) { return answerAttributes(request, inode) }
    if inode.isVirtual { return request.fail(EPERM) }
    do throws(Refusal) {
      if mask & FUSE_SET_ATTR_SIZE != 0 { try setSize(of: inode, to: wanted.st_size) }
      let writers = apply(wanted, mask, to: inode)
      if writers == 0 && !inode.isDirectory { try capture(inode) }
      if inode.isDirectory { try capture(inode) }
    } catch {
      return request.fail(error)
    }
    answerAttributes(request, inode)
  }

  /// Changes what stat tells; says how many handles write to the inode.
  private func apply(_ wanted: stat, _ mask: Int32, to inode: Inode) -> Int {
    let now = FileTime(currentTime())
    inode.state.lock()
    if mask & FUSE_SET_ATTR_MODE != 0 { inode.attributes.mode = UInt32(wanted.st_mode) & 0o7777 }
    if mask & FUSE_SET_ATTR_UID != 0 { inode.attributes.owner = wanted.st_uid }
    if mask & FUSE_SET_ATTR_GID != 0 { inode.attributes.group = wanted.st_gid }
    let losesPrivileges =
      mask & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID | FUSE_SET_ATTR_KILL_SUID | FUSE_SET_ATTR_KILL_SGID) != 0
    if losesPrivileges, mask & FUSE_SET_ATTR_MODE == 0, !inode.isDirectory { inode.dropPrivileges() }
    if mask & FUSE_SET_ATTR_ATIME_NOW != 0 {
      inode.attributes.accessed = now
    } else if mask & FUSE_SET_ATTR_ATIME != 0 {
      inode.attributes.accessed = FileTime(wanted.st_atim)
    }
    if mask & FUSE_SET_ATTR_MTIME_NOW != 0 {
      inode.attributes.modified = now
    } else if mask & FUSE_SET_ATTR_MTIME != 0 {
      inode.attributes.modified = FileTime(wanted.st_mtim)
    }
    inode.changed = mask & FUSE_SET_ATTR_CTIME != 0 ? FileTime(wanted.st_ctim) : now
    inode.attributesChanged = true
    let writers = inode.writers
    let isNews = inode.touch()
    inode.state.unlock()
    if isNews { addPending(inode) }
    return writers
  }

  /// Cuts or extends a file.
  private func setSize(of inode: Inode, to size: off_t) throws(Refusal) {
    guard inode.isRegular else { throw Refusal(inode.isDirectory ? EISDIR : EINVAL) }
    guard size >= 0 else { throw Refusal(EINVAL) }
    try makeLive(inode)
    inode.writing.lock()
    defer { inode.writing.unlock() }
    let old = inode.state.with { inode.size }
    if size == 0 && old > 0 { return try empty(inode) }
    guard UInt64(size) != old else { return }
    try detachIfUnlinked(inode)
    try withDescriptor(inode, create: true) { (descriptor) throws(Refusal) in
      guard ftruncate(descriptor!, size) == 0 else { throw Refusal(errno) }
    }
    inode.state.with { inode.setSize(UInt64(size)) }
  }

  /// Empties a file, with `writing` held: it gets a new id, so that two concurrent rewrites are never mixed.
  func empty(_ inode: Inode) throws(Refusal) {
    let (isUnlinked, hasChanges) = inode.state.with { (inode.isUnlinked, !inode.dirty.isEmpty) }
    // A companion has no file of its own: its id is that of the database.
    if !isUnlinked, inode.companion == nil {
      // Peers may still ask for what is recorded of the old file: its bytes must be what the records say.
      if hasChanges, hasRecordedBytes(inode) { try? captureHeld(inode, durably: false) }
      // The time of it comes from the kernel: it keeps those of files that are written.
      let isRenewed = try change { volume, stamp in
        let (old, attributes) = inode.state.with { (inode.file, inode.attributes) }
        guard volume.linkCount(old) > 0 else { return false }
        let new = try volume.renew(
          old, chunkSize: FileForm.ordinaryChunkSize, attributes: attributes, at: stamp())
        leaveLive(inode, old, as: new)
        inode.state.with {
          inode.file = new
          inode.size = 0
          inode.recordedSize = 0
          inode.staleSize = nil
          inode.blocks = nil
          inode.isUnsynchronised = false
          if inode.descriptor >= 0 { inode.retired.append(inode.descriptor) }
          inode.descriptor = -1
        }
        table.renew(inode, from: old, to: new)
        return true
      }
      if isRenewed { return dropChanges(inode) }
    }
    try detachIfUnlinked(inode)
    try withDescriptor(inode, create: true) { (descriptor) throws(Refusal) in
      guard ftruncate(descriptor!, 0) == 0 else { throw Refusal(errno) }
    }
    inode.state.with { inode.setSize(0) }
  }
}

extension Inode {
  /// Takes away what lets a program run as somebody else, with `state` held.
  func dropPrivileges() {
    attributes.mode &= ~0o4000
    if attributes.mode & 0o010 != 0 { attributes.mode &= ~0o2000 }
  }
}
