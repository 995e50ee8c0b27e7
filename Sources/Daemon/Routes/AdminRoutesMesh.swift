// Status, members, volumes: what the node knows without asking anybody.

import Admin
import Causality
import Glibc
import Membership
import Node
import Replication

extension AdminRoutes {
  func status() -> StatusReport {
    let members = engine.read { $0.membership.members }
    var counts: [String: Int] = ["alive": 0, "suspect": 0, "dead": 0, "left": 0]
    for member in members { counts["\(member.status)", default: 0] += 1 }
    let (connected, health) = engine.read { ($0.connected.count, $0.membership.healthScore) }
    let alarms = engine.alarms.withLock { $0.map { AlarmReport(what: Self.text(of: $0.key), times: $0.value) } }
    return StatusReport(
      node: service.name, id: service.identity.node.description, region: service.region,
      mesh: service.credentials.meshName, startedAt: Moment.text(milliseconds: engine.startedWall),
      uptimeSeconds: (SystemClock.now - engine.started).nanoseconds / 1_000_000_000, isReady: service.isReady,
      isCaughtUp: service.isCaughtUp, members: counts, connected: connected, health: health,
      blocked: links().map(\.node), volumes: volumeReports(), alarms: alarms.sorted { $0.what < $1.what })
  }

  func members() -> [MemberReport] {
    let now = SystemClock.now
    return engine.read { node in
      let connected = Set(node.connected)
      let blocked = Set(node.blockedPeers)
      return node.membership.members.map { member in
        MemberReport(
          name: member.card.name, id: member.id.description, region: member.card.region, status: "\(member.status)",
          isSelf: member.id == node.id, isConnected: connected.contains(member.id),
          isBlocked: blocked.contains(member.id), gossip: member.card.gossip, sync: member.card.sync,
          roundTripMilliseconds: member.roundTrip.map { Double($0.nanoseconds / 1_000) / 1_000 },
          lastHeardSeconds: member.lastHeard.map { Double((now - $0).nanoseconds / 1_000_000) / 1_000 },
          lag: node.volumeNames.compactMap { Self.lag(of: member.id, member.card.name, $0, node) })
      }.sorted { ($0.region, $0.name, $0.id) < ($1.region, $1.name, $1.id) }
    }
  }

  func volumes(_ request: AdminRequest) throws -> [VolumeReport] {
    guard let name = request.query["name"] else { return volumeReports() }
    _ = try volume(name)
    return volumeReports().filter { $0.name == name }
  }

  func volumeReports() -> [VolumeReport] {
    engine.allVolumes.compactMap { carried in
      let mountedAt = carried.mount.withLock { $0?.mountPoint } ?? ""
      return engine.read { node in
        guard let volume = node.volume(carried.name) else { return nil }
        let names = Dictionary(node.membership.members.map { ($0.id, $0.card.name) }) { first, _ in first }
        return VolumeReport(
          name: carried.name, mountedAt: mountedAt, entries: volume.entryCount, bytes: volume.bytes,
          sizeBytes: carried.sizeLimit, conflicts: volume.conflicts.count, incoming: node.parcelCount(carried.name),
          origin: volume.origin.description, position: volume.vector.description,
          peers: node.connected.compactMap { Self.lag(of: $0, names[$0] ?? "\($0)", carried.name, node) }
            .sorted { $0.node < $1.node })
      }
    }
  }

  private static func lag(of peer: NodeID, _ name: String, _ volume: String, _ node: Node) -> LagReport? {
    guard peer != node.id, let own = node.volume(volume)?.vector, let held = node.held(by: peer, of: volume) else {
      return nil
    }
    func count(_ gaps: [(origin: NodeID, sequences: ClosedRange<UInt64>)]) -> UInt64 {
      gaps.reduce(0) { $0 + ($1.sequences.upperBound - $1.sequences.lowerBound + 1) }
    }
    return LagReport(
      node: name, volume: volume, behind: count(own.missing(from: held)), ahead: count(held.missing(from: own)))
  }

  private static func text(of alarm: NodeAlarm) -> String {
    switch alarm {
    case .stampAhead(let peer, let milliseconds):
      "the clock of \(peer) is \(milliseconds) ms ahead: its changes are held back; set its clock"
    case .badMessage(let peer, let why): "\(peer?.description ?? "a stranger") said what cannot be: \(why)"
    case .originStolen(let volume, let claimed, let ours):
      "peers hold \(claimed) changes of this node in \(volume), it made \(ours): its data directory was copied or reset"
    }
  }

  // MARK: Coming and going

  func leave() -> ToldReport {
    service.endSoon()
    return ToldReport(done: [service.name], failed: [])
  }

  /// Has every other member do what this node has done.
  func tell(_ question: Question, of volume: String) async -> ToldReport {
    var told = ToldReport(done: [service.name], failed: [])
    let members = engine.read { node in node.membership.members.filter { $0.id != node.id && $0.status != .left } }
    for member in members {
      let answer = await engine.ask(member.id, question, of: volume, milliseconds: 5_000)
      if answer == nil { told.failed.append(member.card.name) } else { told.done.append(member.card.name) }
    }
    return told
  }

  func forget(_ request: AdminRequest) async throws -> ToldReport {
    let member = try member(request.query["node"])
    guard member.id != service.identity.node else {
      throw RouteRefusal(
        409, "a node cannot forget itself", "\(member.card.name) is the node that was asked", "Use leave.")
    }
    guard !member.status.isActive else {
      throw RouteRefusal(
        409, "\(member.card.name) is not forgotten", "it is \(member.status)", "Stop it first: `grapevine leave` there."
      )
    }
    engine.forget(member.id)
    return await tell(.forget(member.id), of: "")
  }
}
