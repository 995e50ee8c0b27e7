// Connections: who may, what arrives, how they end.

import Causality
import NIOCore
import Testing

@testable import Transport

@Suite struct SyncTransportTests {
  @Test func `two nodes of a mesh shake hands and echo`() async throws {
    let (left, right, outward, inward) = try await openPair()
    outward.send(channel: 0, [1, 2, 3])
    let first = try await right.received()
    #expect(first.channel == 0 && first.bytes == [1, 2, 3])
    inward.send(channel: 1, head: [9], body: ByteBuffer(bytes: first.bytes))
    let second = try await left.received()
    #expect(second.channel == 1 && second.bytes == [9, 1, 2, 3])
    #expect(outward.identity.name == "ord-1" && outward.identity.region == "ord")
    outward.close()
    #expect(try await left.closed() == "closed here")
    #expect(try await right.closed() == "closed by the peer")
    #expect(left.transport.connections.isEmpty)
    await left.transport.shutdown()
    await right.transport.shutdown()
  }

  @Test func `a stranger is refused whoever calls`() async throws {
    let home = try await End(Meshes.london)
    let stranger = try await End(Meshes.stranger)
    stranger.transport.connect(to: home.address, expecting: nil)
    _ = try await stranger.failed()
    home.transport.connect(to: stranger.address, expecting: nil)
    _ = try await home.failed()
    try await eventually { home.transport.counters.failed == 2 && stranger.transport.counters.failed == 2 }
    #expect(home.transport.counters.opened == 0 && stranger.transport.counters.opened == 0)
    await home.transport.shutdown()
    await stranger.transport.shutdown()
  }

  @Test func `another node than expected is refused, and so is the node itself`() async throws {
    let left = try await End(Meshes.london)
    let right = try await End(Meshes.chicago)
    left.transport.connect(to: right.address, expecting: NodeID(7))
    #expect(try await left.failed().contains("was expected"))
    left.transport.connect(to: left.address, expecting: nil)
    #expect(try await left.failed().contains("this node itself"))
    #expect(left.transport.counters.opened == 0)
    await left.transport.shutdown()
    await right.transport.shutdown()
  }

  @Test func `a closed port and a bad address are failures that say why`() async throws {
    let left = try await End(Meshes.london)
    let gone = try await End(Meshes.chicago)
    await gone.transport.shutdown()
    left.transport.connect(to: gone.address, expecting: nil)
    #expect(try await left.failed().contains("refused"))
    left.transport.connect(to: "nowhere", expecting: nil)
    #expect(try await left.failed().contains("host:port"))
    await left.transport.shutdown()
  }

