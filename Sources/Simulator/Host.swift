// One machine: its disk and clock, and while it is up, a node.

import Causality
import Membership
import Node
import Replication

/// What programs wrote into a file and what is not recorded yet.
struct DirtyFile: Sendable {
  var chunks = Set<UInt64>()
  var since: Instant
}

/// A request for the bytes of a damaged chunk.
struct Repair: Sendable {
  var place: ContentPlace
  var peer: NodeID
  var asked: Instant
}

/// One machine.
final class Host {
  static let volume = "v"

  let index: Int
  let id: NodeID
  unowned let world: World
  var random: SeededGenerator
  var disk = Disk()
  var clock = WallClock()
  /// The core; nil while the machine is down.
  var node: Node?
  /// Which life this is; what was meant for an earlier one is dropped.
  var life: UInt64 = 0
  /// Whether it should run, and whether it ever did.
  var isWanted = false
  var lostPower = false
  var bootedAt = Instant.zero
  var pausedUntil = Instant.zero
  var dirty: [FileID: DirtyFile] = [:]
  /// Bytes put aside for parcels.
  var staged: [UInt64: [ContentHash: [UInt8]]] = [:]
  /// Chunks whose bytes are known to be wrong, and how many peers did not have them.
  var damaged: [ContentPlace: Int] = [:]
  /// Chunks whose bytes are wrong and nobody knows.
  var rotten = Set<ContentPlace>()
  var repairs: [UInt64: Repair] = [:]
  var nextRepair: UInt64 = 1 << 62
  var connections: [NodeID: ConnectionID] = [:]
  /// The latest stamp it ever gave, over all its lives.
  var lastStamp = Stamp.zero

  init(index: Int, world: World, seed: UInt64) {
    self.index = index
    self.world = world
    random = SeededGenerator.of(seed, 1_000 + UInt64(index))
    var names = SeededGenerator.of(seed, 2_000 + UInt64(index))
    id = NodeID(names.next())
  }

  var isUp: Bool { node != nil }
  var volume: Volume? { node?.volume(Self.volume) }
  var wall: UInt64 { clock.wall(world.now) }
  var local: Instant { Instant(nanoseconds: world.now.nanoseconds - bootedAt.nanoseconds + 1_000_000_000) }
  var card: MemberCard {
    MemberCard(
      id: id, name: "node-\(index)", region: ["lhr", "ord", "syd"][index % 3], gossip: Network.gossip(index),
      sync: Network.sync(index))
  }

  // MARK: Life

  /// Starts from what the disk holds.
  func boot() {
    guard node == nil else { return }
    life += 1
    bootedAt = world.now
    let stored = disk.state.records.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    let records = stored.map { StoredRecord(key: $0.key, value: $0.value) }
    var volume: Volume
    do {
      volume = try Volume(name: Self.volume, origin: NodeID(random.next()), records: records)
    } catch {
      return world.fail(.durability, at: index, "the records can not be read: \(error)")
    }
    if lostPower { world.ledger.noteRollback(volume.origin, to: volume.vector[volume.origin]) }
    if lostPower, world.mutation != .reuseOrigin { volume.adopt(origin: NodeID(random.next())) }
    if lostPower, world.mutation != .reuseOrigin { world.ledger.noteAdoption(volume) }
    let fresh = records.isEmpty
    var hybrid = HybridLogicalClock(resumingAbove: world.mutation == .forgetLease ? .zero : disk.state.lease)
    _ = hybrid.next(wall: wall)
    let membership = Membership(
      configuration: world.membership, card: card, incarnation: disk.state.incarnation, seed: random.next())
    node = Node(id: id, membership: membership, clock: hybrid, volumes: [volume])
    if world.mutation != .forgetHolders {
      for (holder, vector) in disk.state.holders.sorted(by: { $0.key < $1.key }) {
        node!.remember(holder, holding: vector, of: Self.volume)
      }
    }
    if fresh { disk.perform(.transaction([volume.stored(.vector)], clean: [])) }
    let wasPowerLoss = lostPower
    world.ledger.checkRestart(of: self, afterPowerLoss: wasPowerLoss)
    recover(afterPowerLoss: wasPowerLoss)
    if wasPowerLoss { persist() }
    synchronizeDisk()
    if !disk.isDead { lostPower = false }  // Until the new origin is durable, the next life must take another.
    handle(.membership(.start(join: [0, 1, 2].filter { $0 != index && $0 < world.hosts.count }.map(Network.gossip))))
    world.queue.add(.tick(index, life: life), at: world.now)
    world.queue.add(.act(index, life: life), at: world.now + random.span(50...500))
    world.queue.add(.flush(index, life: life), at: world.now + random.span(500...2_500))
    world.note(index, "starts\(life == 1 ? "" : ", life \(life)")\(wasPowerLoss ? ", under a new origin" : "")")
  }

