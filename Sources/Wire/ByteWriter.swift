// Values to bytes: little-endian numbers, varints, length-prefixed byte strings.

/// Appends values to a growing array of bytes. `ByteReader` reads them back in the same order.
public struct ByteWriter: Sendable {
  /// What has been written.
  public private(set) var bytes: [UInt8]

  /// An empty writer with room for `capacity` bytes.
  public init(capacity: Int = 64) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  /// How many bytes have been written.
  public var count: Int { bytes.count }

  /// One byte.
  public mutating func write(_ value: UInt8) { bytes.append(value) }

  /// Two bytes, little-endian.
  public mutating func write(_ value: UInt16) { fixed(value) }

  /// Four bytes, little-endian.
  public mutating func write(_ value: UInt32) { fixed(value) }

  /// Eight bytes, little-endian.
  public mutating func write(_ value: UInt64) { fixed(value) }

  /// One byte, 0 or 1.
  public mutating func write(_ value: Bool) { bytes.append(value ? 1 : 0) }

  /// A varint: seven bits a byte, low first, at most ten bytes. Source: protobuf's encoding page.
  public mutating func writeVarint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  /// A varint of a count or an index, which must not be negative.
  public mutating func writeVarint(_ value: Int) { writeVarint(UInt64(value)) }

  /// A signed number as a zigzag varint.
  public mutating func writeSigned(_ value: Int64) { writeVarint(UInt64(bitPattern: (value << 1) ^ (value >> 63))) }

  /// A varint of the length, then the bytes.
  public mutating func writeBytes(_ value: some Collection<UInt8>) {
    writeVarint(value.count)
    bytes.append(contentsOf: value)
  }

  /// A string as its UTF-8 bytes, length first.
  public mutating func writeString(_ value: String) {
    var copy = value
    copy.withUTF8 { buffer in
      writeVarint(buffer.count)
      bytes.append(contentsOf: buffer)
    }
  }

  /// The bytes as they are, without a length.
  public mutating func writeRaw(_ value: some Collection<UInt8>) { bytes.append(contentsOf: value) }

  private mutating func fixed(_ value: some FixedWidthInteger) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }
}
