// The hash of simulated contents, and the checksum of everything that happens.

import Replication

/// Content hashes without SHA-256: four lanes of mixing, strong enough against accident.
enum ContentDigest {
  static func hash(_ bytes: some Collection<UInt8>) -> ContentHash {
    if bytes.allSatisfy({ $0 == 0 }) { return .zeros }
    var lanes: (UInt64, UInt64, UInt64, UInt64) = (
      0x243F_6A88_85A3_08D3, 0x1319_8A2E_0370_7344, 0xA409_3822_299F_31D0, 0x082E_FA98_EC4E_6C89
    )
    for byte in bytes {
      lanes.0 = (lanes.0 ^ UInt64(byte)) &* 0x9E37_79B9_7F4A_7C15
      lanes.1 = (lanes.1 &+ lanes.0) ^ (lanes.1 << 13 | lanes.1 >> 51)
    }
    lanes.2 ^= UInt64(bytes.count)
    for _ in 0..<4 {
      lanes.2 = mix(lanes.2 ^ lanes.0)
      lanes.3 = mix(lanes.3 &+ lanes.1)
      lanes.0 = mix(lanes.0 &+ lanes.3)
      lanes.1 = mix(lanes.1 ^ lanes.2)
    }
    return ContentHash(lanes.0 | 1, lanes.1, lanes.2, lanes.3)
  }

  static func mix(_ value: UInt64) -> UInt64 {
    var mixed = value &+ 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

/// A running checksum: two runs that did the same have the same.
struct TraceSum {
  private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  mutating func add(_ number: UInt64) { value = ContentDigest.mix(value ^ number) }

  mutating func add(_ bytes: some Sequence<UInt8>) {
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
    value ^= value >> 29
  }
}
