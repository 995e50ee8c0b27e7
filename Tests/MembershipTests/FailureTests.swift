// Detecting the dead, and sparing the living.

import Causality
import Membership
import Testing

@Suite struct `Failure detection` {
  @Test(arguments: [MembershipConfiguration.wan(mesh: Mesh.meshID), .lan(mesh: Mesh.meshID)])
  func `a killed node is dead for all of 32 within eleven seconds`(configuration: MembershipConfiguration) {
    for seed in 0..<2 {
      let mesh = Mesh.settled(32, seed: UInt64(seed), configuration: configuration)
      mesh.run(for: .milliseconds(UInt64(seed) * 317))
      mesh.kill(7)
      let time = mesh.run(atMost: .seconds(30)) { mesh in
        mesh.nodes.indices.allSatisfy { $0 == 7 || mesh.status(of: 7, at: $0) == .dead }
      }
      #expect(time.map { $0 < .seconds(11) } == true)
      #expect(
        mesh.log.allSatisfy { entry in
          guard case .changed(let member) = entry.effect else { return true }
          return member.id == Mesh.id(7)
        })
    }
  }

  @Test(arguments: [2, 3, 16], [1, 2])
  func `a minute in which three of ten datagrams are lost kills nobody, even without streams`(
    nodes: Int, seed: UInt64
  ) {
    let mesh = Mesh.settled(nodes, seed: seed, streams: false)
    mesh.loss = 0.3
    mesh.run(for: .seconds(60))
    #expect(mesh.changes(to: .dead) == 0)
    mesh.loss = 0
    #expect(mesh.run(atMost: .seconds(30)) { $0.isWhole } != nil)
  }

  @Test func `a minute of loss kills none of 32`() {
    let mesh = Mesh.settled(32, seed: 1)
    mesh.loss = 0.3
    mesh.run(for: .seconds(60))
    #expect(mesh.changes(to: .dead) == 0)
  }

  @Test func `a link that flaps, one way only, makes nobody suspected for long and nobody dead`() {
    let mesh = Mesh.settled(8, seed: 11)
    for round in 0..<20 {
      let isOpen = round % 2 == 0
      mesh.isCut = { from, to in !isOpen && from == 1 && to == 2 }
      mesh.run(for: .seconds(3))
    }
    mesh.isCut = { from, to in from == 1 && to == 2 }
    mesh.run(for: .seconds(60))
    #expect(mesh.changes(to: .dead) == 0)
    mesh.isCut = { _, _ in false }
    mesh.run(for: .seconds(10))
    #expect(mesh.isWhole)
  }

  @Test func `a node that hears nobody accuses at first, feels unwell, and does no harm to others`() {
    let mesh = Mesh.settled(10, seed: 12, streams: false)
    mesh.isCut = { _, to in to == 4 }
    mesh.run(for: .seconds(8))
    #expect(mesh.nodes[4]!.healthScore > 0)
    mesh.run(for: .seconds(60))
    let others = (0..<10).filter { $0 != 4 }
    #expect(others.allSatisfy { node in others.allSatisfy { mesh.status(of: $0, at: node) == .alive } })
    mesh.isCut = { _, _ in false }
    #expect(mesh.run(atMost: .seconds(10)) { $0.isWhole } != nil)
  }

  @Test func `a process that was stopped for a while kills nobody when it goes on`() {
    let mesh = Mesh.settled(6, seed: 13)
    var effects: [MembershipEffect] = []
    var node = mesh.nodes[2]!
    let later = mesh.now + .seconds(600)
    node.handle(.tick, at: later, into: &effects)
    node.handle(.tick, at: later + .milliseconds(1), into: &effects)
    #expect(!node.members.contains { $0.status == .dead })
    #expect(node.healthScore == 1)
  }

  @Test func `half of a mesh that dies at once is found dead by the other half`() {
    let mesh = Mesh.settled(16, seed: 14)
    for node in 8..<16 { mesh.kill(node) }
    let time = mesh.run(atMost: .seconds(60), step: .milliseconds(500)) { mesh in
      (0..<8).allSatisfy { node in (8..<16).allSatisfy { mesh.status(of: $0, at: node) == .dead } }
    }
    #expect(time != nil)
    #expect(mesh.isWhole)
  }
}
