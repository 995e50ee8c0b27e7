// All inodes, by what they stand for.

import CFuse
import Causality
import Glibc
import Replication

/// The inodes that the kernel, an open handle or an uncaptured change keeps.
final class InodeTable: @unchecked Sendable {
  let root: Inode
  let virtualDirectory: Inode
  let virtualFiles: [String: Inode]

  private let lock = Lock()
  private var inodes: [UInt64: Inode] = [:]
  private var files: [FileID: Inode] = [:]
  private var directories: [Path: Inode] = [:]
  private var gates: [FileID: Lock] = [:]
  private var companions: [FileID: [Companion: Inode]] = [:]

  static let virtualNames = ["lag", "position", "status"]

  init(root attributes: Attributes) {
    root = Inode(number: 1, kind: .directory, attributes: attributes, changed: attributes.modified, size: 0)
    root.path = .root
    let time = FileTime(currentTime())
    let plain = Attributes(mode: 0o555, accessed: time, modified: time)
    virtualDirectory = Inode(number: 2, kind: .virtualDirectory, attributes: plain, changed: time, size: 0)
    var virtual: [String: Inode] = [:]
    for (offset, name) in Self.virtualNames.enumerated() {
      virtual[name] = Inode(
        number: UInt64(3 + offset), kind: .virtualFile(name),
        attributes: Attributes(mode: 0o444, accessed: time, modified: time), changed: time, size: 0)
    }
    virtualFiles = virtual
    directories[.root] = root
    for inode in [root, virtualDirectory] + virtual.values { inodes[inode.number] = inode }
  }

  /// The inode behind a node id that the kernel holds.
  func inode(_ node: fuse_ino_t) -> Inode {
    if node == FUSE_ROOT_ID { return root }
    return Unmanaged<Inode>.fromOpaque(UnsafeRawPointer(bitPattern: UInt(node))!).takeUnretainedValue()
  }

  /// The node id of an inode.
  func node(of inode: Inode) -> fuse_ino_t { inode === root ? fuse_ino_t(FUSE_ROOT_ID) : inode.node }

  // MARK: Finding

  func path(of directory: Inode) -> Path? { lock.with { directory.path } }

  func find(_ file: FileID) -> Inode? { lock.with { files[file] } }

  func find(_ directory: Path) -> Inode? { lock.with { directories[directory] } }

  var all: [Inode] { lock.with { Array(inodes.values) } }

  /// The inode of a file with one more lookup; `make` supplies it when there is none.
  func look(_ file: FileID, make: (_ number: UInt64, _ gate: Lock?) -> Inode) -> Inode {
    lock.with {
      if let inode = files[file] {
        inode.lookups += 1
        return inode
      }
      let inode = make(freeNumber(Self.number(of: file)), gates[file])
      inodes[inode.number] = inode
      files[file] = inode
      inode.lookups = 1
      return inode
    }
  }

  /// The inode of a directory with one more lookup; `make` supplies it when there is none.
  func look(_ directory: Path, make: (_ number: UInt64) -> Inode) -> Inode {
    lock.with {
      if let inode = directories[directory] {
        inode.lookups += 1
        return inode
      }
      let inode = make(freeNumber(Self.number(of: directory)))
      inodes[inode.number] = inode
      directories[directory] = inode
      inode.path = directory
      inode.lookups = 1
      return inode
    }
  }

  /// One more lookup of an inode that is there.
  func look(_ inode: Inode) { lock.with { inode.lookups += 1 } }

  /// One more lookup of an inode that the kernel knows, by its number.
  func look(number: UInt64) -> Inode? {
    lock.with {
      guard let inode = inodes[number], inode.lookups > 0 else { return nil }
      inode.lookups += 1
      return inode
    }
  }

  /// Whether the kernel knows the inode.
  func isKnown(_ inode: Inode) -> Bool { inode === root || lock.with { inode.lookups > 0 } }

  /// The number that an entry shows, whether or not it has an inode.
  func number(of shown: Shown, at path: Path) -> UInt64 {
    lock.with {
      switch shown {
      case .directory: directories[path]?.number ?? Self.number(of: path)
      case .file(let id): files[id]?.number ?? Self.number(of: id)
      }
    }
  }

  // MARK: Changing

  /// The kernel forgets so many lookups.
  func forget(_ inode: Inode, _ count: UInt64) {
    lock.with {
      inode.lookups -= min(count, inode.lookups)
      removeIfUnused(inode)
    }
  }

  /// Lets an inode go that nobody needs any more.
  func settle(_ inode: Inode) { lock.with { removeIfUnused(inode) } }

  private func removeIfUnused(_ inode: Inode) {
    guard inode.lookups == 0, !inode.isVirtual, inode !== root else { return }
    let file: FileID? = inode.state.with { inode.isIdle ? inode.file : nil }
    guard let file else { return }
    if inodes[inode.number] === inode { inodes[inode.number] = nil }
    if files[file] === inode { files[file] = nil }
    if let companion = inode.companion { removeCompanion(inode, companion, of: file) }
    if let path = inode.path, directories[path] === inode { directories[path] = nil }
  }

