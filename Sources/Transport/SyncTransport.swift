// Persistent connections between nodes: TCP, TLS 1.3, a certificate of the mesh at both ends, frames.

import Causality
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Synchronization

/// Listens for peers and connects to them. It keeps no policy: whom to connect to, when to try again and which of two
/// connections to one peer to keep is for its owner to say.
public final class SyncTransport: Sendable {
  /// What the owner does when something happens. All are called on an event loop and must not block it. For one
  /// connection: `connected` first, then any number of `received` in order, then `closed` once.
  public struct Handlers: Sendable {
    /// A connection is open both ways.
    public var connected: @Sendable (_ connection: PeerConnection, _ remote: NodeID, _ initiatedHere: Bool) -> Void
    /// A frame came. Its bytes may be a slice of a larger read.
    public var received: @Sendable (_ connection: PeerConnection, _ channel: UInt8, _ payload: ByteBuffer) -> Void
    /// A connection ended.
    public var closed: @Sendable (_ connection: PeerConnection, _ reason: String) -> Void
    /// A connection can take no more for now, or can again.
    public var writability: @Sendable (_ connection: PeerConnection, _ writable: Bool) -> Void
    /// A `connect` came to nothing.
    public var failed: @Sendable (_ address: String, _ expecting: NodeID?, _ reason: String) -> Void

    /// All five.
    public init(
      connected: @escaping @Sendable (PeerConnection, NodeID, Bool) -> Void,
      received: @escaping @Sendable (PeerConnection, UInt8, ByteBuffer) -> Void,
      closed: @escaping @Sendable (PeerConnection, String) -> Void,
      writability: @escaping @Sendable (PeerConnection, Bool) -> Void = { _, _ in },
      failed: @escaping @Sendable (String, NodeID?, String) -> Void = { _, _, _ in }
    ) {
      self.connected = connected
      self.received = received
      self.closed = closed
      self.writability = writability
      self.failed = failed
    }
  }

  private struct State {
    var listener: (any Channel)?
    var connections: [UInt64: PeerConnection] = [:]
    var channels: [ObjectIdentifier: any Channel] = [:]
    var lastID: UInt64 = 0
    var stopped = false
    var counters = TransportCounters()
  }

  let handlers: Handlers
  let limits: TransportLimits
  let gate: LinkGate
  let identity: NodeIdentity
  private let bind: String
  private let group: any EventLoopGroup
  private let log: Logger
  private let server: NIOSSLContext
  private let client: NIOSSLContext
  private let state = Mutex(State())

  /// A transport not yet listening. `gate` is shared with the gossip socket, so that one drill blocks both.
  public init(
    bind: String, credentials: Credentials, group: any EventLoopGroup, handlers: Handlers, log: Logger,
    gate: LinkGate = LinkGate(), limits: TransportLimits = TransportLimits()
  ) throws {
    self.bind = bind
    self.group = group
    self.handlers = handlers
    self.log = log
    self.gate = gate
    self.limits = limits
    identity = credentials.identity
    (server, client) = try SyncSecurity.contexts(for: credentials)
  }

