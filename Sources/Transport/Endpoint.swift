// Addresses as people write them: host:port, [IPv6]:port, :port.

import NIOCore

/// A host and a port.
public struct Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// A host name or an IP address, an IPv6 address without its brackets.
  public let host: String
  /// 0 lets the system choose, where it is asked to bind.
  public let port: Int

  /// A host and a port.
  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Reads `host:port`, `[IPv6]:port` or `:port`, which is every IPv4 address of this machine.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") {
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    self.init(host: host.isEmpty ? "0.0.0.0" : String(host), port: Int(port))
  }

  /// What `init(_:)` reads.
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// A socket's address; an IPv4 address mapped into IPv6 is written as IPv4.
  init?(_ address: SocketAddress) {
    guard var host = address.ipAddress, let port = address.port else { return nil }
    let mapped = "::ffff:"
    if host.hasPrefix(mapped), host.contains(".") { host.removeFirst(mapped.count) }
    self.init(host: host, port: port)
  }
}
