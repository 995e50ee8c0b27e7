// Databases among the files: recognised by their header, used in their live form, recorded by whoever follows them.

import CFuse
import Causality
import Databases
import Glibc
import Replication
import Storage
import Synchronization

extension FileSystem {
  /// Where the bytes are that programs see of an inode, with its state held.
  func backingPath(of inode: Inode) -> String {
    if let companion = inode.companion { return path(of: companion, of: inode.file) }
    return inode.isDatabase && inode.hasLive ? host.content.livePath(of: inode.file) : host.content.path(of: inode.file)
  }

  /// The size of a database's live form, nil when there is none.
  func liveSize(of file: FileID) -> UInt64? {
    var status = stat()
    return stat(host.content.livePath(of: file), &status) == 0 ? UInt64(status.st_size) : nil
  }

  // MARK: Opening

  /// Opens a database, whose live form is made first.
  func openDatabase(_ request: consuming Request, _ inode: Inode, _ wanted: fuse_file_info) {
    guard !inode.state.with({ inode.hasLive }) else { return finishOpening(request, inode, wanted) }
    let pending = request.handOver()
    slowLane.add { [self] in
      do throws(Refusal) {
        try makeLive(inode)
        finishOpening(pending.resume(), inode, wanted)
      } catch {
        pending.resume().fail(error)
      }
    }
  }

  private func finishOpening(_ request: consuming Request, _ inode: Inode, _ wanted: fuse_file_info) {
    var handle = wanted
    handle.fh = takeHandle(inode, flags: handle.flags)
    let isOpen = request.opened(handle)
    if !isOpen { return release(inode, handle.fh) }
    host.databases?.opened(database: inode.state.with { inode.file })
  }

  /// Makes the live form of a database that has none here. Neither `writing` nor `state` may be held.
  func makeLive(_ inode: Inode) throws(Refusal) {
    guard inode.isDatabase, let databases = host.databases, !inode.state.with({ inode.hasLive }) else { return }
    let file = inode.state.with { inode.file }
    do { try databases.makeLive(file) } catch { throw Refusal(error) }
    inode.state.with {
      guard !inode.hasLive, inode.file == file else { return }
      inode.hasLive = true
      if inode.descriptor >= 0 { inode.retired.append(inode.descriptor) }
      inode.descriptor = -1
      inode.size = liveSize(of: file) ?? inode.size
      inode.blocks = nil
    }
  }

  // MARK: Becoming a database

  /// Makes a file that has a database's header a database, with `writing` held; false when it has none.
  func becomeDatabase(_ inode: Inode) throws(Refusal) -> Bool {
    guard host.databases != nil, inode.isRegular else { return false }
    let isCandidate = inode.state.with { !inode.isUnlinked && inode.size >= 512 && inode.dirty.contains(0) }
    guard isCandidate else { return false }
    var bytes = [UInt8](repeating: 0, count: DatabaseHeader.length)
    let count = try withDescriptor(inode, create: false) { (descriptor) throws(Refusal) -> Int in
      guard let descriptor else { return 0 }
      return pread(descriptor, &bytes, bytes.count, 0)
    }
    guard count == bytes.count, let header = try? DatabaseHeader(bytes) else { return false }
    return try renew(inode, pageSize: header.pageSize)
  }

  /// Gives a database a file of its own, whose chunks are its pages; with `writing` held. What is open stays open.
  func renew(_ inode: Inode, pageSize: Int) throws(Refusal) -> Bool {
    let renewed: (old: FileID, new: FileID)? = try change { volume, stamp in
      let (old, attributes) = inode.state.with { (inode.file, inode.attributes) }
      guard volume.linkCount(old) > 0 else { return nil }
      let new = FileID(volume.origin, volume.vector[volume.origin] + 1)
      let (source, target) = (inode.state.with { backingPath(of: inode) }, host.content.livePath(of: new))
      LiveOrigin.note(old, at: source)
      guard Glibc.rename(source, target) == 0 else { throw Refusal(errno) }
      do {
        let made = try volume.renew(old, chunkSize: UInt32(pageSize), attributes: attributes, at: stamp())
        precondition(made == new, "a change is named by the next sequence")
      } catch {
        _ = Glibc.rename(target, source)
        throw error
      }
      moveCompanions(from: old, to: new)
      inode.state.with {
        inode.file = new
        inode.setChunkSize(UInt32(pageSize))
        inode.hasLive = true
      }
      table.renew(inode, from: old, to: new)
      host.databases?.renewed(database: old, as: new)
      return (old, new)
    }
    guard let renewed else { return false }
    dropChanges(inode)
    host.databases?.opened(database: renewed.new)
    return true
  }

