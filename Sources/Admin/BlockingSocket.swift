// A connected socket that waits, for a command that has nothing else to do.

import Foundation

/// A descriptor that is closed once.
struct BlockingSocket: ~Copyable {
  private let descriptor: CInt

  /// Connects; every wait is bounded by `timeoutSeconds`, 0 for none.
  init(to address: AdminAddress, timeoutSeconds: Int) throws(SocketFailure) {
    switch address {
    case .socket(let path): descriptor = try Self.connect(path: path, timeoutSeconds)
    case .http(let host, let port): descriptor = try Self.connect(host: host, port: port, timeoutSeconds)
    }
  }

  deinit { close(descriptor) }

  func write(_ bytes: [UInt8]) throws(SocketFailure) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw SocketFailure(code: errno) }
      rest = rest.dropFirst(count)
    }
  }

  /// What has arrived, at most 64 KiB; empty at the end.
  func read() throws(SocketFailure) -> [UInt8] {
    while true {
      var count = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: 65_536) { buffer, filled in
        count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        filled = max(0, count)
      }
      if count >= 0 { return bytes }
      if errno != EINTR { throw SocketFailure(code: errno) }
    }
  }

  private static func connect(path: String, _ timeoutSeconds: Int) throws(SocketFailure) -> CInt {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { throw SocketFailure(code: ENAMETOOLONG) }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let descriptor = try open(AF_UNIX, timeoutSeconds)
    let result = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Foundation.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    if result == 0 { return descriptor }
    let failure = SocketFailure(code: errno)
    close(descriptor)
    throw failure
  }

  private static func connect(host: String, port: Int, _ timeoutSeconds: Int) throws(SocketFailure) -> CInt {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    var list: UnsafeMutablePointer<addrinfo>?
    let resolved = getaddrinfo(host, String(port), &hints, &list)
    guard resolved == 0 else { throw SocketFailure(code: EHOSTUNREACH, text: String(cString: gai_strerror(resolved))) }
    defer { freeaddrinfo(list) }
    var failure = SocketFailure(code: EHOSTUNREACH)
    var next = list
    while let entry = next?.pointee {
      let descriptor = try open(entry.ai_family, timeoutSeconds)
      if Foundation.connect(descriptor, entry.ai_addr, entry.ai_addrlen) == 0 { return descriptor }
      failure = SocketFailure(code: errno)
      close(descriptor)
      next = entry.ai_next
    }
    throw failure
  }

  private static func open(_ family: CInt, _ timeoutSeconds: Int) throws(SocketFailure) -> CInt {
    let descriptor = socket(family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { throw SocketFailure(code: errno) }
    var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
    let size = socklen_t(MemoryLayout<timeval>.size)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, size)
    setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, size)
    return descriptor
  }
}

/// A system call that failed.
struct SocketFailure: Error {
  var code: CInt
  var text: String

  init(code: CInt, text: String? = nil) {
    self.code = code
    self.text = text ?? (code == EAGAIN ? "no answer in time" : String(cString: strerror(code)))
  }
}