  /// The process ends without a word.
  func die(_ how: String) {
    guard node != nil else { return }
    world.note(index, how)
    node = nil
    life += 1
    dirty.removeAll()
    staged.removeAll()
    repairs.removeAll()
    connections.removeAll()
    disk.revive()
    disk.isFull = false
  }

  /// Finds what the last life left half done.
  private func recover(afterPowerLoss: Bool) {
    guard let volume else { return }
    // What has no record is of no file, and its bytes must not show in the holes of one that comes later.
    for id in disk.state.files.keys.sorted() where volume.files[id] == nil { disk.perform(.discard(id)) }
    for (id, mark) in disk.state.marks.sorted(by: { $0.key < $1.key }) {
      switch mark {
      case .dirty:
        guard volume.files[id] != nil else { continue }
        dirty[id] = DirtyFile(chunks: Set(mismatches(of: id)), since: world.now)
        capture(id)
      case .applying:
        restoreSize(of: id)
        for chunk in mismatches(of: id) { distrust(ContentPlace(file: id, index: chunk)) }
        disk.perform(.transaction([], clean: [id]))
      }
    }
    if afterPowerLoss { scrub() }
  }

  /// Compares all bytes with their hashes; what is wrong is to be repaired.
  func scrub() {
    guard let volume else { return }
    for id in volume.files.keys.sorted() where dirty[id] == nil {
      restoreSize(of: id)
      for chunk in mismatches(of: id) { distrust(ContentPlace(file: id, index: chunk)) }
    }
    rotten = rotten.filter { dirty[$0.file] != nil }
  }

  /// The bytes there are wrong: a hole is made a hole again, anything else is to be fetched.
  private func distrust(_ place: ContentPlace) {
    guard let file = volume?.files[place.file] else { return }
    let size = Int(file.form.chunkSize)
    if file.chunks[place.index] == nil {
      disk.perform(.bytes(place.file, offset: Int(place.index) * size, [UInt8](repeating: 0, count: size)))
      restoreSize(of: place.file)
    } else if damaged[place] == nil {
      damaged[place] = 0
    }
  }

  func restoreSize(of id: FileID) {
    guard let file = volume?.files[id], disk.state.files[id]?.count ?? 0 != Int(file.size) else { return }
    disk.perform(.size(id, Int(file.size)))
  }

  /// The chunks whose bytes are not what the table says, holes included.
  func mismatches(of id: FileID) -> [UInt64] {
    guard let file = volume?.files[id] else { return [] }
    let bytes = disk.state.files[id] ?? []
    let size = Int(file.form.chunkSize)
    var wrong: [UInt64] = []
    for index in 0..<UInt64((max(bytes.count, Int(file.size)) + size - 1) / size) {
      if !isSound(bytes, Int(index) * size, size, file.chunks[index]) { wrong.append(index) }
    }
    return wrong
  }

  private func isSound(_ bytes: [UInt8], _ start: Int, _ size: Int, _ chunk: Chunk?) -> Bool {
    guard start < bytes.count else { return chunk == nil }
    let region = bytes[start..<min(bytes.count, start + size)]
    guard let chunk else { return region.allSatisfy { $0 == 0 } }
    guard region.count >= Int(chunk.length) else { return false }
    let content = region.prefix(Int(chunk.length))
    return ContentDigest.hash(content) == chunk.hash && region.dropFirst(Int(chunk.length)).allSatisfy { $0 == 0 }
  }

  // MARK: Events

  /// Hands an event to the core, makes what it changed durable, does what it asks.
  func handle(_ event: NodeEvent) {
    guard node != nil, !disk.isDead else { return }
    var effects: [NodeEffect] = []
    node!.handle(event, at: local, wall: wall, into: &effects)
    if node!.volume(Self.volume)!.hasWork { persist() }
    storeHolders(onlyNew: true)
    for effect in effects {
      guard node != nil, !disk.isDead else { return }
      perform(effect)
    }
  }

  /// Stores who holds what: after a restart nothing is forgotten that those have not seen whom it has not met again.
  func storeHolders(onlyNew: Bool) {
    guard let node else { return }
    let holders = node.holders(of: Self.volume)
    if onlyNew, holders.allSatisfy({ disk.state.holders[$0] != nil }) { return }
    var vectors: [NodeID: VersionVector] = [:]
    for holder in holders {
      vectors[holder] = node.heldDurably(by: holder, of: Self.volume) ?? VersionVector()
    }
    disk.perform(.holders(vectors))
    if onlyNew { disk.sync() }
  }

  func tick() {
    handle(.tick)
    guard let node else { return }
    repair()
    var next = world.now + .milliseconds(50)
    if let deadline = node.membership.nextDeadline {
      next = min(next, world.now + max(.milliseconds(1), deadline - local))
    }
    world.queue.add(.tick(index, life: life), at: next)
  }
}
