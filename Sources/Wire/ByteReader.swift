// Bytes to values, with every bound checked: a peer's bytes are never trusted.

/// Why bytes could not be read.
public enum WireError: Error, Equatable, Sendable {
  /// The bytes end before the value does.
  case truncated
  /// A value that the format does not allow; says which.
  case invalid(String)
  /// A length or count above its bound.
  case tooLong(String)
}

/// Reads what `ByteWriter` wrote. After an error its position means nothing.
public struct ByteReader: Sendable {
  /// All bytes.
  public let bytes: ArraySlice<UInt8>
  /// The next byte to read, an index of `bytes`.
  public private(set) var position: Int

  /// Reads from the start of a slice.
  public init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  /// Reads from the start of an array.
  public init(_ bytes: [UInt8]) { self.init(bytes[...]) }

  /// Bytes not yet read.
  public var remaining: Int { bytes.endIndex - position }

  /// One byte.
  public mutating func readUInt8() throws(WireError) -> UInt8 {
    guard position < bytes.endIndex else { throw .truncated }
    defer { position += 1 }
    return bytes[position]
  }

  /// Two bytes, little-endian.
  public mutating func readUInt16() throws(WireError) -> UInt16 { try fixed() }

  /// Four bytes, little-endian.
  public mutating func readUInt32() throws(WireError) -> UInt32 { try fixed() }

  /// Eight bytes, little-endian.
  public mutating func readUInt64() throws(WireError) -> UInt64 { try fixed() }

  /// One byte that must be 0 or 1.
  public mutating func readBool() throws(WireError) -> Bool {
    switch try readUInt8() {
    case 0: return false
    case 1: return true
    default: throw .invalid("boolean")
    }
  }

  /// A varint of at most ten bytes.
  public mutating func readVarint() throws(WireError) -> UInt64 {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = try readUInt8()
      if shift == 63, byte > 1 { throw .invalid("varint") }
      value |= UInt64(byte & 0x7F) << shift
      if byte < 0x80 { return value }
      shift += 7
      if shift > 63 { throw .invalid("varint") }
    }
  }

  /// A count or length of at most `limit`.
  public mutating func readCount(atMost limit: Int) throws(WireError) -> Int {
    let value = try readVarint()
    guard value <= UInt64(limit) else { throw .tooLong("count") }
    return Int(value)
  }

  /// A zigzag varint.
  public mutating func readSigned() throws(WireError) -> Int64 {
    let raw = try readVarint()
    return Int64(bitPattern: raw >> 1) ^ -Int64(bitPattern: raw & 1)
  }

  /// Length-prefixed bytes of at most `limit`.
  public mutating func readBytes(atMost limit: Int) throws(WireError) -> ArraySlice<UInt8> {
    try readRaw(try readCount(atMost: limit))
  }

  /// A length-prefixed UTF-8 string of at most `limit` bytes.
  public mutating func readString(atMost limit: Int) throws(WireError) -> String {
    guard let text = String(validating: try readBytes(atMost: limit), as: UTF8.self) else {
      throw .invalid("UTF-8")
    }
    return text
  }

  /// So many bytes as they are.
  public mutating func readRaw(_ count: Int) throws(WireError) -> ArraySlice<UInt8> {
    guard count >= 0, count <= remaining else { throw .truncated }
    defer { position += count }
    return bytes[position..<position + count]
  }

  private mutating func fixed<Value: FixedWidthInteger & UnsignedInteger>() throws(WireError) -> Value {
    let width = Value.bitWidth / 8
    guard width <= remaining else { throw .truncated }
    var value: Value = 0
    for offset in 0..<width { value |= Value(bytes[position + offset]) << Value(offset * 8) }
    position += width
    return value
  }
}
