// Faults as they strike and as they end.

import Causality
import Replication

extension World {
  /// The state of the world before anything happens.
  func setUp() {
    var choice = SeededGenerator.of(seed, 5)
    let isFar = faults.contains(.delay)
    for from in hosts.indices {
      for to in hosts.indices {
        var link = Link()
        link.delay = choice.span(isFar ? 1...250 : 1...20)
        link.jitter = faults.contains(.reorder) ? choice.span(20...300) : .milliseconds(1)
        let (loss, copies, damage) = (
          Double.random(in: 0...0.3, using: &choice), Double.random(in: 0...0.2, using: &choice),
          Double.random(in: 0...0.1, using: &choice)
        )
        if faults.contains(.loss) { link.loss = loss }
        if faults.contains(.duplication) { link.duplication = copies }
        if faults.contains(.corruption) { link.corruption = damage }
        network[from, to] = link
      }
    }
    for host in hosts {
      let (offset, drift) = (
        Int64.random(in: -10_000...10_000, using: &choice), Int64.random(in: -2_000...2_000, using: &choice)
      )
      if faults.contains(.clockOffset) { host.clock.offset = offset }
      if faults.contains(.clockDrift) { host.clock.drift = drift }
      let isLate = faults.contains(.join) && host.index == hosts.count - 1 && hosts.count > 1
      host.isWanted = true
      let late = choice.span(1_000...max(1_001, length.nanoseconds / 1_000_000))
      queue.add(.boot(host.index), at: isLate ? .zero + late : .zero + choice.span(0...300))
    }
    for fault in faults.sorted() where [.loss, .delay, .reorder, .duplication, .corruption].contains(fault) {
      counts.faults[fault, default: 0] += 1
    }
    for (index, episode) in plan.episodes.enumerated() { queue.add(.begin(index), at: episode.at) }
    queue.add(.beat, at: .zero)
    queue.add(.inspect, at: .zero + .seconds(2))
    queue.add(.heal, at: .zero + length)
  }

  /// An episode begins.
  func begin(_ episode: Episode) {
    guard !hasHealed else { return }
    let host = hosts[episode.nodes[0]]
    let place = plan.episodes.firstIndex(of: episode)!
    counts.faults[episode.fault, default: 0] += 1
    queue.add(.end(place), at: now + episode.length)
    switch episode.fault {
    case .partition:
      note(nil, "partition: \(episode.nodes) from the rest")
      block(episode, by: 1)
    case .oneWay, .flap:
      note(nil, "\(episode.fault.rawValue): node \(host.index) to node \(episode.peer) is dead")
      block(episode, by: 1)
      if episode.fault == .flap { flap(place, isBlocked: true) }
    case .clog:
      note(nil, "clog: node \(host.index) to node \(episode.peer)")
      network[host.index, episode.peer].clogged = now + episode.length
    case .pause:
      note(host.index, "stands still for \(episode.length.seconds) s")
      host.pausedUntil = max(host.pausedUntil, now + episode.length)
    case .kill:
      if episode.amount < 0 { kill(host, "is killed") } else { host.disk.writesLeft = Int(episode.amount) }
    case .powerLoss: losePower(host)
    case .away:
      host.isWanted = false
      kill(host, "goes away for \(episode.length.seconds) s")
    case .clockJump:
      note(host.index, "its clock jumps by \(episode.amount) ms")
      host.clock.offset = max(-15_000, min(15_000, host.clock.offset + episode.amount))
    case .clockFreeze:
      note(host.index, "its clock stands still")
      host.clock.freeze(at: now)
    case .fullDisk:
      note(host.index, "its disk is full")
      host.disk.isFull = true
    case .bitRot: rot(host, UInt64(episode.amount))
    case .loss, .delay, .reorder, .duplication, .corruption, .torn, .join, .clockOffset, .clockDrift: break
    }
  }

