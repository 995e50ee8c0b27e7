// Gossip keys: listed, and rotated on this node and on all that are connected.

import Admin
import Node
import Transport

extension AdminRoutes {
  func keys() -> [KeyReport] {
    let ring = service.seal.ring
    return ring.keys.map { KeyReport(fingerprint: $0.fingerprint, isPrimary: $0 == ring.primary) }
  }

  /// Changes the ring here, then tells every member; who could not be told is named.
  func changeKeys(_ request: AdminRequest) async throws -> ToldReport {
    let text = request.query["key"] ?? ""
    let order: Question.KeyOrder
    switch request.query["do"] {
    case "install": order = .install(text.isEmpty ? GossipKey.random().text : text)
    case "use": order = .use(text)
    case "remove": order = .remove(text)
    default: throw RouteRefusal(400, "the keys are not changed", "do= is none of install, use, remove", "Name one.")
    }
    do {
      try service.change(order)
    } catch {
      throw RouteRefusal(
        409, "the keys are not changed", Self.why(error),
        "Look at `grapevine keys list`; a key is 64 hexadecimal digits.")
    }
    return await tell(.keys(order), of: "")
  }

  private static func why(_ error: any Error) -> String {
    switch error as? KeyRingError {
    case .notAKey?: "that is not a key"
    case .wrongCount(let count)?: "a ring holds 1 to \(GossipKeyRing.maxKeys) keys, not \(count)"
    case .sameID(let fingerprint)?: "the key \(fingerprint) goes by the same byte: make another one"
    case .unknown(let fingerprint)?: "no key has the fingerprint '\(fingerprint)'"
    case .inUse(let fingerprint)?: "\(fingerprint) is the key that seals: use another one first"
    case nil: "\(error)"
    }
  }
}

extension NodeService {
  /// Changes the ring of gossip keys, in memory and in the credentials' directory.
  func change(_ order: Question.KeyOrder) throws {
    try keyChanges.withLock { _ in
      var ring = seal.ring
      switch order {
      case .install(let text):
        guard let key = GossipKey(text: text) else { throw KeyRingError.notAKey(line: 1) }
        try ring.install(key)
      case .use(let fingerprint): try ring.use(fingerprint)
      case .remove(let fingerprint): try ring.remove(fingerprint)
      }
      var changed = credentials
      changed.gossipKeys = ring
      try changed.saveGossipKeys(to: configuration.mesh.credentials)
      seal.replace(ring)
    }
  }
}
