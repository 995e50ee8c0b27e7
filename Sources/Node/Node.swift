// The core of a node: membership and volumes, events in, effects out.
//
// A node is a value. It reads no clock, draws no randomness of its own and does no IO: the daemon and the simulator run
// this very code.

import Causality
import Membership
import Replication

/// The core of one node.
public struct Node: Sendable {
  struct Peer: Sendable {
    var connection: ConnectionID
    var saidHello = false
  }

  struct Dial: Sendable {
    var next: Instant
    var failures: UInt64
  }

  /// This node's identity.
  public let id: NodeID
  /// Who is where.
  public internal(set) var membership: Membership
  /// How far a peer's stamp may be ahead of the wall clock, in milliseconds.
  public var allowedOffset: UInt64 = 60_000

  var syncs: [String: VolumeSync] = [:]
  var clock: HybridLogicalClock
  var peers: [NodeID: Peer] = [:]
  var owners: [ConnectionID: NodeID] = [:]
  var dials: [NodeID: Dial] = [:]
  var blocked = Set<NodeID>()
  /// Nodes that a person said are gone for good: nobody's hearsay brings them back.
  var forgotten = Set<NodeID>()
  /// Counts of what went on, for metrics.
  public internal(set) var counts = NodeCounts()

  /// A node with its volumes as they were stored, durably.
  public init(id: NodeID, membership: Membership, clock: HybridLogicalClock, volumes: [Volume]) {
    self.id = id
    self.membership = membership
    self.clock = clock
    for volume in volumes { syncs[volume.name] = VolumeSync(volume: volume) }
  }

  /// The names of the volumes carried, sorted.
  public var volumeNames: [String] { syncs.keys.sorted() }

  /// A volume as it is now.
  public func volume(_ name: String) -> Volume? { syncs[name]?.volume }

  /// The clock's durable bound is due for renewal: make `lease` durable, then grant it.
  public var leaseDue: Stamp? { clock.needsLease() ? clock.proposedLease() : nil }

  /// The bound is durable.
  public mutating func grant(lease: Stamp) { clock.grant(lease: lease) }

  /// Works on a volume with fresh stamps.
  ///
  /// - Parameter wall: milliseconds since 1970 by this node's wall clock.
  public mutating func withVolume<Result>(
    _ name: String, wall: UInt64, _ body: (inout Volume, () -> Stamp) throws -> Result
  ) rethrows -> Result {
    _ = clock.observe(syncs[name]!.volume.latest, wall: .max)
    var clock = clock
    defer { self.clock = clock }
    return try body(&syncs[name]!.volume) { clock.next(wall: wall) }
  }

  /// Adds a volume while the node runs.
  public mutating func add(_ volume: Volume, into effects: inout [NodeEffect]) {
    guard syncs[volume.name] == nil else { return }
    syncs[volume.name] = VolumeSync(volume: volume)
    for peer in peers.values.map(\.connection).sorted() { hello(peer, into: &effects) }
  }

  /// The peers with a sync connection.
  public var connected: [NodeID] { peers.keys.sorted() }

  /// The peers that have said over their connection which volumes they carry.
  public var greeted: [NodeID] { peers.filter(\.value.saidHello).keys.sorted() }

  /// What a peer said that it holds of a volume.
  public func held(by peer: NodeID, of volume: String) -> VersionVector? { syncs[volume]?.held[peer] }

  /// What a peer said that it holds of a volume whatever happens to it.
  public func heldDurably(by peer: NodeID, of volume: String) -> VersionVector? { syncs[volume]?.heldDurably[peer] }

  /// What the content that was asked for under `id` must hash to; nil when nobody waits for it.
  public func expectedHash(_ volume: String, _ id: UInt64) -> ContentHash? { syncs[volume]?.fetches.expected(id) }

  /// Parcels on their way into a volume.
  public func parcelCount(_ volume: String) -> Int { syncs[volume]?.parcels.count ?? 0 }

