// Two directory trees, compared as programs see them.

import CFuse
import Foundation

/// What stands at one path of a tree.
struct TreeEntry: Hashable {
  var mode: mode_t
  var owner: uid_t
  var group: gid_t
  var size: off_t
  var modifiedSeconds: Int
  var modifiedNanoseconds: Int
  var target: String
  /// The first path of the same inode: equal groups are equal hard links.
  var firstName: String
  var attributes: [String: [UInt8]]
}

/// A tree with everything in it, read by its own calls so that nothing is assumed.
struct Tree {
  let root: String
  private(set) var entries: [String: TreeEntry] = [:]
  private let leftOut: Set<String>
  private var firstNames: [ino_t: String] = [:]

  /// Reads all of a tree but the bytes of its files.
  ///
  /// - Parameter leavingOut: paths that are not looked at.
  init(_ root: String, leavingOut: Set<String> = []) throws {
    self.root = root
    leftOut = leavingOut
    try walk("")
  }

  /// Regular files, and bytes of all of them.
  var files: (count: Int, bytes: Int) {
    let regular = entries.values.filter { $0.mode & S_IFMT == S_IFREG }
    return (regular.count, regular.reduce(0) { $0 + Int($1.size) })
  }

  private mutating func walk(_ path: String) throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: root + path).sorted()
    for name in names {
      let inner = path + "/" + name
      if leftOut.contains(inner) { continue }
      var status = stat()
      guard lstat(root + inner, &status) == 0 else { throw Self.failure("look at", root + inner) }
      let kind = status.st_mode & S_IFMT
      let first = firstNames[status.st_ino] ?? inner
      if kind != S_IFDIR { firstNames[status.st_ino] = first }
      entries[inner] = TreeEntry(
        mode: status.st_mode, owner: status.st_uid, group: status.st_gid, size: kind == S_IFDIR ? 0 : status.st_size,
        modifiedSeconds: status.st_mtim.tv_sec, modifiedNanoseconds: status.st_mtim.tv_nsec,
        target: kind == S_IFLNK ? try FileManager.default.destinationOfSymbolicLink(atPath: root + inner) : "",
        firstName: kind == S_IFDIR ? inner : first, attributes: Self.attributes(of: root + inner))
      if kind == S_IFDIR { try walk(inner) }
    }
  }

  private static func attributes(of path: String) -> [String: [UInt8]] {
    let size = llistxattr(path, nil, 0)
    guard size > 0 else { return [:] }
    var list = [CChar](repeating: 0, count: size)
    let count = max(0, llistxattr(path, &list, size))
    let names = list.prefix(count).split(separator: 0).map {
      String(decoding: $0.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    var attributes: [String: [UInt8]] = [:]
    for name in names where name.hasPrefix("user.") {
      var value = [UInt8](repeating: 0, count: max(0, lgetxattr(path, name, nil, 0)))
      _ = lgetxattr(path, name, &value, value.count)
      attributes[name] = value
    }
    return attributes
  }

  /// How the other tree differs, at most `limit` lines; empty when programs could not tell the two apart.
  func differences(from other: Tree, limit: Int = 5) -> [String] {
    var found: [String] = []
    for path in Set(entries.keys).union(other.entries.keys).sorted() {
      if found.count >= limit { break }
      guard let mine = entries[path] else {
        found.append("\(path) is only in \(other.root)")
        continue
      }
      guard let theirs = other.entries[path] else {
        found.append("\(path) is only in \(root)")
        continue
      }
      if let what = Self.difference(mine, theirs) { found.append("\(path): \(what)") }
      guard mine.mode & S_IFMT == S_IFREG, theirs.mode & S_IFMT == S_IFREG, mine.firstName == path else { continue }
      if !Self.isSameContent(root + path, other.root + path) { found.append("\(path): the bytes differ") }
    }
    return found
  }

  private static func difference(_ mine: TreeEntry, _ theirs: TreeEntry) -> String? {
    if mine.mode != theirs.mode { return "mode \(String(mine.mode, radix: 8)) and \(String(theirs.mode, radix: 8))" }
    if mine.owner != theirs.owner || mine.group != theirs.group { return "the owners differ" }
    if mine.size != theirs.size { return "\(mine.size) and \(theirs.size) bytes" }
    if mine.target != theirs.target { return "links to \(mine.target) and \(theirs.target)" }
    if mine.firstName != theirs.firstName { return "the hard links differ" }
    if mine.attributes != theirs.attributes { return "the extended attributes differ" }
    if mine.modifiedSeconds != theirs.modifiedSeconds || mine.modifiedNanoseconds != theirs.modifiedNanoseconds {
      return "changed at \(mine.modifiedSeconds).\(mine.modifiedNanoseconds) and "
        + "\(theirs.modifiedSeconds).\(theirs.modifiedNanoseconds)"
    }
    return nil
  }

  private static func isSameContent(_ left: String, _ right: String) -> Bool {
    guard let one = FileHandle(forReadingAtPath: left), let other = FileHandle(forReadingAtPath: right) else {
      return false
    }
    defer {
      try? one.close()
      try? other.close()
    }
    while true {
      guard let mine = try? one.read(upToCount: 1 << 20) ?? Data(),
        let theirs = try? other.read(upToCount: 1 << 20) ?? Data(), mine == theirs
      else { return false }
      if mine.isEmpty { return true }
    }
  }

  private static func failure(_ verb: String, _ path: String) -> CommandFailure {
    CommandFailure(what: "cannot \(verb) \(path)", why: String(cString: strerror(errno)))
  }
}
