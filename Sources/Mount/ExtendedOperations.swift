// Extended attributes: those that programs set, and those that tell of replication.

import CFuse
import Causality
import Glibc
import Replication

private enum ExtendedFlags {
  static let create: Int32 = 1
  static let replace: Int32 = 2
}

extension FileSystem {
  private static let ownPrefix = Array("user.grapevine.".utf8)

  func getExtended(_ request: consuming Request, _ node: fuse_ino_t, _ name: [UInt8], _ room: Int) {
    let inode = table.inode(node)
    if let value = inode.state.with({ inode.attributes.extended.isEmpty ? nil : inode.attributes[extended: name] }) {
      return request.sized(value, room: room)
    }
    if name.starts(with: Self.ownPrefix), let value = ownAttribute(name.dropFirst(Self.ownPrefix.count), of: inode) {
      return request.sized(value, room: room)
    }
    request.fail(ENODATA)
  }

  func listExtended(_ request: consuming Request, _ node: fuse_ino_t, _ room: Int) {
    let inode = table.inode(node)
    let seesTrusted = request.caller.uid == 0
    let extended = inode.state.with { inode.attributes.extended }
    var names: [UInt8] = []
    for attribute in extended where seesTrusted || !attribute.name.starts(with: "trusted.".utf8) {
      names += attribute.name + [0]
    }
    request.sized(names, room: room)
  }

  func setExtended(
    _ request: consuming Request, _ node: fuse_ino_t, _ name: [UInt8], _ value: [UInt8], _ flags: Int32
  ) {
    changeExtended(request, table.inode(node), name) { (attributes) throws(Refusal) in
      let exists = attributes[extended: name] != nil
      if flags & ExtendedFlags.create != 0 && exists { throw Refusal(EEXIST) }
      if flags & ExtendedFlags.replace != 0 && !exists { throw Refusal(ENODATA) }
      guard value.count <= CodingBounds.extendedValue else { throw Refusal(E2BIG) }
      guard exists || attributes.extended.count < CodingBounds.extendedAttributes else { throw Refusal(ENOSPC) }
      attributes[extended: name] = value
    }
  }

  func removeExtended(_ request: consuming Request, _ node: fuse_ino_t, _ name: [UInt8]) {
    changeExtended(request, table.inode(node), name) { (attributes) throws(Refusal) in
      guard attributes[extended: name] != nil else { throw Refusal(ENODATA) }
      attributes[extended: name] = nil
    }
  }

  private func changeExtended(
    _ request: consuming Request, _ inode: Inode, _ name: [UInt8],
    _ change: (inout Attributes) throws(Refusal) -> Void
  ) {
    if inode.isVirtual || name.starts(with: Self.ownPrefix) { return request.fail(EPERM) }
    guard name.count <= 255 else { return request.fail(ERANGE) }
    // Access control lists would be kept but not obeyed: better to say so.
    if name.starts(with: "system.".utf8) { return request.fail(EOPNOTSUPP) }
    do throws(Refusal) {
      inode.state.lock()
      do throws(Refusal) {
        try change(&inode.attributes)
      } catch {
        inode.state.unlock()
        throw error
      }
      inode.changed = FileTime(currentTime())
      inode.attributesChanged = true
      let writers = inode.writers
      let isNews = inode.touch()
      inode.state.unlock()
      if isNews { addPending(inode) }
      if writers == 0 { try capture(inode) }
      request.succeed()
    } catch {
      request.fail(error)
    }
  }

  /// What `user.grapevine.version`, `origin` and `conflicts` tell.
  private func ownAttribute(_ name: ArraySlice<UInt8>, of inode: Inode) -> [UInt8]? {
    guard inode.form != nil else { return nil }
    let id = inode.state.with { inode.file }
    let text: String? = host.withVolume { volume, _ in
      guard let file = volume.files[id] else { return nil }
      switch String(decoding: name, as: UTF8.self) {
      case "version": return file.vector.description
      case "origin":
        let newest = file.notes.max { ($0.value.stamp, $0.key) < ($1.value.stamp, $1.key) }
        return (newest?.key.origin ?? id.origin).description
      case "conflicts": return String(file.lost.filter { $0.dropped == .none }.count)
      default: return nil
      }
    }
    return text.map { Array($0.utf8) }
  }
}
