// What the mount does for those who follow databases.

import CFuse
import Replication

/// Who follows the databases of a volume and records their transactions.
public protocol DatabaseHost: AnyObject, Sendable {
  /// Makes the live form of a database out of what is recorded, unless it is there. May take long.
  func makeLive(_ database: FileID) throws

  /// A program opened a database, or a file became one. Returns at once.
  func opened(database: FileID)

  /// A database is another file now. Called with the volume held; returns at once.
  func renewed(database old: FileID, as new: FileID)
}

extension VolumeHost {
  /// None: databases are files like any other.
  public var databases: (any DatabaseHost)? { nil }
}

extension VolumeMount {
  /// The pages of a database, counted from zero, that reached the mount as writes since the last call.
  public func takeWritten(_ database: FileID) -> [ClosedRange<UInt64>] {
    guard let inode = fileSystem.table.find(database) else { return [] }
    let ranges = inode.state.with { () -> [ClosedRange<UInt64>] in
      defer { inode.dirty = DirtyRanges() }
      return inode.dirty.ranges
    }
    fileSystem.table.settle(inode)
    return ranges
  }

  /// A peer made an empty file a database before anything was in it: programs that have it open go on with that.
  public func adopt(_ empty: FileID, as database: FileID) {
    guard let inode = fileSystem.table.find(empty), fileSystem.table.find(database) == nil else { return }
    let isOpen = inode.writing.with { fileSystem.adopt(inode, empty, as: database) }
    if isOpen { try? fileSystem.makeLive(inode) }
  }

  /// Gives a database whose page size changed a file of its own; what is open stays open.
  public func renew(_ database: FileID, pageSize: Int) throws {
    guard let inode = fileSystem.table.find(database) else { return }
    inode.writing.lock()
    defer { inode.writing.unlock() }
    guard inode.state.with({ inode.file == database }) else { return }
    _ = try fileSystem.renew(inode, pageSize: pageSize)
  }
}

extension VolumeMount {
  /// Has the kernel hand over what programs wrote to an open file of this mount and did not sync. Not a sync.
  public func writeBack(_ descriptor: Int32) { grapevine_write_back(descriptor) }
}
