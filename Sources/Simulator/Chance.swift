// Drawing from a seed.

import Causality

extension SeededGenerator {
  /// True so often, of all times.
  mutating func chance(_ probability: Double) -> Bool { Double.random(in: 0..<1, using: &self) < probability }

  /// A span between two bounds, in milliseconds.
  mutating func span(_ milliseconds: ClosedRange<UInt64>) -> Span {
    Span(
      nanoseconds: UInt64.random(in: milliseconds.lowerBound * 1_000...milliseconds.upperBound * 1_000, using: &self)
        * 1_000)
  }

  /// A generator for one purpose, so that drawing more for one purpose changes nothing for another.
  static func of(_ seed: UInt64, _ purpose: UInt64) -> SeededGenerator {
    SeededGenerator(seed: ContentDigest.mix(seed ^ ContentDigest.mix(purpose)))
  }
}