  @Test func `a thousand frames arrive in order both ways`() async throws {
    let (left, right, outward, inward) = try await openPair()
    let sizes = (0..<1_000).map { $0 * 37 % 5_000 + 4 }
    func payload(_ index: Int) -> [UInt8] {
      (0..<sizes[index]).map { UInt8(truncatingIfNeeded: index &+ $0) }
    }
    for index in 0..<1_000 {
      outward.send(channel: 0, payload(index))
      inward.send(channel: 1, head: Array(payload(index)[..<3]), body: Array(payload(index)[3...]))
    }
    for index in 0..<1_000 {
      let atRight = try await right.received()
      let atLeft = try await left.received()
      #expect(atRight.channel == 0 && atRight.bytes == payload(index))
      #expect(atLeft.channel == 1 && atLeft.bytes == payload(index))
    }
    #expect(
      left.transport.counters.framesSent == 1_000 && left.transport.counters.bytesReceived == UInt64(sizes.reduce(0, +))
    )
    try await eventually { outward.pendingBytes == 0 && inward.pendingBytes == 0 }
    await left.transport.shutdown()
    await right.transport.shutdown()
  }

  @Test func `a frame of the largest size arrives and one larger ends the connection`() async throws {
    var limits = TransportLimits()
    limits.maxFrameBytes = 1 << 20
    let (left, right, outward, _) = try await openPair(limits: limits)
    let largest = [UInt8](repeating: 7, count: 1 << 20)
    outward.send(channel: 0, largest)
    #expect(try await right.received().bytes == largest)
    let raw = try await rawClient(to: left.address, credentials: Meshes.chicago)
    try await raw.writeAndFlush(frame(ReservedChannel.hello, Greeting.bytes))
    _ = try await left.connected()
    try await raw.writeAndFlush(ByteBuffer(bytes: [1, 0, 16, 0, 0]))
    #expect(try await left.closed().contains("above the bound"))
    #expect(left.transport.counters.oversized == 1)
    try await raw.closeFuture.get()
    #expect(left.transport.connections.count == 1, "the other connection stands")
    await left.transport.shutdown()
    await right.transport.shutdown()
  }

  @Test func `half frames wait for their other half and an abrupt end loses only them`() async throws {
    let left = try await End(Meshes.london)
    let raw = try await rawClient(to: left.address, credentials: Meshes.chicago)
    try await raw.writeAndFlush(frame(ReservedChannel.hello, Greeting.bytes))
    _ = try await left.connected()
    for byte in Array(frame(0, [5, 6, 7]).readableBytesView) { try await raw.writeAndFlush(ByteBuffer(bytes: [byte])) }
    #expect(try await left.received().bytes == [5, 6, 7])
    var half = frame(0, [UInt8](repeating: 1, count: 100))
    try await raw.writeAndFlush(half.readSlice(length: 50)!)
    try await raw.close()
    #expect(try await left.closed() == "closed by the peer")
    await left.transport.shutdown()
  }

  @Test func `a peer that stalls its handshake is closed and counted`() async throws {
    var limits = TransportLimits()
    limits.connectTimeoutMilliseconds = 100
    let left = try await End(Meshes.london, limits: limits)
    let stalled = try await rawClient(to: left.address, credentials: Meshes.chicago, tls: false)
    try await stalled.closeFuture.get()
    try await eventually { left.transport.counters.failed == 1 }
    await left.transport.shutdown()
  }

  @Test func `a peer that is silent is closed and counted`() async throws {
    var limits = TransportLimits()
    limits.pingIntervalMilliseconds = 20
    limits.silenceMilliseconds = 200
    let left = try await End(Meshes.london, limits: limits)
    let silent = try await rawClient(to: left.address, credentials: Meshes.chicago)
    try await silent.writeAndFlush(frame(ReservedChannel.hello, Greeting.bytes))
    _ = try await left.connected()
    let reason = try await left.closed()
    #expect(reason.contains("silent"))
    #expect(left.transport.counters.silent == 1)
    await left.transport.shutdown()
  }

  @Test func `a peer that talks before the greeting, or greets in another language, is closed and counted`()
    async throws
  {
    let left = try await End(Meshes.london)
    let greetings = [frame(0, [1]), frame(ReservedChannel.hello, Greeting.magic + [9, 9]), frame(253, [1])]
    for (index, greeting) in greetings.enumerated() {
      let rude = try await rawClient(to: left.address, credentials: Meshes.chicago)
      try await rude.writeAndFlush(greeting)
      try await rude.closeFuture.get()
      try await eventually { left.transport.counters.failed == UInt64(index + 1) }
    }
    #expect(left.transport.counters.opened == 0)
    await left.transport.shutdown()
  }

  @Test func `pings keep an idle connection and measure its round trip`() async throws {
    var limits = TransportLimits()
    limits.pingIntervalMilliseconds = 20
    limits.silenceMilliseconds = 2_000
    let (left, right, outward, inward) = try await openPair(limits: limits)
    try await eventually { outward.roundTripNanoseconds != nil && inward.roundTripNanoseconds != nil }
    #expect(left.transport.counters.framesReceived == 0)
    await left.transport.shutdown()
    await right.transport.shutdown()
  }

  @Test func `a drill closes, refuses and, once over, lets in again`() async throws {
    let (left, right, _, _) = try await openPair()
    left.transport.setBlocked(nodes: [Meshes.chicago.node])
    #expect(try await left.closed().contains("drill"))
    _ = try await right.closed()
    left.transport.connect(to: right.address, expecting: Meshes.chicago.node)
    #expect(try await left.failed().contains("drill"))
    right.transport.connect(to: left.address, expecting: nil)
    _ = try await right.failed()
    left.transport.setBlocked(nodes: [], addresses: [right.address])
    left.transport.connect(to: right.address, expecting: nil)
    #expect(try await left.failed().contains("drill"))
    left.transport.setBlocked(nodes: [])
    left.transport.connect(to: right.address, expecting: nil)
    _ = try await left.connected()
    _ = try await right.connected()
    await left.transport.shutdown()
    await right.transport.shutdown()
  }

  @Test func `a receiver that pauses makes its sender wait and then gets everything`() async throws {
    var limits = TransportLimits()
    limits.highWaterBytes = 256 << 10
    limits.lowWaterBytes = 64 << 10
    let (left, right, outward, inward) = try await openPair(limits: limits)
    inward.setReading(false)
    let block = [UInt8](repeating: 3, count: 128 << 10)
    for _ in 0..<400 { outward.send(channel: 0, block) }
    #expect(!outward.isWritable)
    inward.setReading(true)
    for _ in 0..<400 { #expect(try await right.received().bytes.count == block.count) }
    try await eventually { outward.isWritable && outward.pendingBytes == 0 }
    await left.transport.shutdown()
    await right.transport.shutdown()
  }

  @Test func `a peer that never reads is given up at the bound`() async throws {
    var limits = TransportLimits()
    limits.maxPendingBytes = 32 << 20
    let (left, right, outward, inward) = try await openPair(limits: limits)
    inward.setReading(false)
    let block = [UInt8](repeating: 3, count: 1 << 20)
    for _ in 0..<64 { outward.send(channel: 0, block) }
    #expect(try await left.closed().contains("too slowly"))
    #expect(left.transport.counters.slow == 1)
    inward.setReading(true)
    await left.transport.shutdown()
    await right.transport.shutdown()
  }
}
