// Datagrams and streams between machines.

import Causality
import Node

extension World {
  private func pause(_ from: Int, _ to: Int) -> Span {
    let link = network[from, to]
    return link.delay + link.jitter * Double.random(in: 0..<1, using: &random)
  }

  // MARK: Datagrams

  func sendDatagram(_ bytes: [UInt8], from: Int, to address: String) {
    counts.datagrams += 1
    guard let to = network.host(at: address) else { return }
    let link = network[from, to]
    guard !link.isBlocked, !random.chance(link.loss) else { return }
    // The seal of a datagram tells damage: the receiver drops it.
    if link.corruption > 0, random.chance(link.corruption) { return }
    let copies = random.chance(link.duplication) ? 2 : 1
    for _ in 0..<copies {
      queue.add(.datagram(bytes, from: from, to: to), at: max(now + pause(from, to), link.clogged))
    }
  }

  func requestState(_ bytes: [UInt8], from: Int, with address: String) {
    guard let to = network.host(at: address), !network[from, to].isBlocked, !network[to, from].isBlocked,
      hosts[to].isUp
    else { return queue.add(.stateFailure(address, to: from), at: now + .seconds(1)) }
    let arrival = now + pause(from, to) + pause(to, from) + pause(from, to)
    queue.add(.stateRequest(bytes, from: from, to: to), at: max(arrival, network[from, to].clogged))
  }

  func answerState(_ bytes: [UInt8], from: Int, to: Int) {
    guard !network[from, to].isBlocked else { return }
    queue.add(.stateAnswer(bytes, to: to), at: max(now + pause(from, to), network[from, to].clogged))
  }

  // MARK: Streams

  func connect(_ from: Int, to address: String) {
    guard let to = network.host(at: address), to != from, hosts[to].isUp, !network[from, to].isBlocked,
      !network[to, from].isBlocked
    else { return }
    let stream = network.nextStream
    network.nextStream += 1
    network.streams[stream] = StreamState(ends: (from, to), lives: (hosts[from].life, hosts[to].life))
    let arrival = now + pause(from, to) + pause(to, from) + pause(from, to)
    queue.add(.opened(stream), at: max(arrival, network[from, to].clogged))
  }

  func opened(_ id: UInt64) {
    guard let stream = network.streams[id] else { return }
    let (one, other) = (hosts[stream.ends.0], hosts[stream.ends.1])
    let stands =
      one.isUp && other.isUp && (one.life, other.life) == stream.lives
      && !network[one.index, other.index].isBlocked && one.pausedUntil <= now && other.pausedUntil <= now
    guard stands else {
      network.streams[id] = nil
      return
    }
    note(one.index, "has a connection with node \(other.index)")
    one.connections[other.id] = id
    other.connections[one.id] = id
    one.handle(.connected(id, other.id))
    other.handle(.connected(id, one.id))
  }

  func send(_ bytes: [UInt8], over id: UInt64, by host: Int) {
    guard var stream = network.streams[id] else { return }
    let side = stream.ends.0 == host ? 0 : 1
    guard side == 0 ? stream.isOpen.0 : stream.isOpen.1 else { return }
    counts.frames += 1
    counts.frameBytes += UInt64(bytes.count)
    sum.add(bytes)
    let to = side == 0 ? stream.ends.1 : stream.ends.0
    let isWaiting = !(side == 0 ? stream.waiting.0 : stream.waiting.1).isEmpty
    if network[host, to].isBlocked || isWaiting {
      if side == 0 { stream.waiting.0.append(bytes) } else { stream.waiting.1.append(bytes) }
    } else {
      pass(bytes, id, &stream, side, host, to)
    }
    network.streams[id] = stream
  }

  private func pass(_ bytes: [UInt8], _ id: UInt64, _ stream: inout StreamState, _ side: Int, _ from: Int, _ to: Int) {
    let earliest = (side == 0 ? stream.lastArrival.0 : stream.lastArrival.1) + Span(nanoseconds: 1_000)
    let arrival = max(now + pause(from, to), max(earliest, network[from, to].clogged))
    if side == 0 { stream.lastArrival.0 = arrival } else { stream.lastArrival.1 = arrival }
    queue.add(.frame(bytes, stream: id, side: 1 - side), at: arrival)
  }

