// Frames from any split of their bytes.

import Causality
import NIOCore
import Testing

@testable import Transport

@Suite struct FrameReaderTests {
  @Test(arguments: 0..<20 as Range<UInt64>)
  func `any split of a stream gives the same frames`(seed: UInt64) throws {
    var random = SeededGenerator(seed: seed)
    let frames = (0..<50).map { index in
      Frame(
        channel: UInt8(index),
        payload: ByteBuffer(bytes: (0..<Int.random(in: 0...300, using: &random)).map { UInt8($0 & 255) }))
    }
    var stream = ByteBuffer()
    for frame in frames {
      Frame.writeHeader(channel: frame.channel, count: frame.payload.readableBytes, into: &stream)
      stream.writeImmutableBuffer(frame.payload)
    }
    var reader = FrameReader(maxFrameBytes: 300)
    var read: [Frame] = []
    while stream.readableBytes > 0 {
      let count = min(stream.readableBytes, Int.random(in: 1...(seed.isMultiple(of: 2) ? 7 : 900), using: &random))
      reader.feed(stream.readSlice(length: count)!)
      while let frame = try reader.next() { read.append(frame) }
    }
    #expect(read == frames)
  }

  @Test func `a header above the bound is refused before its payload comes`() throws {
    var reader = FrameReader(maxFrameBytes: 10)
    reader.feed(ByteBuffer(bytes: [11, 0, 0, 0, 0]))
    #expect(throws: OversizedFrame(bytes: 11)) { try reader.next() }
    var dribble = FrameReader(maxFrameBytes: 10)
    dribble.feed(ByteBuffer(bytes: [0xFF, 0xFF, 0xFF]))
    #expect(try dribble.next() == nil)
    dribble.feed(ByteBuffer(bytes: [0xFF, 0]))
    #expect(throws: OversizedFrame(bytes: 0xFFFF_FFFF)) { try dribble.next() }
  }
}
