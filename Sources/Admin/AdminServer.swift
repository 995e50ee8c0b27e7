// The listening side: a Unix socket for whoever owns the node, a TCP address for whoever may look.

import Foundation
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// Serves HTTP/1.1. A request that is too large, broken or not allowed is answered so and reaches no handler.
public final class AdminServer: Sendable {
  /// Answers a request. Called concurrently; cancelled when the client goes.
  public typealias Handler = @Sendable (AdminRequest) async -> AdminResponse

  /// The largest body of a request.
  public static let maxBodyBytes = 1 << 20

  private let socket: String
  private let http: String
  private let token: String
  private let group: any EventLoopGroup
  private let log: Logger
  private let handler: Handler
  private let listeners = Mutex<[any Channel]>([])

  /// A server not yet listening. An empty `socket` or `http` is off. Over `http` only GET and HEAD are answered unless
  /// the request carries `Authorization: Bearer` with the token; with an empty token no request can.
  public init(
    socket: String, http: String, token: String = "", group: any EventLoopGroup, log: Logger,
    handler: @escaping Handler
  ) {
    self.socket = socket
    self.http = http
    self.token = token
    self.group = group
    self.log = log
    self.handler = handler
  }

  /// Starts to listen. Returns the TCP address it is bound to, nil when that is off.
  public func start() async throws -> String? {
    if !socket.isEmpty {
      try SocketFile.makeRoom(at: socket)
      let channel: any Channel
      do {
        channel = try await bootstrap(trusted: true).bind(unixDomainSocketPath: socket).get()
      } catch {
        throw AdminFailure(
          what: "cannot listen on \(socket)", why: String(describing: error),
          remedy: "Set `socket` in [admin] to a path this user may create.")
      }
      chmod(socket, 0o600)
      log.info("admin socket", metadata: ["path": "\(socket)"])
      listeners.withLock { $0.append(channel) }
    }
    if http.isEmpty { return nil }
    guard case .http(let host, let port)? = AdminAddress("http://\(http)") else {
      throw AdminFailure(
        what: "cannot listen on \(http)", why: "it is not an address", remedy: "Set `http` in [admin] to host:port.")
    }
    do {
      let channel = try await bootstrap(trusted: false).bind(host: host, port: port).get()
      listeners.withLock { $0.append(channel) }
      let bound = channel.localAddress?.port.map { host.contains(":") ? "[\(host)]:\($0)" : "\(host):\($0)" } ?? http
      log.info("admin http", metadata: ["address": "\(bound)"])
      return bound
    } catch {
      await shutdown()
      throw AdminFailure(
        what: "cannot listen on \(http)", why: String(describing: error),
        remedy: "Set `http` in [admin] to another port, or to \"\" to do without.")
    }
  }

  /// Stops listening and removes the socket's file. Requests being answered are finished or cut off by their clients.
  public func shutdown() async {
    let channels = listeners.withLock { listeners in
      defer { listeners = [] }
      return listeners
    }
    for channel in channels { try? await channel.close().get() }
    if !socket.isEmpty, !channels.isEmpty { unlink(socket) }
  }

  private func bootstrap(trusted: Bool) -> ServerBootstrap {
    let token = token
    let handler = handler
    return ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: 64)
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          let pipeline = channel.pipeline.syncOperations
          try pipeline.configureHTTPServerPipeline(withErrorHandling: true)
          try pipeline.addHandler(AdminConnection(access: Access(trusted: trusted, token: token), handler: handler))
        }
      }
  }
}

/// The socket's file, which outlives a node that was killed.
enum SocketFile {
  /// Removes a file that no one listens on; refuses to take over one that a node still uses.
  static func makeRoom(at path: String) throws {
    guard FileManager.default.fileExists(atPath: path) else { return }
    if (try? BlockingSocket(to: .socket(path), timeoutSeconds: 1)) != nil {
      throw AdminFailure(
        what: "cannot listen on \(path)", why: "another node is running there",
        remedy: "Stop it, or set `socket` in [admin] to another path.")
    }
    unlink(path)
  }
}

/// Who may do what on a connection.
struct Access: Sendable {
  /// Everything is allowed: the file's mode has let only the owner in.
  var trusted: Bool
  /// The token that allows it elsewhere.
  var token: String

  func allows(_ head: HTTPRequestHead) -> Bool {
    if trusted || head.method == .GET || head.method == .HEAD { return true }
    guard !token.isEmpty, let given = head.headers.first(name: "authorization"), given.hasPrefix("Bearer ") else {
      return false
    }
    let left = Array(given.utf8.dropFirst("Bearer ".utf8.count))
    let right = Array(token.utf8)
    // All bytes are compared, so that the time taken does not tell how many were right.
    return left.count == right.count && zip(left, right).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
  }
}
