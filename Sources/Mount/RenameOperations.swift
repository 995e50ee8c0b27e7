// Moving names: rename, with NOREPLACE and EXCHANGE.

import CFuse
import Causality
import Glibc
import Replication
import Synchronization

private enum RenameFlags {
  static let noReplace: UInt32 = 1
  static let exchange: UInt32 = 2
}

extension FileSystem {
  func rename(
    _ request: consuming Request, _ parent: fuse_ino_t, _ name: [UInt8], _ newParent: fuse_ino_t, _ newName: [UInt8],
    _ flags: UInt32
  ) {
    let (from, to) = (table.inode(parent), table.inode(newParent))
    do throws(Refusal) {
      try checkOrdinary(name, in: from)
      try checkOrdinary(newName, in: to)
      if try renameCompanion(name, from, newName, to) { return request.succeed() }
      // A rename ends the change of what is moved; what it replaces is recorded as it was.
      try captureMoved(name, in: from)
      switch flags {
      case 0, RenameFlags.noReplace:
        try taking(newName, from: to) { (expected) throws(Refusal) in
          try move(name, from, newName, to, replaces: flags == 0, expected)
        }
      case RenameFlags.exchange:
        try captureMoved(newName, in: to)
        try exchange(name, from, newName, to)
      default: throw Refusal(EINVAL)
      }
      touchDirectory(from)
      if to !== from { touchDirectory(to) }
      showMovedCompanions(name, from, newName, to)
      request.succeed()
      if isApplying { doubt([(from, name), (to, newName)]) }
    } catch {
      request.fail(error)
    }
  }

  /// Whether a peer's change may have been joined that the kernel has not been shown yet.
  private var isApplying: Bool {
    monotonicMilliseconds() < appliedAt.load(ordering: .relaxed) + 2_000
  }

  /// Has the kernel look again at names that it moved: what it believed to move may have been another file by then.
  private func doubt(_ names: [(directory: Inode, name: [UInt8])]) {
    slowLane.add { [self] in
      guard let session else { return }
      for (directory, name) in names {
        let isFile = host.withVolume { volume, _ -> Bool in
          guard let path = try? path(name, in: directory), case .file? = volume[path] else { return false }
          return true
        }
        guard isFile else { continue }
        let text = name.map { CChar(bitPattern: $0) } + [0]
        fuse_lowlevel_notify_inval_entry(session, table.node(of: directory), text, name.count)
      }
    }
  }

  private func captureMoved(_ name: [UInt8], in directory: Inode) throws(Refusal) {
    let inode: Inode? = try read { volume throws -> Inode? in
      guard case .file(let id)? = volume[try path(name, in: directory)] else { return nil }
      return table.find(id)
    }
    if let inode, inode.state.with({ inode.hasChanges }) { try capture(inode) }
  }

  private func move(
    _ name: [UInt8], _ from: Inode, _ newName: [UInt8], _ to: Inode, replaces: Bool, _ expected: FileID?
  ) throws(Refusal) {
    try change { volume, stamp in
      let (source, target) = (try path(name, in: from), try path(newName, in: to))
      guard let moving = volume[source] else { throw Refusal(ENOENT) }
      let replaced = volume[target]
      if replaced != nil && !replaces { throw Refusal(EEXIST) }
      try check(target, holds: expected, in: volume)
      try volume.rename(source, to: target, at: stamp())
      let now = FileTime(currentTime())
      func touch(_ inode: Inode?) { inode?.state.with { inode?.changed = now } }
      if case .file(let id)? = replaced, moving != replaced { touch(markUnlinked(id, in: volume)) }
      switch moving {
      case .file(let id): touch(table.find(id))
      case .directory:
        if replaced == .directory {
          touch(table.find(target))
          table.remove(target)
        }
        table.move(source, to: target)
        touch(table.find(target))
        countSubdirectory(-1, in: from)
        if replaced != .directory { countSubdirectory(1, in: to) }
      }
    }
  }

  private func exchange(_ name: [UInt8], _ from: Inode, _ newName: [UInt8], _ to: Inode) throws(Refusal) {
    try change { volume, stamp in
      let (one, other) = (try path(name, in: from), try path(newName, in: to))
      let (first, second) = (volume[one], volume[other])
      try volume.exchange(one, with: other, at: stamp())
      table.exchange(one, other)
      let now = FileTime(currentTime())
      for (shown, path) in [(first, other), (second, one)] {
        guard let shown else { continue }
        let inode =
          switch shown {
          case .directory: table.find(path)
          case .file(let id): table.find(id)
          }
        inode?.state.with { inode?.changed = now }
      }
      let difference = (second == .directory ? 1 : 0) - (first == .directory ? 1 : 0)
      countSubdirectory(difference, in: from)
      countSubdirectory(-difference, in: to)
    }
  }

  private func countSubdirectory(_ difference: Int, in directory: Inode) {
    if let known = directory.subdirectories { directory.subdirectories = known + difference }
  }
}
