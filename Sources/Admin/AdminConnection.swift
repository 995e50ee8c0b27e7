// One client's connection: a request at a time, answered by a task that ends when the client goes.

import NIOCore
import NIOHTTP1

/// The end of an HTTP pipeline. It lives on the connection's event loop.
final class AdminConnection: ChannelDuplexHandler {
  typealias InboundIn = HTTPServerRequestPart
  /// What the answering task writes: only bytes, so it may come from any thread.
  typealias OutboundIn = HTTPPart<HTTPResponseHead, ByteBuffer>
  typealias OutboundOut = HTTPServerResponsePart

  private let access: Access
  private let handler: AdminServer.Handler
  private var head: HTTPRequestHead?
  private var body: [UInt8] = []
  private var tooLarge = false
  private var task: Task<Void, Never>?

  init(access: Access, handler: @escaping AdminServer.Handler) {
    self.access = access
    self.handler = handler
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    switch unwrapInboundIn(data) {
    case .head(let head):
      self.head = head
      body = []
      tooLarge = false
    case .body(let buffer):
      tooLarge = tooLarge || body.count + buffer.readableBytes > AdminServer.maxBodyBytes
      if !tooLarge { body += buffer.readableBytesView }
    case .end:
      guard let head else { return }
      self.head = nil
      answer(head, context.channel)
    }
  }

  func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
    let part: HTTPServerResponsePart =
      switch unwrapOutboundIn(data) {
      case .head(let head): .head(head)
      case .body(let bytes): .body(.byteBuffer(bytes))
      case .end(let trailers): .end(trailers)
      }
    context.write(wrapOutboundOut(part), promise: promise)
  }

  func channelInactive(context: ChannelHandlerContext) {
    task?.cancel()
    context.fireChannelInactive()
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

  private func answer(_ head: HTTPRequestHead, _ channel: any Channel) {
    let refusal = refusal(of: head)
    let request = AdminRequest(method: head.method.rawValue, target: head.uri, body: body)
    body = []
    let handler = handler
    task = Task {
      do {
        let response = await AdminConnection.response(to: request, refusal, handler)
        try await AdminConnection.send(response, to: head, channel)
        if !head.isKeepAlive { try await channel.close() }
      } catch {
        channel.close(promise: nil)  // The client went before it had its answer.
      }
    }
  }

  /// The answer to a request that no handler may see.
  private func refusal(of head: HTTPRequestHead) -> AdminResponse? {
    if tooLarge {
      let why = "its body is above \(AdminServer.maxBodyBytes) bytes"
      return .failure(
        AdminFailure(what: "the request was refused", why: why, remedy: "Ask for less at a time."), status: 413)
    }
    if access.allows(head) { return nil }
    let remedy = "Use the node's socket, or send its token as `Authorization: Bearer TOKEN`."
    return .failure(
      AdminFailure(what: "the request was refused", why: "this address only shows", remedy: remedy), status: 403)
  }

  private static func response(
    to request: AdminRequest?, _ refusal: AdminResponse?, _ handler: AdminServer.Handler
  ) async -> AdminResponse {
    if let refusal { return refusal }
    guard let request else {
      return .text("The request's path or query is not percent-encoded UTF-8.\n", status: 400)
    }
    return await handler(request)
  }

  private static func send(_ response: AdminResponse, to request: HTTPRequestHead, _ channel: any Channel) async throws
  {
    var headers = HTTPHeaders([("content-type", response.contentType), ("cache-control", "no-store")])
    if !request.isKeepAlive { headers.add(name: "connection", value: "close") }
    if case .bytes(let bytes) = response.body { headers.add(name: "content-length", value: String(bytes.count)) }
    let head = HTTPResponseHead(
      version: request.version, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
    channel.write(OutboundIn.head(head), promise: nil)
    switch response.body {
    case .bytes(let bytes):
      if request.method != .HEAD { channel.write(OutboundIn.body(ByteBuffer(bytes: bytes)), promise: nil) }
    case .events(let events):
      channel.flush()
      if request.method != .HEAD {
        for await event in events { try await channel.writeAndFlush(OutboundIn.body(ByteBuffer(string: event.text))) }
      }
    }
    try await channel.writeAndFlush(OutboundIn.end(nil))
  }
}
