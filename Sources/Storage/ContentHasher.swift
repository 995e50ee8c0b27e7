// The hash of a chunk's bytes.

import Crypto
import Replication

/// Names content by its SHA-256; content that is all zero has a name of its own and is found without hashing.
public enum ContentHasher {
  /// The hash of the bytes.
  public static func hash(_ bytes: UnsafeRawBufferPointer) -> ContentHash {
    if isZeros(bytes) { return .zeros }
    return SHA256.hash(data: bytes).withUnsafeBytes { digest in
      func word(_ index: Int) -> UInt64 {
        UInt64(littleEndian: digest.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
      }
      return ContentHash(word(0), word(1), word(2), word(3))
    }
  }

  /// The hash of the bytes of any contiguous collection.
  public static func hash(_ bytes: ArraySlice<UInt8>) -> ContentHash { bytes.withUnsafeBytes { hash($0) } }

  /// Whether all bytes are zero.
  public static func isZeros(_ bytes: UnsafeRawBufferPointer) -> Bool {
    var offset = 0
    while offset + 8 <= bytes.count {
      if bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self) != 0 { return false }
      offset += 8
    }
    while offset < bytes.count {
      if bytes[offset] != 0 { return false }
      offset += 1
    }
    return true
  }
}
