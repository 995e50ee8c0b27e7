// One open connection to a peer: frames out, from any thread, in the order they were sent.

import Causality
import NIOCore
import Synchronization

/// A connection whose peer has shown its certificate. Frames arrive in order and whole, or the connection closes.
public final class PeerConnection: Sendable {
  /// Frames are gathered into writes of about this size: a TLS record each would cost three times as much.
  private static let writeBytes = 256 << 10

  private struct Outbox {
    var buffers: [ByteBuffer] = []
    var pending = 0
    var frames: UInt64 = 0
    var payloadBytes: UInt64 = 0
    var scheduled = false
    var stalled = false
    var told = false
    var closed = false
    var reading = true
    var reason: String?
    var roundTrip: UInt64?
  }

  /// Unique in the process.
  public let id: UInt64
  /// Who the peer is, as its certificate says.
  public let identity: NodeIdentity
  /// The peer's node.
  public var remote: NodeID { identity.node }
  /// The peer's address.
  public let address: String
  /// Whether this node made the connection.
  public let initiatedHere: Bool

  private let channel: any Channel
  private let limits: TransportLimits
  private let owner: SyncTransport
  private let outbox = Mutex(Outbox())

  init(
    id: UInt64, identity: NodeIdentity, address: String, initiatedHere: Bool, channel: any Channel,
    limits: TransportLimits, owner: SyncTransport
  ) {
    self.id = id
    self.identity = identity
    self.address = address
    self.initiatedHere = initiatedHere
    self.channel = channel
    self.limits = limits
    self.owner = owner
  }

  /// Sends a frame.
  public func send(channel: UInt8, _ payload: [UInt8]) {
    enqueue(channel, payload.count) { $0.writeBytes(payload) }
  }

  /// Sends a frame whose payload is `head` then `body`, without joining them first.
  public func send(channel: UInt8, head: [UInt8], body: [UInt8]) {
    enqueue(channel, head.count + body.count) { buffer in
      buffer.writeBytes(head)
      buffer.writeBytes(body)
    }
  }

  /// Sends a frame whose payload is `head` then `body`, without joining them first.
  public func send(channel: UInt8, head: [UInt8], body: ByteBuffer) {
    enqueue(channel, head.count + body.readableBytes) { buffer in
      buffer.writeBytes(head)
      buffer.writeImmutableBuffer(body)
    }
  }

  /// Whether more may be sent for now. `Handlers.writability` tells when that changes.
  public var isWritable: Bool { outbox.withLock { !$0.closed && $0.pending < limits.highWaterBytes } }

  /// Bytes sent by the caller that the system has not taken yet.
  public var pendingBytes: Int { outbox.withLock { $0.pending } }

  /// The last measured round trip in nanoseconds, nil before the first.
  public var roundTripNanoseconds: UInt64? { outbox.withLock { $0.roundTrip } }

  /// Stops or resumes reading, for a receiver that has more than it can take.
  public func setReading(_ reading: Bool) {
    outbox.withLock { $0.reading = reading }
    channel.setOption(.autoRead, value: reading).whenFailure { _ in }  // Only a closed channel refuses.
  }

  /// Sends what is pending, then closes.
  public func close() { close(reason: "closed here") }

  func close(reason: String) {
    if !note(reason: reason) { return }
    channel.eventLoop.execute {
      self.drain()
      self.channel.close(promise: nil)
    }
  }

  /// Closes at once and forgets what is pending.
  func abort(reason: String) {
    _ = note(reason: reason)
    channel.eventLoop.execute { self.channel.close(promise: nil) }
  }

  /// Remembers why the connection ends. False when it was ending already.
  func note(reason: String) -> Bool {
    outbox.withLock { outbox in
      if outbox.closed { return false }
      outbox.closed = true
      outbox.reason = reason
      return true
    }
  }

  var isReading: Bool { outbox.withLock { $0.reading } }

  func isOn(_ channel: any Channel) -> Bool { self.channel === channel }

  var reason: String? { outbox.withLock { $0.reason } }

  func measured(roundTrip: UInt64) { outbox.withLock { $0.roundTrip = roundTrip } }

  private func enqueue(_ frameChannel: UInt8, _ count: Int, _ write: (inout ByteBuffer) -> Void) {
    precondition(frameChannel < ReservedChannel.first, "channels from 240 are the transport's own")
    precondition(count <= limits.maxFrameBytes, "a frame above the bound")
    let size = count + Frame.headerBytes
    enum Next { case nothing, drain, giveUp }
    let next: Next = outbox.withLock { outbox in
      if outbox.closed { return .nothing }
      guard outbox.pending + size <= limits.maxPendingBytes else { return .giveUp }
      outbox.pending += size
      outbox.frames += 1
      outbox.payloadBytes += UInt64(count)
      if outbox.pending >= limits.highWaterBytes { outbox.stalled = true }
      // A buffer that grew to its size is not copied again: a frame that does not fit starts the next one.
      let fits = outbox.buffers.last.map { $0.readableBytes + size <= Self.writeBytes } ?? false
      if !fits { outbox.buffers.append(ByteBufferAllocator().buffer(capacity: max(size, 4_096))) }
      let last = outbox.buffers.count - 1
      Frame.writeHeader(channel: frameChannel, count: count, into: &outbox.buffers[last])
      write(&outbox.buffers[last])
      if outbox.scheduled { return .nothing }
      outbox.scheduled = true
      return .drain
    }
    switch next {
    case .nothing: break
    case .drain: channel.eventLoop.execute { self.drain() }
    case .giveUp:
      owner.count { $0.slow += 1 }
      abort(reason: "the peer reads too slowly: \(limits.maxPendingBytes) bytes are waiting")
    }
  }

  /// Writes what has gathered. On the event loop.
  private func drain() {
    let taken = outbox.withLock { outbox in
      let taken = outbox
      outbox.buffers = []
      outbox.frames = 0
      outbox.payloadBytes = 0
      outbox.scheduled = false
      outbox.told = outbox.stalled
      return taken
    }
    if taken.buffers.isEmpty { return }
    owner.count { counters in
      counters.framesSent += taken.frames
      counters.bytesSent += taken.payloadBytes
    }
    if taken.stalled, !taken.told { owner.handlers.writability(self, false) }
    for buffer in taken.buffers {
      let count = buffer.readableBytes
      let promise = channel.eventLoop.makePromise(of: Void.self)
      promise.futureResult.whenComplete { _ in self.written(count) }
      channel.write(buffer, promise: promise)
    }
    channel.flush()
  }

  private func written(_ count: Int) {
    let resumed = outbox.withLock { outbox in
      outbox.pending -= count
      guard outbox.told, outbox.pending <= limits.lowWaterBytes, !outbox.closed else { return false }
      outbox.stalled = false
      outbox.told = false
      return true
    }
    if resumed { owner.handlers.writability(self, true) }
  }
}

/// Channels that carry the transport's own frames.
enum ReservedChannel {
  static let first: UInt8 = 240
  static let hello: UInt8 = 253
  static let pong: UInt8 = 254
  static let ping: UInt8 = 255
}
