// The admin server and its client, end to end over a socket and over TCP.

import Foundation
import Logging
import NIOPosix
import Testing

@testable import Admin

/// A server whose socket lies in a directory of its own.
private struct Running {
  let server: AdminServer
  let socket: String
  let http: String

  init(token: String = "", handler: @escaping AdminServer.Handler) async throws {
    socket = NSTemporaryDirectory() + "gv-\(UInt32.random(in: 0...UInt32.max)).sock"
    server = AdminServer(
      socket: socket, http: "127.0.0.1:0", token: token, group: MultiThreadedEventLoopGroup.singleton,
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }, handler: handler)
    http = try #require(try await server.start())
  }

  func local() throws -> AdminClient { AdminClient(try #require(AdminAddress(socket))) }
  func remote(token: String = "") throws -> AdminClient {
    AdminClient(try #require(AdminAddress("http://\(http)")), token: token)
  }
}

/// Runs what waits on a thread of its own: the server answers on the pool that tests run on.
private func waiting<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
  try await withCheckedThrowingContinuation { continuation in
    DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
  }
}

@Suite struct AdminTests {
  @Test func `a request arrives as it was sent and its answer comes back`() async throws {
    let running = try await Running { request in
      .text("\(request.method) \(request.path) \(request.query["a b"] ?? "-") \(request.body.count)", status: 201)
    }
    for client in [try running.local(), try running.remote()] {
      let reply = try await waiting { try client.send("GET", "/v1/päth", query: ["a b": "c&d=ü"]) }
      #expect(reply.text == "GET /v1/päth c&d=ü 0" && reply.status == 201)
      #expect(reply.contentType.hasPrefix("text/plain"))
    }
    let client = try running.local()
    let big = [UInt8](repeating: 1, count: AdminServer.maxBodyBytes)
    #expect(try await waiting { try client.send("POST", "/x", body: big).text }.hasSuffix(" \(big.count)"))
    #expect(try await waiting { try client.send("POST", "/x", body: big + [1]).status } == 413)
    await running.server.shutdown()
    #expect(!FileManager.default.fileExists(atPath: running.socket))
  }

  @Test func `the socket is its owner's alone`() async throws {
    let running = try await Running { _ in .text("") }
    let mode = try FileManager.default.attributesOfItem(atPath: running.socket)[.posixPermissions] as? NSNumber
    #expect(mode?.intValue == 0o600)
    await running.server.shutdown()
  }

  @Test func `over tcp only looking is allowed without the token`() async throws {
    let running = try await Running(token: "secret") { .text($0.method) }
    func status(_ client: AdminClient, _ method: String) async throws -> Int {
      try await waiting { try client.send(method, "/").status }
    }
    #expect(try await status(running.remote(), "GET") == 200)
    #expect(try await status(running.remote(), "POST") == 403)
    #expect(try await status(running.remote(token: "wrong!"), "POST") == 403)
    #expect(try await status(running.remote(token: "secret"), "POST") == 200)
    #expect(try await status(running.local(), "DELETE") == 200)
    await running.server.shutdown()
    let closed = try await Running(token: "") { .text($0.method) }
    #expect(try await status(closed.remote(token: ""), "POST") == 403)
    await closed.server.shutdown()
  }

  @Test func `json and failures cross`() async throws {
    let running = try await Running { request in
      if request.path == "/ok" { return .json(["n": 1]) }
      return .failure(AdminFailure(what: "no", why: "because", remedy: "wait"), status: 409)
    }
    let client = try running.local()
    #expect(try await waiting { try client.json([String: Int].self, "GET", "/ok") } == ["n": 1])
    await #expect(throws: AdminFailure(what: "no", why: "because", remedy: "wait")) {
      try await waiting { try client.json([String: Int].self, "GET", "/other") }
    }
    await #expect(throws: AdminFailure.self) { try await waiting { try client.json([Int].self, "GET", "/ok") } }
    await running.server.shutdown()
  }

  @Test func `events come one by one and stop when the client has enough`() async throws {
    let (ended, continuation) = AsyncStream.makeStream(of: Bool.self)
    let running = try await Running { _ in
      let (stream, events) = AsyncStream.makeStream(of: AdminEvent.self)
      events.onTermination = { _ in continuation.yield(true) }
      for index in 0..<3 { events.yield(AdminEvent(name: "tick", data: "{\"n\":\(index)}\nsecond")) }
      return .events(stream)
    }
    let client = try running.local()
    let seen = try await waiting {
      var seen: [AdminEvent] = []
      try client.events("/v1/events") { event in
        seen.append(event)
        return seen.count < 3
      }
      return seen
    }
    #expect(seen == (0..<3).map { AdminEvent(name: "tick", data: "{\"n\":\($0)}\nsecond") })
    for await _ in ended { break }
    await running.server.shutdown()
  }

  @Test func `a stale socket is taken over and a live one is not`() async throws {
    let running = try await Running { _ in .text("") }
    let second = AdminServer(
      socket: running.socket, http: "", group: MultiThreadedEventLoopGroup.singleton,
      log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    ) { _ in .text("second") }
    await #expect(throws: AdminFailure.self) { try await second.start() }
    await running.server.shutdown()
    #expect(FileManager.default.createFile(atPath: running.socket, contents: nil))
    _ = try await second.start()
    let client = try running.local()
    #expect(try await waiting { try client.send("GET", "/").text } == "second")
    await second.shutdown()
  }

  @Test func `a node that is not there is told with its cure`() throws {
    let client = AdminClient(.socket("/nowhere/grapevine.sock"))
    do {
      _ = try client.send("GET", "/")
      Issue.record("reached")
    } catch let failure as AdminFailure {
      #expect(failure.what.contains("/nowhere/grapevine.sock") && failure.remedy.contains("grapevine up"))
    }
  }

  @Test(arguments: [
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", "HTTP/1.1 200 OK\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n",
  ])
  func `responses are read in any pieces`(text: String) throws {
    for size in [1, 2, 3, 1_000] {
      var rest = Array(text.utf8)[...]
      let source = {
        defer { rest = rest.dropFirst(size) }
        return Array(rest.prefix(size))
      }
      var reader = ResponseReader()
      let head = try reader.head(from: source)
      var body: [UInt8] = []
      try reader.body(of: head, from: source) {
        body += $0
        return true
      }
      #expect(head.status == 200 && body == Array("hello".utf8))
    }
  }

  @Test(arguments: [
    "", "HTTP/1.1", "SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\nbroken\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nx\r\n",
  ])
  func `what is no response is refused`(text: String) {
    var rest = Array(text.utf8)
    #expect(throws: ResponseError.self) {
      let source = {
        defer { rest = [] }
        return rest
      }
      var reader = ResponseReader()
      let head = try reader.head(from: source)
      try reader.body(of: head, from: source) { _ in true }
    }
  }

  @Test func `addresses are read`() {
    #expect(AdminAddress("/run/a.sock") == .socket("/run/a.sock"))
    #expect(AdminAddress("unix:a.sock") == .socket("a.sock"))
    #expect(AdminAddress("http://h:1/x") == .http(host: "h", port: 1))
    #expect(AdminAddress("http://[::1]:1")?.description == "http://[::1]:1")
    for text in ["", "http://h", "https://h:1", "http://::1:1"] { #expect(AdminAddress(text) == nil) }
  }
}
