// The engine: owns the core of the node, feeds it events, carries out its effects.

import Causality
import Glibc
import Logging
import Membership
import Mount
import Node
import Replication
import Storage
import Synchronization
import Transport
import Wire

/// The running core of a node.
///
/// The core is a value under one mutex. Its effects go, in order, to the thread `dispatcher`, which sends and hands on
/// what takes longer: bytes for peers to `servers`, everything that changes files to the thread `applier`.
public final class Engine: Sendable {
  /// How the engine reaches others; set once before the start.
  struct Links: Sendable {
    var gossip: GossipSocket
    var transport: SyncTransport
  }

  let core: CoreLock
  let volumes = Mutex<[String: CarriedVolume]>([:])
  let links = Mutex<Links?>(nil)
  let connections = Mutex<[ConnectionID: PeerConnection]>([:])
  let tokens = Mutex<[UInt64: ConnectionID]>([:])
  let alarms = Mutex<[NodeAlarm: UInt64]>([:])
  let staging = Staging()
  let asking = Asking()
  let holderNotes = HolderNotes()
  let events = EventHub()
  let orders = Mutex<PeerOrders?>(nil)
  let originNames = Mutex<[String: [NodeID: NodeID]]>([:])
  let dispatcher = WorkThread()
  let applier = WorkThread()
  let server = WorkThread()
  let wakeUp = WakeUp()
  let isStopping = Atomic<Bool>(false)
  let loops = Mutex<[WorkThread]>([])
  let nodeRecords: RecordStore
  /// The process that works on live databases.
  let databaseHelper = DatabaseHelper.ownProgram.map { DatabaseHelper(program: $0) }
  let log: Logger
  let started = SystemClock.now
  let startedWall = SystemClock.wall

  /// An engine for a core; nothing runs until `start`.
  public init(node: Node, nodeRecords: RecordStore, log: Logger) {
    core = CoreLock(node)
    self.nodeRecords = nodeRecords
    self.log = log
  }

  // MARK: The core

  /// Hands an event to the core and has its effects carried out.
  func handle(_ event: NodeEvent) {
    let isIdle = core.withLock { node, effects in
      node.handle(event, at: SystemClock.now, wall: SystemClock.wall, into: &effects)
      return effects.isEmpty
    }
    if !isIdle { dispatcher.add { self.dispatch() } }
  }

  /// Reads the core.
  func read<R>(_ body: (Node) -> R) -> R { core.withLock { node, _ in body(node) } }

  /// Changes the core and has the effects carried out.
  func change<R>(_ body: (inout Node, inout [NodeEffect]) -> R) -> R {
    let result = core.withLock(body)
    dispatcher.add { self.dispatch() }
    return result
  }

  func withVolume<R>(_ name: String, _ body: (inout Volume, () -> Stamp) throws -> R) rethrows -> R {
    try core.withLock { node, _ in try node.withVolume(name, wall: SystemClock.wall, body) }
  }

  /// What must be stored of a volume, and then told; and whether more waits.
  func takeWork(
    _ name: String
  ) -> (
    touched: [StoredRecord], outgoing: (sequences: ClosedRange<UInt64>, delta: Delta)?, more: Bool,
    vector: VersionVector
  ) {
    core.withLock { node, _ in
      node.withVolume(name, wall: 0) { volume, _ in
        let touched = volume.takeTouched().map { volume.stored($0) }
        let outgoing = volume.takeOutgoing()
        return (touched, outgoing, volume.hasWork, volume.vector)
      }
    }
  }

  /// Something was changed locally: store it and tell it soon.
  func wake() { wakeUp.raise() }

  func volume(_ name: String) -> CarriedVolume? { volumes.withLock { $0[name] } }

  var allVolumes: [CarriedVolume] { volumes.withLock { $0.sorted { $0.key < $1.key }.map(\.value) } }

  // MARK: Life

  /// Starts the loops: storing, time, housekeeping.
  func start(join: [String]) {
    let storer = WorkThread()
    storer.add { self.storeLoop() }
    let timer = WorkThread()
    timer.add { self.timeLoop() }
    let keeper = WorkThread()
    keeper.add { self.keepLoop() }
    loops.withLock { $0 = [storer, timer, keeper] }
    handle(.membership(.start(join: join)))
  }

  /// Ends the loops; everything recorded is on disk when this returns.
  func stop() {
    isStopping.store(true, ordering: .releasing)
    wakeUp.raise()
    for loop in loops.withLock({ $0 }) { loop.stop() }
    server.stop()
    applier.stop()
    dispatcher.stop()
    for volume in allVolumes { volume.store(durably: true) }
  }

