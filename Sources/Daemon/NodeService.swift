// A node from its configuration: start, run, stop.

import Admin
import Causality
import Glibc
import Logging
import Membership
import Mount
import NIOPosix
import Node
import Replication
import Storage
import Synchronization
import Transport

/// A running node: sockets, volumes, mounts.
public final class NodeService: Sendable {
  /// What it was started with.
  public let configuration: Configuration
  /// Who it is.
  public let identity: NodeIdentity
  /// Its engine.
  public let engine: Engine
  let credentials: Credentials
  let transport: SyncTransport
  let gossip: GossipSocket
  let seal: GossipSeal
  let gate: LinkGate
  private let directory: DataDirectory
  private let group: MultiThreadedEventLoopGroup
  private let log: Logger
  let drills = LinkDrills()
  let keyChanges = Mutex(())
  let volumeChanges = Mutex(())
  private let admin = Mutex<AdminServer?>(nil)
  private let ready = Mutex(false)
  private let isStopped = Mutex(false)

  /// Holds the engine for sockets that exist before it.
  private final class Box: Sendable {
    let engine = Mutex<Engine?>(nil)
    var value: Engine? { engine.withLock { $0 } }
  }

  /// Starts a node: when this returns its volumes are mounted and it is looking for its mesh.
  ///
  /// - Parameter watchesMounts: whether a child process ends the mounts should this one be killed; only for a process
  ///   whose executable is `grapevine`.
  public static func start(
    _ configuration: Configuration, log: Logger, watchesMounts: Bool = false
  ) async throws -> NodeService {
    ContentStore.tuneMemory()
    let service = try await NodeService(configuration, log: log)
    do {
      try await service.startAdmin()
      try service.carryVolumes()
      try service.directory.markRunning()
      try service.engine.recallHolders()
      try service.mountVolumes()
      if watchesMounts { MountWatch.start(mountPoints: service.mountPoints) }
      service.takeOrders()
      service.engine.start(join: configuration.mesh.join.flatMap { Self.addresses($0) })
      service.ready.withLock { $0 = true }
      return service
    } catch {
      await service.stop()
      throw error
    }
  }

  private init(_ configuration: Configuration, log: Logger) async throws {
    self.configuration = configuration
    self.log = log
    credentials = try Credentials.load(from: configuration.mesh.credentials)
    identity = credentials.identity
    directory = try DataDirectory(path: configuration.node.dataDirectory)
    group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
    gate = LinkGate()
    seal = GossipSeal(mesh: credentials.mesh, ring: credentials.gossipKeys)
    let box = Box()
    gossip = GossipSocket(bind: configuration.gossip.bind, seal: seal, gate: gate, group: group, log: log) {
      bytes, address in box.value?.received(bytes, from: address)
    }
    transport = try SyncTransport(
      bind: configuration.sync.bind, credentials: credentials, group: group,
      handlers: SyncTransport.Handlers(
        connected: { connection, remote, here in
          if let engine = box.value { engine.handlers.connected(connection, remote, here) } else { connection.close() }
        },
        received: { box.value?.handlers.received($0, $1, $2) },
        closed: { box.value?.handlers.closed($0, $1) }), log: log, gate: gate)
    let gossipBound = try await gossip.start()
    let syncBound = try await transport.start()
    let records = try RecordStore(path: directory.path + "/node.db")
    let card = Self.card(configuration, identity, gossip: gossipBound, sync: syncBound)
    var membership = Self.profile(configuration.gossip.profile, mesh: credentials.mesh)
    membership.mesh = credentials.mesh
    var generator = SystemRandomNumberGenerator()
    let lease = Stamp(rawValue: try NodeRecords.number(NodeRecords.leaseKey, in: records))
    var clock = HybridLogicalClock(resumingAbove: lease)
    _ = clock.next(wall: SystemClock.wall)
    try records.commit([NodeRecords.lease(clock.proposedLease())], durably: true)
    clock.grant(lease: clock.proposedLease())
    var node = Node(
      id: identity.node,
      membership: Membership(
        configuration: membership, card: card,
        incarnation: try NodeRecords.number(NodeRecords.incarnationKey, in: records), seed: generator.next()),
      clock: clock, volumes: [])
    node.allowedOffset = configuration.node.maxClockOffset.nanoseconds / 1_000_000
    engine = Engine(node: node, nodeRecords: records, log: log)
    engine.links.withLock { $0 = Engine.Links(gossip: gossip, transport: transport) }
    box.engine.withLock { $0 = engine }
  }

