// The virtual world: time, machines, network, and what happens next.

import Causality
import Membership
import Node
import Replication

/// What happens at a time.
enum Happening {
  case tick(Int, life: UInt64)
  case act(Int, life: UInt64)
  case flush(Int, life: UInt64)
  case capture(Int, life: UInt64, FileID)
  case datagram([UInt8], from: Int, to: Int)
  case stateRequest([UInt8], from: Int, to: Int)
  case stateAnswer([UInt8], to: Int)
  case stateFailure(String, to: Int)
  case opened(UInt64)
  case frame([UInt8], stream: UInt64, side: Int)
  case closing(UInt64, side: Int)
  case gathered(Int, life: UInt64, UInt64, [WantedContent])
  case apply(Int, life: UInt64, Parcel)
  case boot(Int)
  case begin(Int)
  case end(Int)
  case beat
  case inspect
  case heal

  /// The machine that can do this only while it does not stand still.
  var host: Int? {
    switch self {
    case .tick(let host, _), .act(let host, _), .flush(let host, _), .capture(let host, _, _),
      .gathered(let host, _, _, _),
      .apply(let host, _, _), .datagram(_, _, let host), .stateRequest(_, _, let host), .stateAnswer(_, let host),
      .stateFailure(_, let host):
      host
    case .opened, .frame, .closing, .boot, .begin, .end, .beat, .inspect, .heal: nil
    }
  }
}

/// A run: everything that a seed decides.
final class World {
  let seed: UInt64
  let faults: Set<Fault>
  let mutation: Mutation?
  let isTraced: Bool
  let length: Span
  let membership: MembershipConfiguration
  let plan: FaultPlan
  let habits: Habits
  let diskDelay: UInt64

  var now = Instant.zero
  var queue = EventQueue<Happening>()
  var network: Network
  var hosts: [Host] = []
  var random: SeededGenerator
  var hasHealed = false
  var counts = SimulationCounts()
  var sum = TraceSum()
  private(set) var failure: Failure?
  private(set) var timeline: [TimelineEntry] = []
  private(set) var ledger: Ledger!
  /// The file whose record is noted whenever it changes.
  let watched: FileID?
  var seen: [Int: String] = [:]
  /// No run needs as many events in a second of virtual time.
  static let eventsPerSecond: UInt64 = 50_000
  private var eventsAtSecond: UInt64 = 0

  init(seed: UInt64, nodes: Int, faults: Set<Fault>, length: Span, _ options: SimulationOptions) {
    self.seed = seed
    self.faults = faults
    self.length = length
    mutation = options.mutation
    isTraced = options.isTraced
    watched = options.watched
    random = SeededGenerator.of(seed, 3)
    plan = FaultPlan(seed: seed, faults: faults, nodes: nodes, length: length)
    habits = Habits(seed: seed)
    var choice = SeededGenerator.of(seed, 4)
    let profiles: [MembershipConfiguration] = [.local(mesh: 1), .lan(mesh: 1), .wan(mesh: 1)]
    membership = profiles.randomElement(using: &choice)!
    diskDelay = [0, 5, 60].randomElement(using: &choice)!
    network = Network(nodes)
    ledger = Ledger(world: self)
    hosts = (0..<nodes).map { Host(index: $0, world: self, seed: seed) }
    setUp()
  }

  // MARK: Telling

  /// Notes what happens, for people.
  func note(_ node: Int?, _ text: @autoclosure () -> String) {
    guard isTraced else { return }
    timeline.append(TimelineEntry(at: now, node: node, text: text()))
  }

  /// Something does not hold; the first finding ends the run.
  func fail(_ kind: Failure.Kind, at node: Int, _ text: String) {
    guard failure == nil else { return }
    failure = Failure(kind: kind, node: node, at: now, text: text)
    note(node, "FAILED \(kind.rawValue): \(text)")
  }

  func name(of id: NodeID) -> String { hosts.first { $0.id == id }.map { "node \($0.index)" } ?? "\(id)" }

