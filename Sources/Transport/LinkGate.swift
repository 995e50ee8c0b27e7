// A partition drill: peers that this node pretends not to reach.

import Causality
import Synchronization

/// Peers whose connections are closed and refused and whose datagrams are dropped both ways.
public final class LinkGate: Sendable {
  private struct Blocked {
    var nodes: Set<NodeID> = []
    var addresses: Set<String> = []
  }

  private let blocked = Mutex(Blocked())

  /// A gate that blocks nobody.
  public init() {}

  /// Replaces what is blocked: nodes by id, addresses as `ip:port` or as an `ip` with all its ports.
  public func set(nodes: Set<NodeID>, addresses: Set<String>) {
    blocked.withLock { $0 = Blocked(nodes: nodes, addresses: addresses) }
  }

  /// The nodes blocked now.
  public var nodes: Set<NodeID> { blocked.withLock { $0.nodes } }

  /// The addresses blocked now.
  public var addresses: Set<String> { blocked.withLock { $0.addresses } }

  /// Whether a node is blocked.
  public func blocks(_ node: NodeID) -> Bool { blocked.withLock { $0.nodes.contains(node) } }

  /// Whether an address is blocked.
  public func blocks(address: String) -> Bool {
    blocked.withLock { blocked in
      if blocked.addresses.isEmpty { return false }
      if blocked.addresses.contains(address) { return true }
      guard let endpoint = Endpoint(address) else { return false }
      return blocked.addresses.contains(endpoint.host)
    }
  }
}