  /// The entries of one `join` setting; it may hold several with commas between.
  private static func addresses(_ text: String) -> [String] {
    text.split(whereSeparator: { $0 == "," || $0 == " " }).map(String.init)
  }

  private static func profile(_ profile: Configuration.Profile, mesh: UInt64) -> MembershipConfiguration {
    switch profile {
    case .local: .local(mesh: mesh)
    case .lan: .lan(mesh: mesh)
    case .wan: .wan(mesh: mesh)
    }
  }

  private static func card(
    _ configuration: Configuration, _ identity: NodeIdentity, gossip: String, sync: String
  ) -> MemberCard {
    let join = configuration.mesh.join.flatMap { addresses($0) }.first
    let gossipAddress = AdvertisedAddress.resolve(configuration.gossip.advertise, bound: gossip, towards: join)
    let host = Endpoint(gossipAddress)?.host ?? "127.0.0.1"
    let port = Endpoint(sync)?.port ?? 7_947
    let syncAddress =
      configuration.sync.advertise.isEmpty
      ? Endpoint(host: host, port: port).description : configuration.sync.advertise
    return MemberCard(
      id: identity.node, name: configuration.node.name.isEmpty ? identity.name : configuration.node.name,
      region: configuration.node.region.isEmpty ? identity.region : configuration.node.region, gossip: gossipAddress,
      sync: syncAddress, protocolMinimum: Message.protocols.lowerBound, protocolMaximum: Message.protocols.upperBound)
  }

  private func carryVolumes() throws {
    var names: [String] = []
    for name in configuration.volumes.map(\.name) + configuration.mounts.map(\.source) where !names.contains(name) {
      names.append(name)
    }
    try ContentStore.makeDirectory(volumesDirectory)
    for name in ContentStore.names(in: volumesDirectory)
    where VolumeSize.load(from: volumesDirectory + "/" + name) != nil && !names.contains(name) {
      names.append(name)
    }
    for name in names {
      let path = volumesDirectory + "/" + name
      let limit = configuration.volumes.first { $0.name == name }?.sizeBytes ?? VolumeSize.load(from: path) ?? 0
      try engine.carry(name, directory: path, sizeLimit: limit, after: directory.previousEnd)
    }
  }

  private var mountPoints: [String] {
    configuration.mounts.compactMap { mount in
      guard let path = realpath(mount.destination, nil) else { return nil }
      defer { free(path) }
      return String(cString: path)
    }
  }

  private func mountVolumes() throws {
    for mount in configuration.mounts {
      var path = ""
      for part in mount.destination.split(separator: "/") {
        path += "/" + part
        if access(path, F_OK) != 0, errno == ENOENT { try ContentStore.makeDirectory(path) }
      }
    }
    try engine.databaseHelper?.keepRunning()
    for mount in configuration.mounts {
      guard let volume = engine.volume(mount.source) else { continue }
      let mounted = try VolumeMount(
        host: volume, mountPoint: mount.destination, volumeName: mount.source, options: MountOptions())
      volume.mount.withLock { $0 = mounted }
      volume.live.start()
      log.info("mounted", metadata: ["volume": "\(mount.source)", "at": "\(mount.destination)"])
    }
  }

  // MARK: Being asked

  var volumesDirectory: String { directory.path + "/volumes" }
  /// What people call the node.
  public var name: String { configuration.node.name.isEmpty ? identity.name : configuration.node.name }
  /// Where it stands.
  public var region: String { configuration.node.region.isEmpty ? identity.region : configuration.node.region }
  /// Whether the volumes are mounted.
  public var isReady: Bool { ready.withLock { $0 } }