  /// A frame arrives at one end.
  func arrive(_ bytes: [UInt8], _ id: UInt64, _ side: Int) {
    guard let stream = network.streams[id] else { return }
    let host = hosts[side == 0 ? stream.ends.0 : stream.ends.1]
    if host.pausedUntil > now { return queue.add(.frame(bytes, stream: id, side: side), at: host.pausedUntil) }
    guard side == 0 ? stream.isOpen.0 : stream.isOpen.1 else { return }
    guard host.isUp, host.life == (side == 0 ? stream.lives.0 : stream.lives.1) else {
      if host.isUp { queue.add(.closing(id, side: 1 - side), at: now + .milliseconds(5)) }
      return
    }
    host.receive(bytes, over: id)
  }

  /// One end closes; the other hears of it when it can.
  func close(_ id: UInt64, by host: Int) {
    guard let stream = network.streams[id] else { return }
    let side = stream.ends.0 == host ? 0 : 1
    shut(id, side)
    let to = side == 0 ? stream.ends.1 : stream.ends.0
    guard network.streams[id] != nil, !network[host, to].isBlocked else { return }
    let last = side == 0 ? stream.lastArrival.0 : stream.lastArrival.1
    queue.add(.closing(id, side: 1 - side), at: max(now + pause(host, to), last + .milliseconds(1)))
  }

  private func shut(_ id: UInt64, _ side: Int) {
    guard var stream = network.streams[id] else { return }
    if side == 0 { stream.isOpen.0 = false } else { stream.isOpen.1 = false }
    network.streams[id] = stream.isOpen.0 || stream.isOpen.1 ? stream : nil
  }

  /// One end learns that the stream is gone.
  func closed(_ id: UInt64, _ side: Int) {
    guard let stream = network.streams[id], side == 0 ? stream.isOpen.0 : stream.isOpen.1 else { return }
    let host = hosts[side == 0 ? stream.ends.0 : stream.ends.1]
    if host.pausedUntil > now { return queue.add(.closing(id, side: side), at: host.pausedUntil) }
    shut(id, side)
    guard host.isUp, host.life == (side == 0 ? stream.lives.0 : stream.lives.1) else { return }
    host.connections = host.connections.filter { $0.value != id }
    note(host.index, "loses the connection with node \(side == 0 ? stream.ends.1 : stream.ends.0)")
    host.handle(.closed(id))
  }

  /// Lets waiting frames pass where links are free again, and gives streams up that waited too long.
  func beat() {
    queue.add(.beat, at: now + .milliseconds(250))
    for id in network.streams.keys.sorted() {
      guard var stream = network.streams[id] else { continue }
      let (one, other) = stream.ends
      if network[one, other].isBlocked || network[other, one].isBlocked {
        stream.stuckSince.0 = stream.stuckSince.0 ?? now
      } else {
        stream.stuckSince.0 = nil
      }
      for side in 0...1 {
        let (from, to) = side == 0 ? (one, other) : (other, one)
        guard !network[from, to].isBlocked else { continue }
        let frames = side == 0 ? stream.waiting.0 : stream.waiting.1
        for frame in frames { pass(frame, id, &stream, side, from, to) }
        if side == 0 { stream.waiting.0 = [] } else { stream.waiting.1 = [] }
      }
      if let since = stream.stuckSince.0, now - since > network.patience {
        for side in 0...1 { queue.add(.closing(id, side: side), at: now + random.span(0...2_000)) }
      }
      network.streams[id] = stream
    }
  }

  /// The machine is gone: its peers hear of it when its kernel still lives and can tell them.
  func dropStreams(of host: Int, tells: Bool) {
    for id in network.streams.keys.sorted() {
      let stream = network.streams[id]!
      guard stream.ends.0 == host || stream.ends.1 == host else { continue }
      if tells {
        close(id, by: host)
      } else {
        let side = stream.ends.0 == host ? 0 : 1
        shut(id, side)
        queue.add(.closing(id, side: 1 - side), at: now + network.patience)
      }
    }
  }
}
