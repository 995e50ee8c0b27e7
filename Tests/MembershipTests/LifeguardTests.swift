// Lifeguard: local health, the shrinking suspicion, the accused told first; and the parts they rest on.

import Causality
import Testing

@testable import Membership

@Suite struct `Lifeguard` {
  static func running(_ others: Int) -> Membership {
    var node = Membership(configuration: .wan(mesh: 1), card: Mesh.card(0), incarnation: 0, seed: 5)
    var effects: [MembershipEffect] = []
    node.handle(.start(join: []), at: .zero, into: &effects)
    for other in 1...others {
      let rumour = Rumour(
        subject: Mesh.id(other), incarnation: 0, status: .alive, origin: Mesh.id(other), card: Mesh.card(other))
      node.learn(rumour, through: .gossip, at: .zero, into: &effects)
    }
    return node
  }

  static func sent(_ effects: [MembershipEffect]) -> [(envelope: Envelope, to: String)] {
    effects.compactMap { effect in
      guard case .send(let bytes, let address) = effect else { return nil }
      return (try! Envelope.read(bytes, mesh: 1), address)
    }
  }

  @Test func `each further accuser shortens a suspicion, from the longest to the shortest`() {
    var suspicion = Suspicion(
      by: NodeID(1), at: .zero, shortest: .seconds(4), longest: .seconds(24), wanted: 3)
    #expect(suspicion.deadline == .zero + .seconds(24))
    var last = suspicion.deadline
    for accuser in 2...4 as ClosedRange<UInt64> {
      let isAgain = suspicion.confirm(by: NodeID(1))
      let isNew = suspicion.confirm(by: NodeID(accuser))
      #expect(!isAgain && isNew)
      #expect(suspicion.deadline < last)
      last = suspicion.deadline
    }
    #expect(last == .zero + .seconds(4))
    let isWanted = suspicion.confirm(by: NodeID(9))
    #expect(!isWanted)
  }

  @Test func `accusers that agree let a member die sooner`() {
    func deadline(accusers: Int) -> Instant {
      var node = Self.running(20)
      var effects: [MembershipEffect] = []
      for accuser in 2..<2 + accusers {
        let rumour = Rumour(
          subject: Mesh.id(1), incarnation: 0, status: .suspect, origin: Mesh.id(accuser), card: nil)
        node.learn(rumour, through: .gossip, at: .zero + .seconds(1), into: &effects)
      }
      return node.roster[Mesh.id(1)]!.suspicion!.deadline
    }
    #expect(deadline(accusers: 1) > deadline(accusers: 2))
    #expect(deadline(accusers: 2) > deadline(accusers: 4))
    #expect(deadline(accusers: 4) == deadline(accusers: 9))
  }

  @Test func `the accused is the first to be told, by the very next datagram`() {
    var node = Self.running(6)
    var effects: [MembershipEffect] = []
    let peer = node.roster[Mesh.id(3)]!
    node.accuse(peer, incarnation: 0, at: .zero + .seconds(1), into: &effects)
    let first = Self.sent(effects).first
    #expect(first?.to == Mesh.gossip(3))
    #expect(first?.envelope.rumours.first?.subject == Mesh.id(3))
    #expect(first?.envelope.rumours.first?.status == .suspect)
    #expect(effects.contains { if case .exchangeState(_, Mesh.sync(3)) = $0 { true } else { false } })
  }

  @Test func `the accused refutes in the answer to the ping that accuses it`() {
    var accused = Self.running(2)
    var effects: [MembershipEffect] = []
    var ping = Envelope(
      mesh: 1, sender: Mesh.id(1), incarnation: 0, packet: .ping(8, target: Mesh.id(0), DigestNote()))
    ping.rumours = [Rumour(subject: Mesh.id(0), incarnation: 0, status: .suspect, origin: Mesh.id(1), card: nil)]
    accused.handle(.datagram(ping.bytes, from: Mesh.gossip(1)), at: .zero + .seconds(1), into: &effects)
    let answer = Self.sent(effects).first
    #expect(answer?.envelope.packet == .ack(8, DigestNote()))
    #expect(answer?.envelope.rumours.first == accused.ownRumour)
    #expect(effects.contains(.incarnation(1)) && accused.incarnation == 1)
    #expect(accused.healthScore == 1)
  }

  @Test func `who hears of a suspicion tries for itself`() {
    var node = Self.running(6)
    var effects: [MembershipEffect] = []
    let rumour = Rumour(subject: Mesh.id(1), incarnation: 0, status: .suspect, origin: Mesh.id(2), card: nil)
    node.learn(rumour, through: .gossip, at: .zero + .seconds(1), into: &effects)
    #expect(node.probes.map(\.target) == [Mesh.id(1)])
  }

