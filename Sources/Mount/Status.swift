// What stat tells of an inode.

import CFuse
import Glibc
import Replication

extension FileKind {
  /// The kind as stat says it.
  var modeBits: mode_t {
    switch self {
    case .regular: S_IFREG
    case .symbolicLink: S_IFLNK
    case .pipe: S_IFIFO
    case .socket: S_IFSOCK
    case .characterDevice: S_IFCHR
    case .blockDevice: S_IFBLK
    }
  }

  /// The kind of a mode, nil for directories and unknown ones.
  init?(mode: mode_t) {
    switch mode & S_IFMT {
    case S_IFREG, 0: self = .regular
    case S_IFLNK: self = .symbolicLink
    case S_IFIFO: self = .pipe
    case S_IFSOCK: self = .socket
    case S_IFCHR: self = .characterDevice
    case S_IFBLK: self = .blockDevice
    default: return nil
    }
  }
}

extension FileSystem {
  /// What stat tells.
  func status(of inode: Inode, links: Int) -> stat {
    var status = stat()
    status.st_ino = ino_t(inode.number)
    status.st_nlink = nlink_t(links)
    status.st_blksize = 4_096
    inode.state.lock()
    defer { inode.state.unlock() }
    status.st_mode = mode_t(inode.attributes.mode)
    status.st_uid = inode.attributes.owner
    status.st_gid = inode.attributes.group
    status.st_atim = inode.attributes.accessed.timespec
    status.st_mtim = inode.attributes.modified.timespec
    status.st_ctim = inode.changed.timespec
    switch inode.kind {
    case .directory, .virtualDirectory:
      status.st_mode |= S_IFDIR
      status.st_size = 4_096
      status.st_blocks = 8
    case .virtualFile: status.st_mode |= S_IFREG
    case .file(let form):
      status.st_mode |= form.kind.modeBits
      switch form.kind {
      case .regular:
        status.st_size = off_t(inode.size)
        status.st_blocks = blkcnt_t(blocks(of: inode))
      case .symbolicLink: status.st_size = off_t(form.target.count)
      case .characterDevice, .blockDevice: status.st_rdev = dev_t(form.device)
      case .pipe, .socket: break
      }
    }
    return status
  }

  /// The blocks that the backing file has, with the inode's state held.
  private func blocks(of inode: Inode) -> UInt64 {
    if inode.size == 0 && inode.descriptor < 0 { return 0 }
    if let known = inode.blocks { return known }
    var status = stat()
    let result =
      inode.descriptor >= 0 ? fstat(inode.descriptor, &status) : stat(backingPath(of: inode), &status)
    let blocks = result == 0 ? UInt64(status.st_blocks) : 0
    inode.blocks = blocks
    return blocks
  }
}
