// Questions of people that this node passes to its peers, and those of theirs that it answers.

import Causality
import Node
import Replication
import Storage
import Synchronization
import Transport

/// The questions that wait for an answer.
final class Asking: Sendable {
  /// Numbers of contents that people asked for; those the core asks for are below.
  static let firstID: UInt64 = 1 << 63

  private struct State {
    var next = Asking.firstID
    var waiting: [UInt64: (connection: ConnectionID, continuation: CheckedContinuation<[UInt8]?, Never>)] = [:]
  }

  private let state = Mutex(State())

  /// A fresh number; `send` is called with it, and the answer awaited for so many milliseconds.
  func ask(
    over connection: ConnectionID, milliseconds: UInt64, _ send: @Sendable (UInt64) -> Void
  ) async -> [UInt8]? {
    let id = state.withLock { state in
      state.next += 1
      return state.next
    }
    let timer = Task {
      try? await Task.sleep(for: .milliseconds(milliseconds))
      self.answered(id, nil)
    }
    defer { timer.cancel() }
    return await withCheckedContinuation { continuation in
      state.withLock { $0.waiting[id] = (connection, continuation) }
      send(id)
    }
  }

  /// An answer came, or will not.
  func answered(_ id: UInt64, _ bytes: [UInt8]?) {
    state.withLock { $0.waiting.removeValue(forKey: id) }?.continuation.resume(returning: bytes)
  }

  /// A connection is gone, and what was asked over it will not be answered.
  func lost(_ connection: ConnectionID) {
    let ids = state.withLock { $0.waiting.filter { $0.value.connection == connection }.map(\.key) }
    for id in ids { answered(id, nil) }
  }
}

extension Engine {
  private func connection(to peer: NodeID) -> PeerConnection? {
    connections.withLock { connections in
      connections.values.filter { $0.remote == peer }.max { $0.id < $1.id }
    }
  }

  private func ask(
    _ connection: PeerConnection, milliseconds: UInt64, _ message: @Sendable (UInt64) -> Message
  ) async -> [UInt8]? {
    await asking.ask(over: connection.id, milliseconds: milliseconds) { id in
      connection.send(channel: Channel.sync, message(id).bytes)
      let isOpen = connections.withLock { $0[connection.id] != nil }
      if !isOpen { asking.answered(id, nil) }
    }
  }

  /// Asks a peer; nil when it cannot be reached, has no answer, or takes too long.
  func ask(
    _ peer: NodeID, _ question: Question, of volume: String, milliseconds: UInt64 = 10_000
  ) async -> [UInt8]? {
    guard let connection = connection(to: peer) else { return nil }
    return await ask(connection, milliseconds: milliseconds) { .ask(volume: volume, id: $0, question) }
  }

  /// Bytes with this hash, from whichever peer still has them.
  func fetch(_ hash: ContentHash, length: UInt32, of volume: String, place: ContentPlace) async -> [UInt8]? {
    for peer in read({ $0.connected }) {
      guard let connection = connection(to: peer) else { continue }
      let bytes = await ask(connection, milliseconds: 10_000) { id in
        .fetch(volume: volume, [ContentRequest(id: id, place: place, hash: hash, length: length)])
      }
      if let bytes, ContentHasher.hash(bytes[...]) == hash { return bytes }
    }
    return nil
  }

  /// Takes what belongs to questions out of what peers say; false when it is for the core.
  func intercept(_ message: Message, from connection: PeerConnection) -> Bool {
    switch message {
    case .ask(let volume, let id, let question):
      Task.detached {
        let answer = self.answer(question, of: volume)
        connection.send(channel: Channel.sync, Message.answer(volume: volume, id: id, answer.map { $0[...] }).bytes)
      }
      return true
    case .answer(_, let id, let bytes):
      asking.answered(id, bytes.map { Array($0) })
      return true
    case .content(_, let id, let bytes) where id >= Asking.firstID:
      asking.answered(id, bytes.map { Array($0) })
      return true
    default: return false
    }
  }

  /// What this node itself answers.
  func answer(_ question: Question, of volume: String) -> [UInt8]? {
    switch question {
    case .summary(let top, let after, let includesEntries):
      return summary(of: volume, below: top, after: after, includesEntries: includesEntries)?.bytes
    case .carry(let size): return orders.withLock { $0 }?.carry(volume, size) ?? false ? [] : nil
    case .forget(let node):
      guard read({ $0.id }) != node else { return nil }
      forget(node)
      return []
    case .keys(let order): return orders.withLock { $0 }?.keys(order) ?? false ? [] : nil
    }
  }

  /// What this node shows of a volume.
  func summary(of name: String, below top: Path, after: Path?, includesEntries: Bool) -> VolumeSummary? {
    let volume = read { $0.volume(name) }
    return volume?.summary(below: top, after: after, includesEntries: includesEntries) { ContentHasher.hash($0[...]) }
  }

  /// Notes the peers' origins, so that changes can be told by the names of nodes.
  func learnOrigins(of volume: String) async {
    let known = originNames.withLock { $0 }
    for peer in read({ $0.connected }) where known[volume]?.values.contains(peer) != true {
      let question = Question.summary(below: Path("/.grapevine-origin"), after: nil, includesEntries: false)
      guard let bytes = await ask(peer, question, of: volume, milliseconds: 1_000),
        let summary = try? VolumeSummary(bytes[...])
      else { continue }
      originNames.withLock { $0[volume, default: [:]][summary.origin] = peer }
    }
  }

  /// The name of the node that makes changes under an origin; the origin itself when that is not known.
  func name(ofOrigin origin: NodeID, in volume: String) -> String {
    let peer = originNames.withLock { $0[volume]?[origin] }
    return read { node in
      let id = node.volume(volume)?.origin == origin ? node.id : peer
      return node.membership.members.first { $0.id == id }?.card.name ?? origin.description
    }
  }
}

/// What peers may order of this node; set by the service that owns the engine.
struct PeerOrders: Sendable {
  var carry: @Sendable (_ volume: String, _ sizeBytes: UInt64) -> Bool
  var keys: @Sendable (Question.KeyOrder) -> Bool
}
