// Random changes, random order: everybody ends with the same tree and loses nothing without a trace.

import Causality
import Replication
import Testing
import Wire

@Suite struct `Random meshes` {
  @Test(arguments: 0..<120)
  func `converge on one tree, one set of conflicts and one vector`(seed: Int) throws {
    var mesh = Mesh(Int(seed % 3) + 2, seed: UInt64(seed))
    for _ in 0..<80 {
      let node = Int.random(in: 0..<mesh.volumes.count, using: &mesh.generator)
      switch Int.random(in: 0..<10, using: &mesh.generator) {
      case 0: try mesh.pull(node, from: (node + 1) % mesh.volumes.count)
      case 1, 2:
        try mesh.push(node, to: Array(mesh.volumes.indices).filter { _ in Bool.random(using: &mesh.generator) })
      default: mesh.act(node)
      }
    }
    try mesh.settle()
    let first = Agreed(mesh.volumes[0])
    for volume in mesh.volumes.dropFirst() {
      let other = Agreed(volume)
      #expect(first.visible == other.visible)
      #expect(first.vector == other.vector)
      #expect(first.conflicts == other.conflicts)
    }
  }

  @Test(arguments: 0..<40)
  func `every version that was acknowledged is present, seen by a later one, or a conflict`(seed: Int) throws {
    var mesh = Mesh(3, seed: UInt64(1_000 + seed))
    let file = try mesh.volumes[0].createFile(
      Path("f"), FileForm(.regular), Attributes(mode: 0o644), at: mesh.stamp(0))
    try mesh.settle()
    var written: [(dot: Dot, seen: VersionVector)] = []
    for _ in 0..<40 {
      let node = Int.random(in: 0..<3, using: &mesh.generator)
      if Int.random(in: 0..<4, using: &mesh.generator) == 0 {
        try mesh.pull(node, from: (node + 1) % 3)
        continue
      }
      let write = ChunkWrite(index: 0, hash: mesh.hash(), length: 512)
      let seen = mesh.volumes[node].files[file]!.vector
      let dot = try mesh.volumes[node].commit(
        file, [write], size: 512, attributes: Attributes(mode: 0o644), at: mesh.stamp(node))
      written.append((try #require(dot), seen))
    }
    try mesh.settle()
    let final = mesh.volumes[0].files[file]!
    for (dot, _) in written {
      let present = final.chunks[0]!.dot == dot
      let superseded = written.contains { $0.seen.covers(dot) && $0.dot != dot }
      let listed = final.lost.contains { $0.chunk.dot == dot }
      #expect(present || superseded || listed, "version \(dot) is lost without a trace")
    }
  }

  @Test(arguments: 0..<30)
  func `the state comes back from its records`(seed: Int) throws {
    var mesh = Mesh(2, seed: UInt64(2_000 + seed))
    for _ in 0..<60 {
      mesh.act(Int.random(in: 0...1, using: &mesh.generator))
      if Bool.random(using: &mesh.generator) { try mesh.pull(0, from: 1) }
    }
    var table: [[UInt8]: [UInt8]] = [:]
    for touched in mesh.volumes[0].takeTouched() {
      let record = mesh.volumes[0].stored(touched)
      table[record.key] = record.value
    }
    let records = table.map { StoredRecord(key: $0.key, value: $0.value) }
    let again = try Volume(name: "v", origin: NodeID(99), records: records)
    #expect(again.allRecords == mesh.volumes[0].allRecords)
    #expect(Agreed(again) == Agreed(mesh.volumes[0]))
    #expect(again.bytes == mesh.volumes[0].bytes)
  }

  @Test(arguments: 0..<30)
  func `collection behind the frontier changes nothing that shows`(seed: Int) throws {
    var mesh = Mesh(3, seed: UInt64(3_000 + seed))
    for _ in 0..<100 { mesh.act(Int.random(in: 0..<3, using: &mesh.generator)) }
    try mesh.settle()
    let before = Agreed(mesh.volumes[0])
    let frontier = mesh.volumes[0].vector
    _ = mesh.volumes[0].collect(frontier: frontier, isPinned: { _ in false })
    #expect(Agreed(mesh.volumes[0]) == before)
    for _ in 0..<60 { mesh.act(Int.random(in: 0..<3, using: &mesh.generator)) }
    try mesh.settle()
    #expect(Agreed(mesh.volumes[0]) == Agreed(mesh.volumes[1]))
    #expect(Agreed(mesh.volumes[0]) == Agreed(mesh.volumes[2]))
  }

  @Test(arguments: 0..<200)
  func `damaged bytes of a delta are refused or harmless`(seed: Int) throws {
    var mesh = Mesh(1, seed: UInt64(seed))
    for _ in 0..<30 { mesh.act(0) }
    guard let (_, delta) = mesh.volumes[0].takeOutgoing() else { return }
    var writer = ByteWriter()
    writer.write(delta)
    var bytes = writer.bytes
    for _ in 0..<3 {
      let place = Int.random(in: 0..<bytes.count, using: &mesh.generator)
      bytes[place] = UInt8.random(in: 0...255, using: &mesh.generator)
    }
    var reader = ByteReader(bytes[..<Int.random(in: 0...bytes.count, using: &mesh.generator)])
    if let read = try? reader.readDelta() {
      var victim = Volume(name: "v", origin: NodeID(50))
      _ = victim.join(read)
      _ = victim.conflicts
    }
  }
}
