// Fetching chunk contents: who is asked for what, with a window for each peer.

import Causality
import Replication

/// The contents that parcels of one volume still need, and the requests under way.
struct Fetches: Sendable {
  /// Bytes asked of one peer and not yet received, at most.
  static let windowBytes = 8 << 20
  /// Requests to one peer at a time, at most.
  static let windowRequests = 256

  struct Want: Sendable {
    var parcel: UInt64
    var content: WantedContent
    var sender: NodeID
    /// Peers that said it is gone.
    var refusedBy: Set<NodeID> = []
  }

  struct Load: Sendable {
    var bytes = 0
    var requests = 0
  }

  private(set) var queue: [Want] = []
  private var head = 0
  private(set) var underWay: [UInt64: (want: Want, peer: NodeID)] = [:]
  private var loads: [NodeID: Load] = [:]
  private var nextID: UInt64 = 1

  var isEmpty: Bool { head == queue.count && underWay.isEmpty }

  mutating func add(_ wants: [Want]) { queue.append(contentsOf: wants) }

  /// Takes back everything of a parcel.
  mutating func forget(parcel: UInt64) {
    queue = queue[head...].filter { $0.parcel != parcel }
    head = 0
    for (id, entry) in underWay where entry.want.parcel == parcel { finish(id) }
  }

  /// What a lost peer was asked for is to be asked of another.
  mutating func lose(peer: NodeID) {
    for id in underWay.keys.sorted() where underWay[id]!.peer == peer {
      queue.append(underWay[id]!.want)
      finish(id)
    }
    loads[peer] = nil
  }

  private mutating func finish(_ id: UInt64) {
    guard let entry = underWay.removeValue(forKey: id) else { return }
    loads[entry.peer]?.bytes -= Int(entry.want.content.chunk.length)
    loads[entry.peer]?.requests -= 1
  }

  /// What an answer must hash to.
  func expected(_ id: UInt64) -> ContentHash? { underWay[id]?.want.content.chunk.hash }

  /// An answer came; what it was for, unless nobody waits any more.
  mutating func answered(_ id: UInt64, by peer: NodeID) -> Want? {
    guard let entry = underWay[id], entry.peer == peer else { return nil }
    finish(id)
    return entry.want
  }

  /// A peer does not have it: ask another.
  mutating func refused(_ want: Want, by peer: NodeID) {
    var want = want
    want.refusedBy.insert(peer)
    queue.append(want)
  }

  /// The requests to send now; and the wants that nobody can serve.
  ///
  /// - Parameter holders: peers that are connected and may hold a change, best first.
  mutating func next(
    holders: (Want) -> [NodeID]
  ) -> (requests: [(peer: NodeID, request: ContentRequest)], hopeless: [Want]) {
    var requests: [(NodeID, ContentRequest)] = []
    var hopeless: [Want] = []
    var waiting: [Want] = []
    while head < queue.count {
      let want = queue[head]
      let candidates = holders(want).filter { !want.refusedBy.contains($0) }
      if candidates.isEmpty {
        hopeless.append(want)
        head += 1
        continue
      }
      let start = Int(want.content.index % UInt64(candidates.count))
      let rotated = candidates[start...] + candidates[..<start]
      guard let peer = rotated.first(where: { hasRoom($0, want) }) else {
        waiting.append(want)
        head += 1
        if waiting.count >= 16 { break }
        continue
      }
      head += 1
      let id = nextID
      nextID += 1
      loads[peer, default: Load()].bytes += Int(want.content.chunk.length)
      loads[peer]!.requests += 1
      underWay[id] = (want, peer)
      requests.append(
        (
          peer,
          ContentRequest(
            id: id, place: want.content.place,
            hash: want.content.chunk.hash, length: want.content.chunk.length)
        ))
    }
    head -= waiting.count
    queue.replaceSubrange(head..<head + waiting.count, with: waiting)
    if head == queue.count || head > 65_536 {
      queue.removeFirst(head)
      head = 0
    }
    return (requests, hopeless)
  }

  private func hasRoom(_ peer: NodeID, _ want: Want) -> Bool {
    let load = loads[peer] ?? Load()
    return load.requests < Self.windowRequests && (load.bytes == 0 || load.bytes < Self.windowBytes)
  }
}
