// The links of the lab: a router in this process that every packet between nodes passes, and that can hold it back,
// lose it, or carry it late.

import Causality
import Daemon
import Foundation

/// Routes packets between tunnel devices, one in the network namespace of each node.
final class LabLinks: @unchecked Sendable {
  /// The first three parts of every address; a node's number is the third and its own part is 2.
  static func address(_ number: Int) -> String { "10.77.\(number).2" }

  /// What a link did.
  struct Counts: Sendable {
    var packets: UInt64 = 0
    var bytes: UInt64 = 0
    var lost: UInt64 = 0
  }

  private struct Link {
    var shape = LabScenario.Shape()
    var isCut = false
    /// When the last byte so far will have left, where the bandwidth is bounded.
    var freeAt: UInt64 = 0
    var counts = Counts()
  }

  private struct Packet {
    var due: UInt64
    var order: UInt64
    var target: Int
    var bytes: [UInt8]
  }

  /// Packets wait no longer than this for a link of bounded bandwidth to get free; then they are lost.
  private static let maxQueue: UInt64 = 500_000_000
  /// Packets that are on their way at one time.
  private static let maxWaiting = 100_000

  private let count: Int
  private var tunnels: [Int32] = []
  private let lock = NSCondition()
  private var links: [Link]
  private var waiting: [Packet] = []
  private var order: UInt64 = 0
  private var generator: SeededGenerator

  /// Links between so many nodes; chance is drawn from the seed.
  init(count: Int, seed: UInt64) {
    self.count = count
    links = Array(repeating: Link(), count: count * count)
    generator = SeededGenerator(seed: seed)
  }

  /// Makes the device of the next node in this process' network namespace; the caller moves it to the node's.
  func makeTunnel(_ name: String) throws {
    let descriptor = open("/dev/net/tun", O_RDWR | O_CLOEXEC)
    guard descriptor >= 0 else {
      throw CommandFailure(
        what: "the lab cannot make a network", why: "/dev/net/tun: \(String(cString: strerror(errno)))",
        remedy: "Load the kernel's tun module, or give the container that device.")
    }
    // struct ifreq: sixteen bytes of name, then flags: a tunnel of IP packets without a header before them.
    var request = [UInt8](repeating: 0, count: 40)
    request.replaceSubrange(0..<name.utf8.count, with: name.utf8)
    request[16] = 0x01
    request[17] = 0x10
    let setInterface: UInt = 0x4004_54CA
    guard ioctl(descriptor, setInterface, &request) == 0 else {
      throw CommandFailure(what: "the lab cannot make a network", why: String(cString: strerror(errno)))
    }
    tunnels.append(descriptor)
  }

  /// Begins to carry packets.
  func start() {
    for index in 0..<count { Thread.detachNewThread { self.receive(index) } }
    Thread.detachNewThread { self.deliver() }
  }

  // MARK: Shapes

  private func change(_ from: Int, _ to: Int, _ body: (inout Link) -> Void) {
    lock.withLock { body(&links[from * count + to]) }
  }

  /// Gives both directions between two nodes a shape.
  func shape(_ one: Int, _ other: Int, _ shape: LabScenario.Shape) {
    for (from, to) in [(one, other), (other, one)] { change(from, to) { $0.shape = shape } }
  }

  /// Loses everything that one node sends to the other.
  func cut(_ from: Int, _ to: Int) { change(from, to) { $0.isCut = true } }

  /// Mends every link; shapes stay.
  func heal() { lock.withLock { for index in links.indices { links[index].isCut = false } } }

  /// What all links did together.
  var total: Counts {
    lock.withLock {
      links.reduce(into: Counts()) {
        $0.packets += $1.counts.packets
        $0.bytes += $1.counts.bytes
        $0.lost += $1.counts.lost
      }
    }
  }

  // MARK: Packets

  private func receive(_ from: Int) {
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
      let size = read(tunnels[from], &buffer, buffer.count)
      if size < 0, errno == EINTR || errno == EAGAIN { continue }
      guard size > 0 else { return }
      // IPv4 only; the third byte of the destination is the node's number.
      guard size >= 20, buffer[0] >> 4 == 4 else { continue }
      let to = Int(buffer[18]) - 1
      guard buffer[16] == 10, buffer[17] == 77, (0..<count).contains(to), to != from else { continue }
      carry(Array(buffer[..<size]), from, to)
    }
  }

  private func carry(_ bytes: [UInt8], _ from: Int, _ to: Int) {
    lock.lock()
    defer { lock.unlock() }
    let place = from * count + to
    let now = DispatchTime.now().uptimeNanoseconds
    let shape = links[place].shape
    if links[place].isCut || waiting.count >= Self.maxWaiting
      || (shape.lossPerMillion > 0 && UInt64.random(in: 0..<1_000_000, using: &generator) < shape.lossPerMillion)
    {
      links[place].counts.lost += 1
      return
    }
    var due = now
    if shape.bytesPerSecond > 0 {
      let start = max(now, links[place].freeAt)
      guard start - now <= Self.maxQueue else {
        links[place].counts.lost += 1
        return
      }
      due = start + UInt64(bytes.count) * 1_000_000_000 / shape.bytesPerSecond
      links[place].freeAt = due
    }
    due += shape.delay.nanoseconds
    if shape.jitter > .zero { due += UInt64.random(in: 0...shape.jitter.nanoseconds, using: &generator) }
    links[place].counts.packets += 1
    links[place].counts.bytes += UInt64(bytes.count)
    if due == now {
      send(bytes, to)
    } else {
      push(Packet(due: due, order: order, target: to, bytes: bytes))
      order += 1
      lock.signal()
    }
  }

  private func send(_ bytes: [UInt8], _ to: Int) { _ = write(tunnels[to], bytes, bytes.count) }

  private func deliver() {
    lock.lock()
    while true {
      guard let next = waiting.first else {
        lock.wait()
        continue
      }
      let now = DispatchTime.now().uptimeNanoseconds
      if next.due <= now {
        let packet = pop()
        send(packet.bytes, packet.target)
      } else {
        _ = lock.wait(until: Date(timeIntervalSinceNow: Double(next.due - now) / 1_000_000_000))
      }
    }
  }

  // MARK: A heap, the next packet first

  private func isBefore(_ left: Packet, _ right: Packet) -> Bool { (left.due, left.order) < (right.due, right.order) }

  private func push(_ packet: Packet) {
    waiting.append(packet)
    var child = waiting.count - 1
    while child > 0, isBefore(waiting[child], waiting[(child - 1) / 2]) {
      waiting.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private func pop() -> Packet {
    let last = waiting.count - 1
    waiting.swapAt(0, last)
    let packet = waiting.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < last && isBefore(waiting[child], waiting[least]) {
        least = child
      }
      if least == parent { return packet }
      waiting.swapAt(parent, least)
      parent = least
    }
  }
}
