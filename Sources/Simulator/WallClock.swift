// The wall clock of one machine: off, fast or slow, jumping, standing still.

import Causality

/// A wall clock as a function of true time.
struct WallClock: Sendable {
  /// True time at the start, in milliseconds since 1970.
  static let epoch: UInt64 = 1_800_000_000_000

  /// How far it is off, in milliseconds.
  var offset: Int64 = 0
  /// How much faster it runs than it should, in millionths.
  var drift: Int64 = 0
  /// What it shows while it stands still.
  private(set) var frozen: UInt64?

  /// Milliseconds since 1970 as it shows them.
  func wall(_ now: Instant) -> UInt64 {
    if let frozen { return frozen }
    let elapsed = Int64(now.nanoseconds / 1_000_000)
    return UInt64(Int64(Self.epoch) + elapsed + elapsed * drift / 1_000_000 + offset)
  }

  mutating func freeze(at now: Instant) { frozen = wall(now) }

  mutating func thaw() { frozen = nil }
}
