// Conflicts: listed, shown with their bytes, restored, dropped.

import Admin
import Causality
import Glibc
import Replication
import Storage

extension AdminRoutes {
  private struct Found {
    var volume: CarriedVolume
    var conflict: Conflict
  }

  func conflicts(_ request: AdminRequest) async throws -> [ConflictReport] {
    let found = try find(request)
    for name in Set(found.map(\.volume.name)) { await engine.learnOrigins(of: name) }
    return found.map { report($0) }
  }

  private func find(_ request: AdminRequest) throws -> [Found] {
    let only = try request.query["volume"].map { try volume($0) }
    let volumes = only.map { [$0] } ?? engine.allVolumes
    return volumes.flatMap { volume in
      engine.read { $0.volume(volume.name)?.conflicts ?? [] }.map { Found(volume: volume, conflict: $0) }
    }
  }

  private func one(_ request: AdminRequest) throws -> Found {
    let id = request.query["id"] ?? ""
    if let found = try find(request).first(where: { $0.conflict.id == id }) { return found }
    throw RouteRefusal(
      404, "there is no conflict '\(id)'", "it was dropped or restored, or it never was",
      "Look at `grapevine conflicts list`.")
  }

  private func report(_ found: Found) -> ConflictReport {
    let name = found.volume.name
    let conflict = found.conflict
    var report = ConflictReport(
      id: conflict.id, volume: name, path: conflict.path.description, kind: "file", index: nil, bytes: 0,
      writtenBy: "", writtenAt: Moment.text(milliseconds: conflict.stamp.milliseconds), winner: "")
    switch conflict.kind {
    case .file(let id):
      let file = engine.read { $0.volume(name)?.files[id] }
      report.bytes = file?.size ?? 0
      let last = file?.notes.max { ($0.value.stamp, $0.key) < ($1.value.stamp, $1.key) }
      report.writtenBy = engine.name(ofOrigin: last?.key.origin ?? id.origin, in: name)
      if case .file(let holder)? = engine.read({ $0.volume(name)?[conflict.path] }) {
        report.winner = engine.name(ofOrigin: holder.origin, in: name)
      }
    case .chunk(_, let index, let chunk, let winner):
      report.kind = "chunk"
      report.index = index
      report.bytes = UInt64(chunk.length)
      report.writtenBy = engine.name(ofOrigin: chunk.dot.origin, in: name)
      report.winner = engine.name(ofOrigin: winner.origin, in: name)
    }
    return report
  }

  // MARK: Bytes

  /// The bytes of a lost chunk: kept here, or from a peer that has them.
  private func bytes(of chunk: Chunk, _ file: FileID, _ index: UInt64, _ volume: CarriedVolume) async throws -> [UInt8]
  {
    if chunk.hash.isZeros { return [UInt8](repeating: 0, count: Int(chunk.length)) }
    if let kept = volume.content.kept(chunk.hash) { return kept }
    let place = ContentPlace(file: file, index: index)
    if let fetched = await engine.fetch(chunk.hash, length: chunk.length, of: volume.name, place: place) {
      try volume.content.keep(fetched, as: chunk.hash)
      return fetched
    }
    throw RouteRefusal(
      503, "the bytes of the conflict cannot be had", "they are not on this node and no connected peer has them",
      "Try again when more nodes are connected: `grapevine members`.")
  }

  func showConflict(_ request: AdminRequest) async throws -> AdminResponse {
    let found = try one(request)
    var bytes: [UInt8] = []
    switch found.conflict.kind {
    case .chunk(let file, let index, let chunk, _):
      bytes = try await self.bytes(of: chunk, file, index, found.volume)
    case .file(let id):
      guard let file = engine.read({ $0.volume(found.volume.name)?.files[id] }) else { break }
      guard file.size <= Self.shownBytes else {
        throw RouteRefusal(
          413, "the conflict is not shown", "it has \(file.size) bytes", "Restore it: `grapevine conflicts restore`.")
      }
      bytes = file.form.kind == .symbolicLink ? file.form.target : try read(file, from: found.volume)
    }
    return AdminResponse(contentType: "application/octet-stream", body: .bytes(bytes))
  }

  private func read(_ file: File, from volume: CarriedVolume) throws -> [UInt8] {
    if file.size == 0 { return [] }
    let descriptor = try volume.content.open(file.id, create: false)
    defer { close(descriptor) }
    return ContentStore.read(Int(file.size), at: 0, from: descriptor) ?? []
  }

  // MARK: Restore and drop

  func restoreConflict(_ request: AdminRequest) async throws -> RestoreReport {
    let found = try one(request)
    await engine.learnOrigins(of: found.volume.name)
    let target = request.query["to"].map { Path(Self.normalized("/" + $0)) } ?? freeName(for: found)
    let events: [VolumeEvent]
    switch found.conflict.kind {
    case .file(let id):
      events = try changing(found, target) { volume, stamps throws(VolumeError) in
        try volume.restore(id, at: target, stamp: stamps[0])
      }
    case .chunk(let file, let index, let chunk, _):
      let bytes = try await bytes(of: chunk, file, index, found.volume)
      events = try restore(bytes, chunk, at: index, of: file, found, target)
    }
    found.volume.mount.withLock { $0 }?.show(events, contents: [])
    return RestoreReport(id: found.conflict.id, volume: found.volume.name, path: target.description)
  }

