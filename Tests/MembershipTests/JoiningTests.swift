// Joining, leaving and coming back.

import Causality
import Membership
import Testing

@Suite struct `Joining` {
  @Test(arguments: [true, false])
  func `a newcomer is seen by all of 32 within a second, with and without streams`(streams: Bool) {
    for seed in 0..<3 {
      let mesh = Mesh.settled(31, seed: UInt64(seed), streams: streams)
      #expect(mesh.isWhole)
      mesh.start(31, join: [seed])
      let time = mesh.run(atMost: .seconds(5)) { $0.isWhole }
      #expect(time.map { $0 < .seconds(1) } == true)
    }
  }

  @Test(arguments: [true, false])
  func `64 nodes that join one seed at once all see each other within three seconds`(streams: Bool) {
    let mesh = Mesh(seed: 7)
    mesh.streams = streams
    for node in 0...64 { mesh.start(node, join: [0]) }
    let time = mesh.run(atMost: .seconds(10)) { $0.isWhole }
    #expect(time.map { $0 < .seconds(3) } == true)
    #expect(mesh.largest <= 1_400)
  }

  @Test func `a node goes on asking its join addresses until somebody is there`() {
    let mesh = Mesh(seed: 1)
    mesh.start(1, join: [0])
    mesh.run(for: .seconds(300))
    #expect(mesh.nodes[1]!.members.count == 1)
    mesh.start(0, join: [])
    let time = mesh.run(atMost: .seconds(10)) { $0.isWhole }
    #expect(time != nil)
  }

  @Test func `a node that was joined by its own address alone is at peace, and finds those who come`() {
    let mesh = Mesh(seed: 2)
    mesh.start(0, join: [0])
    mesh.run(for: .seconds(60))
    #expect(mesh.datagrams == 0)
    mesh.start(1, join: [1, 0])
    #expect(mesh.run(atMost: .seconds(5)) { $0.isWhole } != nil)
  }

  @Test func `a name behind which only this node stands is asked again until others stand there`() {
    var effects: [MembershipEffect] = []
    var node = Membership(
      configuration: .wan(mesh: Mesh.meshID), card: Mesh.card(0), incarnation: 0, seed: 1)
    node.handle(.start(join: ["dns:grapevine.internal:7946"]), at: .zero, into: &effects)
    var attempts = 0
    for _ in 0..<20 {
      let sent = effects.compactMap { effect -> [UInt8]? in
        if case .send(let bytes, "dns:grapevine.internal:7946") = effect { return bytes }
        return nil
      }
      attempts += sent.count
      effects.removeAll()
      let now = node.nextDeadline!
      for bytes in sent { node.handle(.datagram(bytes, from: Mesh.gossip(0)), at: now, into: &effects) }
      node.handle(.tick, at: now, into: &effects)
    }
    #expect(attempts >= 5)
    #expect(effects.contains(.counted(.echoed)) || attempts > 5)
    #expect(node.members.count == 1)
  }

  @Test func `who leaves is known to have left, is not accused, not tried again, and may come back`() {
    let mesh = Mesh.settled(12, seed: 3)
    mesh.handle(.leave, by: 5)
    let told = mesh.run(atMost: .seconds(3)) { mesh in
      mesh.nodes.indices.allSatisfy { $0 == 5 || mesh.status(of: 5, at: $0) == .left }
    }
    #expect(told.map { $0 < .seconds(1) } == true)
    mesh.run(for: .seconds(2))
    #expect(mesh.log.contains { $0.node == 5 && $0.effect == .departed })
    #expect(mesh.nodes[5]!.nextDeadline == nil)
    mesh.run(for: .seconds(60))
    #expect(mesh.changes(to: .suspect) == 0 && mesh.changes(to: .dead) == 0)

    mesh.handle(.start(join: [Mesh.gossip(0)]), by: 5)
    #expect(mesh.run(atMost: .seconds(3)) { $0.isWhole } != nil)
  }

  @Test func `a member declared gone is tried no more, and if it lives it says so`() {
    let mesh = Mesh.settled(8, seed: 4)
    mesh.kill(3)
    mesh.run(for: .seconds(30))
    #expect(mesh.status(of: 3, at: 0) == .dead)
    mesh.handle(.forget(Mesh.id(3)), by: 0)
    mesh.run(for: .seconds(5))
    #expect((0..<8).allSatisfy { $0 == 3 || mesh.status(of: 3, at: $0) == .left })
    mesh.handle(.forget(Mesh.id(4)), by: 0)
    mesh.run(for: .seconds(10))
    #expect(mesh.isWhole)
  }

  @Test(arguments: [0, 40])
  func `a node that restarts under its id with a forgotten incarnation learns it and is alive everywhere`(
    pause: UInt64
  ) {
    let mesh = Mesh.settled(10, seed: 5)
    mesh.handle(.forget(Mesh.id(6)), by: 0)
    mesh.run(for: .seconds(10))
    let old = mesh.nodes[6]!.members.first { $0.id == Mesh.id(6) }!.incarnation
    #expect(old > 0)
    mesh.kill(6)
    mesh.run(for: .seconds(pause))
    mesh.start(6, join: [0])
    #expect(mesh.run(atMost: .seconds(5)) { $0.isWhole } != nil)
    let new = mesh.nodes[2]!.members.first { $0.id == Mesh.id(6) }!.incarnation
    #expect(new > old)
    #expect(mesh.log.contains { $0.node == 6 && $0.effect == .incarnation(new) })
  }

  @Test func `a node that restarts knowing nobody is found by the others`() {
    let mesh = Mesh.settled(6, seed: 6)
    mesh.kill(0)
    mesh.run(for: .seconds(60))
    mesh.start(0, join: [])
    #expect(mesh.run(atMost: .seconds(10)) { $0.isWhole } != nil)
  }
}
