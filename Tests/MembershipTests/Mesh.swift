// A mesh in virtual time: any number of nodes, a network that delays, loses and parts, all decided by a seed.

import Causality
import Membership

/// Nodes 0, 1, 2, … with ids 1, 2, 3, … and everything between them.
final class Mesh {
  static let meshID: UInt64 = 0x4752_4150_4556_494E
  /// IP, UDP and the seal.
  static let overhead = 28 + 28

  private enum Arrival {
    case tick(Int)
    case datagram([UInt8], from: Int, to: Int)
    case request([UInt8], from: Int, to: Int)
    case answer([UInt8], to: Int)
    case failure(String, to: Int)
  }

  private struct Item {
    var at: Instant
    var order: UInt64
    var arrival: Arrival
  }

  let configuration: MembershipConfiguration
  var nodes: [Membership?] = []
  private(set) var now = Instant(nanoseconds: 1_000_000_000)
  private(set) var random: SeededGenerator
  private var items = Heap()
  private var order: UInt64 = 0
  private var lives: UInt64 = 0

  /// The share of datagrams that are lost.
  var loss = 0.0
  /// One way, in milliseconds.
  var delay: ClosedRange<UInt64> = 1...5
  /// Whether streams can be opened.
  var streams = true
  /// Whether nothing passes from one node to another.
  var isCut: (_ from: Int, _ to: Int) -> Bool = { _, _ in false }

  /// Bytes of datagrams sent, by node, with overhead.
  private(set) var sentBytes: [Int] = []
  private(set) var datagrams = 0
  private(set) var largest = 0
  private(set) var exchanges = 0
  /// All effects but sends and exchanges, with their time and node.
  private(set) var log: [(at: Instant, node: Int, effect: MembershipEffect)] = []
  /// Whether `trace` is kept.
  var isTraced = false
  /// A checksum of all effects.
  private(set) var trace: UInt64 = 0xCBF2_9CE4_8422_2325

  init(seed: UInt64, configuration: MembershipConfiguration = .wan(mesh: meshID)) {
    self.configuration = configuration
    random = SeededGenerator(seed: seed)
  }

  static func gossip(_ node: Int) -> String { "10.0.\(node / 250).\(node % 250 + 1):7946" }
  static func sync(_ node: Int) -> String { "10.0.\(node / 250).\(node % 250 + 1):7947" }
  static func id(_ node: Int) -> NodeID {
    var generator = SeededGenerator(seed: UInt64(node + 1))
    return NodeID(generator.next())
  }

  static func card(_ node: Int, id: NodeID? = nil) -> MemberCard {
    MemberCard(
      id: id ?? Self.id(node), name: "node-\(node)", region: ["lhr", "ord", "syd"][node % 3], gossip: gossip(node),
      sync: sync(node))
  }

  /// Makes a node, or makes it anew, and starts it.
  func start(_ node: Int, join: [Int], incarnation: UInt64 = 0, id: NodeID? = nil) {
    while nodes.count <= node {
      nodes.append(nil)
      sentBytes.append(0)
    }
    lives += 1
    nodes[node] = Membership(
      configuration: configuration, card: Self.card(node, id: id), incarnation: incarnation,
      seed: lives &* 7_919 &+ random.next())
    handle(.start(join: join.map(Self.gossip)), by: node)
  }

  /// Starts nodes that all join through node 0, and lets them settle.
  static func settled(
    _ count: Int, seed: UInt64, configuration: MembershipConfiguration = .wan(mesh: meshID), streams: Bool = true
  ) -> Mesh {
    let mesh = Mesh(seed: seed, configuration: configuration)
    mesh.streams = streams
    for node in 0..<count { mesh.start(node, join: [0]) }
    mesh.run(for: .seconds(10))
    mesh.resetCounters()
    return mesh
  }

  func resetCounters() {
    sentBytes = sentBytes.map { _ in 0 }
    datagrams = 0
    exchanges = 0
    log.removeAll()
  }

  /// The node ends without a word.
  func kill(_ node: Int) { nodes[node] = nil }

  /// Hands an event to a node and performs the effects.
  func handle(_ event: MembershipEvent, by node: Int) {
    guard nodes[node] != nil else { return }
    var effects: [MembershipEffect] = []
    nodes[node]!.handle(event, at: now, into: &effects)
    for effect in effects { perform(effect, of: node) }
    if let deadline = nodes[node]?.nextDeadline { put(.tick(node), at: max(deadline, now)) }
  }

  /// Lets time pass.
  func run(for span: Span) {
    let end = now + span
    while let item = items.first, item.at <= end {
      items.removeFirst()
      now = max(now, item.at)
      arrive(item.arrival)
    }
    now = end
  }