  /// Starts to listen. Returns the address it is bound to, with the port that was chosen.
  public func start() async throws -> String {
    guard let endpoint = Endpoint(bind) else { throw TransportError.badAddress(bind) }
    let bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 256)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.recvAllocator, value: Self.receiveBuffers)
      .childChannelInitializer { channel in self.accept(channel) }
    let listener: any Channel
    do {
      listener = try await bootstrap.bind(host: endpoint.host, port: endpoint.port).get()
    } catch {
      throw TransportError.cannotBind(bind, String(describing: error))
    }
    state.withLock { $0.listener = listener }
    return listener.localAddress.flatMap { Endpoint($0)?.description } ?? bind
  }

  /// Connects to `host:port`; `connected` or `failed` tells what came of it. Any node but the expected one is refused.
  public func connect(to address: String, expecting: NodeID?) {
    let blocked = gate.blocks(address: address) || expecting.map { gate.blocks($0) } ?? false
    guard !blocked, let endpoint = Endpoint(address) else {
      if blocked { count { $0.blocked += 1 } }
      let reason = blocked ? "the peer is blocked by a drill" : "'\(address)' is not an address of the form host:port"
      group.next().execute { self.failed(target: address, expecting: expecting, reason: reason) }
      return
    }
    ClientBootstrap(group: group)
      .connectTimeout(.milliseconds(limits.connectTimeoutMilliseconds))
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.recvAllocator, value: Self.receiveBuffers)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandlers([
            NIOSSLClientHandler(context: self.client, serverHostname: nil),
            ConnectionHandler(owner: self, target: address, expecting: expecting),
          ])
        }
      }
      .connect(host: endpoint.host, port: endpoint.port)
      .whenComplete { result in
        switch result {
        case .success(let channel): if !self.track(channel) { channel.close(promise: nil) }
        case .failure(let error): self.failed(target: address, expecting: expecting, reason: Self.text(of: error))
        }
      }
  }

  /// Blocks peers: their connections are closed and refused. Replaces what was blocked; two empty sets unblock all.
  public func setBlocked(nodes: Set<NodeID>, addresses: Set<String> = []) {
    gate.set(nodes: nodes, addresses: addresses)
    for connection in connections where gate.blocks(connection.remote) || gate.blocks(address: connection.address) {
      count { $0.blocked += 1 }
      connection.abort(reason: "blocked by a drill")
    }
  }

  /// The open connections, oldest first.
  public var connections: [PeerConnection] {
    state.withLock { $0.connections.values.sorted { $0.id < $1.id } }
  }

  /// What has been seen.
  public var counters: TransportCounters { state.withLock { $0.counters } }

  /// Stops listening and closes every connection, after what they have pending.
  public func shutdown() async {
    let (listener, connections, channels) = state.withLock { state in
      state.stopped = true
      defer { state.listener = nil }
      return (state.listener, Array(state.connections.values), Array(state.channels.values))
    }
    try? await listener?.close().get()
    for connection in connections { connection.close(reason: "this node is shutting down") }
    for channel in channels {
      if !connections.contains(where: { $0.isOn(channel) }) { channel.close(promise: nil) }
    }
    for channel in channels { try? await channel.closeFuture.get() }
  }

  /// Fails the set-up of an accepted channel, which closes it.
  private struct Refused: Error {}

  private static let receiveBuffers = AdaptiveRecvByteBufferAllocator(minimum: 2_048, initial: 16_384, maximum: 262_144)

  private func accept(_ channel: any Channel) -> EventLoopFuture<Void> {
    let address = channel.remoteAddress.flatMap { Endpoint($0)?.description } ?? ""
    if gate.blocks(address: address) {
      count { $0.blocked += 1 }
      return channel.eventLoop.makeFailedFuture(Refused())
    }
    guard track(channel) else {
      count { $0.refused += 1 }
      return channel.eventLoop.makeFailedFuture(Refused())
    }
    return channel.eventLoop.makeCompletedFuture {
      try channel.pipeline.syncOperations.addHandlers([
        NIOSSLServerHandler(context: self.server), ConnectionHandler(owner: self, target: nil, expecting: nil),
      ])
    }
  }

  /// Remembers a channel until it closes. False when there are too many, or when this transport has stopped.
  private func track(_ channel: any Channel) -> Bool {
    let key = ObjectIdentifier(channel)
    let taken = state.withLock { state in
      if state.stopped || state.channels.count >= limits.maxConnections { return false }
      state.channels[key] = channel
      return true
    }
    if taken { channel.closeFuture.whenComplete { _ in self.state.withLock { $0.channels[key] = nil } } }
    return taken
  }

  func makeConnection(
    identity: NodeIdentity, address: String, initiatedHere: Bool, channel: any Channel
  ) -> PeerConnection? {
    state.withLock { state in
      if state.stopped { return nil }
      state.lastID += 1
      let connection = PeerConnection(
        id: state.lastID, identity: identity, address: address, initiatedHere: initiatedHere, channel: channel,
        limits: limits, owner: self)
      state.connections[connection.id] = connection
      state.counters.opened += 1
      return connection
    }
  }

  func ended(_ connection: PeerConnection, _ reason: String) {
    state.withLock { $0.connections[connection.id] = nil }
    log.debug("connection closed", metadata: ["node": "\(connection.identity.name)", "why": "\(reason)"])
    handlers.closed(connection, reason)
  }

  func failed(target: String?, expecting: NodeID?, reason: String) {
    count { $0.failed += 1 }
    log.debug("connection failed", metadata: ["address": "\(target ?? "inbound")", "why": "\(reason)"])
    if let target { handlers.failed(target, expecting, reason) }
  }

  func count(_ change: (inout TransportCounters) -> Void) { state.withLock { change(&$0.counters) } }

  private static func text(of error: any Error) -> String {
    if let error = error as? NIOConnectionError {
      let attempts = error.connectionErrors.map { "\($0.target): \($0.error)" }
      if !attempts.isEmpty { return attempts.joined(separator: "; ") }
      return "the name \(error.host) cannot be resolved"
    }
    return String(describing: error)
  }
}