  // MARK: Running

  /// Runs until the faults are over, all has healed and all nodes hold the same, or something fails. Returns how long
  /// it took after the heal.
  func run(patience: Span) -> Span? {
    let end = Instant.zero + length
    while failure == nil, let next = queue.first {
      if next.at.nanoseconds / 1_000_000_000 != now.nanoseconds / 1_000_000_000 { eventsAtSecond = counts.events }
      if counts.events - eventsAtSecond > Self.eventsPerSecond {
        fail(
          .liveness, at: 0, "more than \(Self.eventsPerSecond) events in a second: they cause each other without end")
      }
      now = max(now, next.at)
      let item = queue.removeFirst()
      happen(item.payload)
      if hasHealed, case .inspect = item.payload, ledger.difference(hosts) == nil {
        if hosts.contains(where: { $0.pausedUntil > now }) { continue }
        ledger.checkConverged(hosts)
        counts.conflicts = UInt64(hosts[0].volume?.conflicts.count ?? 0)
        note(nil, "all nodes hold the same")
        return failure == nil ? now - end : nil
      }
      if now > end + patience {
        fail(.liveness, at: 0, "\(patience.seconds) s after the heal: \(ledger.difference(hosts) ?? "")")
      }
    }
    return nil
  }

  private func happen(_ happening: Happening) {
    if let host = happening.host, hosts[host].pausedUntil > now {
      return queue.add(happening, at: hosts[host].pausedUntil)
    }
    counts.events += 1
    sum.add(now.nanoseconds)
    switch happening {
    case .tick(let host, let life): if hosts[host].life == life { hosts[host].tick() }
    case .act(let host, let life): if hosts[host].life == life, !hasHealed { act(hosts[host]) }
    case .flush(let host, let life):
      guard hosts[host].life == life else { return }
      hosts[host].synchronizeDisk()
      if faults.contains(.bitRot) { hosts[host].scrub() }
      hosts[host].collect()
      queue.add(happening, at: now + hosts[host].random.span(500...3_000))
    case .capture(let host, let life, let file): if hosts[host].life == life { hosts[host].capture(file) }
    case .gathered(let host, let life, let parcel, let missing):
      guard hosts[host].life == life else { return }
      hosts[host].handle(.gathered(volume: Host.volume, parcel: parcel, missing: missing))
    case .apply(let host, let life, let parcel): if hosts[host].life == life { hosts[host].apply(parcel) }
    case .datagram(let bytes, let from, let to):
      sum.add(bytes)
      hosts[to].handle(.membership(.datagram(bytes, from: Network.gossip(from))))
    case .stateRequest(let bytes, let from, let to):
      sum.add(bytes)
      if hosts[to].isUp {
        hosts[to].handle(.membership(.stateRequested(UInt64(from), bytes)))
      } else {
        queue.add(.stateFailure(Network.sync(to), to: from), at: now + .milliseconds(5))
      }
    case .stateAnswer(let bytes, let to): hosts[to].handle(.membership(.stateAnswered(bytes)))
    case .stateFailure(let address, let to): hosts[to].handle(.membership(.stateFailed(address)))
    case .opened(let stream): opened(stream)
    case .frame(let bytes, let stream, let side): arrive(bytes, stream, side)
    case .closing(let stream, let side): closed(stream, side)
    case .boot(let host): if hosts[host].isWanted { hosts[host].boot() }
    case .begin(let episode): begin(plan.episodes[episode])
    case .end(let episode): end(plan.episodes[episode])
    case .beat: beat()
    case .inspect:
      for host in hosts { ledger.inspect(host) }
      queue.add(.inspect, at: now + (hasHealed ? .milliseconds(250) : .seconds(2)))
    case .heal: heal()
    }
    bury()
    watch()
  }

  /// Who died while writing is dead.
  private func bury() {
    for host in hosts where host.disk.isDead {
      kill(host, "is killed while it writes")
      queue.add(.boot(host.index), at: now + host.random.span(50...3_000))
    }
  }
}
