// Datagrams of the mesh over UDP: sealed on the way out, opened on the way in.

import Logging
import NIOCore
import NIOPosix
import Synchronization

/// What a gossip socket has seen since it was made; drops by the seal are counted there.
public struct GossipCounters: Hashable, Sendable {
  /// Datagrams handed to the system.
  public var sent: UInt64 = 0
  /// Datagrams received and opened.
  public var received: UInt64 = 0
  /// Datagrams not sent because the system did not take them fast enough.
  public var congested: UInt64 = 0
  /// Datagrams not sent because their address could not be read or has no route of its family.
  public var unroutable: UInt64 = 0
  /// Datagrams dropped by a drill, both ways.
  public var blocked: UInt64 = 0

  /// All zero.
  public init() {}
}

/// A bound UDP socket. Sending never waits and never fails loudly: a datagram may be lost anyway.
public final class GossipSocket: Sendable {
  /// Datagrams that may wait for the event loop.
  static let maxQueued = 1_024
  /// Addresses remembered, in text and as the system wants them.
  static let maxCached = 4_096
  /// Datagrams read by one system call.
  private static let vector = 16

  private struct State {
    var channel: (any Channel)?
    var family = NIOBSDSocket.ProtocolFamily.inet
    var queue: [AddressedEnvelope<ByteBuffer>] = []
    var scheduled = false
    var addresses: [String: SocketAddress] = [:]
    var counters = GossipCounters()
  }

  private let bind: String
  private let seal: GossipSeal
  private let gate: LinkGate
  private let group: any EventLoopGroup
  private let log: Logger
  private let receive: @Sendable (_ bytes: [UInt8], _ from: String) -> Void
  private let state = Mutex(State())

  /// A socket not yet bound. `received` is called on an event loop with opened bytes and `ip:port`.
  public init(
    bind: String, seal: GossipSeal, gate: LinkGate, group: any EventLoopGroup, log: Logger,
    received: @escaping @Sendable (_ bytes: [UInt8], _ from: String) -> Void
  ) {
    self.bind = bind
    self.seal = seal
    self.gate = gate
    self.group = group
    self.log = log
    receive = received
  }

  /// What has been seen.
  public var counters: GossipCounters { state.withLock { $0.counters } }

  /// Binds and starts to receive. Returns the address it is bound to, with the port that was chosen.
  public func start() async throws -> String {
    guard let endpoint = Endpoint(bind) else { throw TransportError.badAddress(bind) }
    let bootstrap = DatagramBootstrap(group: group)
      .channelOption(.socketOption(.so_rcvbuf), value: 4 << 20)
      .channelOption(.socketOption(.so_sndbuf), value: 1 << 20)
      .channelOption(.writeBufferWaterMark, value: .init(low: 1 << 20, high: 2 << 20))
      .channelOption(.datagramVectorReadMessageCount, value: Self.vector)
      .channelOption(.recvAllocator, value: FixedSizeRecvByteBufferAllocator(capacity: Self.vector * 2_048))
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try channel.pipeline.syncOperations.addHandler(Receiver(owner: self)) }
      }
    let channel: any Channel
    do {
      channel = try await bootstrap.bind(host: endpoint.host, port: endpoint.port).get()
    } catch {
      throw TransportError.cannotBind(bind, String(describing: error))
    }
    guard let local = channel.localAddress, let bound = Endpoint(local) else { throw TransportError.badAddress(bind) }
    state.withLock { state in
      state.channel = channel
      state.family = local.protocol
    }
    return bound.description
  }

  /// Seals the bytes and sends them to `ip:port`. Drops, and counts, what cannot go at once.
  public func send(_ bytes: [UInt8], to address: String) {
    if gate.blocks(address: address) { return count(\.blocked) }
    guard let target = resolve(address) else { return count(\.unroutable) }
    guard let sealed = seal.seal(bytes) else { return }
    let loop: (any EventLoop)? = state.withLock { state in
      guard let channel = state.channel, channel.isWritable, state.queue.count < Self.maxQueued else {
        state.counters.congested += 1
        return nil
      }
      state.counters.sent += 1
      state.queue.append(AddressedEnvelope(remoteAddress: target, data: ByteBuffer(bytes: sealed)))
      if state.scheduled { return nil }
      state.scheduled = true
      return channel.eventLoop
    }
    loop?.execute { self.drain() }
  }

  /// Closes the socket.
  public func shutdown() async {
    let channel = state.withLock { state in
      defer { state.channel = nil }
      return state.channel
    }
    try? await channel?.close().get()
  }

  private func drain() {
    let (channel, queue) = state.withLock { state in
      defer {
        state.queue.removeAll(keepingCapacity: true)
        state.scheduled = false
      }
      return (state.channel, state.queue)
    }
    guard let channel else { return }
    for envelope in queue { channel.write(envelope, promise: nil) }
    channel.flush()
  }

  private func resolve(_ text: String) -> SocketAddress? {
    let (cached, family) = state.withLock { ($0.addresses[text], $0.family) }
    if let cached { return cached }
    guard let endpoint = Endpoint(text), var address = try? SocketAddress(ipAddress: endpoint.host, port: endpoint.port)
    else { return nil }
    if family == .inet6, address.protocol == .inet {
      guard let mapped = try? SocketAddress(ipAddress: "::ffff:\(endpoint.host)", port: endpoint.port) else {
        return nil
      }
      address = mapped
    }
    guard address.protocol == family else { return nil }
    state.withLock { state in
      if state.addresses.count >= Self.maxCached { state.addresses.removeAll() }
      state.addresses[text] = address
    }
    return address
  }

  private func count(_ counter: WritableKeyPath<GossipCounters, UInt64> & Sendable) {
    state.withLock { $0.counters[keyPath: counter] += 1 }
  }

  private func take(_ data: ByteBuffer, from: String) {
    if gate.blocks(address: from) { return count(\.blocked) }
    do {
      let bytes = try seal.open(Array(data.readableBytesView))
      count(\.received)
      receive(bytes, from)
    } catch {
      log.trace("datagram dropped", metadata: ["from": "\(from)", "why": "\(error)"])
    }
  }

  private func note(_ error: any Error) {
    // The system reports a peer's closed port here. Nothing is wrong with this socket.
    log.trace("datagram socket", metadata: ["error": "\(error)"])
  }

  /// The end of the pipeline; it lives on one event loop.
  private final class Receiver: ChannelInboundHandler {
    typealias InboundIn = AddressedEnvelope<ByteBuffer>

    private let owner: GossipSocket
    private var names: [SocketAddress: String] = [:]

    init(owner: GossipSocket) { self.owner = owner }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
      let envelope = unwrapInboundIn(data)
      guard let from = name(of: envelope.remoteAddress) else { return }
      owner.take(envelope.data, from: from)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { owner.note(error) }

    private func name(of address: SocketAddress) -> String? {
      if let name = names[address] { return name }
      guard let endpoint = Endpoint(address) else { return nil }
      if names.count >= GossipSocket.maxCached { names.removeAll() }
      names[address] = endpoint.description
      return endpoint.description
    }
  }
}
