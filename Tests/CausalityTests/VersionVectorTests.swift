// The laws of version vectors, over random vectors.

import Causality
import Testing

@Suite struct `Version vectors` {
  static func random(_ generator: inout SeededGenerator) -> VersionVector {
    VersionVector(
      (0..<Int.random(in: 0...5, using: &generator)).map { _ in
        Dot(NodeID(.random(in: 1...4, using: &generator)), .random(in: 0...6, using: &generator))
      })
  }

  @Test(arguments: 0..<50)
  func `the join commutes, associates, is idempotent and covers both`(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let (a, b, c) = (Self.random(&generator), Self.random(&generator), Self.random(&generator))
    #expect(a.merged(with: b) == b.merged(with: a))
    #expect(a.merged(with: b).merged(with: c) == a.merged(with: b.merged(with: c)))
    #expect(a.merged(with: a) == a)
    #expect(a.merged(with: b).covers(a) && a.merged(with: b).covers(b))
    #expect(a.covers(a.meet(b)) && b.covers(a.meet(b)))
  }

  @Test(arguments: 0..<50)
  func `what is missing, taken in, leaves nothing missing`(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    let (a, b) = (Self.random(&generator), Self.random(&generator))
    var joined = b
    for gap in a.missing(from: b) {
      #expect(!b.covers(Dot(gap.origin, gap.sequences.lowerBound)))
      joined.include(Dot(gap.origin, gap.sequences.upperBound))
    }
    #expect(joined == a.merged(with: b))
    #expect(a.missing(from: joined).isEmpty)
  }

  @Test func `nothing needs to be seen of no change`() {
    #expect(VersionVector().covers(.none))
    #expect(!VersionVector().covers(Dot(NodeID(1), 1)))
  }
}
