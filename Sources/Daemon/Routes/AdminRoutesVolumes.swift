// Volumes made while the node runs.

import Admin
import Causality
import Glibc
import Node
import Replication
import Storage
import Transport

extension AdminRoutes {
  /// Makes a volume here and tells every member that is connected.
  func createVolume(_ request: AdminRequest) async throws -> ToldReport {
    let name = request.query["name"] ?? ""
    guard NodeIdentity.isValidName(name) else {
      throw RouteRefusal(
        400, "no volume was made", "'\(name)' cannot be the name of a volume",
        "Choose 1 to 63 letters, digits, dots, dashes or underscores.")
    }
    let size = request.query["size"] ?? ""
    guard let bytes = size.isEmpty ? 0 : Quantities.bytes(size) else {
      throw RouteRefusal(400, "no volume was made", "'\(size)' is not a size", "Write one such as 10GB or 512MiB.")
    }
    guard engine.volume(name) == nil else {
      throw RouteRefusal(409, "no volume was made", "this node carries \(name) already", "Choose another name.")
    }
    try service.carry(name, sizeBytes: bytes)
    return await tell(.carry(sizeBytes: bytes), of: name)
  }
}

extension NodeService {
  /// Carries one more volume from now on, also after a restart.
  func carry(_ name: String, sizeBytes: UInt64) throws {
    try volumeChanges.withLock { _ in
      guard engine.volume(name) == nil else { return }
      let path = volumesDirectory + "/" + name
      try ContentStore.makeDirectory(path)
      try VolumeSize.save(sizeBytes, in: path)
      try engine.carry(name, directory: path, sizeLimit: sizeBytes, after: .none)
    }
  }
}

/// The size of a volume that no configuration names, kept beside its records.
enum VolumeSize {
  static func save(_ bytes: UInt64, in directory: String) throws {
    let path = directory + "/size"
    let descriptor = try ContentStore.open(path, create: true)
    defer { close(descriptor) }
    try ContentStore.write(Array("\(bytes)\n".utf8), at: 0, to: descriptor, path: path)
  }

  /// Nil when the directory holds no volume made while a node ran.
  static func load(from directory: String) -> UInt64? {
    guard let descriptor = try? ContentStore.open(directory + "/size", create: false) else { return nil }
    defer { close(descriptor) }
    guard let bytes = ContentStore.read(32, at: 0, from: descriptor) else { return nil }
    return UInt64(String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self))
  }
}
