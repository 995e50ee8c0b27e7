// What the admin server answers: each path to its function.

import Admin
import Causality
import Membership
import Replication
import Storage

/// The answers of a node.
struct AdminRoutes: Sendable {
  /// Differences that are told, at most.
  static let differencesAtMost = 1_000
  /// Bytes of a conflict that are shown, at most.
  static let shownBytes: UInt64 = 64 << 20

  let service: NodeService
  var engine: Engine { service.engine }

  /// Answers a request.
  func answer(_ request: AdminRequest) async -> AdminResponse {
    do {
      return try await route(request)
    } catch let refusal as RouteRefusal {
      return .failure(refusal.failure, status: refusal.status)
    } catch let failure as AdminFailure {
      return .failure(failure, status: 500)
    } catch {
      return .failure(
        AdminFailure(what: "the node could not do it", why: "\(error)", remedy: "Look at the node's log."), status: 500)
    }
  }

  private func route(_ request: AdminRequest) async throws -> AdminResponse {
    switch (request.method, request.path) {
    case ("GET", "/"): return .page(AdminPage.html)
    case ("GET", "/healthz"): return .text("ok\n")
    case ("GET", "/readyz"):
      return service.isReady ? .text("ready\n") : .text("not yet: volumes are being mounted\n", status: 503)
    case ("GET", "/metrics"): return metrics()
    case ("GET", "/v1/status"): return .json(status())
    case ("GET", "/v1/members"): return .json(members())
    case ("GET", "/v1/volumes"): return .json(try volumes(request))
    case ("POST", "/v1/volumes"): return .json(try await createVolume(request))
    case ("GET", "/v1/chunks"): return .json(try await chunks(request))
    case ("GET", "/v1/diverge"): return .json(try await diverge(request))
    case ("GET", "/v1/conflicts"): return .json(try await conflicts(request))
    case ("GET", "/v1/conflicts/show"): return try await showConflict(request)
    case ("POST", "/v1/conflicts/restore"): return .json(try await restoreConflict(request))
    case ("POST", "/v1/conflicts/drop"): return .json(try await dropConflicts(request))
    case ("GET", "/v1/position"): return .json(try position(request))
    case ("GET", "/v1/wait"): return .json(try await wait(request))
    case ("POST", "/v1/leave"): return .json(leave())
    case ("POST", "/v1/forget"): return .json(try await forget(request))
    case ("GET", "/v1/link"): return .json(links())
    case ("POST", "/v1/link/block"): return .json(try block(request))
    case ("POST", "/v1/link/unblock"): return .json(try unblock(request))
    case ("GET", "/v1/keys"): return .json(keys())
    case ("POST", "/v1/keys"): return .json(try await changeKeys(request))
    case ("GET", "/v1/events"): return .events(engine.events.listen())
    default:
      throw RouteRefusal(
        404, "there is nothing at \(request.method) \(request.path)", "this node does not know it",
        "Use the same version of grapevine as the node.")
    }
  }

  // MARK: What requests name

  /// The member of a name or an id.
  func member(_ text: String?) throws -> Member {
    let members = engine.read { $0.membership.members }
    if let text, let found = members.first(where: { $0.card.name == text || $0.id.description == text }) {
      return found
    }
    throw RouteRefusal(
      404, "there is no member '\(text ?? "")'",
      "the members are " + members.map(\.card.name).sorted().joined(separator: ", "),
      "Name one of them, by name or by id.")
  }

  /// The volume and the path in it that a request is about: a path below a mount, or `volume` with a path in it.
  func place(_ request: AdminRequest) throws -> (volume: CarriedVolume, path: Path) {
    let text = request.query["path"] ?? ""
    if request.query["volume"] == nil, !text.isEmpty || request.query["from"] != nil {
      let absolute = Self.normalized(text.hasPrefix("/") ? text : (request.query["from"] ?? "") + "/" + text)
      for volume in engine.allVolumes {
        guard let mountPoint = volume.mount.withLock({ $0?.mountPoint }) else { continue }
        let root = Self.normalized(mountPoint)
        if absolute == root { return (volume, .root) }
        if absolute.hasPrefix(root + "/") { return (volume, Path(String(absolute.dropFirst(root.count)))) }
      }
    }
    return (try volume(request.query["volume"]), Path(Self.normalized("/" + text)))
  }

  /// The volume of a name; without a name the only one.
  func volume(_ name: String?) throws -> CarriedVolume {
    if let name {
      if let volume = engine.volume(name) { return volume }
      let names = engine.allVolumes.map(\.name).joined(separator: ", ")
      throw RouteRefusal(
        404, "there is no volume '\(name)' here",
        names.isEmpty ? "this node carries none" : "this node carries \(names)",
        "Name one of them, or ask another node.")
    }
    let all = engine.allVolumes
    if all.count == 1 { return all[0] }
    throw RouteRefusal(
      400, "the volume is not clear", all.isEmpty ? "this node carries none" : "this node carries \(all.count)",
      "Name a path below a mount, or the volume with --volume.")
  }

  /// A path without `.`, `..` and doubled slashes.
  static func normalized(_ text: String) -> String {
    var parts: [Substring] = []
    for part in text.split(separator: "/") where part != "." {
      if part == ".." { _ = parts.popLast() } else { parts.append(part) }
    }
    return "/" + parts.joined(separator: "/")
  }
}

/// A request that is not done, and the status that says so.
struct RouteRefusal: Error {
  var status: Int
  var failure: AdminFailure

  init(_ status: Int, _ what: String, _ why: String, _ remedy: String) {
    self.status = status
    failure = AdminFailure(what: what, why: why, remedy: remedy)
  }
}
