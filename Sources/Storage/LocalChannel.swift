// Two processes of this machine that talk in frames over a pair of sockets.

import CSQLite
import Glibc

/// One end of a pair of local sockets that carries frames: a length and so many bytes. One thread uses it at a time.
public final class LocalChannel {
  /// The other side is gone, or does not speak as agreed.
  public struct Closed: Error, CustomStringConvertible {
    /// For a person.
    public var description: String { "the process that works on live databases has ended" }
    /// Says just that.
    public init() {}
  }

  /// The longest frame.
  public static let frameLimit = 1 << 30
  /// The socket.
  public let descriptor: Int32

  /// Takes over a socket.
  public init(_ descriptor: Int32) { self.descriptor = descriptor }

  deinit { close(descriptor) }

  /// A pair of sockets that no other program inherits.
  public static func pair() -> (Int32, Int32)? {
    var ends: [Int32] = [-1, -1]
    let type = Int32(SOCK_STREAM.rawValue) | O_CLOEXEC
    return socketpair(AF_UNIX, type, 0, &ends) == 0 ? (ends[0], ends[1]) : nil
  }

  /// Hands a socket to the process at the other end.
  public func give(_ descriptor: Int32) throws {
    guard grapevine_send_descriptor(self.descriptor, descriptor) == 0 else { throw Closed() }
  }

  /// Waits for a socket from the other end; nil when that is gone.
  public func take() -> Int32? {
    let descriptor = grapevine_receive_descriptor(self.descriptor)
    return descriptor >= 0 ? descriptor : nil
  }

  /// Sends a frame.
  public func send(_ bytes: [UInt8]) throws {
    var length = UInt32(bytes.count).littleEndian
    try withUnsafeBytes(of: &length) { try write($0) }
    try bytes.withUnsafeBytes { try write($0) }
  }

  /// Waits for a frame.
  public func receive() throws -> [UInt8] {
    var length: UInt32 = 0
    try withUnsafeMutableBytes(of: &length) { try read($0) }
    let count = Int(UInt32(littleEndian: length))
    guard count <= Self.frameLimit else { throw Closed() }
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBytes { try read($0) }
    return bytes
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws {
    var done = 0
    while done < bytes.count {
      let count = Glibc.send(descriptor, bytes.baseAddress! + done, bytes.count - done, Int32(MSG_NOSIGNAL))
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Closed() }
      done += count
    }
  }

  private func read(_ bytes: UnsafeMutableRawBufferPointer) throws {
    var done = 0
    while done < bytes.count {
      let count = Glibc.read(descriptor, bytes.baseAddress! + done, bytes.count - done)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw Closed() }
      done += count
    }
  }
}