  /// An episode ends.
  func end(_ episode: Episode) {
    guard !hasHealed else { return }
    let host = hosts[episode.nodes[0]]
    switch episode.fault {
    case .partition, .oneWay:
      note(nil, "\(episode.fault.rawValue) is over")
      block(episode, by: -1)
    case .flap:
      let isBlocked = network[host.index, episode.peer].isBlocked
      if now < episode.at + episode.length {
        block(episode, by: isBlocked ? -1 : 1)
        flap(plan.episodes.firstIndex(of: episode)!, isBlocked: !isBlocked)
      } else if isBlocked {
        block(episode, by: -1)
      }
    case .kill, .powerLoss: queue.add(.boot(host.index), at: now)
    case .away:
      host.isWanted = true
      queue.add(.boot(host.index), at: now)
    case .clockFreeze: host.clock.thaw()
    case .fullDisk: host.disk.isFull = false
    default: break
    }
  }

  private func flap(_ episode: Int, isBlocked: Bool) {
    let next = now + random.span(100...1_500)
    let end = plan.episodes[episode].at + plan.episodes[episode].length
    if next < end { queue.add(.end(episode), at: next) }
  }

  private func block(_ episode: Episode, by change: Int) {
    for from in hosts.indices {
      for to in hosts.indices where from != to {
        let crosses =
          episode.fault == .partition
          ? episode.nodes.contains(from) != episode.nodes.contains(to)
          : from == episode.nodes[0] && to == episode.peer
        if crosses { network[from, to].blocks = max(0, network[from, to].blocks + change) }
      }
    }
  }

  func kill(_ host: Host, _ how: String) {
    guard host.isUp else { return host.disk.revive() }
    host.die(how)
    dropStreams(of: host.index, tells: true)
  }

  private func losePower(_ host: Host) {
    guard host.isUp else { return }
    host.die("loses power")
    dropStreams(of: host.index, tells: false)
    host.disk.losePower(torn: faults.contains(.torn), &host.random)
    host.lostPower = true
  }

  private func rot(_ host: Host, _ amount: UInt64) {
    guard let volume = host.volume else { return }
    let files = volume.files.keys.sorted().filter {
      host.dirty[$0] == nil && !(volume.files[$0]!.chunks.elements.isEmpty)
    }
    guard !files.isEmpty else { return }
    let file = volume.files[files[Int(amount % UInt64(files.count))]]!
    let element = file.chunks.elements[Int(amount / 7 % UInt64(file.chunks.elements.count))]
    let place = ContentPlace(file: file.id, index: element.index)
    guard host.damaged[place] == nil, !host.rotten.contains(place) else { return }
    let offset = Int(element.index) * Int(file.form.chunkSize) + Int(amount % UInt64(element.chunk.length))
    guard offset < host.disk.state.files[file.id]?.count ?? 0, isElsewhere(place, element.chunk, than: host) else {
      return
    }
    host.disk.rot(file.id, at: offset)
    host.rotten.insert(place)
    ledger.noteRot(element.chunk.dot)
    note(host.index, "a bit of \(file.id) chunk \(element.index) rots")
  }

  /// Whether every other machine that is up has the bytes too: rot takes copies, not the last one.
  private func isElsewhere(_ place: ContentPlace, _ chunk: Chunk, than host: Host) -> Bool {
    let others = hosts.filter { $0.isUp && $0.index != host.index }
    return !others.isEmpty
      && others.allSatisfy { other in
        guard let file = other.volume?.files[place.file], file.chunks[place.index] == chunk else { return false }
        return other.dirty[place.file] == nil && !other.rotten.contains(place) && other.damaged[place] == nil
      }
  }

  /// Everything is well again, and stays so.
  func heal() {
    hasHealed = true
    note(nil, "everything heals")
    for from in hosts.indices {
      for to in hosts.indices {
        network[from, to] = Link()
        network[from, to].delay = .milliseconds(from == to ? 0 : 10)
      }
    }
    for host in hosts {
      host.isWanted = true
      host.pausedUntil = .zero
      host.clock.thaw()
      host.clock.offset = 0
      host.clock.drift = 0
      host.disk.isFull = false
      host.disk.writesLeft = nil
      host.scrub()
      queue.add(.boot(host.index), at: now + .milliseconds(10))
    }
    queue.add(.inspect, at: now + .milliseconds(250))
  }
}
