// What a datagram does.

import Causality
import Wire

extension Membership {
  /// Takes a datagram in: the sender is alive, its rumours are learnt, then its packet is answered.
  mutating func receive(_ bytes: [UInt8], from address: String, at now: Instant, into effects: inout [MembershipEffect])
  {
    guard case .running = phase else { return }
    guard bytes.count <= configuration.datagramBytes else { return effects.append(.counted(.oversized)) }
    let envelope: Envelope
    do {
      envelope = try Envelope.read(bytes, mesh: configuration.mesh)
    } catch { return effects.append(.counted(error)) }
    guard envelope.sender != card.id else { return receiveEcho(envelope, at: now, into: &effects) }

    let before = incarnation
    let statusBefore = roster[envelope.sender]?.member.status
    if let index = roster.index(of: envelope.sender) { roster[index].member.lastHeard = now }
    for rumour in envelope.rumours { learn(rumour, through: .gossip, at: now, into: &effects) }
    if case .pull(_, let record) = envelope.packet, record.subject == envelope.sender, record.status == .alive {
      learn(record, through: .gossip, at: now, into: &effects)
    }

    var first: [Rumour] = incarnation == before ? [] : [ownRumour]
    if let peer = roster[envelope.sender], peer.member.incarnation > envelope.incarnation {
      first.append(claim(about: peer, withCard: true))
    }
    var answered = false
    switch envelope.packet {
    case .ping(let sequence, let target, let note):
      take(note, of: envelope.sender, into: &effects)
      if target == card.id {
        let ack = Packet.ack(sequence, digestNote(for: envelope.sender))
        send(ack, to: address, peer: envelope.sender, first: first, into: &effects)
      } else {
        send(.gossip, to: address, peer: envelope.sender, first: [ownRumour] + first, into: &effects)
      }
      answered = true
    case .ack(let sequence, let note):
      take(note, of: envelope.sender, into: &effects)
      acknowledge(sequence, by: envelope.sender, at: now, into: &effects)
    case .nack(let sequence): noteNack(sequence)
    case .pingRequest(let sequence, let target, let targetAddress):
      let request = Relay.Request(address: address, sequence: sequence, by: envelope.sender)
      relay(request, target: target, at: targetAddress, now: now, into: &effects)
    case .relayed(let sequence): acknowledgeRelayed(sequence, at: now, into: &effects)
    case .gossip: break
    case .pull(let sequence, _):
      sendState(sequence, to: address, peer: envelope.sender, first: first, into: &effects)
      answered = true
    case .state(let sequence, let complete, let records):
      for record in records { learn(record, through: .state(envelope.sender), at: now, into: &effects) }
      joined(sequence, through: envelope.sender, complete: complete, at: now, into: &effects)
      if incarnation != before { first = [ownRumour] + first.filter { $0.subject != card.id } }
    }

    afterContact(with: envelope, from: address, statusBefore: statusBefore, at: now, into: &effects)
    let isMistaken = envelope.packet != .gossip && roster[envelope.sender].map { $0.member.status != .alive } ?? false
    if !answered, !first.isEmpty || isMistaken {
      send(.gossip, to: address, peer: envelope.sender, first: first, into: &effects)
    }
  }

  /// A sender that is unknown or has changed is asked for its card; one that came back is asked for its state.
  private mutating func afterContact(
    with envelope: Envelope, from address: String, statusBefore: MemberStatus?, at now: Instant,
    into effects: inout [MembershipEffect]
  ) {
    guard let index = roster.index(of: envelope.sender) else {
      pull(from: address, peer: envelope.sender, at: now, into: &effects)
      return
    }
    let peer = roster[index]
    if statusBefore == nil { roster[index].member.lastHeard = now }
    if peer.member.incarnation < envelope.incarnation {
      pull(from: address, peer: envelope.sender, at: now, into: &effects)
    } else if let statusBefore, !statusBefore.isActive, peer.isActive {
      reunite(with: peer, at: now, into: &effects)
    }
  }

  /// A datagram under our own id: our own join attempt come back, or a clone's.
  private mutating func receiveEcho(_ envelope: Envelope, at now: Instant, into effects: inout [MembershipEffect]) {
    effects.append(.counted(.echoed))
    if case .pull(let sequence, let record) = envelope.packet {
      if record.card == card, let place = joins.firstIndex(where: { $0.sequence == sequence }) {
        joins[place].answeredBy = card.id
        return
      }
      learn(record, through: .gossip, at: now, into: &effects)
    }
    for rumour in envelope.rumours where rumour.subject == card.id {
      learn(rumour, through: .gossip, at: now, into: &effects)
    }
  }

  /// Takes in what a peer says of both digests.
  private mutating func take(_ note: DigestNote, of sender: NodeID, into effects: inout [MembershipEffect]) {
    guard let index = roster.index(of: sender) else { return }
    roster[index].held = note.held
    if !note.bytes.isEmpty {
      roster[index].digest = note.bytes
      roster[index].digestSum = note.sum
    }
    let peer = roster[index]
    if note.sum != 0, note.sum == peer.digestSum { effects.append(.digest(peer.digest, of: sender)) }
  }

  /// Takes in a full state that came over a stream.
  mutating func receiveState(_ bytes: [UInt8], at now: Instant, into effects: inout [MembershipEffect]) {
    guard case .running = phase else { return }
    guard bytes.count <= Self.stateBytes else { return effects.append(.counted(.oversized)) }
    let envelope: Envelope
    do {
      envelope = try Envelope.read(bytes, mesh: configuration.mesh)
    } catch { return effects.append(.counted(error)) }
    guard envelope.sender != card.id else { return receiveEcho(envelope, at: now, into: &effects) }
    guard case .state(let sequence, let complete, let records) = envelope.packet else {
      return effects.append(.counted(.malformed))
    }
    let before = incarnation
    let statusBefore = roster[envelope.sender]?.member.status
    for record in records { learn(record, through: .state(envelope.sender), at: now, into: &effects) }
    joined(sequence, through: envelope.sender, complete: complete, at: now, into: &effects)
    guard let peer = roster[envelope.sender] else { return }
    if let statusBefore, !statusBefore.isActive, peer.isActive { beginSettling(at: now) }
    if incarnation != before || peer.member.status != .alive {
      let first = incarnation == before ? [] : [ownRumour]
      send(.gossip, to: peer.member.card.gossip, peer: peer.id, first: first, into: &effects)
    }
  }

  /// The largest state over a stream, in bytes.
  static let stateBytes = 4 << 20
}
