// Partition drills: links that are blocked for a while.

import Admin
import Causality
import Membership
import Synchronization
import Transport

/// The links a drill blocks, and until when.
final class LinkDrills: Sendable {
  /// How long a drill may last.
  static let longest = Span.seconds(3_600)

  let until = Mutex<[NodeID: Instant]>([:])
}

extension AdminRoutes {
  func links() -> [LinkReport] {
    let now = SystemClock.now
    let until = service.drills.until.withLock { $0 }
    return engine.read { $0.membership.members }.compactMap { member in
      until[member.id].map {
        LinkReport(
          node: member.card.name, id: member.id.description,
          remainingSeconds: Double(($0 - now).nanoseconds / 1_000_000) / 1_000)
      }
    }
  }

  func block(_ request: AdminRequest) throws -> [LinkReport] {
    let text = request.query["for"] ?? "30s"
    guard let span = Quantities.duration(text), span > .zero, span <= LinkDrills.longest else {
      throw RouteRefusal(
        400, "the link is not blocked", "'\(text)' is not a time of at most \(Quantities.text(of: LinkDrills.longest))",
        "Write --for 30s.")
    }
    let members = try named(request)
    guard !members.contains(where: { $0.id == service.identity.node }) else {
      throw RouteRefusal(409, "a node has no link to itself", "\(service.name) was asked", "Name another member.")
    }
    let end = SystemClock.now + span
    service.drills.until.withLock { until in for member in members { until[member.id] = end } }
    for member in members { engine.change { node, effects in node.block(member.id, true, into: &effects) } }
    applyDrills()
    Task {
      try? await Task.sleep(for: .nanoseconds(Int64(span.nanoseconds)))
      open(members.map(\.id).filter { id in service.drills.until.withLock { $0[id] == end } })
    }
    return links()
  }

  func unblock(_ request: AdminRequest) throws -> [LinkReport] {
    open(try named(request).map(\.id))
    return links()
  }

  private func named(_ request: AdminRequest) throws -> [Member] {
    let names = (request.query["node"] ?? "").split(separator: ",").map(String.init)
    if names == ["all"] {
      return engine.read { node in node.membership.members.filter { $0.id != node.id && $0.status != .left } }
    }
    guard !names.isEmpty else {
      throw RouteRefusal(400, "no node is named", "node= is empty", "Name a member, or all.")
    }
    return try names.map { try member($0) }
  }

  private func open(_ nodes: [NodeID]) {
    guard !nodes.isEmpty else { return }
    service.drills.until.withLock { until in for node in nodes { until[node] = nil } }
    applyDrills()
    for id in nodes { engine.change { node, effects in node.block(id, false, into: &effects) } }
  }

  private func applyDrills() {
    let nodes = Set(service.drills.until.withLock { $0.keys })
    let cards = engine.read { $0.membership.members.filter { nodes.contains($0.id) }.map(\.card) }
    service.transport.setBlocked(nodes: nodes, addresses: Set(cards.map(\.gossip)))
    engine.events.tell("link", ["blocked": cards.map(\.name).sorted().joined(separator: ",")])
  }
}
