// The asking side: blocking, one connection a request, for the command line.

import Foundation

/// What a node answered.
public struct AdminReply: Sendable {
  /// The HTTP status.
  public var status: Int
  /// The media type.
  public var contentType: String
  /// The body.
  public var body: [UInt8]

  /// The body as text.
  public var text: String { String(decoding: body, as: UTF8.self) }
}

/// Asks a node. Every error it throws is an `AdminFailure` that says what, why and what to do.
public struct AdminClient: Sendable {
  /// The largest answer that is kept.
  public static let maxBodyBytes = 256 << 20

  private let address: AdminAddress
  private let token: String
  private let timeoutSeconds: Int

  /// A client of the node at an address. The token is needed to change things over http.
  public init(_ address: AdminAddress, token: String = "", timeoutSeconds: Int = 30) {
    self.address = address
    self.token = token
    self.timeoutSeconds = timeoutSeconds
  }

  /// Asks and waits for the whole answer, whatever its status.
  public func send(
    _ method: String, _ path: String, query: [String: String] = [:], body: [UInt8] = []
  ) throws -> AdminReply {
    var bytes: [UInt8] = []
    let head = try exchange(method, path, query, body, timeoutSeconds) { piece in
      guard bytes.count + piece.count <= Self.maxBodyBytes else { throw ResponseError(why: "the answer is too long") }
      bytes += piece
      return true
    }
    return AdminReply(status: head.status, contentType: head.headers["content-type"] ?? "", body: bytes)
  }

  /// Asks for JSON. A status other than 2xx is thrown as the failure the node told.
  public func json<Value: Decodable>(
    _ type: Value.Type, _ method: String = "GET", _ path: String, query: [String: String] = [:], body: [UInt8] = []
  ) throws -> Value {
    let reply = try check(send(method, path, query: query, body: body))
    do {
      return try JSONDecoder().decode(type, from: Data(reply.body))
    } catch {
      throw AdminFailure(
        what: "the answer of \(address) cannot be read", why: String(describing: error),
        remedy: "Use the same version of grapevine as the node.")
    }
  }

  /// The reply itself when its status is 2xx; otherwise throws what the node told.
  public func check(_ reply: AdminReply) throws -> AdminReply {
    if (200..<300).contains(reply.status) { return reply }
    if let failure = try? JSONDecoder().decode(AdminFailure.self, from: Data(reply.body)) { throw failure }
    let why = reply.text.trimmingCharacters(in: .whitespacesAndNewlines)
    throw AdminFailure(
      what: "the node at \(address) refused with status \(reply.status)", why: why.isEmpty ? "it gave no reason" : why,
      remedy: "Use the same version of grapevine as the node, or ask for something else.")
  }

  /// Follows server-sent events until `each` returns false or the node ends the stream.
  public func events(
    _ path: String, query: [String: String] = [:], each: (AdminEvent) throws -> Bool
  ) throws {
    var pending: [UInt8] = []
    var name = ""
    var data: [String] = []
    _ = try exchange("GET", path, query, [], 0) { piece in
      pending += piece
      while let end = pending.firstIndex(of: UInt8(ascii: "\n")) {
        let line = String(decoding: pending[..<end], as: UTF8.self)
        pending.removeSubrange(...end)
        if line.hasPrefix("event: ") { name = String(line.dropFirst("event: ".count)) }
        if line.hasPrefix("data: ") { data.append(String(line.dropFirst("data: ".count))) }
        if line.isEmpty, !data.isEmpty {
          let event = AdminEvent(name: name, data: data.joined(separator: "\n"))
          name = ""
          data = []
          if try !each(event) { return false }
        }
      }
      return true
    }
  }

  private func exchange(
    _ method: String, _ path: String, _ query: [String: String], _ body: [UInt8], _ timeout: Int,
    each: ([UInt8]) throws -> Bool
  ) throws -> ResponseHead {
    do {
      let socket = try BlockingSocket(to: address, timeoutSeconds: timeout)
      try socket.write(request(method, path, query, body))
      var reader = ResponseReader()
      let head = try reader.head { try socket.read() }
      try reader.body(of: head, from: { try socket.read() }, each: each)
      return head
    } catch let failure as SocketFailure {
      throw unreachable(failure)
    } catch let error as ResponseError {
      throw AdminFailure(
        what: "the answer of \(address) cannot be read", why: error.why,
        remedy: "Check that --admin names a grapevine node.")
    }
  }

  private func request(_ method: String, _ path: String, _ query: [String: String], _ body: [UInt8]) -> [UInt8] {
    var target = PercentEncoding.encode(path, keeping: "/")
    let pairs = query.sorted { $0.key < $1.key }
      .map { "\(PercentEncoding.encode($0.key))=\(PercentEncoding.encode($0.value))" }
    if !pairs.isEmpty { target += "?" + pairs.joined(separator: "&") }
    var head =
      "\(method) \(target) HTTP/1.1\r\nhost: grapevine\r\nconnection: close\r\ncontent-length: \(body.count)\r\n"
    if !token.isEmpty { head += "authorization: Bearer \(token)\r\n" }
    return Array((head + "\r\n").utf8) + body
  }

  private func unreachable(_ failure: SocketFailure) -> AdminFailure {
    let remedy =
      switch failure.code {
      case EACCES: "Run the command as the user the node runs as."
      case EAGAIN: "The node is there but busy: try again, or look at its log."
      default: "Start the node with `grapevine up`, or name its socket with --admin or GRAPEVINE_ADMIN."
      }
    return AdminFailure(what: "cannot reach the node at \(address)", why: failure.text, remedy: remedy)
  }
}
