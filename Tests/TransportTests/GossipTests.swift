// Sealed datagrams: opened once, by the mesh only, under keys that rotate.

import Causality
import Logging
import NIOPosix
import Testing

@testable import Transport

@Suite struct GossipTests {
  let ring = try! GossipKeyRing([.random()])

  @Test func `what is sealed opens once and costs thirty bytes`() throws {
    let alice = GossipSeal(mesh: 1, ring: ring)
    let bob = GossipSeal(mesh: 1, ring: ring)
    for count in [0, 1, 100, GossipSeal.maxPayload] {
      let payload = [UInt8](repeating: 42, count: count)
      let sealed = try #require(alice.seal(payload))
      #expect(sealed.count == count + 30)
      #expect(try bob.open(sealed) == payload)
      #expect(throws: GossipDrop.replayed) { try bob.open(sealed) }
    }
    #expect(bob.drops == [.replayed: 4])
  }

  @Test func `another mesh, another key, a changed bit and rubbish are dropped and counted`() throws {
    let alice = GossipSeal(mesh: 1, ring: ring)
    let sealed = try #require(alice.seal([1, 2, 3]))
    let otherMesh = GossipSeal(mesh: 2, ring: ring)
    #expect(throws: GossipDrop.foreign) { try otherMesh.open(sealed) }
    let otherKey = GossipSeal(mesh: 1, ring: try GossipKeyRing([.random()]))
    #expect(throws: GossipDrop.foreign) { try otherKey.open(sealed) }
    let bob = GossipSeal(mesh: 1, ring: ring)
    for index in sealed.indices {
      var changed = sealed
      changed[index] ^= 1
      #expect(throws: GossipDrop.self) { try bob.open(changed) }
    }
    #expect(throws: GossipDrop.malformed) { try bob.open([1, 2, 3]) }
    #expect(throws: GossipDrop.oversized) { try bob.open([UInt8](repeating: 1, count: 1_501)) }
    #expect(alice.seal([UInt8](repeating: 0, count: GossipSeal.maxPayload + 1)) == nil)
    #expect(alice.drops == [.oversized: 1])
    #expect(try bob.open(sealed) == [1, 2, 3], "none of it hurt the real one")
    #expect(bob.drops == [.foreign: UInt64(sealed.count - 1), .malformed: 2, .oversized: 1])
  }

  @Test func `datagrams out of order open within the window and not beyond`() throws {
    let alice = GossipSeal(mesh: 1, ring: ring)
    let bob = GossipSeal(mesh: 1, ring: ring)
    let sealed = (0..<3_000).map { _ in alice.seal([1])! }
    for datagram in sealed[500..<1_500].reversed() { #expect(throws: Never.self) { try bob.open(datagram) } }
    #expect(throws: Never.self) { try bob.open(sealed[2_999]) }
    #expect(throws: GossipDrop.replayed) { try bob.open(sealed[100]) }
    #expect(throws: GossipDrop.replayed) { try bob.open(sealed[1_200]) }
    #expect(throws: Never.self) { try bob.open(sealed[2_000]) }
  }

  @Test func `keys rotate without a datagram lost`() throws {
    let alice = GossipSeal(mesh: 1, ring: ring)
    let bob = GossipSeal(mesh: 1, ring: ring)
    let old = ring.primary
    var fresh = GossipKey.random()
    while fresh.id == old.id { fresh = .random() }
    func crossing() throws {
      #expect(try bob.open(#require(alice.seal([1]))) == [1])
      #expect(try alice.open(#require(bob.seal([2]))) == [2])
    }
    func change(_ seal: GossipSeal, _ step: (inout GossipKeyRing) throws -> Void) throws {
      var ring = seal.ring
      try step(&ring)
      seal.replace(ring)
      try crossing()
    }
    for seal in [alice, bob] { try change(seal) { try $0.install(fresh) } }
    for seal in [alice, bob] { try change(seal) { try $0.use(fresh.fingerprint) } }
    for seal in [alice, bob] { try change(seal) { try $0.remove(old.fingerprint) } }
    #expect(alice.ring.keys == [fresh] && bob.drops.isEmpty)
    let late = GossipSeal(mesh: 1, ring: ring)
    #expect(throws: GossipDrop.foreign) { try bob.open(#require(late.seal([3]))) }
  }

  @Test func `a ring keeps its rules and reads what it writes`() throws {
    var ring = ring
    #expect(throws: KeyRingError.inUse(fingerprint: ring.primary.fingerprint)) {
      try ring.remove(ring.primary.fingerprint)
    }
    #expect(throws: KeyRingError.unknown(fingerprint: "x")) { try ring.use("x") }
    try ring.install(ring.primary)
    #expect(ring.keys.count == 1)
    #expect(try GossipKeyRing(text: ring.text) == ring)
    #expect(throws: KeyRingError.notAKey(line: 2)) { try GossipKeyRing(text: "# a comment\nabc\n") }
    #expect(throws: KeyRingError.wrongCount(0)) { try GossipKeyRing(text: "\n") }
  }

  @Test(arguments: ["127.0.0.1:0", "[::1]:0"])
  func `datagrams cross between two sockets, and not during a drill`(bind: String) async throws {
    let gate = LinkGate()
    let (stream, continuation) = AsyncStream.makeStream(of: ([UInt8], String).self)
    let log = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    func socket(_ gate: LinkGate) -> GossipSocket {
      GossipSocket(
        bind: bind, seal: GossipSeal(mesh: 1, ring: ring), gate: gate, group: MultiThreadedEventLoopGroup.singleton,
        log: log
      ) { continuation.yield(($0, $1)) }
    }
    let left = socket(gate)
    let right = socket(LinkGate())
    let leftAddress = try await left.start()
    let rightAddress = try await right.start()
    var received = stream.makeAsyncIterator()
    left.send([1, 2], to: rightAddress)
    var got = try #require(await received.next())
    #expect(got.0 == [1, 2] && got.1 == leftAddress)
    gate.set(nodes: [], addresses: [rightAddress])
    left.send([3], to: rightAddress)
    right.send([4], to: leftAddress)
    try await eventually { left.counters.blocked == 2 }
    gate.set(nodes: [], addresses: [])
    right.send([5], to: leftAddress)
    got = try #require(await received.next())
    #expect(got.0 == [5] && got.1 == rightAddress)
    left.send([6], to: "nowhere")
    #expect(left.counters.unroutable == 1)
    await left.shutdown()
    await right.shutdown()
  }
}