  // MARK: Events

  /// Takes in an event.
  ///
  /// - Parameters:
  ///   - now: monotonic time.
  ///   - wall: milliseconds since 1970 by this node's wall clock.
  public mutating func handle(
    _ event: NodeEvent, at now: Instant, wall: UInt64, into effects: inout [NodeEffect]
  ) {
    switch event {
    case .membership(let event): handle(event, at: now, into: &effects)
    case .connected(let connection, let peer): connected(connection, peer, at: now, into: &effects)
    case .closed(let connection): closed(connection, at: now, into: &effects)
    case .message(let connection, let message):
      guard let peer = owners[connection] else { return }
      handle(message, from: peer, connection, at: now, wall: wall, into: &effects)
    case .stored(let volume, let sequences, let delta):
      guard let origin = syncs[volume]?.volume.origin else { return }
      let connections = peers.values.filter(\.saidHello).map(\.connection).sorted()
      guard !connections.isEmpty else { return }
      let push = Message.push(volume: volume, origin: origin, sequences: sequences, delta, [])
      counts.pushes += 1
      effects.append(.sendWithContents(connections, push, delta.inlineContents))
    case .gathered(let volume, let parcel, let missing):
      syncs[volume]?.gathered(parcel, missing: missing, into: &effects)
      request(volume, at: now, into: &effects)
    case .durable(let volume, let vector): syncs[volume]?.durable.merge(vector)
    case .applied(let volume, let parcel, let outcome):
      applied(volume, parcel, outcome, at: now, into: &effects)
    case .tick: tick(at: now, into: &effects)
    }
  }

  private mutating func handle(_ event: MembershipEvent, at now: Instant, into effects: inout [NodeEffect]) {
    var produced: [MembershipEffect] = []
    membership.handle(event, at: now, into: &produced)
    effects += produced.map { .membership($0) }
  }

  private mutating func connected(
    _ connection: ConnectionID, _ peer: NodeID, at now: Instant, into effects: inout [NodeEffect]
  ) {
    guard peer != id, !blocked.contains(peer) else {
      effects.append(.close(connection, reason: peer == id ? "that is ourselves" : "the link is blocked"))
      return
    }
    if let old = peers[peer] {
      closed(old.connection, at: now, into: &effects)  // What was asked over it will not be answered.
      effects.append(.close(old.connection, reason: "replaced by a newer connection"))
    }
    peers[peer] = Peer(connection: connection)
    owners[connection] = peer
    dials[peer] = nil
    hello(connection, into: &effects)
  }

  /// What peers are told is held here.
  private func told(_ name: String) -> Message.VolumeVector {
    let sync = syncs[name]!
    return Message.VolumeVector(
      volume: name, vector: sync.volume.vector, durable: sync.durable, holders: holders(of: name))
  }

  private func hello(_ connection: ConnectionID, into effects: inout [NodeEffect]) {
    let volumes = volumeNames.map { told($0) }
    effects.append(.send(connection, .hello(node: id, protocols: Message.protocols, volumes: volumes)))
  }

  private mutating func closed(_ connection: ConnectionID, at now: Instant, into effects: inout [NodeEffect]) {
    guard let peer = owners.removeValue(forKey: connection), peers[peer]?.connection == connection else { return }
    peers[peer] = nil
    for name in volumeNames {
      syncs[name]!.serving[peer] = nil
      syncs[name]!.behindSince[peer] = nil
      syncs[name]!.fetches.lose(peer: peer)
      syncs[name]!.loseWholes(of: peer, into: &effects)
      if syncs[name]!.round?.peer == peer { syncs[name]!.round = nil }
      request(name, at: now, into: &effects)
    }
  }

