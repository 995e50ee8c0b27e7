// Two ends on loopback, and what happened at each of them in order.

import Causality
import Logging
import NIOCore
import NIOPosix
import NIOSSL
import Testing

@testable import Transport

/// What a transport told its owner.
enum Happening: Sendable {
  case connected(PeerConnection, NodeID, initiatedHere: Bool)
  case received(PeerConnection, channel: UInt8, bytes: [UInt8])
  case closed(PeerConnection, reason: String)
  case writability(Bool)
  case failed(reason: String)
}

/// A transport whose happenings can be awaited.
final class End: Sendable {
  let credentials: Credentials
  let transport: SyncTransport
  let address: String
  let happenings: AsyncStream<Happening>

  init(
    _ credentials: Credentials, limits: TransportLimits = TransportLimits(),
    received: (@Sendable (PeerConnection, UInt8, ByteBuffer) -> Void)? = nil
  ) async throws {
    let (stream, continuation) = AsyncStream.makeStream(of: Happening.self)
    happenings = stream
    self.credentials = credentials
    transport = try SyncTransport(
      bind: "127.0.0.1:0", credentials: credentials, group: MultiThreadedEventLoopGroup.singleton,
      handlers: .init(
        connected: { continuation.yield(.connected($0, $1, initiatedHere: $2)) },
        received: { connection, channel, payload in
          received?(connection, channel, payload)
          continuation.yield(.received(connection, channel: channel, bytes: Array(payload.readableBytesView)))
        },
        closed: { continuation.yield(.closed($0, reason: $1)) },
        writability: { continuation.yield(.writability($1)) },
        failed: { continuation.yield(.failed(reason: $2)) }),
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, limits: limits)
    address = try await transport.start()
  }

  /// The next happening that is not about writability.
  func next() async throws -> Happening {
    for await happening in happenings {
      if case .writability = happening { continue }
      return happening
    }
    throw Missing(what: "a happening")
  }

  func connected() async throws -> (PeerConnection, NodeID, Bool) {
    let happening = try await next()
    guard case .connected(let connection, let node, let here) = happening else { throw Missing(what: "\(happening)") }
    return (connection, node, here)
  }

  func received() async throws -> (channel: UInt8, bytes: [UInt8]) {
    let happening = try await next()
    guard case .received(_, let channel, let bytes) = happening else { throw Missing(what: "\(happening)") }
    return (channel, bytes)
  }

  func closed() async throws -> String {
    let happening = try await next()
    guard case .closed(_, let reason) = happening else { throw Missing(what: "\(happening)") }
    return reason
  }

  func failed() async throws -> String {
    let happening = try await next()
    guard case .failed(let reason) = happening else { throw Missing(what: "\(happening)") }
    return reason
  }
}

struct Missing: Error { var what: String }

/// Credentials of one mesh, made once: key generation is not what the tests are about.
enum Meshes {
  static let authority = try! MeshAuthority.create(name: "vineyard")
  static let london = try! authority.issue(node: "lhr-1", region: "lhr")
  static let chicago = try! authority.issue(node: "ord-1", region: "ord")
  static let stranger = try! MeshAuthority.create(name: "elsewhere").issue(node: "lhr-1", region: "lhr")
}

/// Two ends with an open connection between them.
func openPair(
  limits: TransportLimits = TransportLimits()
) async throws -> (left: End, right: End, outward: PeerConnection, inward: PeerConnection) {
  let left = try await End(Meshes.london, limits: limits)
  let right = try await End(Meshes.chicago, limits: limits)
  left.transport.connect(to: right.address, expecting: Meshes.chicago.node)
  let (outward, rightNode, outwardHere) = try await left.connected()
  let (inward, leftNode, inwardHere) = try await right.connected()
  #expect(rightNode == Meshes.chicago.node && leftNode == Meshes.london.node)
  #expect(outwardHere && !inwardHere)
  return (left, right, outward, inward)
}

/// Waits until something that another thread does has been done.
func eventually(_ condition: () -> Bool) async throws {
  for _ in 0..<2_000 where !condition() { try await Task.sleep(for: .milliseconds(5)) }
  #expect(condition())
}

/// A client that speaks TLS with these credentials and otherwise only what a test makes it say.
func rawClient(to address: String, credentials: Credentials, tls: Bool = true) async throws -> any Channel {
  let endpoint = try #require(Endpoint(address))
  let context = try SyncSecurity.contexts(for: credentials).client
  return try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
    .channelInitializer { channel in
      channel.eventLoop.makeCompletedFuture {
        if tls {
          try channel.pipeline.syncOperations.addHandler(NIOSSLClientHandler(context: context, serverHostname: nil))
        }
      }
    }
    .connect(host: endpoint.host, port: endpoint.port).get()
}

/// The bytes of one frame.
func frame(_ channel: UInt8, _ payload: [UInt8]) -> ByteBuffer {
  var buffer = ByteBuffer()
  Frame.writeHeader(channel: channel, count: payload.count, into: &buffer)
  buffer.writeBytes(payload)
  return buffer
}
