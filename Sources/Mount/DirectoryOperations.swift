// Listing directories: opendir, readdir, readdirplus, releasedir.

import CFuse
import Glibc
import Replication

/// An open directory: the entries as they stood when the reader was at its start.
private final class Listing {
  struct Entry {
    var name: [UInt8]
    var shown: Shown
    var companion: Companion?
  }

  let lock = Lock()
  var entries: [Entry]?
}

extension FileSystem {
  func openDirectory(_ request: consuming Request, _ node: fuse_ino_t, _ wanted: fuse_file_info) {
    let inode = table.inode(node)
    var handle = wanted
    let listing = Unmanaged.passRetained(Listing())
    handle.fh = UInt64(UInt(bitPattern: listing.toOpaque()))
    if !inode.isVirtual {
      handle.cache_readdir = 1
      handle.keep_cache = 1
    }
    if !request.opened(handle) { listing.release() }
  }

  func closeDirectory(_ request: consuming Request, _ handle: fuse_file_info) {
    Unmanaged<Listing>.fromOpaque(UnsafeRawPointer(bitPattern: UInt(handle.fh))!).release()
    request.succeed()
  }

  func readDirectory(
    _ request: consuming Request, _ node: fuse_ino_t, _ size: Int, _ offset: off_t, _ handle: fuse_file_info,
    isPlus: Bool
  ) {
    let inode = table.inode(node)
    guard let whole = buffer(min(size, 1 << 20)) else { return request.fail(ENOMEM) }
    let listing = Unmanaged<Listing>.fromOpaque(UnsafeRawPointer(bitPattern: UInt(handle.fh))!).takeUnretainedValue()
    listing.lock.lock()
    defer { listing.lock.unlock() }
    if inode.isVirtual { return readVirtualDirectory(request, whole, Int(offset), isPlus: isPlus) }
    if offset == 0 || listing.entries == nil { listing.entries = entries(of: inode) }
    let used = fill(request, inode, listing.entries ?? [], whole, from: Int(offset), isPlus: isPlus)
    request.data(UnsafeRawBufferPointer(rebasing: whole[..<used]))
  }

  /// The entries by name, so that a listing does not depend on how they are stored.
  private func entries(of directory: Inode) -> [Listing.Entry] {
    let found = host.withVolume { volume, _ -> [Listing.Entry] in
      guard let path = table.path(of: directory) else { return [] }
      return volume.entries(of: path).flatMap { name -> [Listing.Entry] in
        guard let shown = volume[path.appending(name)] else { return [] }
        let companions = companions(of: shown, in: volume).map { companion in
          Listing.Entry(name: name + companion.suffix, shown: shown, companion: companion)
        }
        return [Listing.Entry(name: name, shown: shown)] + companions
      }
    }
    return found.sorted { $0.name.lexicographicallyPrecedes($1.name) }
  }

  private func fill(
    _ request: borrowing Request, _ directory: Inode, _ entries: [Listing.Entry],
    _ whole: UnsafeMutableRawBufferPointer, from start: Int, isPlus: Bool
  ) -> Int {
    var used = 0
    var index = start
    while index < entries.count + 2 {
      let room = UnsafeMutableRawBufferPointer(rebasing: whole[used...])
      let size =
        index < 2
        ? addDots(request, directory, index, room, isPlus: isPlus)
        : add(request, directory, entries[index - 2], next: index + 1, room, isPlus: isPlus)
      guard let size else { break }
      used += size
      index += 1
    }
    return used
  }

  private func addDots(
    _ request: borrowing Request, _ directory: Inode, _ index: Int, _ room: UnsafeMutableRawBufferPointer, isPlus: Bool
  ) -> Int? {
    var entry = fuse_entry_param()
    entry.attr.st_mode = S_IFDIR
    entry.attr.st_ino = ino_t(directory.number)
    if index == 1, let path = table.path(of: directory), !path.isRoot {
      entry.attr.st_ino = ino_t(path.parent.isRoot ? 1 : table.number(of: .directory, at: path.parent))
    }
    return request.add(index == 0 ? [46, 0] : [46, 46, 0], entry, isPlus: isPlus, next: index + 1, to: room)
  }

  private func add(
    _ request: borrowing Request, _ directory: Inode, _ listed: Listing.Entry, next: Int,
    _ room: UnsafeMutableRawBufferPointer, isPlus: Bool
  ) -> Int? {
    let name = listed.name.map { CChar(bitPattern: $0) } + [0]
    guard isPlus else {
      let entry = host.withVolume { volume, _ in plainEntry(directory, listed, in: volume) }
      return request.add(name, entry, isPlus: false, next: next, to: room)
    }
    let found: (inode: Inode, links: Int)? = host.withVolume { volume, _ in
      guard let parent = table.path(of: directory) else { return nil }
      let path = parent.appending(listed.name)
      if listed.companion != nil { return lookCompanion(at: path, in: volume).map { ($0, 1) } }
      guard let shown = volume[path], let inode = look(path, shown, in: volume) else { return nil }
      return (inode, linkCount(of: inode, in: volume))
    }
    guard let found else { return 0 }
    let size = request.add(name, entry(found.inode, links: found.links), isPlus: true, next: next, to: room)
    if size == nil { table.forget(found.inode, 1) }
    return size
  }

  private func plainEntry(_ directory: Inode, _ listed: Listing.Entry, in volume: Volume) -> fuse_entry_param {
    var entry = fuse_entry_param()
    entry.attr.st_mode = S_IFDIR
    if let companion = listed.companion, case .file(let id) = listed.shown {
      entry.attr.st_mode = S_IFREG
      entry.attr.st_ino = ino_t(table.find(companion, of: id)?.number ?? UInt64.max >> 1)
      return entry
    }
    if case .file(let id) = listed.shown { entry.attr.st_mode = volume.files[id]?.form.kind.modeBits ?? S_IFREG }
    let path = (table.path(of: directory) ?? .root).appending(listed.name)
    entry.attr.st_ino = ino_t(table.number(of: listed.shown, at: path))
    return entry
  }

}
