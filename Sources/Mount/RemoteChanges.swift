// Changes that come from peers: applied while no program writes, and shown to the kernel afterwards.

import CFuse
import Causality
import Glibc
import Replication

extension FileSystem {
  /// Has the kernel write back what programs wrote to its pages. Never from a thread that answers the kernel, and never
  /// with `writing` held.
  func flush(_ inode: Inode) {
    guard let session else { return }
    fuse_lowlevel_notify_inval_inode(session, table.node(of: inode), 0, 0)
  }

  /// Has the kernel write back everything that programs with open files wrote, and waits.
  func flushWriters() {
    for inode in table.all where inode.state.with({ inode.writers > 0 }) { flush(inode) }
  }

  /// Runs `body` while no write to the files goes on; what programs wrote before is recorded first.
  func exclusively<R>(_ files: [FileID], _ body: () throws -> R) rethrows -> R {
    let wanted = Array(Set(files).filter { file in !(table.find(file).map { isLive($0) } ?? false) })
    applying.lock()
    defer {
      appliedAt.store(monotonicMilliseconds(), ordering: .relaxed)
      applying.unlock()
    }
    appliedAt.store(monotonicMilliseconds(), ordering: .relaxed)
    for inode in wanted.compactMap({ table.find($0) }) where inode.state.with({ inode.writers > 0 }) { flush(inode) }
    let inodes = table.hold(wanted).sorted { $0.number < $1.number }
    for inode in inodes { inode.writing.lock() }
    defer {
      for inode in inodes {
        refresh(inode)
        inode.writing.unlock()
        inode.state.with { inode.pins -= 1 }
        table.settle(inode)
      }
      table.openGates(wanted) { refresh($0) }
    }
    for inode in inodes { try? captureHeld(inode, durably: false) }
    return try body()
  }

  /// Whether programs see the live form of a database, which is changed through the mount itself.
  private func isLive(_ inode: Inode) -> Bool { inode.isDatabase && inode.state.with { inode.hasLive } }

  /// Takes over what the volume says of a file now, with `writing` held.
  private func refresh(_ inode: Inode) {
    let id = inode.state.with { inode.file }
    guard inode.form != nil else { return }
    let (known, links) = host.withVolume { volume, _ in (volume.files[id], volume.linkCount(id)) }
    guard let file = known else { return }
    inode.state.with {
      guard !inode.isDetached else { return }
      inode.isUnlinked = links == 0
      if inode.isDatabase, inode.hasLive { return inode.takeOver(file.attributes) }
      if !inode.attributesChanged, inode.attributes != file.attributes {
        if inode.attributes.modified != file.attributes.modified
          || inode.attributes.accessed != file.attributes.accessed
        {
          inode.hasStaleTimes = true
        }
        inode.attributes = file.attributes
        inode.changed = FileTime(currentTime())
      }
      guard inode.dirty.isEmpty, !inode.sizeChanged, inode.size != file.size else { return }
      if inode.staleSize == nil { inode.staleSize = inode.size }
      inode.size = file.size
      inode.recordedSize = file.size
      inode.changed = FileTime(currentTime())
    }
  }

  /// Tells the kernel what a join changed: names, data, attributes, in this order.
  func show(_ events: [VolumeEvent], _ contents: [(FileID, offset: Int64, length: Int64)]) {
    guard let session else { return }
    let changes = collect(events)
    for (parent, name) in changes.names {
      _ = name.withUnsafeBufferPointer { name in
        fuse_lowlevel_notify_inval_entry(session, table.node(of: parent), name.baseAddress, name.count - 1)
      }
    }
    for directory in changes.listings {
      fuse_lowlevel_notify_inval_inode(session, table.node(of: directory), 0, 0)
    }
    for directory in changes.directories {
      fuse_lowlevel_notify_inval_inode(session, table.node(of: directory), -1, 0)
    }
    for (id, offset, length) in contents {
      guard let inode = table.find(id), !isLive(inode) else { continue }
      inode.state.with { inode.blocks = nil }
      if table.isKnown(inode) {
        fuse_lowlevel_notify_inval_inode(session, table.node(of: inode), off_t(offset), off_t(length))
      }
    }
    showFiles(changes.files, session)
  }

  /// What a batch of events means to inodes.
  private struct Changes {
    var names: [(Inode, [CChar])] = []
    var listings: [Inode] = []
    var directories: [Inode] = []
    var files: [Inode] = []
  }

