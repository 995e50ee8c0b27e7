// The clock only grows, and nobody ahead of time moves it.

import Causality
import Testing

@Suite struct `Hybrid logical clocks` {
  @Test(arguments: 0..<20)
  func `stamps grow through forward and backward jumps of the wall clock`(seed: Int) {
    var generator = SeededGenerator(seed: UInt64(seed))
    var clock = HybridLogicalClock()
    var last = Stamp.zero
    var wall: UInt64 = 1_000_000
    for _ in 0..<200 {
      wall = UInt64(Int64(wall) + .random(in: -5_000...5_000, using: &generator))
      let stamp = clock.next(wall: wall)
      #expect(stamp > last)
      last = stamp
    }
  }

  @Test func `a restart continues above the lease`() {
    var clock = HybridLogicalClock()
    let stamp = clock.next(wall: 5_000)
    let lease = clock.proposedLease()
    #expect(lease > stamp)
    var reborn = HybridLogicalClock(resumingAbove: lease)
    #expect(reborn.next(wall: 10) > lease)
  }

  @Test func `a stamp too far ahead is refused and moves nothing`() {
    var clock = HybridLogicalClock(allowedOffsetMilliseconds: 100)
    _ = clock.next(wall: 1_000)
    let before = clock
    #expect(clock.observe(Stamp(milliseconds: 1_200), wall: 1_000) == .tooFarAhead(milliseconds: 200))
    #expect(clock == before)
    #expect(clock.observe(Stamp(milliseconds: 1_100), wall: 1_000) == .accepted)
    #expect(clock.next(wall: 1_000) > Stamp(milliseconds: 1_100))
  }

  @Test func `the counter carries into the milliseconds`() {
    var clock = HybridLogicalClock(resumingAbove: Stamp(milliseconds: 9, counter: .max))
    #expect(clock.next(wall: 0) == Stamp(milliseconds: 10))
  }
}
