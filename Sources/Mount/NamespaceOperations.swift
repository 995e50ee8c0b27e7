// Making and removing names: create, mknod, mkdir, symlink, link, unlink, rmdir.

import CFuse
import Causality
import Glibc
import Replication

extension FileSystem {
  /// The attributes of a new entry, by who makes it and where.
  func newAttributes(_ mode: mode_t, _ caller: fuse_ctx, in directory: Inode, isDirectory: Bool = false) -> Attributes {
    let now = FileTime(currentTime())
    var attributes = Attributes(
      mode: UInt32(mode), owner: caller.uid, group: caller.gid, accessed: now, modified: now)
    directory.state.with {
      guard directory.attributes.mode & 0o2000 != 0 else { return }
      attributes.group = directory.attributes.group
      if isDirectory { attributes.mode |= 0o2000 }
    }
    return attributes
  }

  /// Entries of a directory changed: its times move, and are recorded some time later.
  func touchDirectory(_ directory: Inode) {
    let now = FileTime(currentTime())
    let isNews = directory.state.with {
      directory.attributes.modified = now
      directory.changed = now
      directory.attributesChanged = true
      return directory.touch()
    }
    if isNews { addPending(directory) }
  }

  private func touchChangeTime(_ inode: Inode) {
    inode.state.with { inode.changed = FileTime(currentTime()) }
  }

  /// Refuses what would be done to the virtual directory.
  func checkOrdinary(_ name: [UInt8], in directory: Inode) throws(Refusal) {
    if directory.isVirtual || isReserved(name, in: directory) { throw Refusal(EPERM) }
    if name.count > 255 { throw Refusal(ENAMETOOLONG) }
  }

  // MARK: Files

  private func makeFile(
    _ name: [UInt8], in directory: Inode, _ form: FileForm, _ attributes: Attributes
  ) throws(Refusal) -> Inode {
    try checkOrdinary(name, in: directory)
    let inode = try change { volume, stamp in
      let path = try path(name, in: directory)
      let id = try volume.createFile(path, form, attributes, at: stamp())
      let changed = attributes.modified
      return table.look(id) { number, _ in
        Inode(number: number, kind: .file(form), file: id, attributes: attributes, changed: changed, size: 0)
      }
    }
    touchDirectory(directory)
    return inode
  }

  func makeNode(
    _ request: consuming Request, _ parent: fuse_ino_t, _ name: [UInt8], _ mode: mode_t, device: UInt64,
    target: [UInt8] = []
  ) {
    let directory = table.inode(parent)
    guard let kind = FileKind(mode: mode) else { return request.fail(EINVAL) }
    let isDevice = kind == .characterDevice || kind == .blockDevice
    let form = FileForm(kind, target: target, device: isDevice ? device : 0)
    let attributes = newAttributes(mode, request.caller, in: directory)
    do throws(Refusal) {
      let inode = try makeFile(name, in: directory, form, attributes)
      if !request.entry(entry(inode, links: 1)) { table.forget(inode, 1) }
    } catch {
      request.fail(error)
    }
  }

  func create(
    _ request: consuming Request, _ parent: fuse_ino_t, _ name: [UInt8], _ mode: mode_t, _ wanted: fuse_file_info
  ) {
    let directory = table.inode(parent)
    let caller = request.caller
    var handle = wanted
    handle.keep_cache = 1
    let attributes = newAttributes(mode, caller, in: directory)
    let inode: Inode
    var links = 1
    do throws(Refusal) {
      do throws(Refusal) {
        if let companion = try makeCompanion(name, in: directory, attributes) {
          inode = companion
        } else {
          inode = try makeFile(name, in: directory, FileForm(.regular), attributes)
        }
      } catch {
        guard error.number == EEXIST, wanted.flags & O_EXCL == 0 else { throw error }
        // A peer made the file after the kernel last looked: it is opened, not made.
        (inode, links) = try openExisting(name, in: directory, wanted.flags)
      }
    } catch {
      return request.fail(error)
    }
    handle.fh = takeHandle(inode, flags: handle.flags)
    let answer = entry(inode, links: links)
    if !request.created(answer, handle) {
      release(inode, handle.fh)
      table.forget(inode, 1)
    }
  }

  private func openExisting(
    _ name: [UInt8], in directory: Inode, _ flags: Int32
  ) throws(Refusal) -> (Inode, Int) {
    let (inode, links) = try read { volume throws -> (Inode, Int) in
      let path = try path(name, in: directory)
      guard let shown = volume[path], case .file = shown, let inode = look(path, shown, in: volume) else {
        throw Refusal(EISDIR)
      }
      return (inode, linkCount(of: inode, in: volume))
    }
    if flags & O_TRUNC != 0, inode.isRegular, inode.state.with({ inode.size }) > 0 {
      inode.writing.lock()
      defer { inode.writing.unlock() }
      try empty(inode)
    }
    try makeLive(inode)
    if inode.isDatabase { host.databases?.opened(database: inode.state.with { inode.file }) }
    return (inode, links)
  }

  // MARK: Directories