  private func collect(_ events: [VolumeEvent]) -> Changes {
    var changes = Changes()
    var seenListings = Set<UInt64>()
    var seenFiles = Set<UInt64>()
    host.withVolume { volume, _ in
      func add(_ id: FileID) {
        guard let inode = table.find(id), seenFiles.insert(inode.number).inserted else { return }
        if volume.linkCount(id) > 0, inode.state.with({ inode.isDetached }) { table.abandon(inode, id) }
        changes.files.append(inode)
      }
      for event in events {
        switch event {
        case .name(let path):
          if volume[path] != .directory { table.remove(path) }
          if case .file(let id)? = volume.paths[path]?.write?.value { add(id) }
          guard !path.isRoot, let parent = table.find(path.parent) else { continue }
          parent.subdirectories = nil
          changes.names.append((parent, path.name.map { CChar(bitPattern: $0) } + [0]))
          if seenListings.insert(parent.number).inserted { changes.listings.append(parent) }
        case .directory(let path):
          guard let inode = table.find(path) else { continue }
          refreshDirectory(inode, volume.directoryAttributes(path))
          changes.directories.append(inode)
        case .attributes(let id): add(id)
        }
      }
    }
    for inode in changes.files {
      inode.writing.with {
        // A file that lost its name to another without being removed keeps what was written to it, as a conflict.
        try? captureHeld(inode, durably: false)
        refresh(inode)
      }
    }
    return changes
  }

  /// Takes over the attributes of a directory; times of entries that changed here and are not recorded yet stay.
  private func refreshDirectory(_ inode: Inode, _ attributes: Attributes) {
    inode.state.with {
      let modified = inode.attributes.modified
      inode.attributes = attributes
      if inode.attributesChanged { inode.attributes.modified = max(modified, attributes.modified) }
      inode.changed = FileTime(currentTime())
    }
  }

  // MARK: Files

  private func showFiles(_ inodes: [Inode], _ session: OpaquePointer) {
    var stale: [(Inode, size: UInt64?)] = []
    for inode in inodes where table.isKnown(inode) {
      let (size, hasStaleTimes) = inode.state.with { () -> (UInt64?, Bool) in
        defer {
          inode.staleSize = nil
          inode.hasStaleTimes = false
        }
        return (inode.staleSize, inode.hasStaleTimes)
      }
      if inode.isRegular, size != nil || hasStaleTimes {
        stale.append((inode, size))
      } else {
        fuse_lowlevel_notify_inval_inode(session, table.node(of: inode), -1, 0)
      }
    }
    guard !stale.isEmpty else { return }
    asItself { () -> Void in
      let directory = Glibc.open(mountPoint + "/.grapevine", GRAPEVINE_O_PATH | O_DIRECTORY | O_CLOEXEC)
      guard directory >= 0 else { return }
      defer { close(directory) }
      for (inode, size) in stale { adjust(inode, from: size, in: directory, session) }
    }
  }

  /// Gives the kernel's inode the size and times that a peer gave the file. With the writeback cache the kernel trusts
  /// its own, and takes others only from a program: so this process acts as one. Its requests change nothing here.
  private func adjust(_ inode: Inode, from stale: UInt64?, in directory: Int32, _ session: OpaquePointer) {
    let name = "@\(inode.number)"
    let descriptor = openat(directory, name, GRAPEVINE_O_PATH | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    if let stale {
      let size = inode.state.with { inode.size }
      let believed = UInt64(bitPattern: grapevine_cached_size(descriptor))
      // A program that has moved the end of the file further meanwhile is right: its write comes as a change of its own.
      if believed < size || believed == stale && stale != size {
        truncate("/proc/self/fd/\(descriptor)", off_t(size))
      }
    }
    // A program may set other times between the look and the call.
    for _ in 0..<3 {
      let times = inode.state.with { (inode.attributes.accessed, inode.attributes.modified) }
      _ = grapevine_set_times(descriptor, [times.0.timespec, times.1.timespec])
      if inode.state.with({ (inode.attributes.accessed, inode.attributes.modified) }) == times { break }
    }
    close(descriptor)
    fuse_lowlevel_notify_inval_entry(session, table.virtualDirectory.node, name, name.utf8.count)
  }
}
