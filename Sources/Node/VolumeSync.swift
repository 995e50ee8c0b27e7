// Keeping one volume equal with its peers: parcels in, rounds of pulling, contents.

import Causality
import Replication

/// One volume of a node and everything that is on its way into it.
struct VolumeSync: Sendable {
  /// Parcels that wait or are being applied, at most; a push beyond is dropped and pulled later.
  static let parcelLimit = 512
  /// Bytes inside waiting parcels, at most.
  static let parcelBytes = 64 << 20
  /// How long a difference may stand before it is pulled: pushes under way usually close it.
  static let grace = Span.milliseconds(150)
  /// A round without progress for this long is given up.
  static let patience = Span.seconds(15)

  struct Round: Sendable {
    var id: UInt64
    var peer: NodeID
    var connection: ConnectionID
    var pending = Set<UInt64>()
    var claim: VersionVector?
    var lastProgress: Instant
  }

  enum Stage: Sendable {
    case waiting
    /// The sender was asked for these databases with all their pages.
    case askingWhole(Set<FileID>)
    case collecting
    case applying
  }

  var volume: Volume
  /// What each peer said it holds.
  var held: [NodeID: VersionVector] = [:]
  /// What each peer said it holds whatever happens to it.
  var heldDurably: [NodeID: VersionVector] = [:]
  /// Nodes of which peers said that they may hold the volume too.
  var hearsay = Set<NodeID>()
  /// What is held here whatever happens.
  var durable: VersionVector
  var parcels: [UInt64: Parcel] = [:]
  var stages: [UInt64: Stage] = [:]
  /// What a collecting parcel still lacks.
  var missing: [UInt64: Set<WantedContent>] = [:]
  /// For each record the parcels that touch it, in order of arrival: one is worked on at a time.
  var turns: [RecordKey: [UInt64]] = [:]
  var fetches = Fetches()
  var round: Round?
  var serving: [NodeID: PullServer] = [:]
  /// Ranges of an origin's changes that are applied or on their way, beyond the vector.
  var ahead: [NodeID: [Ahead]] = [:]
  var behindSince: [NodeID: Instant] = [:]
  var nextParcel: UInt64 = 1
  var nextRound: UInt64 = 1
  var waitingBytes = 0
  var announced: Message.VolumeVector?
  var wholesBegun = Set<FileID>()
  var pauseUntil = Instant.zero

  struct Ahead: Sendable {
    var sequences: ClosedRange<UInt64>
    var isApplied: Bool
  }

  init(volume: Volume) {
    self.volume = volume
    durable = volume.vector
  }

  /// The vector, with the pushes that are on their way.
  var reach: VersionVector {
    var reach = volume.vector
    for origin in ahead.keys.sorted() {
      for entry in ahead[origin]! where entry.sequences.lowerBound <= reach[origin] + 1 {
        reach.include(Dot(origin, entry.sequences.upperBound))
      }
    }
    return reach
  }

  /// Notes that a range of pushed changes is on its way; false when it leaves a gap or brings nothing.
  mutating func expect(_ origin: NodeID, _ sequences: ClosedRange<UInt64>) -> Bool {
    let known = reach[origin]
    guard sequences.lowerBound <= known + 1, sequences.upperBound > known else { return false }
    ahead[origin, default: []].append(Ahead(sequences: sequences, isApplied: false))
    return true
  }

  /// A pushed range has been applied: the vector moves over what is contiguous.
  mutating func complete(_ origin: NodeID, _ sequences: ClosedRange<UInt64>) {
    guard var entries = ahead[origin] else { return }
    if let place = entries.firstIndex(where: { $0.sequences == sequences }) { entries[place].isApplied = true }
    while let first = entries.first, first.isApplied, first.sequences.lowerBound <= volume.vector[origin] + 1 {
      volume.acknowledge(VersionVector([Dot(origin, first.sequences.upperBound)]))
      entries.removeFirst()
    }
    ahead[origin] = entries.isEmpty ? nil : entries
  }

  /// A pushed range will not come: what follows it can not be counted on either.
  mutating func fail(_ origin: NodeID, _ sequences: ClosedRange<UInt64>) {
    ahead[origin]?.removeAll { $0.sequences.lowerBound >= sequences.lowerBound && !$0.isApplied }
    if ahead[origin]?.isEmpty ?? false { ahead[origin] = nil }
  }

  /// Whether one more push can wait here.
  func hasRoom(at now: Instant) -> Bool {
    parcels.count < Self.parcelLimit && waitingBytes < Self.parcelBytes && pauseUntil <= now
  }

  /// The next part of what a peer pulls, while its window has room.
  mutating func nextPart(for peer: NodeID) -> (Message, [WantedContent])? {
    guard var server = serving[peer] else { return nil }
    defer { serving[peer] = server }
    return server.nextPart(of: volume, volumeName: volume.name)
  }

  // MARK: Parcels

  /// Takes in a parcel and starts on it when its records are free.
  mutating func accept(_ parcel: Parcel, into effects: inout [NodeEffect]) {
    parcels[parcel.id] = parcel
    stages[parcel.id] = .waiting
    waitingBytes += parcel.contents.values.reduce(0) { $0 + $1.bytes.count }
    for key in parcel.delta.keys { turns[key, default: []].append(parcel.id) }
    start(parcel.id, into: &effects)
  }

  private mutating func start(_ id: UInt64, into effects: inout [NodeEffect]) {
    guard let parcel = parcels[id], case .waiting? = stages[id],
      parcel.delta.keys.allSatisfy({ turns[$0]?.first == id })
    else { return }
    collect(id, into: &effects)
  }

