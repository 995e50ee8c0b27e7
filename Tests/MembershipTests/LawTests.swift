// What holds in every run: determinism, the cost at rest, the answers to bad bytes.

import Causality
import Testing

@testable import Membership

@Suite struct `Laws of membership` {
  static func story(seed: UInt64) -> UInt64 {
    let mesh = Mesh(seed: seed)
    mesh.isTraced = true
    mesh.loss = 0.1
    for node in 0..<10 { mesh.start(node, join: [0, 1]) }
    mesh.run(for: .seconds(5))
    mesh.handle(.setDigest([1, 2, 3]), by: 3)
    mesh.isCut = { ($0 < 4) != ($1 < 4) }
    mesh.kill(9)
    mesh.run(for: .seconds(20))
    mesh.isCut = { _, _ in false }
    mesh.handle(.leave, by: 2)
    mesh.start(9, join: [5])
    mesh.run(for: .seconds(20))
    return mesh.trace
  }

  @Test func `the same seed gives the same bytes, another seed others`() {
    #expect(Self.story(seed: 1) == Self.story(seed: 1))
    #expect(Self.story(seed: 1) != Self.story(seed: 2))
  }

  @Test(arguments: [MembershipConfiguration.wan(mesh: Mesh.meshID), .lan(mesh: Mesh.meshID)])
  func `at rest a node of 32 sends at most 150 bytes a second, headers and seal included`(
    configuration: MembershipConfiguration
  ) {
    let mesh = Mesh.settled(32, seed: 1, configuration: configuration)
    for node in 0..<32 { mesh.handle(.setDigest([UInt8](repeating: 9, count: 256)), by: node) }
    mesh.run(for: .seconds(200))
    mesh.resetCounters()
    mesh.run(for: .seconds(60))
    #expect(mesh.sentBytes.allSatisfy { $0 <= 150 * 60 })
    #expect(mesh.changes(to: .suspect) == 0)
  }

  @Test func `a mesh with a member that stays dead stays cheap`() {
    let mesh = Mesh.settled(16, seed: 2)
    mesh.kill(3)
    mesh.run(for: .seconds(60))
    mesh.resetCounters()
    mesh.run(for: .seconds(60))
    #expect(mesh.sentBytes.allSatisfy { $0 <= 150 * 60 })
  }

  @Test func `a digest reaches the others whole and is then only named`() {
    let mesh = Mesh.settled(4, seed: 3)
    let digest = [UInt8](repeating: 5, count: 512)
    mesh.handle(.setDigest(digest), by: 1)
    mesh.run(for: .seconds(20))
    for node in [0, 2, 3] {
      #expect(mesh.log.contains { $0.node == node && $0.effect == .digest(digest, of: Mesh.id(1)) })
    }
    mesh.resetCounters()
    mesh.run(for: .seconds(20))
    #expect(mesh.sentBytes[1] < 20 * 150)
    #expect(mesh.log.contains { $0.effect == .digest(digest, of: Mesh.id(1)) })
    mesh.handle(.setDigest([8]), by: 1)
    mesh.run(for: .seconds(20))
    for node in [0, 2, 3] {
      let last = mesh.log.last { entry in
        guard case .digest = entry.effect else { return false }
        return entry.node == node
      }
      #expect(last?.effect == .digest([8], of: Mesh.id(1)))
    }
  }

