// Databases: whoever looks sees one committed state, never a mixture.

import Causality
import Replication
import Testing

@Suite struct `Databases in a volume` {
  /// Nodes that commit transactions to one database and pull from each other.
  struct Nodes {
    var mesh: Mesh
    var id: FileID
    /// The pages as of each tip.
    var states: [Dot: [UInt64: ContentHash]] = [:]
    var kept: [FileID] = []

    init(_ count: Int, seed: UInt64) throws {
      mesh = Mesh(count, seed: seed)
      let form = FileForm(.regular, chunkSize: 4_096)
      id = try mesh.volumes[0].createFile(Path("d.db"), form, Attributes(mode: 0o644), at: mesh.stamp(0))
      try mesh.settle()
    }

    mutating func commit(_ node: Int) throws {
      let file = mesh.volumes[node].files[id]!
      var pages = Dictionary(uniqueKeysWithValues: file.chunks.elements.map { ($0.index, $0.chunk.hash) })
      var writes: [ChunkWrite] = []
      let count = UInt64.random(in: 1...8, using: &mesh.generator)
      for index in 0..<count where pages[index] == nil || Bool.random(using: &mesh.generator) {
        let hash = mesh.hash()
        pages[index] = hash
        writes.append(ChunkWrite(index: index, hash: hash, length: 4_096))
      }
      pages = pages.filter { $0.key < count }
      let dot = try mesh.volumes[node].commitDatabase(id, pages: writes, size: count * 4_096, at: mesh.stamp(node))
      if let dot { states[dot] = pages }
    }

    /// As the engine does: parts that can not be joined are asked for whole, what loses is kept first.
    mutating func pull(_ receiver: Int, from sender: Int) throws {
      let (since, claim) = (mesh.volumes[receiver].vector, mesh.volumes[sender].vector)
      for key in mesh.volumes[sender].keys(notCoveredBy: since) {
        var delta = Delta()
        mesh.volumes[sender].append(key, notCoveredBy: since, to: &delta)
        try take(receiver, delta, from: sender)
      }
      mesh.volumes[receiver].acknowledge(claim)
    }

    mutating func push(_ sender: Int, to receiver: Int) throws {
      guard let (sequences, delta) = mesh.volumes[sender].takeOutgoing() else { return }
      let origin = mesh.volumes[sender].origin
      guard mesh.volumes[receiver].vector[origin] + 1 == sequences.lowerBound,
        !mesh.volumes[receiver].verdicts(of: delta).contains(where: { $0.verdict == .incomplete })
      else { return }
      try take(receiver, delta, from: sender)
      mesh.volumes[receiver].acknowledge(VersionVector([Dot(origin, sequences.upperBound)]))
    }

    private mutating func take(_ receiver: Int, _ delta: Delta, from sender: Int) throws {
      var delta = try delta.throughBytes()
      for (file, verdict) in mesh.volumes[receiver].verdicts(of: delta) where verdict == .needsWhole {
        delta.files.removeAll { $0.id == file }
        delta.files.append(mesh.volumes[sender].whole(file)!)
        delta.wholes.insert(file)
      }
      for file in delta.files.map(\.id) where mesh.volumes[receiver].losesOwn(file, to: delta) {
        kept.append(try mesh.volumes[receiver].keepCopy(of: file, at: mesh.stamp(receiver)))
      }
      _ = mesh.volumes[receiver].join(delta)
      let held = mesh.volumes[receiver].files[id]!
      let pages = Dictionary(uniqueKeysWithValues: held.chunks.elements.map { ($0.index, $0.chunk.hash) })
      #expect(held.tip == .none || pages == states[held.tip], "a mixture of states")
    }

    mutating func settle() throws {
      for _ in 0..<4 {
        for receiver in mesh.volumes.indices {
          for sender in mesh.volumes.indices where sender != receiver { try pull(receiver, from: sender) }
        }
      }
    }
  }

  @Test(arguments: 0..<150)
  func `converge on one whole state, whatever came in whatever order`(seed: Int) throws {
    var nodes = try Nodes(seed % 3 + 2, seed: UInt64(seed))
    let count = nodes.mesh.volumes.count
    for _ in 0..<40 {
      let node = Int.random(in: 0..<count, using: &nodes.mesh.generator)
      let other = (node + Int.random(in: 1..<count, using: &nodes.mesh.generator)) % count
      switch Int.random(in: 0..<6, using: &nodes.mesh.generator) {
      case 0: try nodes.pull(node, from: other)
      case 1, 2: try nodes.push(node, to: other)
      default: try nodes.commit(node)
      }
    }
    try nodes.settle()
    let first = nodes.mesh.volumes[0].files[nodes.id]!
    for volume in nodes.mesh.volumes {
      #expect(volume.files[nodes.id]!.tip == first.tip)
      #expect(volume.files[nodes.id]!.chunks == first.chunks)
      #expect(volume.conflicts.map(\.id) == nodes.mesh.volumes[0].conflicts.map(\.id))
      #expect(Agreed(volume).visible == Agreed(nodes.mesh.volumes[0]).visible)
    }
    #expect(Set(nodes.mesh.volumes[0].conflicts.map(\.id)) == Set(nodes.kept.map(\.description)))
  }

  @Test func `a concurrent loser is a conflict with all its pages, on both sides`() throws {
    var nodes = try Nodes(2, seed: 5)
    try nodes.commit(0)
    try nodes.settle()
    try nodes.commit(0)
    let lost = nodes.mesh.volumes[0].files[nodes.id]!
    try nodes.commit(1)
    try nodes.commit(1)
    nodes.mesh.wall += 100
    try nodes.commit(1)
    try nodes.settle()
    for volume in nodes.mesh.volumes {
      let conflict = try #require(volume.conflicts.first)
      guard case .file(let copy) = conflict.kind else { throw VolumeError.notFound }
      #expect(volume.files[copy]!.chunks.elements.map(\.chunk.hash) == lost.chunks.elements.map(\.chunk.hash))
      #expect(volume.files[copy]!.size == lost.size)
      #expect(conflict.path == Path("d.db"))
    }
  }
}
