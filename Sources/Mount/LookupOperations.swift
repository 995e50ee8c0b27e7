// Looking: lookup, forget, getattr, readlink, statfs.

import CFuse
import Glibc
import Replication

extension FileSystem {
  func lookup(_ request: consuming Request, _ parent: fuse_ino_t, _ name: [UInt8]) {
    let directory = table.inode(parent)
    if directory.isVirtual { return lookupVirtual(request, name) }
    if isReserved(name, in: directory) {
      table.look(table.virtualDirectory)
      _ = request.entry(entry(table.virtualDirectory, links: 2))
      return
    }
    let found: (inode: Inode, links: Int)?
    do {
      found = try read { volume throws in
        let path = try path(name, in: directory)
        guard let shown = volume[path] else { return lookCompanion(at: path, in: volume).map { ($0, 1) } }
        guard let inode = look(path, shown, in: volume) else { return nil }
        return (inode, linkCount(of: inode, in: volume))
      }
    } catch {
      return request.fail(error)
    }
    guard let found else {
      var nothing = fuse_entry_param()
      nothing.entry_timeout = options.timeoutSeconds
      _ = request.entry(nothing)
      return
    }
    if !request.entry(entry(found.inode, links: found.links)) { table.forget(found.inode, 1) }
  }

  /// Looks at the tree without changing it.
  func read<R>(_ body: (Volume) throws -> R) throws(Refusal) -> R {
    do {
      return try host.withVolume { volume, _ in try body(volume) }
    } catch {
      throw Refusal(error)
    }
  }

  func forget(_ request: consuming Request, _ node: fuse_ino_t, _ count: UInt64) {
    if node != FUSE_ROOT_ID { table.forget(table.inode(node), count) }
    request.end()
  }

  func forget(_ request: consuming Request, _ forgotten: UnsafeBufferPointer<fuse_forget_data>) {
    for one in forgotten where one.ino != FUSE_ROOT_ID { table.forget(table.inode(one.ino), one.nlookup) }
    request.end()
  }

  func getAttributes(_ request: consuming Request, _ node: fuse_ino_t) {
    answerAttributes(request, table.inode(node))
  }

  func answerAttributes(_ request: consuming Request, _ inode: Inode) {
    let links = host.withVolume { volume, _ in linkCount(of: inode, in: volume) }
    request.attributes(status(of: inode, links: links), timeout: inode.isVirtual ? 0 : options.timeoutSeconds)
  }

  func readLink(_ request: consuming Request, _ node: fuse_ino_t) {
    guard let form = table.inode(node).form, form.kind == .symbolicLink else { return request.fail(EINVAL) }
    request.target(form.target)
  }

  func statistics(_ request: consuming Request) {
    let (bytes, entries) = host.withVolume { volume, _ in (volume.bytes, volume.entryCount) }
    let limit = host.sizeLimit
    let used = bytes &+ grownBytes.load(ordering: .relaxed)
    var statistics = statvfs()
    statistics.f_bsize = 4_096
    statistics.f_frsize = 4_096
    statistics.f_blocks = fsblkcnt_t(limit / 4_096)
    statistics.f_bfree = fsblkcnt_t(limit > used ? (limit - used) / 4_096 : 0)
    statistics.f_bavail = statistics.f_bfree
    statistics.f_files = fsfilcnt_t(entries + 1) + (1 << 30)
    statistics.f_ffree = 1 << 30
    statistics.f_favail = 1 << 30
    statistics.f_namemax = 255
    request.statistics(statistics)
  }
}
