// Partitions of any length heal by themselves.

import Causality
import Membership
import Testing

@Suite struct `Partitions` {
  @Test(arguments: [15, 60, 180] as [UInt64], [true, false])
  func `a split heals within ten seconds however long it lasted, with and without streams`(
    seconds: UInt64, streams: Bool
  ) {
    for size in [8, 1] {
      let mesh = Mesh.settled(16, seed: seconds, streams: streams)
      mesh.isCut = { ($0 < size) != ($1 < size) }
      mesh.run(for: .seconds(seconds))
      mesh.isCut = { _, _ in false }
      let time = mesh.run(atMost: .seconds(60)) { $0.isWhole }
      #expect(time.map { $0 <= .seconds(10) } == true)
      mesh.run(for: .seconds(20))
      #expect(mesh.isWhole)
      #expect(mesh.largest <= 1_400)
    }
  }

  @Test func `two nodes parted for two hours find each other again`() {
    let mesh = Mesh.settled(2, seed: 21)
    mesh.isCut = { _, _ in true }
    mesh.run(for: .seconds(7_200))
    #expect(mesh.status(of: 1, at: 0) == .dead && mesh.status(of: 0, at: 1) == .dead)
    mesh.isCut = { _, _ in false }
    let time = mesh.run(atMost: .seconds(60)) { $0.isWhole }
    #expect(time.map { $0 <= .seconds(10) } == true)
  }

  @Test func `three regions that all lose each other come together, at the distance of a wide area`() {
    let mesh = Mesh(seed: 22)
    mesh.delay = 40...140
    for node in 0..<15 { mesh.start(node, join: [0]) }
    #expect(mesh.run(atMost: .seconds(5)) { $0.isWhole } != nil)
    mesh.run(for: .seconds(20))
    #expect(mesh.changes(to: .suspect) == 0)
    mesh.isCut = { $0 % 3 != $1 % 3 }
    mesh.run(for: .seconds(90))
    #expect(!mesh.isWhole)
    mesh.isCut = { _, _ in false }
    let time = mesh.run(atMost: .seconds(60)) { $0.isWhole }
    #expect(time.map { $0 <= .seconds(10) } == true)
  }

  @Test func `two meshes that never met become one when a node knows both`() {
    let mesh = Mesh(seed: 23)
    for node in 0..<6 { mesh.start(node, join: [0]) }
    for node in 6..<12 { mesh.start(node, join: [6]) }
    mesh.run(for: .seconds(10))
    mesh.start(12, join: [0, 6])
    #expect(mesh.run(atMost: .seconds(90)) { $0.isWhole } != nil)
  }
}
