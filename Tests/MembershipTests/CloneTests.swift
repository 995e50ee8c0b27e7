// Two nodes with one id are reported; one that moved is not.

import Causality
import Membership
import Testing

@Suite struct `Clones` {
  private func alarms(_ mesh: Mesh) -> [MembershipEffect] {
    mesh.log.map(\.effect).filter { if case .clone = $0 { true } else { false } }
  }

  @Test func `two nodes with one id are reported with both addresses, and the mesh is not flooded`() {
    let mesh = Mesh.settled(6, seed: 31)
    mesh.start(6, join: [0], id: Mesh.id(5))
    mesh.run(for: .seconds(60))
    let expected = MembershipEffect.clone(Mesh.id(5), [Mesh.gossip(5), Mesh.gossip(6)].sorted())
    #expect(alarms(mesh).contains(expected))
    #expect(alarms(mesh).allSatisfy { $0 == expected })
    #expect(mesh.sentBytes.reduce(0, +) / 60 / 7 < 2_000)
  }

  @Test func `a node that comes back at another address is no clone`() {
    let mesh = Mesh.settled(6, seed: 32)
    mesh.kill(5)
    mesh.start(6, join: [0], id: Mesh.id(5))
    mesh.run(for: .seconds(60))
    #expect(alarms(mesh).isEmpty)
    #expect(mesh.nodes[0]!.members.first { $0.id == Mesh.id(5) }?.card.gossip == Mesh.gossip(6))
    #expect((0..<5).allSatisfy { mesh.status(of: 5, at: $0) == .alive })
  }
}