  @Test func `a helper that gets no answer says that it is well, and relays an answer that comes late`() {
    var node = Self.running(3)
    var effects: [MembershipEffect] = []
    let request = Packet.pingRequest(40, target: Mesh.id(2), address: Mesh.gossip(2))
    let asked = Envelope(mesh: 1, sender: Mesh.id(1), incarnation: 0, packet: request)
    node.handle(.datagram(asked.bytes, from: Mesh.gossip(1)), at: .zero + .milliseconds(1), into: &effects)
    let relayed = Self.sent(effects).first { $0.to == Mesh.gossip(2) }
    guard case .ping(let sequence, _, _)? = relayed?.envelope.packet else {
      Issue.record("no ping to the target")
      return
    }
    effects.removeAll()
    node.advanceRelays(at: .zero + .milliseconds(600), into: &effects)
    #expect(Self.sent(effects).map(\.envelope.packet) == [.nack(40)])
    effects.removeAll()
    let ack = Envelope(mesh: 1, sender: Mesh.id(2), incarnation: 0, packet: .ack(sequence, DigestNote()))
    node.handle(.datagram(ack.bytes, from: Mesh.gossip(2)), at: .zero + .milliseconds(700), into: &effects)
    #expect(Self.sent(effects).contains { $0.envelope.packet == .relayed(40) && $0.to == Mesh.gossip(1) })
  }

  @Test func `helpers that do not even say no make a node doubt itself and slow down`() {
    var node = Self.running(5)
    var effects: [MembershipEffect] = []
    for _ in 0..<60 {
      guard let due = node.nextDeadline else { break }
      node.handle(.tick, at: due, into: &effects)
    }
    #expect(node.healthScore == node.configuration.healthMaximum)
  }

  @Test func `a death on hearsay is doubted while the member itself was heard from`() {
    var node = Self.running(5)
    var effects: [MembershipEffect] = []
    let now = Instant.zero + .seconds(10)
    let sign = Envelope(mesh: 1, sender: Mesh.id(1), incarnation: 0, packet: .nack(1))
    node.handle(.datagram(sign.bytes, from: Mesh.gossip(1)), at: now, into: &effects)
    for subject in [1, 2] {
      let rumour = Rumour(subject: Mesh.id(subject), incarnation: 0, status: .dead, origin: Mesh.id(4), card: nil)
      node.learn(rumour, through: .gossip, at: now + .seconds(1), into: &effects)
    }
    #expect(node.roster[Mesh.id(1)]?.member.status == .suspect)
    #expect(node.roster[Mesh.id(2)]?.member.status == .dead)
  }
}

@Suite struct `Rumours and rounds` {
  @Test func `a rumour is told a bounded number of times, the least told first`() {
    var queue = RumourQueue()
    for subject in 1...3 as ClosedRange<UInt64> {
      queue.push(Rumour(subject: NodeID(subject), incarnation: 1, status: .left, origin: NodeID(subject), card: nil))
    }
    let size = 10
    var told: [UInt8: Int] = [:]
    for _ in 0..<6 {
      for bytes in queue.take(budget: size * 2, count: 255, limit: 4, except: []) { told[bytes[1], default: 0] += 1 }
    }
    #expect(told == [1: 4, 2: 4, 3: 4])
    #expect(queue.isEmpty)
  }

  @Test func `later news about a subject replaces the earlier`() {
    var queue = RumourQueue()
    let subject = NodeID(1)
    queue.push(Rumour(subject: subject, incarnation: 1, status: .suspect, origin: NodeID(2), card: nil))
    queue.push(Rumour(subject: subject, incarnation: 2, status: .left, origin: subject, card: nil))
    #expect(queue.take(budget: 500, count: 9, limit: 9, except: [subject]).isEmpty)
    #expect(queue.take(budget: 500, count: 9, limit: 1, except: []).count == 1)
    #expect(queue.isEmpty)
  }

  @Test func `a shuffled round visits everyone once, and the ring closes`() {
    var random = SeededGenerator(seed: 3)
    var roster = Roster()
    for node in 1...9 {
      let member = Member(card: Mesh.card(node), incarnation: 0, status: .alive)
      roster.insert(Peer(member: member, since: .zero), using: &random)
    }
    let all = roster.peers.map(\.id)
    _ = (0..<9).map { _ in roster.nextInOrder(using: &random) }
    let round = (0..<9).compactMap { _ in roster.nextInOrder(using: &random) }
    #expect(round.sorted() == all)
    #expect(roster.successor(of: NodeID(.max)) == all.first)
    roster.setStatus(.dead, at: 0, now: .zero, using: &random)
    #expect(roster.successor(of: NodeID(.max)) == all[1])
    #expect(roster.activeCount == 8)
    let visited = (0..<16).map { _ in roster.nextInOrder(using: &random) }
    #expect(!visited.contains(all[0]))
  }

  @Test func `logarithms are those of mathematics`() {
    for power in 0..<40 { #expect(binaryLogarithm(Double(1 << power)) == Double(power)) }
    #expect(abs(decimalLogarithm(1_000) - 3) < 1e-5)
    #expect(abs(binaryLogarithm(3) - 1.584963) < 1e-5)
  }
}
