// What must hold at every moment.

import Causality
import Replication

/// What readers of a node saw of the files that a join is about to touch.
struct Visible {
  struct Part {
    var index: UInt64
    var hash: ContentHash
    var length: UInt32
    var chunk: Chunk?
  }

  var files: [(id: FileID, parts: [Part])] = []

  init(_ host: Host, _ delta: Delta) {
    guard let volume = host.volume else { return }
    for incoming in delta.files {
      guard let file = volume.files[incoming.id], let bytes = host.disk.state.files[incoming.id] else { continue }
      let size = Int(file.form.chunkSize)
      var parts: [Part] = []
      for index in 0..<UInt64((bytes.count + size - 1) / size) {
        let place = ContentPlace(file: file.id, index: index)
        guard host.damaged[place] == nil, !host.rotten.contains(place) else { continue }
        let chunk = file.chunks[index]
        let end = min(bytes.count, Int(index) * size + (chunk.map { Int($0.length) } ?? size))
        let region = bytes[Int(index) * size..<max(Int(index) * size, end)]
        parts.append(
          Part(index: index, hash: ContentDigest.hash(region), length: UInt32(region.count), chunk: chunk))
      }
      files.append((file.id, parts))
    }
  }
}

extension Ledger {
  /// Nothing that was visible is gone unless whoever replaced it had seen it, or it is kept.
  func checkJoin(on host: Host, _ before: Visible) {
    guard let volume = host.volume else { return }
    for (id, parts) in before.files {
      guard let file = volume.files[id], let facts = files[id] else { continue }
      for part in parts {
        let now = file.chunks[part.index]
        if let now, now.hash == part.hash, now.length == part.length { continue }
        guard let old = part.chunk else {
          if part.hash.isZeros { continue }
          world.fail(.overwrite, at: host.index, "unrecorded bytes at \(id) chunk \(part.index) are gone")
          continue
        }
        if old.hash != part.hash {
          world.fail(
            .overwrite, at: host.index, "unrecorded bytes over \(old.dot) at \(id) chunk \(part.index) are gone")
          continue
        }
        let isListed = file.lost.contains { $0.index == part.index && $0.chunk.dot == old.dot }
        if isListed {
          let isDropped = file.lost.contains {
            $0.chunk.dot == old.dot && $0.index == part.index && $0.dropped != .none
          }
          if old.hash.isZeros || isDropped || host.disk.state.kept[old.hash] != nil { continue }
          world.fail(.overwrite, at: host.index, "the bytes of \(old.dot) at \(id) chunk \(part.index) were not kept")
        } else if !isSeen(old.dot, at: part.index, of: facts, by: file.vector) {
          world.fail(
            .overwrite, at: host.index,
            "\(old.dot) at \(id) chunk \(part.index) was overwritten unseen and is no conflict; now \(now.map { "\($0.dot)" } ?? "nothing")"
          )
        }
      }
    }
  }

  /// Whether some change of that chunk, among those held, had seen the version.
  func isSeen(_ dot: Dot, at index: UInt64, of facts: FileFacts, by held: VersionVector) -> Bool {
    if facts.versions[index]?.contains(where: { $0.dot != dot && held.covers($0.dot) && $0.seen.covers(dot) }) ?? false
    {
      return true
    }
    return facts.cuts.contains {
      index * facts.chunkSize >= $0.size && $0.dot != dot && held.covers($0.dot) && $0.seen.covers(dot)
    }
  }

  /// A vector covers only what is held or was replaced; bytes are what the tables say.
  func inspect(_ host: Host) {
    guard let volume = host.volume, world.failure == nil else { return }
    for id in files.keys.sorted() { inspect(id, host, volume) }
    for path in writes.keys.sorted() where !collectedPaths.contains(path) {
      for write in writes[path]! where volume.vector.covers(write.dot) { check(write.dot, path, host, volume) }
    }
    for path in removals.keys.sorted() where !collectedPaths.contains(path) {
      for removal in removals[path]! where volume.vector.covers(removal.dot) { check(removal.dot, path, host, volume) }
    }
    for id in volume.files.keys.sorted() where host.dirty[id] == nil {
      for index in host.mismatches(of: id) {
        let place = ContentPlace(file: id, index: index)
        if host.damaged[place] == nil, !host.rotten.contains(place) {
          world.fail(.bytes, at: host.index, "the bytes of \(id) chunk \(index) are not what the table says")
        }
      }
    }
  }

  private func check(_ dot: Dot, _ path: Path, _ host: Host, _ volume: Volume) {
    if !(volume.paths[path]?.marks.covers(dot) ?? false) {
      world.fail(.claim, at: host.index, "the vector covers \(dot), whose change of \(path) is not here")
    }
  }

  private func inspect(_ id: FileID, _ host: Host, _ volume: Volume) {
    let facts = files[id]!
    guard let file = volume.files[id] else {
      if !collectedFiles.contains(id), facts.marks.contains(where: { volume.vector.covers($0) }) {
        world.fail(.claim, at: host.index, "the vector covers changes of \(id), which is not here")
      }
      return
    }
    for dot in facts.marks where volume.vector.covers(dot) && !file.marks.covers(dot) {
      world.fail(.claim, at: host.index, "the vector covers \(dot), whose change of file \(id) is not here")
    }
    for dot in facts.touches where volume.vector.covers(dot) && !file.vector.covers(dot) {
      world.fail(.claim, at: host.index, "the vector covers \(dot), the vector of file \(id) does not")
    }
    for index in facts.versions.keys.sorted() {
      for version in facts.versions[index]! where file.vector.covers(version.dot) {
        if isAccounted(version, at: index, of: facts, in: file) { continue }
        world.fail(
          .claim, at: host.index,
          "\(version.dot) of \(id) chunk \(index) is covered but neither present nor replaced nor a conflict")
      }
    }
  }

  /// Whether a version is present, listed as lost, replaced by one that had seen it, or the same as another.
  func isAccounted(_ version: VersionFact, at index: UInt64, of facts: FileFacts, in file: File) -> Bool {
    if file.chunks[index]?.dot == version.dot { return true }
    if file.lost.contains(where: { $0.index == index && $0.chunk.dot == version.dot }) { return true }
    if isSeen(version.dot, at: index, of: facts, by: file.vector) { return true }
    return facts.versions[index]!.contains {
      $0.dot != version.dot && $0.hash == version.hash && $0.length == version.length && file.vector.covers($0.dot)
    }
  }

  /// What was durable on request is there after a restart.
  func checkRestart(of host: Host, afterPowerLoss: Bool) {
    guard let volume = host.volume, let synced = synced[host.index] else { return }
    if !volume.vector.covers(synced) {
      world.fail(.durability, at: host.index, "\(synced) was synced, after the restart only \(volume.vector) is there")
    }
  }
}
