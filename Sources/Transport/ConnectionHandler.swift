// The life of one connection: handshake, greeting, frames, silence, end.

import Causality
import NIOCore
import NIOSSL
import NIOTLS

/// The end of a connection's pipeline. It lives on the connection's event loop.
///
/// In TLS 1.3 a client is done before the server has looked at its certificate. So each end greets first, and a
/// connection is open for its users only when the peer's greeting has come: then both have been accepted.
final class ConnectionHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer

  private enum State {
    case shaking
    case greeting(NodeIdentity)
    case open(PeerConnection)
    case ended(PeerConnection?)
  }

  private let owner: SyncTransport
  private let target: String?
  private let expecting: NodeID?
  private let limits: TransportLimits
  private var state = State.shaking
  private var frames: FrameReader
  private var lastRead = NIODeadline.now()
  private var reading = true
  private var deadline: Scheduled<Void>?
  private var pings: RepeatedTask?
  private var failure: String?

  /// `target` is the address this node connected to, nil for a connection it accepted.
  init(owner: SyncTransport, target: String?, expecting: NodeID?) {
    self.owner = owner
    self.target = target
    self.expecting = expecting
    limits = owner.limits
    frames = FrameReader(maxFrameBytes: owner.limits.maxFrameBytes)
  }

  func channelActive(context: ChannelHandlerContext) {
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    deadline = context.eventLoop.scheduleTask(in: .milliseconds(limits.connectTimeoutMilliseconds)) {
      let (handler, context) = bound.value
      handler.end(context, "the handshake took longer than \(handler.limits.connectTimeoutMilliseconds) ms")
    }
    context.fireChannelActive()
  }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case .handshakeCompleted = event as? TLSUserEvent, case .shaking = state { greet(context) }
    context.fireUserInboundEventTriggered(event)
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    lastRead = .now()
    if case .ended = state { return }
    frames.feed(unwrapInboundIn(data))
    var count: UInt64 = 0
    var bytes: UInt64 = 0
    do {
      while let frame = try frames.next() {
        if frame.channel < ReservedChannel.first, case .open(let connection) = state {
          count += 1
          bytes += UInt64(frame.payload.readableBytes)
          owner.handlers.received(connection, frame.channel, frame.payload)
        } else {
          control(frame, context)
        }
        if case .ended = state { break }
      }
    } catch {
      owner.count { $0.oversized += 1 }
      end(context, "a frame of \(error.bytes) bytes is above the bound of \(limits.maxFrameBytes)")
    }
    owner.count { counters in
      counters.framesReceived += count
      counters.bytesReceived += bytes
    }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // A peer that closes TCP without TLS's goodbye is a closed connection like any other.
    if case .uncleanShutdown = error as? NIOSSLError {
      end(context, "closed by the peer")
    } else {
      end(context, String(describing: error))
    }
  }

  func channelInactive(context: ChannelHandlerContext) {
    deadline?.cancel()
    pings?.cancel()
    switch state {
    case .open(let connection), .ended(.some(let connection)):
      owner.ended(connection, connection.reason ?? "closed by the peer")
    case .shaking, .greeting, .ended(nil):
      owner.failed(target: target, expecting: expecting, reason: failure ?? "closed by the peer during the handshake")
    }
    state = .ended(nil)
    context.fireChannelInactive()
  }

  private func greet(_ context: ChannelHandlerContext) {
    guard let certificate = try? context.pipeline.syncOperations.nioSSL_peerCertificate(),
      let der = try? certificate.toDERBytes(), let identity = NodeCertificate.identity(der: der),
      identity.mesh == owner.identity.mesh
    else { return end(context, "the peer's certificate names no node of this mesh") }
    if identity.node == owner.identity.node { return end(context, "the peer is this node itself") }
    if let expecting, identity.node != expecting {
      return end(context, "node \(identity.node) answered where \(expecting) was expected")
    }
    if owner.gate.blocks(identity.node) {
      owner.count { $0.blocked += 1 }
      return end(context, "node \(identity.name) is blocked by a drill")
    }
    state = .greeting(identity)
    write(context, ReservedChannel.hello, Greeting.bytes)
  }

  private func control(_ frame: Frame, _ context: ChannelHandlerContext) {
    switch (frame.channel, state) {
    case (ReservedChannel.hello, .greeting(let identity)):
      guard Greeting.accepts(frame.payload) else {
        return end(context, "node \(identity.name) speaks no protocol version that this one does")
      }
      open(identity, context)
    case (ReservedChannel.ping, .open):
      write(context, ReservedChannel.pong, Array(frame.payload.readableBytesView.prefix(64)))
    case (ReservedChannel.pong, .open(let connection)):
      guard let sent = frame.payload.getInteger(at: frame.payload.readerIndex, endianness: .little, as: UInt64.self)
      else { return }
      let now = NIODeadline.now().uptimeNanoseconds
      if sent <= now { connection.measured(roundTrip: now - sent) }
    case (_, .open):
      break  // A later version's channel, which this one need not understand.
    default:
      end(context, "a frame on channel \(frame.channel) came before the greeting")
    }
  }

  private func open(_ identity: NodeIdentity, _ context: ChannelHandlerContext) {
    deadline?.cancel()
    let address = context.remoteAddress.flatMap { Endpoint($0)?.description } ?? target ?? ""
    let connection = owner.makeConnection(
      identity: identity, address: address, initiatedHere: target != nil, channel: context.channel)
    guard let connection else { return end(context, "this node is shutting down") }
    state = .open(connection)
    owner.handlers.connected(connection, identity.node, target != nil)
    schedulePings(connection, context)
  }

  private func schedulePings(_ connection: PeerConnection, _ context: ChannelHandlerContext) {
    let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
    let interval = TimeAmount.milliseconds(limits.pingIntervalMilliseconds)
    pings = context.eventLoop.scheduleRepeatedTask(initialDelay: .zero, delay: interval) { _ in
      let (handler, context) = bound.value
      handler.ping(connection, context)
    }
  }

  private func ping(_ connection: PeerConnection, _ context: ChannelHandlerContext) {
    guard case .open = state else { return }
    let now = NIODeadline.now()
    let wasReading = reading
    reading = connection.isReading
    // While this end does not read on purpose, the peer's silence means nothing; its clock starts again afterwards.
    if !reading || !wasReading { lastRead = now }
    if now - lastRead >= .milliseconds(limits.silenceMilliseconds) {
      owner.count { $0.silent += 1 }
      pings?.cancel()
      end(context, "the peer was silent for \(limits.silenceMilliseconds) ms")
      // Nobody is there to answer TLS's goodbye, so it is not waited for.
      (try? context.pipeline.syncOperations.context(handlerType: NIOSSLHandler.self))?.close(promise: nil)
      return
    }
    write(context, ReservedChannel.ping, withUnsafeBytes(of: now.uptimeNanoseconds.littleEndian) { Array($0) })
  }

  private func write(_ context: ChannelHandlerContext, _ channel: UInt8, _ payload: [UInt8]) {
    var buffer = context.channel.allocator.buffer(capacity: Frame.headerBytes + payload.count)
    Frame.writeHeader(channel: channel, count: payload.count, into: &buffer)
    buffer.writeBytes(payload)
    context.writeAndFlush(NIOAny(buffer), promise: nil)
  }

  private func end(_ context: ChannelHandlerContext, _ reason: String) {
    switch state {
    case .open(let connection):
      _ = connection.note(reason: reason)
      state = .ended(connection)
    case .shaking, .greeting:
      if failure == nil { failure = reason }
      state = .ended(nil)
    case .ended: return
    }
    context.close(promise: nil)
  }
}

/// What both ends say first: four letters and the range of protocol versions.
enum Greeting {
  static let magic = Array("GVSY".utf8)
  static let versions: ClosedRange<UInt8> = 1...1
  static let bytes = magic + [versions.lowerBound, versions.upperBound]

  static func accepts(_ payload: ByteBuffer) -> Bool {
    let theirs = Array(payload.readableBytesView.prefix(bytes.count))
    guard theirs.count == bytes.count, Array(theirs[..<4]) == magic, theirs[4] <= theirs[5] else { return false }
    return versions.overlaps(theirs[4]...theirs[5])
  }
}
