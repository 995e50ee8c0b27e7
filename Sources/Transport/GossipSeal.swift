// Datagrams, encrypted and authenticated for one mesh, each taken once.

import Crypto
import Foundation
import Synchronization

/// Why a datagram was dropped.
public enum GossipDrop: Error, Hashable, Sendable, CaseIterable {
  /// Too short, or of a format this version does not know.
  case malformed
  /// Sealed with a key this node does not have, for another mesh, or altered on the way.
  case foreign
  /// Seen before, or too far behind its sender's newest.
  case replayed
  /// Larger than a datagram may be.
  case oversized
}

/// Seals and opens datagrams with a ring of keys.
///
/// A sealed datagram is: format (1 byte), key id (1), nonce (12: sender 6, counter 6), ciphertext, tag (16). Format,
/// key id and mesh id are authenticated with it. The sender is drawn at random whenever a seal is made, so a restarted
/// node repeats no nonce; its counter only grows. What was recorded before this node started can be played to it once,
/// so what datagrams carry must bear being said again.
public final class GossipSeal: Sendable {
  /// Bytes that sealing adds.
  public static let overhead = 30
  /// The largest sealed datagram.
  public static let maxDatagram = 1_500
  /// The largest payload.
  public static let maxPayload = maxDatagram - overhead
  /// How many senders' windows are kept; the one silent for longest goes first.
  static let maxSenders = 4_096

  private static let format: UInt8 = 1
  private static let maxCounter: UInt64 = 1 << 48 - 1

  private struct Sender {
    var window = ReplayWindow()
    var lastUse: UInt64 = 0
  }

  private struct State {
    var ring: GossipKeyRing
    var keys: [UInt8: SymmetricKey] = [:]
    var sender: UInt64 = 0
    var counter: UInt64 = 0
    var senders: [UInt64: Sender] = [:]
    var uses: UInt64 = 0
    var drops: [GossipDrop: UInt64] = [:]

    mutating func load(_ ring: GossipKeyRing) {
      self.ring = ring
      keys = Dictionary(uniqueKeysWithValues: ring.keys.map { ($0.id, SymmetricKey(data: $0.bytes)) })
    }

    /// The next nonce: a counter that runs out starts again under a new sender.
    mutating func nextNonce() -> [UInt8] {
      if counter == maxCounter || sender == 0 {
        sender = UInt64.random(in: 1...maxCounter)
        counter = 0
      }
      counter += 1
      return (0..<6).map { UInt8(truncatingIfNeeded: sender >> ($0 * 8)) }
        + (0..<6).map { UInt8(truncatingIfNeeded: counter >> ($0 * 8)) }
    }

    mutating func accept(sender: UInt64, counter: UInt64) -> Bool {
      uses += 1
      if senders[sender] == nil, senders.count >= maxSenders,
        let oldest = senders.min(by: { $0.value.lastUse < $1.value.lastUse })
      {
        senders[oldest.key] = nil
      }
      senders[sender, default: Sender()].lastUse = uses
      return senders[sender, default: Sender()].window.accept(counter)
    }
  }

  private let mesh: [UInt8]
  private let state: Mutex<State>

  /// A seal for one mesh.
  public init(mesh: UInt64, ring: GossipKeyRing) {
    self.mesh = withUnsafeBytes(of: mesh.littleEndian) { Array($0) }
    var state = State(ring: ring)
    state.load(ring)
    self.state = Mutex(state)
  }

  /// The keys as they stand.
  public var ring: GossipKeyRing { state.withLock { $0.ring } }

  /// Replaces the keys: how `install`, `use` and `remove` of a ring take effect.
  public func replace(_ ring: GossipKeyRing) { state.withLock { $0.load(ring) } }

  /// How many datagrams were dropped for each reason.
  public var drops: [GossipDrop: UInt64] { state.withLock { $0.drops } }

  /// Seals a payload with the primary key. Nil, and counted, when it is larger than `maxPayload`.
  public func seal(_ payload: [UInt8]) -> [UInt8]? {
    guard payload.count <= Self.maxPayload else {
      count(.oversized)
      return nil
    }
    let (id, key, nonce) = state.withLock { state in
      (state.ring.primary.id, state.keys[state.ring.primary.id]!, state.nextNonce())
    }
    var sealed = [Self.format, id] + nonce
    // A 12-byte nonce and an AES-256 key are all that sealing asks for, so it cannot fail.
    let box = try! AES.GCM.seal(
      payload, using: key, nonce: AES.GCM.Nonce(data: nonce), authenticating: [Self.format, id] + mesh)
    sealed.reserveCapacity(payload.count + Self.overhead)
    sealed.append(contentsOf: box.ciphertext)
    sealed.append(contentsOf: box.tag)
    return sealed
  }

  /// Opens a datagram. A drop is counted before it is thrown, and changes nothing else.
  public func open(_ sealed: [UInt8]) throws(GossipDrop) -> [UInt8] {
    guard sealed.count <= Self.maxDatagram else { throw count(.oversized) }
    guard sealed.count >= Self.overhead, sealed[0] == Self.format else { throw count(.malformed) }
    let id = sealed[1]
    guard let key = state.withLock({ $0.keys[id] }) else { throw count(.foreign) }
    guard let box = try? AES.GCM.SealedBox(combined: sealed[2...]),
      let payload = try? AES.GCM.open(box, using: key, authenticating: [Self.format, id] + mesh)
    else { throw count(.foreign) }
    let sender = Self.number(sealed[2..<8])
    let counter = Self.number(sealed[8..<14])
    guard state.withLock({ $0.accept(sender: sender, counter: counter) }) else { throw count(.replayed) }
    return Array(payload)
  }

  private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }

  @discardableResult
  private func count(_ drop: GossipDrop) -> GossipDrop {
    state.withLock { $0.drops[drop, default: 0] += 1 }
    return drop
  }
}
