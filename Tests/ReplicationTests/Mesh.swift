// A handful of volumes that make random changes and tell each other of them.

import Causality
import Replication
import Wire

/// Volumes of one mesh, driven by a seed, joined in whatever order the seed says.
struct Mesh {
  var volumes: [Volume]
  var generator: SeededGenerator
  var clocks: [HybridLogicalClock]
  var wall: UInt64 = 1_000

  init(_ count: Int, seed: UInt64) {
    generator = SeededGenerator(seed: seed)
    volumes = (1...count).map { Volume(name: "v", origin: NodeID(UInt64($0))) }
    clocks = (1...count).map { _ in HybridLogicalClock() }
  }

  mutating func stamp(_ node: Int) -> Stamp {
    wall += 1
    _ = clocks[node].observe(volumes[node].latest, wall: wall)
    return clocks[node].next(wall: wall - UInt64(node) * 3)
  }

  /// A path out of a small space, so that they meet.
  mutating func path() -> Path {
    let names = ["a", "b", "c"]
    let depth = Int.random(in: 1...3, using: &generator)
    return Path((0..<depth).map { _ in names.randomElement(using: &generator)! }.joined(separator: "/"))
  }

  mutating func act(_ node: Int) {
    let (one, other, now) = (path(), path(), stamp(node))
    let attributes = Attributes(mode: .random(in: 0...0o777, using: &generator))
    switch Int.random(in: 0..<12, using: &generator) {
    case 0, 1: try? volumes[node].makeDirectory(one, attributes, at: now)
    case 2, 3: _ = try? volumes[node].createFile(one, FileForm(.regular), attributes, at: now)
    case 4: try? volumes[node].unlink(one, at: now)
    case 5: try? volumes[node].removeDirectory(one, at: now)
    case 6: try? volumes[node].rename(one, to: other, at: now)
    case 7: try? volumes[node].exchange(one, with: other, at: now)
    case 8:
      guard case .file(let id)? = volumes[node][one] else { return }
      try? volumes[node].link(id, at: other, stamp: now)
    case 9:
      guard case .file(let id)? = volumes[node][one] else { return }
      _ = try? volumes[node].renew(id, attributes: attributes, at: now)
    default:
      guard case .file(let id)? = volumes[node][one] else { return }
      write(node, id, attributes, now)
    }
  }

  mutating func write(_ node: Int, _ id: FileID, _ attributes: Attributes, _ now: Stamp) {
    let chunk = UInt64(FileForm.ordinaryChunkSize)
    let size = UInt64.random(in: 0...4 * chunk, using: &generator)
    let index = UInt64.random(in: 0...3, using: &generator)
    var writes: [ChunkWrite] = []
    if index * chunk < size {
      writes.append(ChunkWrite(index: index, hash: hash(), length: UInt32(min(chunk, size - index * chunk))))
    }
    let last = size == 0 ? 0 : (size - 1) / chunk
    if let old = volumes[node].files[id]?.chunks[last], size > 0, last != index,
      last * chunk + UInt64(old.length) > size
    {
      writes.append(ChunkWrite(index: last, hash: hash(), length: UInt32(size - last * chunk)))
    }
    _ = try? volumes[node].commit(id, writes, size: size, attributes: attributes, at: now)
  }

  mutating func hash() -> ContentHash { ContentHash(generator.next() | 1, 0, 0, 0) }

  /// `receiver` takes in all that `sender` has and it has not, over the wire's bytes.
  mutating func pull(_ receiver: Int, from sender: Int) throws {
    let since = volumes[receiver].vector
    let claim = volumes[sender].vector
    var keys = volumes[sender].keys(notCoveredBy: since)
    keys.shuffle(using: &generator)
    while !keys.isEmpty {
      var delta = Delta()
      for _ in 0..<min(keys.count, 3) {
        volumes[sender].append(keys.removeLast(), notCoveredBy: since, to: &delta)
      }
      let copy = try delta.throughBytes()
      _ = volumes[receiver].join(copy)
      if Bool.random(using: &generator) { _ = volumes[receiver].join(copy) }
    }
    volumes[receiver].acknowledge(claim)
  }

  /// `sender` tells everybody of what it just did, those who can place it take it in.
  mutating func push(_ sender: Int, to reachable: [Int]) throws {
    guard let (sequences, delta) = volumes[sender].takeOutgoing() else { return }
    let origin = volumes[sender].origin
    for receiver in reachable where receiver != sender && volumes[receiver].vector[origin] + 1 == sequences.lowerBound {
      _ = volumes[receiver].join(try delta.throughBytes())
      volumes[receiver].acknowledge(VersionVector([Dot(origin, sequences.upperBound)]))
    }
  }

  mutating func settle() throws {
    for _ in 0..<2 {
      for receiver in volumes.indices {
        for sender in volumes.indices where sender != receiver { try pull(receiver, from: sender) }
      }
    }
  }
}

/// What all nodes must agree on.
struct Agreed: Equatable {
  var visible: [String]
  var conflicts: [Conflict]
  var vector: VersionVector

  init(_ volume: Volume) {
    visible = volume.visible.map { path, shown in
      switch shown {
      case .directory: return "\(path) \(volume.directoryAttributes(path))"
      case .file(let id):
        let file = volume.files[id]!
        return "\(path) \(id) \(file.attributes) \(file.size) \(file.chunks)"
      }
    }
    conflicts = volume.conflicts.map { conflict in
      var conflict = conflict
      conflict.path = .root
      if case .chunk(let file, let index, let chunk, _) = conflict.kind {
        conflict.kind = .chunk(file, index: index, chunk, winner: .none)
      }
      return conflict
    }.sorted { $0.id < $1.id }
    vector = volume.vector
  }
}

extension Delta {
  func throughBytes() throws -> Delta {
    var writer = ByteWriter()
    writer.write(self)
    var reader = ByteReader(writer.bytes)
    let delta = try reader.readDelta()
    precondition(delta == self)
    return delta
  }
}
