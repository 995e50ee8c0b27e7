// What is asked of a node.

/// A request, read whole.
public struct AdminRequest: Sendable {
  /// GET, POST, PUT or DELETE; a HEAD is handed over as GET.
  public var method: String
  /// The path, percent-decoded, without the query.
  public var path: String
  /// The query, percent-decoded; of a name given twice the last value.
  public var query: [String: String]
  /// The body.
  public var body: [UInt8]

  /// A request.
  public init(method: String, path: String, query: [String: String] = [:], body: [UInt8] = []) {
    self.method = method
    self.path = path
    self.query = query
    self.body = body
  }

  /// A request for a target as it stands in the request line. Nil when its percent-encoding is broken.
  init?(method: String, target: String, body: [UInt8]) {
    let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    guard let path = PercentEncoding.decode(parts.first ?? "/") else { return nil }
    self.init(method: method == "HEAD" ? "GET" : method, path: path, body: body)
    guard parts.count > 1 else { return }
    for pair in parts[1].split(separator: "&") {
      let sides = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard let name = PercentEncoding.decode(sides[0], plusIsSpace: true),
        let value = sides.count > 1 ? PercentEncoding.decode(sides[1], plusIsSpace: true) : ""
      else { return nil }
      query[name] = value
    }
  }
}

/// Percent-encoding of paths and queries. Source: RFC 3986.
enum PercentEncoding {
  static func decode(_ text: Substring, plusIsSpace: Bool = false) -> String? {
    var bytes: [UInt8] = []
    var rest = Substring(text).utf8[...]
    while let byte = rest.popFirst() {
      if byte == UInt8(ascii: "%") {
        guard rest.count >= 2, let value = UInt8(String(Substring(rest.prefix(2))), radix: 16) else { return nil }
        bytes.append(value)
        rest = rest.dropFirst(2)
      } else if byte == UInt8(ascii: "+"), plusIsSpace {
        bytes.append(UInt8(ascii: " "))
      } else {
        bytes.append(byte)
      }
    }
    return String(validating: bytes, as: UTF8.self)
  }

  static func encode(_ text: String, keeping kept: String = "") -> String {
    let plain = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~\(kept)".utf8)
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
      if plain.contains(byte) {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
