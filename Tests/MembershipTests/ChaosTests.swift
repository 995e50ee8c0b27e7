// After any history of faults, calm makes the mesh whole.

import Causality
import Membership
import Testing

@Suite struct `Chaos` {
  /// Deaths, restarts, leaving, loss, splits and one-way cuts by a seed, then calm. Returns how long it took to heal.
  static func story(seed: UInt64, nodes: Int) -> (mesh: Mesh, healed: Span?) {
    var random = SeededGenerator(seed: seed)
    let mesh = Mesh(seed: seed &+ 1)
    mesh.streams = Bool.random(using: &random)
    for node in 0..<nodes { mesh.start(node, join: [0, 1]) }
    mesh.run(for: .seconds(3))
    var left: [Int] = []
    for _ in 0..<14 {
      let node = Int.random(in: 0..<nodes, using: &random)
      let size = Int.random(in: 1..<nodes, using: &random)
      switch Int.random(in: 0..<8, using: &random) {
      case 0: mesh.kill(node)
      case 1:
        // Who was only lost is looked for by the others; who left must look for them.
        mesh.start(node, join: left.contains(node) ? [size, 0, 1] : [])
      case 2:
        mesh.handle(.leave, by: node)
        left.append(node)
      case 3: mesh.loss = [0, 0.1, 0.4, 0.8].randomElement(using: &random)!
      case 4: mesh.isCut = { ($0 < size) != ($1 < size) }
      case 5: mesh.isCut = { $0 < size && $1 >= size }
      case 6: mesh.isCut = { $0 == node || $1 == size }
      default: mesh.isCut = { _, _ in false }
      }
      mesh.run(for: .milliseconds(.random(in: 50...20_000, using: &random)))
    }
    mesh.run(for: .seconds(2))
    mesh.loss = 0
    mesh.isCut = { _, _ in false }
    for node in 0..<nodes where mesh.nodes[node] == nil || mesh.nodes[node]?.nextDeadline == nil {
      mesh.start(node, join: [0, 1])
    }
    return (mesh, mesh.run(atMost: .seconds(120)) { $0.isWhole })
  }

  @Test(arguments: 0..<8)
  func `after deaths, restarts, leaving, loss and cuts of all kinds the mesh is whole within ten seconds of calm`(
    seed: UInt64
  ) {
    let (mesh, healed) = Self.story(seed: seed, nodes: 7)
    #expect(healed.map { $0 <= .seconds(10) } == true)
    mesh.run(for: .seconds(30))
    #expect(mesh.isWhole)
    #expect(mesh.largest <= 1_400)
  }
}
