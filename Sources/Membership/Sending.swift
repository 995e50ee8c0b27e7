// How packets are put together, and the rounds of gossip.

import Causality
import Wire

extension Membership {
  /// Sends a packet with as much news as fits. What is thought of the receiver, unless it is alive, goes first: the
  /// accused is told before anyone else (Lifeguard's buddy system).
  mutating func send(
    _ packet: Packet, to address: String, peer: NodeID?, first: [Rumour] = [], into effects: inout [MembershipEffect]
  ) {
    var urgent = first
    if let peer, let known = roster[peer], known.member.status != .alive,
      !first.contains(where: { $0.subject == peer })
    {
      urgent.insert(claim(about: known, withCard: false), at: 0)
    }
    let envelope = Envelope(mesh: configuration.mesh, sender: card.id, incarnation: incarnation, packet: packet)
    var writer = ByteWriter(capacity: 128)
    envelope.writeHead(into: &writer)

    var parts: [[UInt8]] = []
    var room = configuration.datagramBytes - writer.count - 2
    for bytes in urgent.map(\.bytes) where bytes.count <= room {
      parts.append(bytes)
      room -= bytes.count
    }
    if carriesNews(packet) {
      let limit = configuration.transmissions(nodes: meshSize)
      let told = urgent.map(\.subject) + (peer.map { [$0] } ?? [])
      parts += queue.take(
        budget: room, count: Envelope.rumoursAtMost - parts.count, limit: limit, except: told)
    }
    if case .gossip = packet, parts.isEmpty { return }
    writer.writeVarint(parts.count)
    for part in parts { writer.writeRaw(part) }
    effects.append(.send(writer.bytes, to: address))
  }

  /// Packets to nodes that are not yet members, and parts of a state, carry no news.
  private func carriesNews(_ packet: Packet) -> Bool {
    switch packet {
    case .pull, .state, .nack: false
    default: true
    }
  }

  /// What this node thinks of a member.
  func claim(about peer: Peer, withCard: Bool) -> Rumour {
    let member = peer.member
    let origin = peer.suspicion?.accuser ?? (member.status == .dead ? card.id : member.id)
    return Rumour(
      subject: member.id, incarnation: member.incarnation, status: member.status, origin: origin,
      card: withCard || member.status == .alive ? member.card : nil)
  }

  /// Our digest for a peer, in full unless it holds it.
  func digestNote(for id: NodeID) -> DigestNote {
    guard let peer = roster[id], peer.isActive else { return DigestNote() }
    let held = peer.held == ownDigestSum
    return DigestNote(sum: ownDigestSum, held: peer.digestSum, bytes: held ? [] : ownDigest)
  }

  /// Pings a member without waiting for its answer: to tell it what is thought of it.
  mutating func tell(_ peer: Peer, at address: String? = nil, into effects: inout [MembershipEffect]) {
    let ping = Packet.ping(0, target: peer.id, digestNote(for: peer.id))
    send(ping, to: address ?? peer.member.card.gossip, peer: peer.id, into: &effects)
  }

  /// Takes a rumour into the queue, and lets a round of gossip begin soon.
  mutating func spread(_ rumour: Rumour, at now: Instant) {
    queue.push(rumour)
    let soon = now + .milliseconds(.random(in: 5...15, using: &random))
    let earliest = max(soon, lastGossip + configuration.gossipInterval * 0.25)
    nextGossip = min(nextGossip ?? earliest, earliest)
  }

  /// A round of gossip, if it is due.
  mutating func gossip(at now: Instant, into effects: inout [MembershipEffect]) {
    guard let due = nextGossip, due <= now else { return }
    lastGossip = now
    let peers = roster.pick(configuration.gossipFanout, using: &random) { $0.isActive }
    if peers.isEmpty { queue.clear() }
    for peer in peers {
      send(.gossip, to: peer.member.card.gossip, peer: peer.id, into: &effects)
    }
    nextGossip = queue.isEmpty ? nil : now + configuration.gossipInterval
  }
}
