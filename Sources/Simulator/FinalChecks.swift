// What must hold once everything has healed.

import Causality
import Replication

/// What all nodes must agree on.
struct Agreed: Equatable {
  var tree: [String] = []
  var conflicts: [String] = []
  var vector: VersionVector

  init(_ host: Host, _ volume: Volume) {
    vector = volume.vector
    for (path, shown) in volume.visible {
      switch shown {
      case .directory: tree.append("\(path) \(volume.directoryAttributes(path))")
      case .file(let id):
        let file = volume.files[id]!
        let bytes = ContentDigest.hash(host.disk.state.files[id] ?? [])
        tree.append("\(path) \(id) \(file.size) bytes \(bytes) \(file.attributes) \(file.chunks.elements)")
      }
    }
    for conflict in volume.conflicts {
      switch conflict.kind {
      case .file(let id): conflicts.append("file \(id) \(conflict.stamp)")
      case .chunk(let id, let index, let chunk, _): conflicts.append("chunk \(id) \(index) \(chunk) \(conflict.stamp)")
      }
    }
    conflicts.sort()
  }
}

extension Ledger {
  /// Why the hosts have not converged; nil when they have.
  func difference(_ hosts: [Host]) -> String? {
    let first = hosts[0]
    for host in hosts {
      guard let volume = host.volume, let node = host.node else { return "node \(host.index) is down" }
      if !host.dirty.isEmpty { return "node \(host.index) has unrecorded writes" }
      if let place = host.damaged.keys.sorted().first(where: { volume.linkCount($0.file) > 0 }) {
        return "node \(host.index) has a damaged chunk at \(place)"
      }
      if node.parcelCount(Host.volume) > 0 { return "node \(host.index) has parcels on their way" }
      if volume.vector != first.volume!.vector {
        return "node \(host.index) holds \(volume.vector), node 0 holds \(first.volume!.vector)"
      }
    }
    return nil
  }

  /// Compares everything, byte for byte, and with what the ledger says must be there.
  func checkConverged(_ hosts: [Host]) {
    let first = Agreed(hosts[0], hosts[0].volume!)
    for host in hosts.dropFirst() {
      let other = Agreed(host, host.volume!)
      if let (here, there) = zip(first.tree + ["nothing"], other.tree + ["nothing"]).first(where: { $0 != $1 }) {
        world.fail(.divergence, at: host.index, "vectors are equal, trees differ: node 0 has \(here), here is \(there)")
      }
      if first.conflicts != other.conflicts {
        let only = Set(first.conflicts).symmetricDifference(other.conflicts).sorted()
        world.fail(.divergence, at: host.index, "vectors are equal, conflicts differ: \(only.first ?? "")")
      }
    }
    for host in hosts { inspect(host) }
    checkSynced(hosts)
    checkTree(hosts[0].volume!)
    checkConflictBytes(hosts)
  }

  private func checkSynced(_ hosts: [Host]) {
    for (host, vector) in synced.sorted(by: { $0.key < $1.key }) where !hosts[0].volume!.vector.covers(vector) {
      world.fail(.durability, at: host, "\(vector) was synced here, all hold only \(hosts[0].volume!.vector)")
    }
  }

  /// The bytes of every listed conflict are somewhere.
  private func checkConflictBytes(_ hosts: [Host]) {
    for conflict in hosts[0].volume!.conflicts {
      guard case .chunk(let id, let index, let chunk, _) = conflict.kind, !chunk.hash.isZeros else { continue }
      let size = Int(hosts[0].volume!.files[id]!.form.chunkSize)
      let place = ContentPlace(file: id, index: index)
      let isKept = hosts.contains { $0.held(place, chunk.hash, Int(chunk.length), chunkSize: size) != nil }
      if !isKept, !unsafeVersions.contains(chunk.dot) {
        world.fail(.overwrite, at: 0, "nobody has the bytes of conflict \(conflict.id)")
      }
    }
  }

  /// The tree is what the writes and removals of all nodes make it: nothing resurrects, nothing vanishes.
  private func checkTree(_ volume: Volume) {
    var latest: [Path: (fact: PathFact, isRemoved: Bool, isMoved: Bool)] = [:]
    for path in writes.keys.sorted() {
      // What lost its author's memory is here without being covered by the vector.
      let here = volume.vector.merged(with: volume.paths[path]?.marks)
      let held = writes[path]!.filter { here.covers($0.dot) }
      guard let best = held.max(by: { ($0.stamp, $0.dot) < ($1.stamp, $1.dot) }) else { continue }
      let gone = (removals[path] ?? []).filter { $0.write == best.dot && here.covers($0.dot) }
      latest[path] = (best, !gone.isEmpty, gone.contains(where: \.isMove))
    }
    var living = Set<FileID>()
    for (_, entry) in latest where !entry.isRemoved { if case .file(let id) = entry.fact.value { living.insert(id) } }
    for path in latest.keys.sorted() {
      let entry = latest[path]!
      guard case .file(let id) = entry.fact.value else { continue }
      let comesBack = !entry.isMoved && !living.contains(id) && hasUnseen(id, volume)
      let expected = !entry.isRemoved || comesBack
      let isThere = volume[path] == .file(id)
      if isThere, !expected { world.fail(.resurrection, at: 0, "\(path) was removed and is back, as \(id)") }
      if !isThere, expected, volume[path] != .directory {
        world.fail(.resurrection, at: 0, "\(path) should be \(id) and is \(volume[path].map { "\($0)" } ?? "nothing")")
      }
    }
    for path in latest.keys.sorted() where volume[path] == .directory && volume.entries(of: path).isEmpty {
      if latest[path]!.isRemoved { world.fail(.resurrection, at: 0, "directory \(path) was removed and is back") }
    }
  }

  private func hasUnseen(_ id: FileID, _ volume: Volume) -> Bool {
    guard let facts = files[id] else { return false }
    let here = volume.vector.merged(with: volume.files[id]?.marks)
    var seen = VersionVector()
    for burial in facts.burials where here.covers(burial.dot) { seen.merge(burial.seen) }
    return facts.touches.contains { here.covers($0) && !seen.covers($0) }
  }
}

extension VersionVector {
  fileprivate func merged(with other: VersionVector?) -> VersionVector {
    guard let other else { return self }
    var both = self
    both.merge(other)
    return both
  }
}
