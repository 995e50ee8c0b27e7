// What is written is read back; what is damaged is refused and never fatal.

import Testing
import Wire

@Suite struct `Bytes` {
  @Test(arguments: [0, 1, 127, 128, 300, UInt64(UInt32.max), .max])
  func `varints come back`(value: UInt64) throws {
    var writer = ByteWriter()
    writer.writeVarint(value)
    var reader = ByteReader(writer.bytes)
    #expect(try reader.readVarint() == value)
    #expect(reader.remaining == 0)
  }

  @Test(arguments: [0, -1, 1, Int64.min, .max])
  func `signed numbers come back`(value: Int64) throws {
    var writer = ByteWriter()
    writer.writeSigned(value)
    var reader = ByteReader(writer.bytes)
    #expect(try reader.readSigned() == value)
  }

  @Test func `every truncation of a message is an error, not a crash`() throws {
    var writer = ByteWriter()
    writer.write(UInt16(7))
    writer.write(UInt64.max)
    writer.write(true)
    writer.writeString("grapevine")
    writer.writeBytes([1, 2, 3])
    for length in 0..<writer.count {
      var reader = ByteReader(writer.bytes[..<length])
      #expect(throws: WireError.self) {
        _ = try reader.readUInt16()
        _ = try reader.readUInt64()
        _ = try reader.readBool()
        _ = try reader.readString(atMost: 100)
        _ = try reader.readBytes(atMost: 100)
      }
    }
  }

  @Test func `bounds hold`() {
    var writer = ByteWriter()
    writer.writeBytes([UInt8](repeating: 1, count: 11))
    var reader = ByteReader(writer.bytes)
    #expect(throws: WireError.tooLong("count")) { _ = try reader.readBytes(atMost: 10) }
    var endless = ByteReader([UInt8](repeating: 0xFF, count: 20))
    #expect(throws: WireError.invalid("varint")) { _ = try endless.readVarint() }
  }

  @Test func `the checksum is the one of RFC 3720`() {
    #expect(Checksum.crc32c("123456789".utf8) == 0xE306_9283)
  }
}