  func makeDirectory(_ request: consuming Request, _ parent: fuse_ino_t, _ name: [UInt8], _ mode: mode_t) {
    let directory = table.inode(parent)
    let attributes = newAttributes(mode, request.caller, in: directory, isDirectory: true)
    do throws(Refusal) {
      try checkOrdinary(name, in: directory)
      let inode = try change { volume, stamp in
        let path = try path(name, in: directory)
        try volume.makeDirectory(path, attributes, at: stamp())
        if let known = directory.subdirectories { directory.subdirectories = known + 1 }
        let inode = table.look(path) { number in
          Inode(number: number, kind: .directory, attributes: attributes, changed: attributes.modified, size: 0)
        }
        inode.subdirectories = 0
        return inode
      }
      touchDirectory(directory)
      if !request.entry(entry(inode, links: 2)) { table.forget(inode, 1) }
    } catch {
      request.fail(error)
    }
  }

  func removeDirectory(_ request: consuming Request, _ parent: fuse_ino_t, _ name: [UInt8]) {
    let directory = table.inode(parent)
    do throws(Refusal) {
      try checkOrdinary(name, in: directory)
      let gone = try change { volume, stamp in
        let path = try path(name, in: directory)
        try volume.removeDirectory(path, at: stamp())
        if let known = directory.subdirectories { directory.subdirectories = known - 1 }
        let gone = table.find(path)
        table.remove(path)
        return gone
      }
      if let gone { touchChangeTime(gone) }
      touchDirectory(directory)
      request.succeed()
    } catch {
      request.fail(error)
    }
  }

  // MARK: Links

  func link(_ request: consuming Request, _ node: fuse_ino_t, _ newParent: fuse_ino_t, _ name: [UInt8]) {
    let (inode, directory) = (table.inode(node), table.inode(newParent))
    guard inode.form != nil else { return request.fail(EPERM) }
    if inode.companion != nil { return request.fail(EXDEV) }
    do throws(Refusal) {
      try checkOrdinary(name, in: directory)
      let links = try change { volume, stamp in
        let path = try path(name, in: directory)
        let (file, isDetached) = inode.state.with { (inode.file, inode.isDetached) }
        if isDetached { throw Refusal(ENOENT) }
        try volume.link(file, at: path, stamp: stamp())
        inode.state.with { inode.isUnlinked = false }
        return volume.linkCount(file)
      }
      table.look(inode)
      touchChangeTime(inode)
      touchDirectory(directory)
      if !request.entry(entry(inode, links: links)) { table.forget(inode, 1) }
    } catch {
      request.fail(error)
    }
  }

  func unlink(_ request: consuming Request, _ parent: fuse_ino_t, _ name: [UInt8]) {
    let directory = table.inode(parent)
    do throws(Refusal) {
      try checkOrdinary(name, in: directory)
      if try unlinkCompanion(name, in: directory) { return request.succeed() }
      let gone = try taking(name, from: directory) { (expected) throws(Refusal) -> Inode? in
        try change { volume, stamp in
          let path = try path(name, in: directory)
          guard case .file(let id)? = volume[path] else {
            throw Refusal(volume[path] == nil ? ENOENT : EISDIR)
          }
          try check(path, holds: expected, in: volume)
          try volume.unlink(path, at: stamp())
          return markUnlinked(id, in: volume)
        }
      }
      if let gone { touchChangeTime(gone) }
      touchDirectory(directory)
      request.succeed()
      if gone?.isDatabase ?? false { forgetCompanions([(directory, name)]) }
    } catch {
      request.fail(error)
    }
  }

  /// A file lost a name: when that was the last, nothing of it is recorded any more. With the volume held.
  func markUnlinked(_ id: FileID, in volume: Volume) -> Inode? {
    guard let inode = table.find(id) else { return nil }
    guard volume.linkCount(id) == 0 else { return inode }
    let isClosed = inode.state.with { () -> Bool in
      inode.isUnlinked = true
      return inode.handles == 0
    }
    if isClosed { dropChanges(inode) }
    return inode
  }

  /// Takes a name from a file while nobody writes to it. What was written to a file of which peers know content is
  /// recorded first: they may still ask for it, and a write that its remover did not see may bring it back.
  ///
  /// - Parameter body: is told the file, and throws `Refusal.moved` when another is at the name by then.
  func taking<R>(
    _ name: [UInt8], from directory: Inode, _ body: (FileID?) throws(Refusal) -> R
  ) throws(Refusal) -> R {
    for _ in 0..<64 {
      do throws(Refusal) {
        return try takingOnce(name, from: directory, body)
      } catch {
        guard error == .moved else { throw error }
      }
    }
    throw Refusal(EIO)
  }

  private func takingOnce<R>(
    _ name: [UInt8], from directory: Inode, _ body: (FileID?) throws(Refusal) -> R
  ) throws(Refusal) -> R {
    let (id, found) = try read { volume throws -> (FileID?, Inode?) in
      guard case .file(let id)? = volume[try path(name, in: directory)] else { return (nil, nil) }
      return (id, table.find(id))
    }
    guard let id, let inode = found else { return try body(id) }
    inode.writing.lock()
    defer { inode.writing.unlock() }
    guard inode.state.with({ inode.file }) == id else { throw .moved }
    if inode.state.with({ inode.hasChanges }) {
      let isKnown = host.withVolume { volume, _ in
        volume.linkCount(id) > 1 || volume.files[id].map { !$0.chunks.elements.isEmpty } ?? false
      }
      if isKnown { try? captureHeld(inode, durably: false) }
    }
    return try body(id)
  }

  /// Throws unless the file at a path, if any, is the expected one, and has an inode only if it had one.
  func check(_ path: Path, holds expected: FileID?, in volume: Volume) throws(Refusal) {
    var id: FileID?
    if case .file(let now)? = volume[path] { id = now }
    guard id == expected else { throw .moved }
  }
}