  /// Whether everything that peers say they hold is here, and all active members are connected. While nobody was
  /// found yet, a node that has addresses to join waits ten seconds before it calls itself complete.
  public var isCaughtUp: Bool {
    let isYoung = SystemClock.now - engine.started < .seconds(10)
    let hopes = configuration.mesh.join.contains { !$0.isEmpty }
    return engine.read { node in
      let others = node.membership.members.filter { $0.id != node.id && $0.status.isActive }
      if others.isEmpty { return !(isYoung && hopes) }
      let greeted = Set(node.greeted)
      return others.allSatisfy { member in
        greeted.contains(member.id)
          && node.volumeNames.allSatisfy { name in
            let held = node.held(by: member.id, of: name) ?? VersionVector()
            return node.volume(name)?.vector.covers(held) ?? true && node.parcelCount(name) == 0
          }
      }
    }
  }

  private func startAdmin() async throws {
    let routes = AdminRoutes(service: self)
    let server = AdminServer(
      socket: configuration.admin.socket, http: configuration.admin.http, token: configuration.admin.token,
      group: group, log: log
    ) { await routes.answer($0) }
    admin.withLock { $0 = server }
    _ = try await server.start()
  }

  private func takeOrders() {
    engine.orders.withLock { orders in
      orders = PeerOrders(
        carry: { [weak self] name, size in (try? self?.carry(name, sizeBytes: size)) != nil },
        keys: { [weak self] order in (try? self?.change(order)) != nil })
    }
  }

  /// Ends the process in order, as SIGTERM does, once the answer that says so is out.
  func endSoon() {
    Task {
      try? await Task.sleep(for: .milliseconds(100))
      kill(getpid(), SIGTERM)
    }
  }

  /// Records everything, unmounts, says goodbye, closes; idempotent.
  public func stop() async {
    let first = isStopped.withLock { isStopped in
      defer { isStopped = true }
      return !isStopped
    }
    guard first else { return }
    ready.withLock { $0 = false }
    for volume in engine.allVolumes {
      volume.live.stop()
      let mount = volume.mount.withLock { mount in
        defer { mount = nil }
        return mount
      }
      mount?.unmount()
      volume.store(durably: true)
    }
    engine.databaseHelper?.stop()
    engine.handle(.membership(.leave))
    try? await Task.sleep(for: .milliseconds(300))
    engine.stop()
    let server = admin.withLock { admin in
      defer { admin = nil }
      return admin
    }
    engine.events.close()
    await server?.shutdown()
    await transport.shutdown()
    await gossip.shutdown()
    engine.links.withLock { $0 = nil }
    try? directory.markClean()
    directory.release()
    try? await group.shutdownGracefully()
  }
}

/// The address by which others reach a socket.
enum AdvertisedAddress {
  /// The given one; else the bound one, with the address of the route out where it is bound to every address.
  static func resolve(_ given: String, bound: String, towards join: String?) -> String {
    if !given.isEmpty { return given }
    guard let endpoint = Endpoint(bound), ["0.0.0.0", "::"].contains(endpoint.host) else { return bound }
    let target = join.flatMap { Endpoint($0)?.host } ?? "192.0.2.1"
    return Endpoint(host: localAddress(towards: target) ?? "127.0.0.1", port: endpoint.port).description
  }

  /// The address of this machine from which packets to `host` would go; nothing is sent.
  private static func localAddress(towards host: String) -> String? {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
    hints.ai_family = AF_INET
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, "9", &hints, &found) == 0, let found else { return nil }
    defer { freeaddrinfo(found) }
    let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    guard connect(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0 else { return nil }
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &length) }
    }
    guard status == 0 else { return nil }
    var text = [CChar](repeating: 0, count: Int(INET_ADDRSTRLEN))
    guard inet_ntop(AF_INET, &address.sin_addr, &text, socklen_t(text.count)) != nil else { return nil }
    return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
