// Small meshes under everything that can go wrong: every invariant holds, and all converge.

import Causality
import Simulator
import Testing

@Suite struct `Simulated meshes` {
  @Test(arguments: UInt64(1)...UInt64(12))
  func `without faults converge`(seed: UInt64) {
    var options = SimulationOptions()
    options.faults = []
    options.length = .seconds(8)
    let report = Simulation.run(seed: seed, options: options)
    #expect(report.failure == nil, "\(report.reproduction)")
  }

  @Test(arguments: UInt64(100)..<UInt64(126))
  func `under faults hold every invariant and converge once all has healed`(seed: UInt64) {
    var options = SimulationOptions()
    options.length = .seconds(12)
    let report = Simulation.run(seed: seed, options: options)
    #expect(report.failure == nil, "\(report.reproduction)")
  }

  @Test(arguments: [7, 8, 9] as [UInt64])
  func `do the same when the seed is the same`(seed: UInt64) {
    var options = SimulationOptions()
    options.length = .seconds(6)
    let first = Simulation.run(seed: seed, options: options)
    options.isTraced = true
    let again = Simulation.run(seed: seed, options: options)
    #expect(first.checksum == again.checksum)
    #expect(first.counts == again.counts)
  }
}
