// The set of written chunks against a plain set.

import Causality
import Testing

@testable import Mount

@Suite struct `Dirty ranges` {
  @Test(arguments: 0..<20 as Range<UInt64>) func `They hold what a plain set holds`(seed: UInt64) {
    var random = SeededGenerator(seed: seed)
    var ranges = DirtyRanges()
    var plain = Set<UInt64>()
    for _ in 0..<300 {
      let start = UInt64.random(in: 0..<200, using: &random)
      let end = start + UInt64.random(in: 0..<12, using: &random)
      if UInt64.random(in: 0..<12, using: &random) == 0 {
        ranges.removeAll(from: start)
        plain = plain.filter { $0 < start }
      } else {
        ranges.insert(start...end)
        plain.formUnion(start...end)
      }
      #expect(ranges.count == UInt64(plain.count))
      for index in 0..<220 as Range<UInt64> { #expect(ranges.contains(index) == plain.contains(index)) }
      for (one, next) in zip(ranges.ranges, ranges.ranges.dropFirst()) {
        #expect(one.upperBound + 1 < next.lowerBound)
      }
    }
  }
}
