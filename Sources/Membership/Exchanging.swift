// Full states, over streams and in datagrams; and the way back to those thought dead.

import Causality
import Wire

extension Membership {
  /// All that is known, as bytes for a stream.
  func fullState() -> [UInt8] {
    let state = Packet.state(0, complete: true, records)
    return Envelope(mesh: configuration.mesh, sender: card.id, incarnation: incarnation, packet: state).bytes
  }

  /// This node and all members. Of those who left the card is spared: only who knows them needs to be told.
  private var records: [Rumour] {
    [ownRumour] + roster.peers.map { claim(about: $0, withCard: $0.member.status != .left) }
  }

  /// Sends what is known in datagrams, from a random member on, so many that they do no harm.
  mutating func sendState(
    _ sequence: UInt32, to address: String, peer: NodeID, first: [Rumour], into effects: inout [MembershipEffect]
  ) {
    var all = records
    let others = all.dropFirst()
    if others.count > 1 {
      let turn = Int.random(in: 0..<others.count, using: &random)
      all = [all[0]] + others.dropFirst(turn) + others.prefix(turn)
    }
    let told = Set(all.map(\.subject))
    all.insert(contentsOf: first.filter { !told.contains($0.subject) }, at: 1)
    var parts: [[Rumour]] = [[]]
    let room = configuration.datagramBytes - Self.stateHeadBytes
    var left = room
    for record in all {
      let size = record.bytes.count
      if size > left {
        parts.append([])
        left = room
      }
      parts[parts.count - 1].append(record)
      left -= size
    }
    let complete = parts.count <= Self.partsAtMost
    for part in parts.prefix(Self.partsAtMost) {
      send(.state(sequence, complete: complete, part), to: address, peer: nil, into: &effects)
    }
  }

  /// Room for all of a state's datagram but its records, in bytes.
  private static let stateHeadBytes = 48
  /// How many datagrams a state may take; the rest is fetched over a stream.
  private static let partsAtMost = 16

  /// Exchanges the state with a random member, if it is due.
  mutating func exchange(at now: Instant, into effects: inout [MembershipEffect]) {
    guard let due = nextExchange, due <= now else { return }
    nextExchange = now + exchangePause()
    for peer in roster.pick(1, using: &random, where: { $0.member.status == .alive }) {
      exchange(with: peer, at: now, into: &effects)
    }
  }

  /// Not all at the same time, and in a large mesh less often.
  mutating func exchangePause() -> Span {
    let growth = max(1, binaryLogarithm(Double(meshSize)) - 4)
    return configuration.exchangeInterval * (growth * .random(in: 0.75..<1.25, using: &random))
  }

  private mutating func exchange(with peer: Peer, at now: Instant, into effects: inout [MembershipEffect]) {
    if peer.member.card.sync.isEmpty {
      pull(from: peer.member.card.gossip, peer: peer.id, at: now, into: &effects)
    } else {
      effects.append(.exchangeState(fullState(), with: peer.member.card.sync))
    }
  }

  /// No stream: the same by datagram, which gives only half of it.
  mutating func exchangeFailed(with address: String, at now: Instant, into effects: inout [MembershipEffect]) {
    guard case .running = phase else { return }
    guard let peer = roster.peers.first(where: { $0.isActive && $0.member.card.sync == address }) else { return }
    pull(from: peer.member.card.gossip, peer: peer.id, at: now, into: &effects)
  }

  /// A member thought dead is back, and perhaps its side of a partition with it.
  mutating func reunite(with peer: Peer, at now: Instant, into effects: inout [MembershipEffect]) {
    beginSettling(at: now)
    guard exchangeFreeAt <= now else { return }
    exchangeFreeAt = now + .milliseconds(500)
    exchange(with: peer, at: now, into: &effects)
  }

  /// From now on the dead are tried.
  mutating func scheduleReconnect(at now: Instant) {
    guard nextReconnect == nil, roster.peers.contains(where: { $0.member.status == .dead }) else { return }
    nextReconnect = now + configuration.reconnectInterval * Double.random(in: 0.5..<1.5, using: &random)
  }

  /// Pings a dead member, for ever: it is told that it is thought dead, and refutes. Many who know few dead take turns;
  /// now and then a stream is tried, for datagrams may be what is blocked.
  mutating func reconnect(at now: Instant, into effects: inout [MembershipEffect]) {
    guard let due = nextReconnect, due <= now else { return }
    let dead = roster.peers.count { $0.member.status == .dead }
    nextReconnect = nil
    guard dead > 0 else { return }
    nextReconnect = now + configuration.reconnectInterval
    guard Int.random(in: 0..<meshSize, using: &random) < dead * 8 else { return }
    for peer in roster.pick(1, using: &random, where: { $0.member.status == .dead }) {
      tell(peer, into: &effects)
      if !peer.member.card.sync.isEmpty, Int.random(in: 0..<8, using: &random) == 0 {
        effects.append(.exchangeState(fullState(), with: peer.member.card.sync))
      }
    }
  }
}
