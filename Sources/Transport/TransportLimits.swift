// Every bound and delay of the transport, with its unit in the name, and what it counts.

/// Bounds of the sync transport.
public struct TransportLimits: Sendable {
  /// The largest payload of a frame; a larger one ends the connection.
  public var maxFrameBytes = 16 << 20
  /// Bytes waiting to be sent from which a connection is not writable.
  public var highWaterBytes = 4 << 20
  /// Bytes waiting to be sent down to which it is writable again; below `highWaterBytes`.
  public var lowWaterBytes = 1 << 20
  /// Bytes waiting to be sent at which the connection is given up; above `highWaterBytes` and `maxFrameBytes`.
  public var maxPendingBytes = 64 << 20
  /// Connections at once, those still shaking hands included; further ones are closed at once.
  public var maxConnections = 1_024
  /// Until a TCP connection stands, and again until its handshake is done.
  public var connectTimeoutMilliseconds: Int64 = 5_000
  /// Between two pings.
  public var pingIntervalMilliseconds: Int64 = 1_000
  /// Silence after which a connection is closed; above `pingIntervalMilliseconds`. TCP that has lost packets for a while
  /// waits ever longer before it tries again, long after the link is back; a new connection does not.
  public var silenceMilliseconds: Int64 = 5_000

  /// The defaults.
  public init() {}
}

/// What the sync transport has seen since it was made.
public struct TransportCounters: Hashable, Sendable {
  /// Frames sent, pings not counted.
  public var framesSent: UInt64 = 0
  /// Frames received, pings not counted.
  public var framesReceived: UInt64 = 0
  /// Payload bytes of the frames sent.
  public var bytesSent: UInt64 = 0
  /// Payload bytes of the frames received.
  public var bytesReceived: UInt64 = 0
  /// Connections that came to be open.
  public var opened: UInt64 = 0
  /// Connections that failed before they were open: unreachable, a stranger, stalled, another node than expected.
  public var failed: UInt64 = 0
  /// Connections closed for a frame above the bound.
  public var oversized: UInt64 = 0
  /// Connections closed for silence.
  public var silent: UInt64 = 0
  /// Connections closed because their peer read too slowly.
  public var slow: UInt64 = 0
  /// Connections refused because there were too many.
  public var refused: UInt64 = 0
  /// Connections closed or refused by a drill.
  public var blocked: UInt64 = 0

  /// All zero.
  public init() {}
}
