// Where a node is asked: its Unix socket, or http://host:port.

/// The address of a node's admin server.
public enum AdminAddress: Hashable, Sendable, CustomStringConvertible {
  /// The path of a Unix socket.
  case socket(String)
  /// A TCP address.
  case http(host: String, port: Int)

  /// Reads `http://host:port`, `http://[IPv6]:port`, `unix:PATH` or a path. Nil for anything else.
  public init?(_ text: String) {
    if text.hasPrefix("http://") {
      let authority = text.dropFirst("http://".count).prefix { $0 != "/" }
      guard let colon = authority.lastIndex(of: ":"), let port = UInt16(authority[authority.index(after: colon)...])
      else {
        return nil
      }
      var host = authority[..<colon]
      if host.hasPrefix("["), host.hasSuffix("]") {
        host = host.dropFirst().dropLast()
      } else if host.contains(":") {
        return nil
      }
      self = .http(host: host.isEmpty ? "0.0.0.0" : String(host), port: Int(port))
      return
    }
    let path = text.hasPrefix("unix:") ? String(text.dropFirst("unix:".count)) : text
    guard !path.isEmpty, !path.contains("://"), path.utf8.count <= 107 else { return nil }
    self = .socket(path)
  }

  /// What `init(_:)` reads.
  public var description: String {
    switch self {
    case .socket(let path): path
    case .http(let host, let port): host.contains(":") ? "http://[\(host)]:\(port)" : "http://\(host):\(port)"
    }
  }
}
