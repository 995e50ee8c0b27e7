// What a node answers.

import Foundation

/// Something that happened, as `/v1/events` tells it.
public struct AdminEvent: Hashable, Sendable {
  /// What kind of thing.
  public var name: String
  /// What about it, usually JSON.
  public var data: String

  /// An event.
  public init(name: String, data: String) {
    self.name = name
    self.data = data
  }

  /// The event as server-sent events write it. Source: the HTML standard, section "Server-sent events".
  var text: String {
    let lines = data.split(separator: "\n", omittingEmptySubsequences: false).map { "data: \($0)\n" }
    return "event: \(name)\n\(lines.joined())\n"
  }
}

/// A response: bytes at once, or events as they come.
public struct AdminResponse: Sendable {
  /// What stands in the body.
  public enum Body: Sendable {
    /// All of it.
    case bytes([UInt8])
    /// Server-sent events until the stream ends or the client goes.
    case events(AsyncStream<AdminEvent>)
  }

  /// The HTTP status.
  public var status: Int
  /// The media type.
  public var contentType: String
  /// The body.
  public var body: Body

  /// A response.
  public init(status: Int = 200, contentType: String, body: Body) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  /// Plain text.
  public static func text(_ text: String, status: Int = 200) -> AdminResponse {
    AdminResponse(status: status, contentType: "text/plain; charset=utf-8", body: .bytes(Array(text.utf8)))
  }

  /// A web page.
  public static func page(_ html: String) -> AdminResponse {
    AdminResponse(contentType: "text/html; charset=utf-8", body: .bytes(Array(html.utf8)))
  }

  /// A value as JSON with sorted keys.
  public static func json(_ value: some Encodable, status: Int = 200) -> AdminResponse {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(value) else {
      return .failure(
        AdminFailure(what: "the answer has no JSON form", why: "a number in it is not finite", remedy: ""), status: 500)
    }
    return AdminResponse(status: status, contentType: "application/json", body: .bytes([UInt8](data)))
  }

  /// A failure as JSON, for the command line to print.
  public static func failure(_ failure: AdminFailure, status: Int) -> AdminResponse { .json(failure, status: status) }

  /// Events as they come.
  public static func events(_ stream: AsyncStream<AdminEvent>) -> AdminResponse {
    AdminResponse(contentType: "text/event-stream", body: .events(stream))
  }
}

/// Why a node did not do what it was asked.
public struct AdminFailure: Error, Codable, Hashable, Sendable {
  /// What failed.
  public var what: String
  /// Why.
  public var why: String
  /// What to do.
  public var remedy: String

  /// A failure with all three.
  public init(what: String, why: String, remedy: String) {
    self.what = what
    self.why = why
    self.remedy = remedy
  }
}