  /// A file got a new id: what was open stays open, and its companions go with it.
  func renew(_ inode: Inode, from old: FileID, to new: FileID) {
    lock.with {
      if files[old] === inode { files[old] = nil }
      files[new] = inode
      guard let moving = companions.removeValue(forKey: old) else { return }
      for companion in moving.values { companion.state.with { companion.file = new } }
      companions[new] = moving
    }
  }

  /// A file that was written after its last name went has a name again: the name leads to an inode of its own.
  func abandon(_ inode: Inode, _ file: FileID) {
    lock.with {
      if files[file] === inode { files[file] = nil }
    }
  }

  /// Holds files for a remote change: those with an inode stay in the table, and those without get a lock that an inode
  /// made meanwhile takes for its own.
  func hold(_ wanted: [FileID]) -> [Inode] {
    lock.with {
      var held: [Inode] = []
      for file in wanted {
        if let inode = files[file] {
          inode.state.with { inode.pins += 1 }
          held.append(inode)
        } else if gates[file] == nil {
          let gate = Lock()
          gate.lock()
          gates[file] = gate
        }
      }
      return held
    }
  }

  /// Ends `hold` for files that had no inode: `body` sees those that were made meanwhile before they can be changed.
  func openGates(_ wanted: [FileID], _ body: (Inode) -> Void) {
    for file in wanted {
      let (inode, gate) = lock.with { (files[file], gates[file]) }
      guard let gate else { continue }
      if let inode { body(inode) }
      lock.with { gates[file] = nil }
      // An inode made between the two looks knows the change already.
      if let made = find(file) { made.state.with { made.isGated = false } }
      gate.unlock()
    }
  }

  // MARK: Companions

  /// A companion of a file with one more lookup; `make` supplies it when there is none.
  func look(_ companion: Companion, of file: FileID, make: (_ number: UInt64) -> Inode?) -> Inode? {
    lock.with {
      if let inode = companions[file]?[companion] {
        inode.lookups += 1
        return inode
      }
      guard let inode = make(freeNumber(Self.number(of: file) &+ companion.offset)) else { return nil }
      inodes[inode.number] = inode
      companions[file, default: [:]][companion] = inode
      inode.lookups = 1
      return inode
    }
  }

  func find(_ companion: Companion, of file: FileID) -> Inode? { lock.with { companions[file]?[companion] } }

  func hasCompanions(_ file: FileID) -> Bool { lock.with { companions[file] != nil } }

  /// A companion lost its name.
  func unlink(_ companion: Companion, of file: FileID) -> Inode? {
    lock.with {
      guard let inode = companions[file]?[companion] else { return nil }
      removeCompanion(inode, companion, of: file)
      return inode
    }
  }

  private func removeCompanion(_ inode: Inode, _ companion: Companion, of file: FileID) {
    guard companions[file]?[companion] === inode else { return }
    companions[file]?[companion] = nil
    if companions[file]?.isEmpty ?? false { companions[file] = nil }
  }

  /// A directory moved, and with it all that the kernel knows below it.
  func move(_ source: Path, to target: Path) {
    lock.with {
      let moving = directories.filter { $0.key == source || $0.key.isBelow(source) }
      for path in moving.keys { directories[path] = nil }
      place(moving, from: source, to: target)
    }
  }

  /// Two names swapped; either may be a directory.
  func exchange(_ one: Path, _ other: Path) {
    lock.with {
      let first = directories.filter { $0.key == one || $0.key.isBelow(one) }
      let second = directories.filter { $0.key == other || $0.key.isBelow(other) }
      for path in first.keys { directories[path] = nil }
      for path in second.keys { directories[path] = nil }
      place(first, from: one, to: other)
      place(second, from: other, to: one)
    }
  }

  private func place(_ moving: [Path: Inode], from source: Path, to target: Path) {
    for (path, inode) in moving {
      let moved = path.moved(from: source, to: target)
      inode.path = moved
      directories[moved] = inode
    }
  }

  /// A directory is gone.
  func remove(_ path: Path) {
    lock.with {
      guard let inode = directories.removeValue(forKey: path) else { return }
      inode.path = nil
    }
  }

  // MARK: Numbers

  private func freeNumber(_ wished: UInt64) -> UInt64 {
    var number = wished
    while number < 16 || inodes[number] != nil { number = Self.mix(number &+ 1) }
    return number
  }

  private static func number(of file: FileID) -> UInt64 {
    max(16, mix(file.origin.rawValue ^ mix(file.sequence)))
  }

  private static func number(of path: Path) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in path.bytes { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    return max(16, mix(hash))
  }

  /// SplitMix64's finish, cut to 63 bits so that no program reads a negative number.
  private static func mix(_ value: UInt64) -> UInt64 {
    var mixed = value &+ 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return (mixed ^ (mixed >> 31)) >> 1
  }
}
