// Companions of databases in the tree: found beside their database wherever it lies, kept out of what replicates.

import CFuse
import Databases
import Glibc
import Replication
import Storage

extension FileSystem {
  /// Where a companion's bytes are.
  func path(of companion: Companion, of file: FileID) -> String {
    host.content.livePath(of: file) + String(decoding: companion.suffix, as: UTF8.self)
  }

  /// The file beside which a path would be a companion, with the volume held.
  private func base(of path: Path, in volume: Volume) -> (file: File, companion: Companion)? {
    guard host.databases != nil, !path.isRoot, let (name, companion) = Companion.split(path.name),
      case .file(let id)? = volume[path.parent.appending(name)], let file = volume.files[id],
      file.form.kind == .regular
    else { return nil }
    return (file, companion)
  }

  /// The companion at a path where the volume has nothing, with one more lookup; with the volume held.
  func lookCompanion(at path: Path, in volume: Volume) -> Inode? {
    guard let (file, companion) = base(of: path, in: volume) else { return nil }
    return table.look(companion, of: file.id) { number in
      var status = stat()
      guard stat(self.path(of: companion, of: file.id), &status) == 0 else { return nil }
      return makeInode(number, companion, of: file.id, status)
    }
  }

  private func makeInode(_ number: UInt64, _ companion: Companion, of file: FileID, _ status: stat) -> Inode {
    let attributes = Attributes(
      mode: UInt32(status.st_mode) & 0o7777, owner: status.st_uid, group: status.st_gid,
      accessed: FileTime(status.st_atim), modified: FileTime(status.st_mtim))
    return Inode(
      number: number, kind: .file(FileForm(.regular)), companion: companion, file: file, attributes: attributes,
      changed: FileTime(status.st_ctim), size: UInt64(status.st_size))
  }

  /// The companions that stand beside what is shown, with the volume held.
  func companions(of shown: Shown, in volume: Volume) -> [Companion] {
    guard host.databases != nil, case .file(let id) = shown, let form = volume.files[id]?.form,
      form.isDatabase || form.kind == .regular && table.hasCompanions(id)
    else { return [] }
    return Companion.allCases.filter { access(path(of: $0, of: id), F_OK) == 0 }
  }

  /// Makes a companion, or finds it; nil when the name means an ordinary file.
  func makeCompanion(_ name: [UInt8], in directory: Inode, _ attributes: Attributes) throws(Refusal) -> Inode? {
    guard host.databases != nil, !directory.isVirtual, Companion.split(name) != nil else { return nil }
    return try read { volume throws -> Inode? in
      let path = try path(name, in: directory)
      guard volume[path] == nil, let (file, companion) = base(of: path, in: volume), mayHaveCompanions(file) else {
        return nil
      }
      let local = self.path(of: companion, of: file.id)
      var failure: Int32 = 0
      let inode = table.look(companion, of: file.id) { number in
        let descriptor = Glibc.open(local, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        var status = stat()
        guard descriptor >= 0, fchmod(descriptor, attributes.mode & 0o7777) == 0,
          fchown(descriptor, attributes.owner, attributes.group) == 0, fstat(descriptor, &status) == 0
        else {
          failure = errno
          if descriptor >= 0 { close(descriptor) }
          return nil
        }
        let inode = makeInode(number, companion, of: file.id, status)
        inode.descriptor = descriptor
        return inode
      }
      guard let inode else { throw Refusal(failure) }
      return inode
    }
  }

  /// Whether a file is a database, or may become one: it is empty, or has just been written and looks like one.
  private func mayHaveCompanions(_ file: File) -> Bool {
    if file.form.isDatabase { return true }
    guard let inode = table.find(file.id) else { return file.size == 0 || holdsHeader(host.content.path(of: file.id)) }
    let (size, path) = inode.state.with { (inode.size, backingPath(of: inode)) }
    return size == 0 || holdsHeader(path)
  }

  private func holdsHeader(_ path: String) -> Bool {
    let descriptor = Glibc.open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    guard let bytes = ContentStore.read(DatabaseHeader.length, at: 0, from: descriptor) else { return false }
    return (try? DatabaseHeader(bytes)) != nil
  }

  /// Unlinks a companion; false when the name means an ordinary file.
  ///
  /// One whose database is gone went with it: the kernel only did not know yet.
  func unlinkCompanion(_ name: [UInt8], in directory: Inode) throws(Refusal) -> Bool {
    guard host.databases != nil, Companion.split(name) != nil else { return false }
    return try read { volume throws -> Bool in
      let path = try path(name, in: directory)
      guard volume[path] == nil else { return false }
      guard let (file, companion) = base(of: path, in: volume) else { return true }
      let inode = table.unlink(companion, of: file.id)
      inode?.state.with { inode?.isUnlinked = true }
      guard Glibc.unlink(self.path(of: companion, of: file.id)) == 0 || errno == ENOENT else { throw Refusal(errno) }
      return true
    }
  }

  /// Answers a rename that has to do with companions; false when it has not.
  ///
  /// A companion cannot leave its database, nor an ordinary file become one: programs copy then. Whoever moves a
  /// database and then its companions finds them moved already.
  func renameCompanion(
    _ name: [UInt8], _ from: Inode, _ newName: [UInt8], _ to: Inode
  ) throws(Refusal) -> Bool {
    guard host.databases != nil, Companion.split(name) != nil || Companion.split(newName) != nil else { return false }
    return try read { volume throws -> Bool in
      let (source, target) = (try path(name, in: from), try path(newName, in: to))
      let goal = volume[target] == nil ? base(of: target, in: volume) : nil
      if volume[source] != nil {
        guard let goal, goal.file.form.isDatabase else { return false }
        throw Refusal(EXDEV)
      }
      guard Companion.split(name) != nil else { return false }
      if let (file, companion) = base(of: source, in: volume),
        access(self.path(of: companion, of: file.id), F_OK) == 0
      {
        throw Refusal(EXDEV)
      }
      guard let goal, access(self.path(of: goal.companion, of: goal.file.id), F_OK) == 0 else { throw Refusal(ENOENT) }
      return true
    }
  }

  /// After a database moved or went, the kernel must look for its companions anew.
  func showMovedCompanions(_ name: [UInt8], _ from: Inode, _ newName: [UInt8], _ to: Inode) {
    guard host.databases != nil else { return }
    let isDatabase = host.withVolume { volume, _ -> Bool in
      guard let path = try? path(newName, in: to), case .file(let id)? = volume[path] else { return false }
      return volume.files[id]?.form.isDatabase ?? false
    }
    if isDatabase { forgetCompanions([(from, name), (to, newName)]) }
  }

  /// Has the kernel forget what it knows of companions of these names.
  func forgetCompanions(_ places: [(directory: Inode, name: [UInt8])]) {
    slowLane.add { [self] in
      guard let session else { return }
      for (directory, name) in places {
        for companion in Companion.allCases {
          let whole = (name + companion.suffix).map { CChar(bitPattern: $0) } + [0]
          fuse_lowlevel_notify_inval_entry(session, table.node(of: directory), whole, whole.count - 1)
        }
      }
    }
  }
}
