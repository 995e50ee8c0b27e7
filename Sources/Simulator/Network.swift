// The network: links with a temper, datagrams, and streams that are in order or not at all.

import Causality

/// How one direction between two machines behaves now.
struct Link: Sendable {
  var delay = Span.milliseconds(5)
  var jitter = Span.milliseconds(1)
  var loss = 0.0
  var duplication = 0.0
  var corruption = 0.0
  /// How many faults hold it blocked.
  var blocks = 0
  /// Everything sent before then arrives then.
  var clogged = Instant.zero

  var isBlocked: Bool { blocks > 0 }
}

/// One sync connection.
struct StreamState: Sendable {
  var ends: (Int, Int)
  /// The lives of both machines when it was opened.
  var lives: (UInt64, UInt64)
  /// Whether each end still believes in it.
  var isOpen = (true, true)
  /// When the last frame sent by each end arrives: later ones come later.
  var lastArrival = (Instant.zero, Instant.zero)
  /// Frames of each end that wait for the link.
  var waiting: ([[UInt8]], [[UInt8]]) = ([], [])
  /// Since when each end has waited for the link.
  var stuckSince: (Instant?, Instant?) = (nil, nil)
}

/// All links and streams.
struct Network: Sendable {
  private var links: [Link]
  private let count: Int
  var streams: [UInt64: StreamState] = [:]
  var nextStream: UInt64 = 1
  /// How long an end waits for a link before it gives the stream up.
  var patience = Span.seconds(6)

  init(_ count: Int) {
    self.count = count
    links = Array(repeating: Link(), count: count * count)
  }

  subscript(from: Int, to: Int) -> Link {
    get { links[from * count + to] }
    set { links[from * count + to] = newValue }
  }

  mutating func forEach(_ body: (inout Link) -> Void) { for place in links.indices { body(&links[place]) } }

  static func gossip(_ host: Int) -> String { "10.0.0.\(host + 1):7946" }
  static func sync(_ host: Int) -> String { "10.0.0.\(host + 1):7947" }

  /// The machine at an address.
  func host(at address: String) -> Int? {
    (0..<count).first { Self.gossip($0) == address || Self.sync($0) == address }
  }
}