  @Test func `every packet reads back as it was written`() throws {
    let alive = Rumour(subject: Mesh.id(1), incarnation: 9, status: .alive, origin: Mesh.id(1), card: Mesh.card(1))
    let dead = Rumour(subject: Mesh.id(2), incarnation: 300, status: .dead, origin: Mesh.id(3), card: nil)
    let packets: [Packet] = [
      .ping(1, target: Mesh.id(1), DigestNote(sum: DigestNote.sum(of: [1]), held: 7, bytes: [1])),
      .ack(2, DigestNote(sum: 5)), .nack(3), .pingRequest(4, target: Mesh.id(2), address: "[::1]:7946"), .relayed(5),
      .gossip, .pull(6, alive), .state(7, complete: false, [alive, dead]),
    ]
    for packet in packets {
      var envelope = Envelope(mesh: 1, sender: Mesh.id(0), incarnation: 77, packet: packet)
      envelope.rumours = [dead, alive]
      #expect(try Envelope.read(envelope.bytes, mesh: 1) == envelope)
      #expect(throws: DatagramFault.foreign) { try Envelope.read(envelope.bytes, mesh: 2) }
      #expect(throws: DatagramFault.incompatible) { try Envelope.read([9] + envelope.bytes.dropFirst(), mesh: 1) }
      for length in envelope.bytes.indices {
        #expect(throws: DatagramFault.malformed) { try Envelope.read(Array(envelope.bytes.prefix(length)), mesh: 1) }
      }
      #expect(try Envelope.read(envelope.bytes + [1, 2, 3], mesh: 1) == envelope)
    }
  }

  @Test(arguments: 0..<3)
  func `cut, changed and invented datagrams never stop a node, and are counted`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    let mesh = Mesh.settled(4, seed: seed)
    var real: [[UInt8]] = []
    for sender in 1..<4 {
      var copy = mesh.nodes[sender]!
      var effects: [MembershipEffect] = []
      copy.handle(.setDigest([1, 2, 3, 4]), at: mesh.now, into: &effects)
      for _ in 0..<12 { copy.handle(.tick, at: copy.nextDeadline!, into: &effects) }
      copy.handle(.leave, at: mesh.now, into: &effects)
      for case .send(let bytes, _) in effects { real.append(bytes) }
      for case .exchangeState(let bytes, _) in effects { real.append(bytes) }
      real.append(mesh.nodes[sender]!.fullState())
    }
    var node = mesh.nodes[0]!
    var effects: [MembershipEffect] = []
    var now = mesh.now
    for _ in 0..<1_500 {
      var bytes = real.randomElement(using: &random)!
      switch Int.random(in: 0..<4, using: &random) {
      case 0: bytes = Array(bytes.prefix(.random(in: 0...bytes.count, using: &random)))
      case 1: bytes = (0..<Int.random(in: 0..<80, using: &random)).map { _ in .random(in: 0...255, using: &random) }
      default:
        for _ in 0..<Int.random(in: 1...4, using: &random) {
          bytes[.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
        }
      }
      now = now + .milliseconds(1)
      node.handle(.datagram(bytes, from: "192.0.2.1:7"), at: now, into: &effects)
      if Bool.random(using: &random) { node.handle(.stateAnswered(bytes), at: now, into: &effects) }
      if let due = node.nextDeadline, due <= now { node.handle(.tick, at: now, into: &effects) }
      for case .send(let sent, _) in effects { #expect(sent.count <= 1_400) }
      effects.removeAll { if case .counted = $0 { false } else { true } }
    }
    #expect(effects.contains(.counted(.malformed)) && effects.contains(.counted(.foreign)))
    #expect(node.members.contains { $0.id == Mesh.id(0) && $0.status == .alive })
    node.handle(.datagram([UInt8](repeating: 0, count: 1_401), from: "192.0.2.1:7"), at: now, into: &effects)
    #expect(effects.last == .counted(.oversized))
  }

  @Test func `the profiles are within their ranges, and a setting out of range is named`() {
    for profile in [MembershipConfiguration.local(mesh: 1), .lan(mesh: 1), .wan(mesh: 1)] {
      #expect(profile.problems.isEmpty)
    }
    var wrong = MembershipConfiguration.wan(mesh: 1)
    wrong.probeTimeout = .seconds(11)
    wrong.gossipFanout = 0
    #expect(wrong.problems.count == 3)
    #expect(wrong.problems.contains("gossipFanout must be 1 to 16"))
  }
}
