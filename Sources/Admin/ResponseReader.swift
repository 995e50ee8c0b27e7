// An HTTP/1.1 response from the bytes of a socket, whole or as it comes.

/// A response's status line and headers.
struct ResponseHead: Equatable {
  var status: Int
  /// Names in lower case.
  var headers: [String: String]
}

/// What a server sent that is not HTTP.
struct ResponseError: Error, Equatable {
  var why: String
}

/// Reads from a source, which gives the next bytes and none at the end. Source of the format: RFC 9112.
struct ResponseReader {
  typealias Source = () throws -> [UInt8]

  private static let maxLineBytes = 16 << 10
  private static let maxHeaders = 100

  private var buffer: [UInt8] = []
  private var position = 0

  mutating func head(from source: Source) throws -> ResponseHead {
    let words = try line(from: source).split(separator: " ", maxSplits: 2)
    guard words.count >= 2, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]), (100...599).contains(status)
    else {
      throw ResponseError(why: "the answer does not begin as HTTP does")
    }
    var headers: [String: String] = [:]
    while true {
      let line = try line(from: source)
      if line.isEmpty { return ResponseHead(status: status, headers: headers) }
      guard let colon = line.firstIndex(of: ":"), headers.count < Self.maxHeaders else {
        throw ResponseError(why: "the answer has a broken header")
      }
      let value = line[line.index(after: colon)...].drop { $0 == " " }
      headers[line[..<colon].lowercased()] = String(value)
    }
  }

  /// Hands the body over as it comes, until it ends or `each` returns false.
  mutating func body(of head: ResponseHead, from source: Source, each: ([UInt8]) throws -> Bool) throws {
    if head.headers["transfer-encoding"]?.lowercased() == "chunked" {
      while true {
        let size = try line(from: source).prefix { $0 != ";" }
        guard let count = Int(size, radix: 16), count >= 0 else { throw ResponseError(why: "a chunk has no length") }
        if count == 0 { break }
        if try !pass(count, from: source, to: each) { return }
        _ = try line(from: source)
      }
    } else if let length = head.headers["content-length"] {
      guard let count = Int(length), count >= 0 else { throw ResponseError(why: "the answer has no length") }
      _ = try pass(count, from: source, to: each)
    } else {
      while try fill(from: source) {
        if try !each(take(buffer.count - position)) { return }
      }
    }
  }

  private mutating func pass(_ count: Int, from source: Source, to each: ([UInt8]) throws -> Bool) throws -> Bool {
    var left = count
    while left > 0 {
      guard try fill(from: source) else { throw ResponseError(why: "the answer ends before it is whole") }
      let bytes = take(min(left, buffer.count - position))
      left -= bytes.count
      if try !each(bytes) { return false }
    }
    return true
  }

  private mutating func line(from source: Source) throws -> String {
    var bytes: [UInt8] = []
    while true {
      guard try fill(from: source) else { throw ResponseError(why: "the answer ends before it is whole") }
      let byte = buffer[position]
      position += 1
      if byte == UInt8(ascii: "\n") { break }
      bytes.append(byte)
      if bytes.count > Self.maxLineBytes { throw ResponseError(why: "the answer has a line that is too long") }
    }
    if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Whether there is at least one byte to read.
  private mutating func fill(from source: Source) throws -> Bool {
    if position < buffer.count { return true }
    buffer = try source()
    position = 0
    return !buffer.isEmpty
  }

  private mutating func take(_ count: Int) -> [UInt8] {
    defer { position += count }
    return Array(buffer[position..<position + count])
  }
}