  /// Changes the volume with fresh stamps, three at most; returns what viewers must be told.
  private func changing(
    _ found: Found, _ target: Path, _ body: (inout Volume, [Stamp]) throws(VolumeError) -> Void
  ) throws -> [VolumeEvent] {
    do {
      return try found.volume.withVolume { volume, stamp in
        try body(&volume, [stamp(), stamp(), stamp()])
        return volume.takeEvents()
      }
    } catch let error as VolumeError {
      let why =
        switch error {
        case .exists: "something is at \(target) already"
        case .notFound: "the directory of \(target) does not exist, or the conflict has just gone"
        default: "\(target) lies below something that is not a directory"
        }
      throw RouteRefusal(409, "the conflict is not restored", why, "Name another place with --to.")
    }
  }

  /// `NAME.conflict-NODE` beside the path; with a number when that is taken.
  private func freeName(for found: Found) -> Path {
    let base = found.conflict.path.description + ".conflict-" + report(found).writtenBy
    return engine.read { node in
      let volume = node.volume(found.volume.name)
      var number = 1
      while true {
        let path = Path(number == 1 ? base : "\(base)-\(number)")
        if volume?[path] == nil { return path }
        number += 1
      }
    }
  }

  /// Writes a copy of the file with what lost in its place, and drops the conflict.
  private func restore(
    _ bytes: [UInt8], _ chunk: Chunk, at index: UInt64, of id: FileID, _ found: Found, _ target: Path
  ) throws -> [VolumeEvent] {
    let carried = found.volume
    carried.mount.withLock { $0 }?.captureAll()
    guard let file = engine.read({ $0.volume(carried.name)?.files[id] }) else {
      throw RouteRefusal(404, "the conflict is not restored", "its file has just gone", "Look at `conflicts list`.")
    }
    let chunkSize = UInt64(file.form.chunkSize)
    let draft = carried.content.stagingPath(of: "restore-\(UInt64.random(in: 0...UInt64.max))")
    defer { unlink(draft) }
    let size = max(file.size, index * chunkSize + UInt64(chunk.length))
    let writes = try copy(file, to: draft, size: size, with: bytes, at: index, carried)
    var made: FileID?
    let events = try changing(found, target) { volume, stamps throws(VolumeError) in
      let copy = try volume.createFile(target, file.form, file.attributes, at: stamps[0])
      guard rename(draft, carried.content.path(of: copy)) == 0 else { throw .notFound }
      try volume.commit(copy, writes, size: size, attributes: file.attributes, at: stamps[1])
      if (volume.conflicts.contains { $0.id == found.conflict.id }) { try volume.drop(found.conflict, at: stamps[2]) }
      made = copy
    }
    if let made { carried.mark(made) }
    return events
  }

  /// Copies a file chunk by chunk; says what was written.
  private func copy(
    _ file: File, to draft: String, size: UInt64, with bytes: [UInt8], at lost: UInt64, _ carried: CarriedVolume
  ) throws -> [ChunkWrite] {
    let chunkSize = UInt64(file.form.chunkSize)
    let descriptor = try ContentStore.open(draft, create: true)
    defer { close(descriptor) }
    var writes: [ChunkWrite] = []
    for index in Set(file.chunks.elements.map(\.index) + [lost]).sorted() {
      let length = Int(min(chunkSize, size - index * chunkSize))
      guard
        var piece = carried.content.chunk(file.id, index: index, chunkSize: file.form.chunkSize, length: length)
      else {
        throw StorageError.system(operation: "read", path: carried.content.path(of: file.id), errno: errno)
      }
      if index == lost { piece.replaceSubrange(0..<bytes.count, with: bytes) }
      try ContentStore.write(piece, at: index * chunkSize, to: descriptor, path: draft)
      writes.append(ChunkWrite(index: index, hash: ContentHasher.hash(piece[...]), length: UInt32(length)))
    }
    guard ftruncate(descriptor, off_t(size)) == 0 else {
      throw StorageError.system(operation: "resize", path: draft, errno: errno)
    }
    return writes
  }

  func dropConflicts(_ request: AdminRequest) async throws -> [ConflictReport] {
    let found = request.query["id"] == "all" ? try find(request) : [try one(request)]
    let reports = found.map { report($0) }
    for one in found {
      let events = try changing(one, one.conflict.path) { volume, stamps throws(VolumeError) in
        try volume.drop(one.conflict, at: stamps[0])
      }
      one.volume.mount.withLock { $0 }?.show(events, contents: [])
    }
    return reports
  }
}