  /// Takes a peer's database over as what an empty file has become, with `writing` held; whether a program has it open.
  func adopt(_ inode: Inode, _ empty: FileID, as database: FileID) -> Bool {
    host.withVolume { volume, _ in
      guard let file = volume.files[database], file.form.isDatabase, volume.linkCount(database) > 0 else {
        return false
      }
      let isEmpty = inode.state.with {
        inode.file == empty && inode.size == 0 && !inode.hasChanges && inode.isRegular && inode.companion == nil
      }
      guard isEmpty else { return false }
      moveCompanions(from: empty, to: database)
      table.renew(inode, from: empty, to: database)
      return inode.state.with {
        inode.file = database
        inode.setChunkSize(file.form.chunkSize)
        inode.attributes = file.attributes
        inode.isUnlinked = false
        inode.staleSize = 0
        inode.size = file.size
        if inode.descriptor >= 0 { inode.retired.append(inode.descriptor) }
        inode.descriptor = -1
        return inode.handles > 0
      }
    }
  }

  private func moveCompanions(from old: FileID, to new: FileID) {
    for companion in Companion.allCases {
      _ = Glibc.rename(path(of: companion, of: old), path(of: companion, of: new))
    }
  }

  /// A file is emptied and goes on as an ordinary one under a new id, with the volume held.
  func leaveLive(_ inode: Inode, _ old: FileID, as new: FileID) {
    guard inode.isDatabase || table.hasCompanions(old) else { return }
    if inode.isDatabase {
      Glibc.unlink(host.content.livePath(of: old))
      inode.setChunkSize(FileForm.ordinaryChunkSize)
      inode.state.with { inode.hasLive = false }
      host.databases?.renewed(database: old, as: new)
    }
    moveCompanions(from: old, to: new)
  }

  // MARK: What is written

  /// Notes a write to a file that the mount does not record, with `writing` held; whether there is news to capture.
  func noteLocalWrite(
    _ inode: Inode, _ range: Range<UInt64>, _ growth: UInt64, clearsPrivileges: Bool
  ) -> Bool {
    grownBytes.subtract(growth, ordering: .relaxed)
    return inode.state.with {
      if range.upperBound > inode.size { inode.setSize(range.upperBound) }
      inode.markWritten(range)
      guard clearsPrivileges else { return false }
      inode.loseSetBits()
      return inode.attributesChanged && inode.touch()
    }
  }

  /// Records the attributes of a database, but for its times, which move with its transactions; those of a companion
  /// are kept by its local file. With `writing` held.
  func captureLocal(_ inode: Inode) throws(Refusal) {
    let taken: (file: FileID, attributes: Attributes)? = inode.state.with {
      guard inode.attributesChanged, !inode.isUnlinked else { return nil }
      inode.attributesChanged = false
      return (inode.file, inode.attributes)
    }
    guard let taken else { return }
    if let companion = inode.companion {
      let path = path(of: companion, of: taken.file)
      _ = chmod(path, taken.attributes.mode & 0o7777)
      _ = chown(path, taken.attributes.owner, taken.attributes.group)
      return
    }
    try change { volume, stamp in
      guard let file = volume.files[taken.file], volume.linkCount(taken.file) > 0 else { return }
      var attributes = taken.attributes
      attributes.modified = file.attributes.modified
      attributes.accessed = file.attributes.accessed
      guard attributes != file.attributes else { return }
      try volume.commit(taken.file, [], size: file.size, attributes: attributes, at: stamp())
    }
  }

  /// Makes what the mount changed of the tree survive a power loss, unless it does already.
  func makeTreeDurable() {
    let version = treeVersion.load(ordering: .acquiring)
    guard durableVersion.load(ordering: .acquiring) < version else { return }
    host.makeDurable()
    durableVersion.max(version, ordering: .releasing)
  }
}

extension Inode {
  /// Takes over a peer's attributes of a database that is live here, but for the times; with `state` held.
  func takeOver(_ peers: Attributes) {
    guard !attributesChanged else { return }
    var new = peers
    new.modified = attributes.modified
    new.accessed = attributes.accessed
    guard new != attributes else { return }
    attributes = new
    changed = FileTime(currentTime())
  }
}

/// Which file a live form was before it became one: after a crash that forgot the change, it is that file's again.
public enum LiveOrigin {
  private static let name = "user.grapevine.was"

  static func note(_ file: FileID, at path: String) {
    let text = Array(file.localName.utf8)
    _ = setxattr(path, name, text, text.count, 0)
  }

  /// What was noted.
  public static func read(at path: String) -> FileID? {
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = getxattr(path, name, &bytes, bytes.count)
    guard count > 0 else { return nil }
    return FileID(localName: String(decoding: bytes.prefix(count), as: UTF8.self))
  }
}
