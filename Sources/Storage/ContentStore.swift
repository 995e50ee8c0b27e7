// The contents of a volume: backing files, kept bytes, staged bytes.

import CSQLite
import Causality
import Glibc
import Replication

/// The bytes of one volume's files: sparse backing files named by file id, chunk `i` at offset `i * chunkSize`.
public final class ContentStore: Sendable {
  /// The directory of the volume.
  public let directory: String

  /// Opens or makes the directories.
  public init(directory: String) throws {
    self.directory = directory
    for name in ["", "/content", "/kept", "/staging", "/local"] {
      try Self.makeDirectory(directory + name)
    }
    for shard in 0..<256 { try Self.makeDirectory(directory + "/content/" + Self.hexadecimal(UInt8(shard))) }
  }

  /// Prepares the process for chunks coming and going; to be called once, early.
  public static func tuneMemory() { grapevine_tune_memory() }

  /// Makes a directory unless it is there.
  public static func makeDirectory(_ path: String) throws {
    guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
      throw StorageError.system(operation: "make directory", path: path, errno: errno)
    }
  }

  private static func hexadecimal(_ byte: UInt8) -> String {
    let text = String(byte, radix: 16)
    return byte < 16 ? "0" + text : text
  }

  /// The backing file of a file.
  public func path(of file: FileID) -> String {
    "\(directory)/content/\(Self.hexadecimal(UInt8(truncatingIfNeeded: file.sequence)))/\(file.origin)-\(file.sequence)"
  }

  /// Where a transfer collects bytes that must not show yet.
  public func stagingPath(of name: String) -> String { "\(directory)/staging/\(name)" }

  /// The live, local form of a file: what programs write while it differs in kind from what replicates.
  public func localPath(of name: String) -> String { "\(directory)/local/\(name)" }

  /// The live form of a database: what programs of this node read and write. Companions append their suffix.
  public func livePath(of file: FileID) -> String { localPath(of: file.localName + ".db") }

  /// Opens a backing file for reading and writing; the caller closes the descriptor.
  public func open(_ file: FileID, create: Bool) throws -> Int32 { try Self.open(path(of: file), create: create) }

  /// Opens any file of the store for reading and writing; the caller closes the descriptor.
  public static func open(_ path: String, create: Bool) throws -> Int32 {
    let descriptor = Glibc.open(path, O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), 0o600)
    guard descriptor >= 0 else { throw StorageError.system(operation: "open", path: path, errno: errno) }
    return descriptor
  }

  /// Removes the bytes of a file, if there are any.
  public func remove(_ file: FileID) { unlink(path(of: file)) }

  /// The files that have bytes here.
  public var held: [FileID] {
    (0..<256).flatMap { shard -> [FileID] in
      Self.names(in: "\(directory)/content/\(Self.hexadecimal(UInt8(shard)))").compactMap { name in
        let parts = name.split(separator: "-")
        guard parts.count == 2, let origin = NodeID(text: String(parts[0])), let sequence = UInt64(parts[1])
        else { return nil }
        return Dot(origin, sequence)
      }
    }
  }

  /// The names in a directory, without the two dots; empty when it cannot be read.
  public static func names(in path: String) -> [String] {
    guard let stream = opendir(path) else { return [] }
    defer { closedir(stream) }
    var names: [String] = []
    while let entry = readdir(stream) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != "." && name != ".." { names.append(name) }
    }
    return names.sorted()
  }

  // MARK: Kept bytes

  private func keptPath(_ hash: ContentHash) -> String { "\(directory)/kept/\(hash)" }

  /// Keeps bytes by their hash, durably enough to survive a crash of this process.
  public func keep(_ bytes: [UInt8], as hash: ContentHash) throws {
    let path = keptPath(hash)
    guard access(path, F_OK) != 0 else { return }
    let draft = path + ".draft"
    let descriptor = Glibc.open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw StorageError.system(operation: "open", path: draft, errno: errno) }
    defer { close(descriptor) }
    try Self.write(bytes, at: 0, to: descriptor, path: draft)
    guard Glibc.rename(draft, path) == 0 else {
      throw StorageError.system(operation: "rename", path: draft, errno: errno)
    }
  }

  /// The kept bytes with this hash.
  public func kept(_ hash: ContentHash) -> [UInt8]? {
    let descriptor = Glibc.open(keptPath(hash), O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return nil }
    return Self.read(Int(status.st_size), at: 0, from: descriptor)
  }

  /// Forgets kept bytes.
  public func forget(_ hash: ContentHash) { unlink(keptPath(hash)) }

  // MARK: Bytes

  /// Writes all bytes at an offset.
  public static func write(_ bytes: [UInt8], at offset: UInt64, to descriptor: Int32, path: String) throws {
    try write(bytes[...], at: offset, to: descriptor, path: path)
  }

  /// Writes all bytes at an offset.
  public static func write(_ bytes: ArraySlice<UInt8>, at offset: UInt64, to descriptor: Int32, path: String) throws {
    try bytes.withUnsafeBytes { buffer in
      var done = 0
      while done < buffer.count {
        let count = pwrite(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
        if count < 0, errno == EINTR { continue }
        guard count > 0 else { throw StorageError.system(operation: "write", path: path, errno: errno) }
        done += count
      }
    }
  }

  /// Reads so many bytes from an offset; fewer at the end of the file; nil when reading fails.
  public static func read(_ count: Int, at offset: UInt64, from descriptor: Int32) -> [UInt8]? {
    var failed = false
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      filled = 0
      while filled < count {
        let got = pread(descriptor, buffer.baseAddress! + filled, count - filled, off_t(offset) + off_t(filled))
        if got < 0, errno == EINTR { continue }
        if got < 0 { failed = true }
        if got <= 0 { break }
        filled += got
      }
    }
    return failed ? nil : bytes
  }

  /// Copies the first bytes of a file to another.
  public static func copy(from source: Int32, to target: Int32, count: UInt64, path: String) throws {
    var done: UInt64 = 0
    while done < count {
      guard let bytes = read(Int(min(1 << 20, count - done)), at: done, from: source) else {
        throw StorageError.system(operation: "read to copy", path: path, errno: errno)
      }
      if bytes.isEmpty { break }
      try write(bytes, at: done, to: target, path: path)
      done += UInt64(bytes.count)
    }
  }

  /// Makes a range of a file a hole; writes zeros where the file system has no holes.
  public static func punch(_ descriptor: Int32, at offset: Int64, length: Int64) {
    guard grapevine_punch_hole(descriptor, Int(offset), Int(length)) != 0 else { return }
    try? write([UInt8](repeating: 0, count: Int(length)), at: UInt64(offset), to: descriptor, path: "a hole")
  }

  /// The bytes of a chunk of a backing file, padded with zeros to `length` where the file is shorter.
  public func chunk(_ file: FileID, index: UInt64, chunkSize: UInt32, length: Int) -> [UInt8]? {
    let descriptor = Glibc.open(path(of: file), O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return errno == ENOENT ? [UInt8](repeating: 0, count: length) : nil }
    defer { close(descriptor) }
    guard var bytes = Self.read(length, at: index * UInt64(chunkSize), from: descriptor) else { return nil }
    if bytes.count < length { bytes.append(contentsOf: repeatElement(0, count: length - bytes.count)) }
    return bytes
  }
}

extension Dot {
  /// A file's name among the files of the store.
  public var localName: String { "\(origin)-\(sequence)" }

  /// The file with such a name.
  public init?(localName: String) {
    let parts = localName.split(separator: "-")
    guard parts.count == 2, let origin = NodeID(text: String(parts[0])), let sequence = UInt64(parts[1]) else {
      return nil
    }
    self.init(origin, sequence)
  }
}
