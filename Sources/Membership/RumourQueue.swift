// The rumours that are still being told, each a bounded number of times.

import Causality

/// At most one rumour for each subject; the least told go first, of equally told ones the newest.
struct RumourQueue: Sendable {
  private struct Entry: Sendable {
    var subject: NodeID
    var bytes: [UInt8]
    var told: Int
    var order: UInt64
  }

  private var entries: [Entry] = []
  private var order: UInt64 = 0

  /// Whether there is nothing to tell.
  var isEmpty: Bool { entries.isEmpty }

  /// Takes a rumour in; an earlier one about the same subject is dropped.
  mutating func push(_ rumour: Rumour) {
    order += 1
    entries.removeAll { $0.subject == rumour.subject }
    entries.append(Entry(subject: rumour.subject, bytes: rumour.bytes, told: 0, order: order))
  }

  /// Forgets all.
  mutating func clear() { entries.removeAll() }

  /// As many as fit into `budget` bytes and into `count`; each told `limit` times is told no more.
  mutating func take(budget: Int, count: Int, limit: Int, except subjects: [NodeID]) -> [[UInt8]] {
    guard !entries.isEmpty, count > 0 else { return [] }
    entries.sort { ($0.told, $1.order) < ($1.told, $0.order) }
    var taken: [[UInt8]] = []
    var left = budget
    for index in entries.indices {
      guard entries[index].bytes.count <= left, !subjects.contains(entries[index].subject) else { continue }
      taken.append(entries[index].bytes)
      left -= entries[index].bytes.count
      entries[index].told += 1
      if taken.count == count || left < 10 { break }
    }
    entries.removeAll { $0.told >= limit }
    return taken
  }
}
