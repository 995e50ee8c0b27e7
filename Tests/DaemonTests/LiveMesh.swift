// Real nodes without mounts in one process, and how tests write into their volumes.

import Admin
import Causality
import Foundation
import Logging
import Replication
import Storage

@testable import Daemon

/// Two or more running nodes on loopback that carry the volume `data` and mount nothing.
final class LiveMesh: Sendable {
  struct Missing: Error { var what: String }

  let directory: String
  let nodes: [NodeService]

  init(_ regions: String...) async throws {
    directory = NSTemporaryDirectory() + "grapevine-live-\(UInt64.random(in: 0...UInt64.max))"
    let files = try ClusterFiles.create(
      name: "live", sites: regions.map { ClusterFiles.Site(region: $0) }, directory: directory, local: true,
      volume: ClusterFiles.NewVolume(name: "data", size: "1GB"))
    var nodes: [NodeService] = []
    for node in files.nodes {
      let join = nodes.first.map { [Self.gossipAddress(of: $0)] } ?? []
      nodes.append(try await Self.start(node.directory, join: join))
    }
    self.nodes = nodes
  }

  static func gossipAddress(of node: NodeService) -> String {
    node.engine.read { $0.membership.members.first { $0.id == node.identity.node }?.card.gossip ?? "" }
  }

  static func start(_ directory: String, join: [String]) async throws -> NodeService {
    var configuration = try Configuration.load(path: directory + "/grapevine.toml", environment: [:])
    configuration.mounts = []
    configuration.gossip.bind = "127.0.0.1:0"
    configuration.sync.bind = "127.0.0.1:0"
    configuration.admin.http = ""
    configuration.admin.socket = ""
    configuration.mesh.join = join
    return try await NodeService.start(configuration, log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
  }

  func stop() async {
    for node in nodes { await node.stop() }
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Waits until a condition holds, for as long as that may take on a busy machine.
  static func until(_ what: String, _ condition: () async throws -> Bool) async throws {
    for _ in 0..<3_000 {
      if try await condition() { return }
      try await Task.sleep(for: .milliseconds(10))
    }
    throw Missing(what: what)
  }

  /// Waits until all hold what each holds.
  func converge() async throws {
    try await Self.until("convergence") {
      let vectors = nodes.map { node in node.engine.read { $0.volume("data")!.vector } }
      return Set(vectors).count == 1
        && nodes.allSatisfy { node in
          node.engine.read { $0.parcelCount("data") == 0 && $0.connected.count == nodes.count - 1 }
        }
    }
  }
}

extension NodeService {
  var data: CarriedVolume { engine.volume("data")! }

  /// Asks as a client would.
  func ask<Value: Decodable>(
    _ type: Value.Type, _ method: String, _ path: String, _ query: [String: String] = [:]
  ) async throws -> Value {
    try JSONDecoder().decode(type, from: Data(try await bytes(method, path, query)))
  }

  /// The body of an answer; a refusal is thrown.
  func bytes(_ method: String, _ path: String, _ query: [String: String] = [:]) async throws -> [UInt8] {
    let response = await AdminRoutes(service: self).answer(AdminRequest(method: method, path: path, query: query))
    guard case .bytes(let bytes) = response.body else { return [] }
    if response.status >= 300 { throw try JSONDecoder().decode(AdminFailure.self, from: Data(bytes)) }
    return bytes
  }

  /// Makes a file with this content, as the mount does.
  @discardableResult
  func make(_ path: String, _ text: String) throws -> FileID {
    let id = try data.withVolume { volume, stamp in
      try volume.createFile(Path(path), FileForm(.regular), Attributes(mode: 0o644), at: stamp())
    }
    try overwrite(id, text)
    return id
  }

  /// Writes the first chunk of a file.
  func overwrite(_ id: FileID, _ text: String) throws {
    let bytes = Array(text.utf8)
    let descriptor = try data.content.open(id, create: true)
    defer { close(descriptor) }
    try ContentStore.write(bytes, at: 0, to: descriptor, path: path(of: id))
    let write = ChunkWrite(index: 0, hash: ContentHasher.hash(bytes[...]), length: UInt32(bytes.count))
    try data.withVolume { volume, stamp in
      let attributes = volume.files[id]?.attributes ?? Attributes(mode: 0o644)
      _ = try volume.commit(id, [write], size: UInt64(bytes.count), attributes: attributes, at: stamp())
    }
  }

  /// Removes a file.
  func remove(_ path: String) throws {
    try data.withVolume { volume, stamp in try volume.unlink(Path(path), at: stamp()) }
  }

  /// The content that is visible at a path.
  func content(_ path: String) -> String? {
    engine.read { node -> (FileID, UInt64)? in
      guard let volume = node.volume("data"), case .file(let id)? = volume[Path(path)] else { return nil }
      return (id, volume.files[id]!.size)
    }.flatMap { id, size in
      data.content.chunk(id, index: 0, chunkSize: FileForm.ordinaryChunkSize, length: Int(size))
    }.map { String(decoding: $0, as: UTF8.self) }
  }

  private func path(of id: FileID) -> String { data.content.path(of: id) }
}
