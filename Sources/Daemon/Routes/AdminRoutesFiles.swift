// Chunks of a file, and positions of a volume.

import Admin
import Causality
import Replication

extension AdminRoutes {
  func chunks(_ request: AdminRequest) async throws -> ChunksReport {
    let (carried, path) = try place(request)
    carried.mount.withLock { $0 }?.captureAll()
    await engine.learnOrigins(of: carried.name)
    let found = engine.read { node in
      node.volume(carried.name).flatMap { volume in volume.summary(of: path).map { ($0, volume.files[$0.file]) } }
    }
    guard let (entry, file) = found else {
      throw RouteRefusal(
        404, "there is nothing at \(path)", "the volume \(carried.name) shows no such path here",
        "Check the path; `grapevine diverge` tells whether other nodes have it.")
    }
    return ChunksReport(
      volume: carried.name, path: path.description, kind: Self.kind(of: entry, file),
      file: entry.kind == nil ? "" : entry.file.description, size: entry.size, chunkSize: file?.form.chunkSize ?? 0,
      version: file?.vector.description ?? "", chunks: entry.chunks.map { report($0, in: carried.name) })
  }

  private static func kind(of entry: EntrySummary, _ file: File?) -> String {
    switch entry.kind {
    case nil: "directory"
    case .regular?: file?.form.isDatabase ?? false ? "database" : "file"
    case .symbolicLink?: "link"
    case .pipe?: "pipe"
    case .socket?: "socket"
    case .characterDevice?, .blockDevice?: "device"
    }
  }

  func report(_ summary: ChunkSummary, in volume: String) -> ChunkReport {
    let chunk = summary.chunk
    return ChunkReport(
      index: summary.index, length: chunk.length, hash: chunk.hash.isZeros ? "zeros" : chunk.hash.description,
      dot: chunk.dot.description, writtenAt: Moment.text(milliseconds: summary.stamp.milliseconds),
      stamp: summary.stamp.description, writtenBy: engine.name(ofOrigin: chunk.dot.origin, in: volume))
  }

  // MARK: Positions

  func position(_ request: AdminRequest) throws -> PositionReport {
    let (carried, _) = try place(request)
    carried.mount.withLock { $0 }?.captureAll()
    return PositionReport(
      volume: carried.name, position: engine.position(of: carried.name), isReached: true, waitedMilliseconds: 0)
  }

  func wait(_ request: AdminRequest) async throws -> PositionReport {
    let (carried, _) = try place(request)
    guard let wanted = VersionVector(text: request.query["token"] ?? "") else {
      throw RouteRefusal(
        400, "the position cannot be read", "'\(request.query["token"] ?? "")' is none",
        "Give the text that `grapevine position` prints.")
    }
    let text = request.query["timeout"] ?? "30s"
    guard let timeout = Quantities.duration(text) else {
      throw RouteRefusal(400, "the time cannot be read", "'\(text)' is none", "Write 30s or 500ms.")
    }
    let start = SystemClock.now
    while true {
      let held = engine.read { $0.volume(carried.name)?.vector } ?? VersionVector()
      let waited = SystemClock.now - start
      if held.covers(wanted) || waited >= timeout || Task.isCancelled {
        return PositionReport(
          volume: carried.name, position: held.description, isReached: held.covers(wanted),
          waitedMilliseconds: waited.nanoseconds / 1_000_000)
      }
      try await Task.sleep(for: .milliseconds(10))
    }
  }
}

extension VersionVector {
  /// Reads what `description` prints: `{origin:sequence, …}`.
  init?(text: String) {
    let trimmed = text.filter { !$0.isWhitespace }
    guard trimmed.hasPrefix("{"), trimmed.hasSuffix("}") else { return nil }
    var dots: [Dot] = []
    for part in trimmed.dropFirst().dropLast().split(separator: ",") {
      let sides = part.split(separator: ":")
      guard sides.count == 2, let origin = NodeID(text: String(sides[0])), let sequence = UInt64(sides[1]) else {
        return nil
      }
      dots.append(Dot(origin, sequence))
    }
    self.init(dots)
  }
}