  private func storeLoop() {
    while !isStopping.load(ordering: .acquiring) {
      wakeUp.wait(milliseconds: 1_000)
      for volume in allVolumes { volume.store(durably: false) }
    }
  }

  private func timeLoop() {
    while !isStopping.load(ordering: .acquiring) {
      handle(.tick)
      usleep(20_000)
    }
  }

  private func keepLoop() {
    var round = 0
    while !isStopping.load(ordering: .acquiring) {
      usleep(100_000)
      round += 1
      for volume in allVolumes { volume.mount.withLock { $0 }?.capture() }
      renewLease()
      for volume in allVolumes where hasNewHolder(volume.name) { _ = storeHolders(of: volume.name) }
      guard round % 50 == 0 else { continue }
      for volume in allVolumes {
        if read({ $0.isVolatile(volume.name) }) { volume.store(durably: true) }
        collect(volume)
      }
      do { try databaseHelper?.keepRunning() } catch { storageFailed(error) }
    }
  }

  private func renewLease() {
    guard let lease = read({ $0.leaseDue }) else { return }
    do {
      try nodeRecords.commit([NodeRecords.lease(lease)], durably: true)
      core.withLock { node, _ in node.grant(lease: lease) }
    } catch { storageFailed(error) }
  }

  /// Forgets what every node has seen go.
  private func collect(_ volume: CarriedVolume) {
    guard storeHolders(of: volume.name) else { return }
    let pinned = volume.mount.withLock { $0 }?.openFiles ?? []
    let gone = core.withLock { node, _ in node.collect(volume.name) { pinned.contains($0) } }
    guard !gone.isEmpty else { return }
    volume.store(durably: false, also: gone.map { StoredRecord(key: BackingMark.key(of: $0), value: nil) })
    for file in gone { volume.content.remove(file) }
    volume.live.forget(gone)
  }

  /// A file of `.grapevine/` as text.
  func virtual(_ file: String, of name: String) -> [UInt8]? {
    switch file {
    case "status":
      let connected = read { $0.connected.count }
      return Array("volume \(name)\nconnected \(connected)\n".utf8)
    case "position": return Array((position(of: name) + "\n").utf8)
    case "lag": return Array(lag(of: name).utf8)
    default: return nil
    }
  }

  /// What this node holds of a volume, as a token.
  func position(of name: String) -> String { read { $0.volume(name)?.vector.description ?? "{}" } }

  /// For each connected peer how many changes it is behind, and how many it is ahead.
  private func lag(of name: String) -> String {
    read { node in
      guard let own = node.volume(name)?.vector else { return "" }
      return node.connected.map { peer in
        let held = node.held(by: peer, of: name) ?? VersionVector()
        func count(_ gaps: [(origin: NodeID, sequences: ClosedRange<UInt64>)]) -> Int {
          gaps.reduce(0) { $0 + $1.sequences.count }
        }
        return "\(peer) behind \(count(own.missing(from: held))) ahead \(count(held.missing(from: own)))\n"
      }.joined()
    }
  }

  func storageFailed(_ error: any Error) {
    log.error("storage failed; what was not stored is not told to peers either", metadata: ["why": "\(error)"])
  }

  func raise(_ alarm: NodeAlarm) {
    let count = alarms.withLock { alarms in
      alarms[alarm, default: 0] += 1
      return alarms[alarm]!
    }
    events.tell("alarm", ["what": "\(alarm)"])
    if count & (count - 1) == 0 { log.warning("alarm", metadata: ["what": "\(alarm)", "times": "\(count)"]) }
  }
}

/// The node's own records.
enum NodeRecords {
  static let leaseKey = Array("lease".utf8)
  static let incarnationKey = Array("incarnation".utf8)

  static func lease(_ stamp: Stamp) -> StoredRecord { number(leaseKey, stamp.rawValue) }

  static func number(_ key: [UInt8], _ value: UInt64) -> StoredRecord {
    var writer = ByteWriter()
    writer.write(value)
    return StoredRecord(key: key, value: writer.bytes)
  }

  static func number(_ key: [UInt8], in store: RecordStore) throws -> UInt64 {
    guard let bytes = try store.records(prefix: key).first?.value else { return 0 }
    var reader = ByteReader(bytes)
    return try reader.readUInt64()
  }
}
