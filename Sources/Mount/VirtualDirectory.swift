// `.grapevine`: what the node says of itself, inside the mount; not listed, not replicated.

import CFuse
import Glibc
import Replication

/// The text of a virtual file as it was when it was opened.
private final class Text {
  let bytes: [UInt8]
  init(_ bytes: [UInt8]) { self.bytes = bytes }
}

extension FileSystem {
  /// Names in `.grapevine`; this process finds any inode there by its number, as `@number`.
  func lookupVirtual(_ request: consuming Request, _ name: [UInt8]) {
    if name.first == UInt8(ascii: "@"), isInternal(request.caller),
      let number = UInt64(String(decoding: name.dropFirst(), as: UTF8.self)), let inode = table.look(number: number)
    {
      let links = host.withVolume { volume, _ in linkCount(of: inode, in: volume) }
      var answer = entry(inode, links: links)
      answer.entry_timeout = 0
      if !request.entry(answer) { table.forget(inode, 1) }
      return
    }
    guard let inode = table.virtualFiles[String(decoding: name, as: UTF8.self)] else { return request.fail(ENOENT) }
    table.look(inode)
    _ = request.entry(entry(inode, links: 1))
  }

  func openVirtual(_ request: consuming Request, _ inode: Inode, _ wanted: fuse_file_info) {
    guard case .virtualFile(let name) = inode.kind else { return request.fail(EISDIR) }
    guard wanted.flags & O_ACCMODE == O_RDONLY else { return request.fail(EACCES) }
    guard let bytes = host.virtual(name) else { return request.fail(ENOENT) }
    let text = Unmanaged.passRetained(Text(bytes))
    var handle = wanted
    handle.fh = UInt64(UInt(bitPattern: text.toOpaque()))
    handle.direct_io = 1
    if !request.opened(handle) { text.release() }
  }

  func readVirtual(_ request: consuming Request, _ handle: UInt64, _ size: Int, _ offset: off_t) {
    guard handle != 0 else { return request.fail(EBADF) }
    let text = Unmanaged<Text>.fromOpaque(UnsafeRawPointer(bitPattern: UInt(handle))!).takeUnretainedValue()
    let start = min(Int(offset), text.bytes.count)
    let end = min(start + size, text.bytes.count)
    guard let buffer = buffer(end - start) else { return request.fail(ENOMEM) }
    buffer.copyBytes(from: text.bytes[start..<end])
    request.data(UnsafeRawBufferPointer(buffer))
  }

  func releaseVirtual(_ handle: UInt64) {
    guard handle != 0 else { return }
    Unmanaged<Text>.fromOpaque(UnsafeRawPointer(bitPattern: UInt(handle))!).release()
  }

  func readVirtualDirectory(
    _ request: consuming Request, _ whole: UnsafeMutableRawBufferPointer, _ start: Int, isPlus: Bool
  ) {
    var used = 0
    let names = [".", ".."] + InodeTable.virtualNames
    for index in start..<max(start, names.count) {
      var entry = fuse_entry_param()
      let inode = table.virtualFiles[names[index]]
      entry.attr.st_mode = inode == nil ? S_IFDIR : S_IFREG
      entry.attr.st_ino = ino_t(inode?.number ?? (index == 0 ? 2 : 1))
      let room = UnsafeMutableRawBufferPointer(rebasing: whole[used...])
      let name = names[index].utf8.map { CChar(bitPattern: $0) } + [0]
      guard let size = request.add(name, entry, isPlus: isPlus, next: index + 1, to: room) else { break }
      used += size
    }
    request.data(UnsafeRawBufferPointer(rebasing: whole[..<used]))
  }
}