  /// Finds what content is still missing, or applies.
  mutating func collect(_ id: UInt64, into effects: inout [NodeEffect]) {
    guard let parcel = parcels[id] else { return }
    let verdicts = volume.verdicts(of: parcel.delta)
    if verdicts.contains(where: { $0.verdict == .incomplete }) { return abandon(id, into: &effects) }
    // What its author had seen and is not here would be taken for seen later on: all of it is pulled instead.
    if case .push = parcel.kind, !volume.holdsContext(of: parcel.delta) { return abandon(id, into: &effects) }
    let partial = verdicts.filter { $0.verdict == .needsWhole }.map(\.file)
    guard partial.isEmpty else {
      stages[id] = .askingWhole(Set(partial))
      for file in partial {
        effects.append(.send(parcel.connection, .askWhole(volume: volume.name, parcel: id, file)))
      }
      return
    }
    let missing = volume.wanted(by: parcel.delta).filter { want in
      parcel.contents[want.place]?.hash != want.chunk.hash && !parcel.staged.contains(want)
    }
    guard !missing.isEmpty else { return apply(id, into: &effects) }
    stages[id] = .collecting
    self.missing[id] = Set(missing)
    let items = missing.map { want in
      GatherItem(wanted: want, place: volume.place(of: want.chunk.hash, length: want.chunk.length))
    }
    effects.append(.gather(volume: volume.name, parcel: id, items))
  }

  private mutating func apply(_ id: UInt64, into effects: inout [NodeEffect]) {
    stages[id] = .applying
    missing[id] = nil
    effects.append(.apply(volume: volume.name, parcels[id]!))
  }

  /// A database came with all its pages, or some of them.
  mutating func receiveWhole(_ delta: Delta, isLast: Bool, for id: UInt64, into effects: inout [NodeEffect]) {
    guard case .askingWhole(var asked)? = stages[id], let incoming = delta.files.first, asked.contains(incoming.id),
      let place = parcels[id]!.delta.files.firstIndex(where: { $0.id == incoming.id })
    else { return }
    if wholesBegun.insert(incoming.id).inserted {
      parcels[id]!.delta.files[place] = incoming
    } else {
      for element in incoming.chunks.elements {
        parcels[id]!.delta.files[place].chunks[element.index] = element.chunk
      }
    }
    guard isLast else { return }
    wholesBegun.remove(incoming.id)
    parcels[id]!.delta.wholes.insert(incoming.id)
    asked.remove(incoming.id)
    stages[id] = .askingWhole(asked)
    if asked.isEmpty { collect(id, into: &effects) }
  }

  /// Gives up the parcels that wait for a whole database of a peer that is gone.
  mutating func loseWholes(of peer: NodeID, into effects: inout [NodeEffect]) {
    for id in parcels.keys.sorted() where parcels[id]?.sender == peer {
      if case .askingWhole(let asked)? = stages[id] {
        wholesBegun.subtract(asked)
        abandon(id, into: &effects)
      }
    }
  }

  /// The owner looked on this machine; the rest must be fetched.
  mutating func gathered(_ id: UInt64, missing: [WantedContent], into effects: inout [NodeEffect]) {
    guard case .collecting? = stages[id], let wanted = self.missing[id], let sender = parcels[id]?.sender else {
      return
    }
    parcels[id]!.staged.formUnion(wanted.subtracting(missing))
    self.missing[id] = Set(missing)
    guard !missing.isEmpty else { return apply(id, into: &effects) }
    fetches.add(missing.map { Fetches.Want(parcel: id, content: $0, sender: sender) })
  }

  /// Bytes of a parcel are put aside, or will not come because nobody has them.
  mutating func settled(_ want: WantedContent, of id: UInt64, isThere: Bool, into effects: inout [NodeEffect]) {
    guard case .collecting? = stages[id] else { return }
    missing[id]?.remove(want)
    if isThere { parcels[id]!.staged.insert(want) }
    if missing[id]?.isEmpty ?? true { apply(id, into: &effects) }
  }

  /// Ends a parcel and starts those that waited for its records.
  mutating func remove(_ id: UInt64, into effects: inout [NodeEffect]) {
    guard let parcel = parcels.removeValue(forKey: id) else { return }
    stages[id] = nil
    missing[id] = nil
    waitingBytes -= parcel.contents.values.reduce(0) { $0 + $1.bytes.count }
    fetches.forget(parcel: id)
    var next = Set<UInt64>()
    for key in parcel.delta.keys {
      turns[key]?.removeAll { $0 == id }
      if let first = turns[key]?.first { next.insert(first) } else { turns[key] = nil }
    }
    for id in next.sorted() { start(id, into: &effects) }
  }

  /// Gives a parcel up; what it would have brought is pulled later.
  mutating func abandon(_ id: UInt64, into effects: inout [NodeEffect]) {
    guard let parcel = parcels[id] else { return }
    if case .applying? = stages[id] { return }
    effects.append(.abandon(volume: volume.name, parcel: id))
    switch parcel.kind {
    case .push(let origin, let sequences):
      fail(origin, sequences)
      abandonPushes(of: origin, after: sequences.upperBound, into: &effects)
    case .part(let round, _): if self.round?.id == round { self.round = nil }
    }
    remove(id, into: &effects)
  }

  /// What an origin did later must not be joined alone: it claims what came before it in the same file.
  private mutating func abandonPushes(of origin: NodeID, after last: UInt64, into effects: inout [NodeEffect]) {
    let later = parcels.values.filter { parcel in
      if case .push(origin, let sequences) = parcel.kind { return sequences.lowerBound > last }
      return false
    }
    for id in later.map(\.id).sorted(by: >) { abandon(id, into: &effects) }
  }
}