  private mutating func applied(
    _ name: String, _ id: UInt64, _ outcome: ApplyOutcome, at now: Instant, into effects: inout [NodeEffect]
  ) {
    guard let parcel = syncs[name]?.parcels[id] else { return }
    switch outcome {
    case .needsMore:
      syncs[name]!.stages[id] = .waiting
      syncs[name]!.collect(id, into: &effects)
      return
    case .failed:
      syncs[name]!.stages[id] = .waiting
      syncs[name]!.pauseUntil = now + .seconds(2)
      syncs[name]!.abandon(id, into: &effects)
      return
    case .done: break
    }
    counts.applied += 1
    switch parcel.kind {
    case .push(let origin, let sequences): syncs[name]!.complete(origin, sequences)
    case .part(let round, let number):
      if syncs[name]!.round?.id == round {
        syncs[name]!.round!.pending.remove(id)
        syncs[name]!.round!.lastProgress = now
        finishRound(name)
      }
      if owners[parcel.connection] != nil {
        effects.append(.send(parcel.connection, .partDone(volume: name, round: round, number: number)))
      }
    }
    syncs[name]!.remove(id, into: &effects)
    request(name, at: now, into: &effects)
    reconsider(name, at: now, into: &effects)
  }

  mutating func finishRound(_ name: String) {
    guard let round = syncs[name]!.round, round.pending.isEmpty, let claim = round.claim else { return }
    syncs[name]!.volume.acknowledge(claim)
    syncs[name]!.round = nil
  }

  // MARK: Time

  private mutating func tick(at now: Instant, into effects: inout [NodeEffect]) {
    if let deadline = membership.nextDeadline, deadline <= now { handle(.tick, at: now, into: &effects) }
    dial(at: now, into: &effects)
    for name in volumeNames {
      if let round = syncs[name]!.round, now - round.lastProgress > VolumeSync.patience { giveUp(name, into: &effects) }
      announce(name, into: &effects)
      request(name, at: now, into: &effects)
      reconsider(name, at: now, into: &effects)
    }
  }

  private mutating func giveUp(_ name: String, into effects: inout [NodeEffect]) {
    guard let round = syncs[name]!.round else { return }
    for parcel in round.pending.sorted() { syncs[name]!.abandon(parcel, into: &effects) }
    syncs[name]!.round = nil
  }

  /// Tells every peer what is held here, when it has changed.
  private mutating func announce(_ name: String, into effects: inout [NodeEffect]) {
    let told = told(name)
    guard told != syncs[name]!.announced else { return }
    syncs[name]!.announced = told
    for connection in peers.values.filter(\.saidHello).map(\.connection).sorted() {
      effects.append(.send(connection, .have(told)))
    }
  }

  /// Connects to members that have no connection. The lower id dials; the higher one only after a while.
  private mutating func dial(at now: Instant, into effects: inout [NodeEffect]) {
    for member in membership.members where member.id != id && member.status.isActive && peers[member.id] == nil {
      guard !blocked.contains(member.id), !member.card.sync.isEmpty else { continue }
      guard var state = dials[member.id] else {
        let wait: Span = id < member.id ? .zero : .seconds(3)
        dials[member.id] = Dial(next: now + wait, failures: 0)
        continue
      }
      guard state.next <= now else { continue }
      effects.append(.connect(member.id, address: member.card.sync))
      state.failures += 1
      state.next = now + .milliseconds(min(5_000, 250 << min(state.failures, 5)) + (id < member.id ? 0 : 1_500))
      dials[member.id] = state
    }
  }
}

/// Counts of what went on since the start.
public struct NodeCounts: Hashable, Sendable {
  /// Changes or ranges of changes told to peers.
  public var pushes: UInt64 = 0
  /// Pushes that could not be placed and were left to a pull.
  public var pushesDropped: UInt64 = 0
  /// Rounds of pulling begun.
  public var rounds: UInt64 = 0
  /// Parcels applied.
  public var applied: UInt64 = 0
  /// Bytes of chunk content received.
  public var contentBytes: UInt64 = 0
}
