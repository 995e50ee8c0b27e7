// Bytes of a stream to frames, copying only those that straddle two reads.

import NIOCore

/// One frame: length (4 bytes, little-endian), channel (1 byte), payload.
struct Frame: Equatable {
  var channel: UInt8
  var payload: ByteBuffer

  static let headerBytes = 5

  static func writeHeader(channel: UInt8, count: Int, into buffer: inout ByteBuffer) {
    buffer.writeInteger(UInt32(count), endianness: .little)
    buffer.writeInteger(channel)
  }
}

/// A frame longer than the bound; nothing after it can be read.
struct OversizedFrame: Error, Equatable {
  var bytes: Int
}

/// Cuts frames from what arrives. A frame that lies within one read is a slice of it.
struct FrameReader {
  private let maxFrameBytes: Int
  private var incoming = ByteBuffer()
  private var partial: ByteBuffer?

  init(maxFrameBytes: Int) { self.maxFrameBytes = maxFrameBytes }

  /// Takes a read. Only after `next()` has returned nil: then nothing of the read before is left in `incoming`.
  mutating func feed(_ buffer: ByteBuffer) {
    precondition(incoming.readableBytes == 0)
    incoming = buffer
  }

  /// The next whole frame, nil when more bytes are needed.
  mutating func next() throws(OversizedFrame) -> Frame? {
    if var frame = partial {
      partial = nil
      move(upTo: Frame.headerBytes, into: &frame)
      if let total = try total(of: frame) {
        frame.reserveCapacity(min(total, frame.readableBytes + (1 << 20)))
        move(upTo: total, into: &frame)
        if frame.readableBytes == total { return Self.frame(frame) }
      }
      partial = frame
      return nil
    }
    if let total = try total(of: incoming), let whole = incoming.readSlice(length: total) { return Self.frame(whole) }
    if incoming.readableBytes > 0 {
      var frame = ByteBufferAllocator().buffer(capacity: max(64, incoming.readableBytes))
      frame.writeBuffer(&incoming)
      partial = frame
    }
    return nil
  }

  private func total(of buffer: ByteBuffer) throws(OversizedFrame) -> Int? {
    guard buffer.readableBytes >= Frame.headerBytes,
      let count = buffer.getInteger(at: buffer.readerIndex, endianness: .little, as: UInt32.self)
    else { return nil }
    guard count <= maxFrameBytes else { throw OversizedFrame(bytes: Int(count)) }
    return Int(count) + Frame.headerBytes
  }

  private mutating func move(upTo total: Int, into frame: inout ByteBuffer) {
    let count = min(total - frame.readableBytes, incoming.readableBytes)
    if count > 0, var piece = incoming.readSlice(length: count) { frame.writeBuffer(&piece) }
  }

  private static func frame(_ bytes: ByteBuffer) -> Frame {
    var payload = bytes
    payload.moveReaderIndex(forwardBy: 4)
    let channel = payload.readInteger(as: UInt8.self)!
    return Frame(channel: channel, payload: payload)
  }
}
