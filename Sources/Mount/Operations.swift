// The table of operations that libfuse calls: each makes a `Request` and hands it to the file system.

import CFuse
import Glibc

/// The file system that a request belongs to.
private func fileSystem(_ raw: fuse_req_t?) -> FileSystem {
  Unmanaged<FileSystem>.fromOpaque(fuse_req_userdata(raw!)!).takeUnretainedValue()
}

private func bytes(_ text: UnsafePointer<CChar>?) -> [UInt8] {
  let count = strlen(text!)
  return Array(UnsafeRawBufferPointer(start: text, count: count))
}

/// Every operation that the mount answers; libfuse answers the others with ENOSYS, which the kernel remembers: no flush,
/// no locks, no access checks come here.
func makeOperations() -> fuse_lowlevel_ops {
  var operations = fuse_lowlevel_ops()
  addLooking(to: &operations)
  addNaming(to: &operations)
  addContent(to: &operations)
  addDirectories(to: &operations)
  addExtended(to: &operations)
  operations.`init` = { _, connection in
    guard let connection else { return }
    negotiate(&connection.pointee)
  }
  return operations
}

private func negotiate(_ connection: inout fuse_conn_info) {
  let wanted =
    FUSE_CAP_ASYNC_READ | FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_WRITEBACK_CACHE | FUSE_CAP_PARALLEL_DIROPS
    | FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_EXPLICIT_INVAL_DATA
    | FUSE_CAP_ASYNC_DIO
  let unwanted =
    FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE
    | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS | FUSE_CAP_HANDLE_KILLPRIV
  connection.want |= UInt32(bitPattern: wanted) & connection.capable
  connection.want &= ~UInt32(bitPattern: unwanted)
  connection.max_background = 64
  connection.congestion_threshold = 48
  connection.max_readahead = 1 << 20
}

private func addLooking(to operations: inout fuse_lowlevel_ops) {
  operations.lookup = { raw, parent, name in fileSystem(raw).lookup(Request(raw!), parent, bytes(name)) }
  operations.forget = { raw, node, count in fileSystem(raw).forget(Request(raw!), node, count) }
  operations.forget_multi = { raw, count, forgotten in
    fileSystem(raw).forget(Request(raw!), UnsafeBufferPointer(start: forgotten, count: count))
  }
  operations.getattr = { raw, node, _ in fileSystem(raw).getAttributes(Request(raw!), node) }
  operations.setattr = { raw, node, wanted, mask, _ in
    fileSystem(raw).setAttributes(Request(raw!), node, wanted!.pointee, mask)
  }
  operations.readlink = { raw, node in fileSystem(raw).readLink(Request(raw!), node) }
  operations.statfs = { raw, _ in fileSystem(raw).statistics(Request(raw!)) }
}

private func addNaming(to operations: inout fuse_lowlevel_ops) {
  operations.mknod = { raw, parent, name, mode, device in
    fileSystem(raw).makeNode(Request(raw!), parent, bytes(name), mode, device: UInt64(device))
  }
  operations.mkdir = { raw, parent, name, mode in
    fileSystem(raw).makeDirectory(Request(raw!), parent, bytes(name), mode & 0o7777)
  }
  operations.symlink = { raw, target, parent, name in
    fileSystem(raw).makeNode(
      Request(raw!), parent, bytes(name), S_IFLNK | 0o777, device: 0, target: bytes(target))
  }
  operations.create = { raw, parent, name, mode, handle in
    fileSystem(raw).create(Request(raw!), parent, bytes(name), mode, handle!.pointee)
  }
  operations.link = { raw, node, parent, name in fileSystem(raw).link(Request(raw!), node, parent, bytes(name)) }
  operations.unlink = { raw, parent, name in fileSystem(raw).unlink(Request(raw!), parent, bytes(name)) }
  operations.rmdir = { raw, parent, name in fileSystem(raw).removeDirectory(Request(raw!), parent, bytes(name)) }
  operations.rename = { raw, parent, name, newParent, newName, flags in
    fileSystem(raw).rename(Request(raw!), parent, bytes(name), newParent, bytes(newName), flags)
  }
}

private func addContent(to operations: inout fuse_lowlevel_ops) {
  operations.open = { raw, node, handle in fileSystem(raw).open(Request(raw!), node, handle!.pointee) }
  operations.release = { raw, node, handle in fileSystem(raw).release(Request(raw!), node, handle!.pointee) }
  operations.read = { raw, node, size, offset, handle in
    fileSystem(raw).read(Request(raw!), node, size, offset, handle!.pointee)
  }
  operations.write = { raw, node, bytes, size, offset, handle in
    let buffer = UnsafeRawBufferPointer(start: bytes, count: size)
    fileSystem(raw).write(Request(raw!), node, buffer, offset, handle!.pointee)
  }
  operations.fsync = { raw, node, _, _ in fileSystem(raw).synchronise(Request(raw!), node) }
  operations.fallocate = { raw, node, mode, offset, length, _ in
    fileSystem(raw).allocate(Request(raw!), node, mode, offset, length)
  }
  operations.lseek = { raw, node, offset, whence, _ in fileSystem(raw).seek(Request(raw!), node, offset, whence) }
  operations.copy_file_range = { raw, from, fromOffset, _, to, toOffset, _, length, _ in
    fileSystem(raw).copy(Request(raw!), from: (from, fromOffset), to: (to, toOffset), length)
  }
}

private func addDirectories(to operations: inout fuse_lowlevel_ops) {
  operations.opendir = { raw, node, handle in fileSystem(raw).openDirectory(Request(raw!), node, handle!.pointee) }
  operations.releasedir = { raw, _, handle in fileSystem(raw).closeDirectory(Request(raw!), handle!.pointee) }
  operations.readdir = { raw, node, size, offset, handle in
    fileSystem(raw).readDirectory(Request(raw!), node, size, offset, handle!.pointee, isPlus: false)
  }
  operations.readdirplus = { raw, node, size, offset, handle in
    fileSystem(raw).readDirectory(Request(raw!), node, size, offset, handle!.pointee, isPlus: true)
  }
  operations.fsyncdir = { raw, node, _, _ in fileSystem(raw).synchronise(Request(raw!), node) }
}

private func addExtended(to operations: inout fuse_lowlevel_ops) {
  operations.getxattr = { raw, node, name, size in
    fileSystem(raw).getExtended(Request(raw!), node, bytes(name), size)
  }
  operations.listxattr = { raw, node, size in fileSystem(raw).listExtended(Request(raw!), node, size) }
  operations.setxattr = { raw, node, name, value, size, flags in
    let bytes = bytes(name)
    let value = size == 0 ? [] : Array(UnsafeRawBufferPointer(start: value, count: size))
    fileSystem(raw).setExtended(Request(raw!), node, bytes, value, flags)
  }
  operations.removexattr = { raw, node, name in
    fileSystem(raw).removeExtended(Request(raw!), node, bytes(name))
  }
}