  /// Lets time pass until a condition, looked at every `step`, holds; nil if it does not within the limit.
  func run(
    atMost limit: Span, step: Span = .milliseconds(50), until condition: (Mesh) -> Bool
  ) -> Span? {
    let start = now
    while !condition(self) {
      guard now - start < limit else { return nil }
      run(for: step)
    }
    return now - start
  }

  /// What a node believes about another.
  func status(of other: Int, at node: Int) -> MemberStatus? {
    nodes[node]?.members.first { $0.id == Self.id(other) }?.status
  }

  /// Whether every running node holds exactly the running nodes alive.
  var isWhole: Bool {
    let living = nodes.indices.filter { nodes[$0] != nil }.map(Self.id).sorted()
    return nodes.allSatisfy { node in
      guard let node else { return true }
      return node.members.filter { $0.status == .alive }.map(\.id) == living
    }
  }

  /// The log's changes to a status.
  func changes(to status: MemberStatus) -> Int {
    log.count {
      if case .changed(let member) = $0.effect { return member.status == status }
      return false
    }
  }

  func counted(_ fault: DatagramFault) -> Int { log.count { $0.effect == .counted(fault) } }

  private func perform(_ effect: MembershipEffect, of node: Int) {
    if isTraced { mark(effect, of: node) }
    switch effect {
    case .send(let bytes, let address):
      sentBytes[node] += bytes.count + Self.overhead
      datagrams += 1
      largest = max(largest, bytes.count)
      let isLost = Double.random(in: 0..<1, using: &random) < loss
      guard let target = number(of: address, Self.gossip), !isLost, !isCut(node, target) else { return }
      put(.datagram(bytes, from: node, to: target), at: now + pause())
    case .exchangeState(let bytes, let address):
      exchanges += 1
      let target = number(of: address, Self.sync)
      guard let target, streams, nodes[target] != nil, !isCut(node, target), !isCut(target, node) else {
        return put(.failure(address, to: node), at: now + .seconds(1))
      }
      put(.request(bytes, from: node, to: target), at: now + pause() + pause() + pause())
    case .answerState(let token, let bytes):
      let target = Int(token)
      if !isCut(node, target) { put(.answer(bytes, to: target), at: now + pause()) }
    default: log.append((now, node, effect))
    }
  }

  private func arrive(_ arrival: Arrival) {
    switch arrival {
    case .tick(let node):
      if let deadline = nodes[node]?.nextDeadline, deadline <= now { handle(.tick, by: node) }
    case .datagram(let bytes, let from, let to): handle(.datagram(bytes, from: Self.gossip(from)), by: to)
    case .request(let bytes, let from, let to): handle(.stateRequested(UInt64(from), bytes), by: to)
    case .answer(let bytes, let to): handle(.stateAnswered(bytes), by: to)
    case .failure(let address, let to): handle(.stateFailed(address), by: to)
    }
  }

  private func number(of address: String, _ naming: (Int) -> String) -> Int? {
    guard let host = address.split(separator: ":").first else { return nil }
    let parts = host.split(separator: ".").compactMap { Int($0) }
    guard parts.count == 4 else { return nil }
    let node = parts[2] * 250 + parts[3] - 1
    return nodes.indices.contains(node) && naming(node) == address ? node : nil
  }

  private func pause() -> Span {
    .milliseconds(.random(in: delay, using: &random)) + Span(nanoseconds: .random(in: 0..<1_000_000, using: &random))
  }

  private func put(_ arrival: Arrival, at instant: Instant) {
    order += 1
    items.insert(Item(at: instant, order: order, arrival: arrival))
  }

  private func mark(_ effect: MembershipEffect, of node: Int) {
    func mix(_ bytes: some Sequence<UInt8>) {
      for byte in bytes { trace = (trace ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }
    mix([UInt8(truncatingIfNeeded: node)])
    switch effect {
    case .send(let bytes, let address), .exchangeState(let bytes, let address):
      mix(address.utf8)
      mix(bytes)
    case .answerState(_, let bytes): mix(bytes)
    default: mix("\(effect)".utf8)
    }
  }

  /// A binary heap of items, earliest first, of equal ones the older.
  private struct Heap {
    private var items: [Item] = []

    var first: Item? { items.first }

    mutating func insert(_ item: Item) {
      items.append(item)
      var place = items.count - 1
      while place > 0, isBefore(place, (place - 1) / 2) {
        items.swapAt(place, (place - 1) / 2)
        place = (place - 1) / 2
      }
    }

    mutating func removeFirst() {
      items.swapAt(0, items.count - 1)
      items.removeLast()
      var place = 0
      while true {
        var least = place
        for child in [2 * place + 1, 2 * place + 2] where child < items.count && isBefore(child, least) {
          least = child
        }
        if least == place { return }
        items.swapAt(place, least)
        place = least
      }
    }

    private func isBefore(_ left: Int, _ right: Int) -> Bool {
      (items[left].at, items[left].order) < (items[right].at, items[right].order)
    }
  }
}
