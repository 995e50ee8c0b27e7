// The checkers bite: every planted bug is found.

import Causality
import Simulator
import Testing

@Suite struct `Planted bugs` {
  @Test(arguments: Mutation.allCases)
  func `are found within thirty seeds`(mutation: Mutation) {
    var options = SimulationOptions()
    options.mutation = mutation
    options.faults = []
    options.length = mutation == .forgetLease ? .seconds(30) : .seconds(12)
    let found = (UInt64(1)...30).contains { Simulation.run(seed: $0, options: options).failure != nil }
    #expect(found, "\(mutation.rawValue) was not found")
  }
}
