// The other members, and the order in which they are probed.

import Causality

/// Another member and what goes with it.
struct Peer: Sendable {
  /// What the owner sees of it.
  var member: Member
  /// Its running suspicion, exactly while it is suspected.
  var suspicion: Suspicion?
  /// Its digest as it last sent it, with its checksum.
  var digest: [UInt8] = []
  var digestSum: UInt32 = 0
  /// The checksum of our digest that it said it holds.
  var held: UInt32 = 0
  /// When its status last changed.
  var since: Instant
  /// The address it had before this one, and when it changed.
  var formerAddress: (address: String, left: Instant)?
  /// When it was last reported as a clone.
  var alarmed: Instant?

  var id: NodeID { member.id }
  var isActive: Bool { member.status.isActive }
}

/// The other members, sorted by id, with a shuffled order of probes and a ring.
struct Roster: Sendable {
  /// All that are remembered.
  private(set) var peers: [Peer] = []
  /// How many are alive or suspected.
  private(set) var activeCount = 0
  private var order: [NodeID] = []

  /// Where the member stands in `peers`.
  func index(of id: NodeID) -> Int? {
    let place = place(of: id)
    return place < peers.count && peers[place].id == id ? place : nil
  }

  /// The member at a place; its status is changed by `setStatus` only.
  subscript(index: Int) -> Peer {
    get { peers[index] }
    _modify { yield &peers[index] }
  }

  /// The member, if it is known.
  subscript(id: NodeID) -> Peer? { index(of: id).map { peers[$0] } }

  /// Takes in a member that is not known.
  mutating func insert(_ peer: Peer, using random: inout SeededGenerator) {
    let place = place(of: peer.id)
    precondition(place == peers.count || peers[place].id != peer.id)
    peers.insert(peer, at: place)
    if peer.isActive { enrol(peer.id, using: &random) }
  }

  /// Drops members.
  mutating func remove(where condition: (Peer) -> Bool) {
    peers.removeAll(where: condition)
    activeCount = peers.count { $0.isActive }
  }

  /// Changes the status of the member at a place.
  mutating func setStatus(_ status: MemberStatus, at index: Int, now: Instant, using random: inout SeededGenerator) {
    let was = peers[index].isActive
    if peers[index].member.status != status { peers[index].since = now }
    peers[index].member.status = status
    if status != .suspect { peers[index].suspicion = nil }
    if was, !status.isActive { activeCount -= 1 }
    if !was, status.isActive { enrol(peers[index].id, using: &random) }
  }

  /// The next active member of the shuffled round: each once, then the order is shuffled anew.
  mutating func nextInOrder(using random: inout SeededGenerator) -> NodeID? {
    guard activeCount > 0 else { return nil }
    while true {
      while let id = order.popLast() {
        if let index = index(of: id), peers[index].isActive { return id }
      }
      order = peers.lazy.filter(\.isActive).map(\.id)
      order.shuffle(using: &random)
    }
  }

  /// The active member that follows `id` on the ring of ids.
  func successor(of id: NodeID) -> NodeID? {
    guard activeCount > 0 else { return nil }
    let start = place(of: id)
    for offset in 0..<peers.count {
      let peer = peers[(start + offset) % peers.count]
      if peer.isActive { return peer.id }
    }
    return nil
  }

  /// Up to `count` random members that meet a condition.
  func pick(_ count: Int, using random: inout SeededGenerator, where condition: (Peer) -> Bool) -> [Peer] {
    var found = peers.indices.filter { condition(peers[$0]) }
    let wanted = min(count, found.count)
    for place in 0..<wanted { found.swapAt(place, .random(in: place..<found.count, using: &random)) }
    return found.prefix(wanted).map { peers[$0] }
  }

  private mutating func enrol(_ id: NodeID, using random: inout SeededGenerator) {
    activeCount += 1
    order.insert(id, at: .random(in: 0...order.count, using: &random))
  }

  private func place(of id: NodeID) -> Int {
    var low = 0
    var high = peers.count
    while low < high {
      let middle = (low + high) / 2
      if peers[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
