// Bytes that were recorded a moment ago, by their hash.

import Replication
import Synchronization

/// Pages as they were recorded lately: by the time a change is sent, a busy writer has overwritten them.
final class RecentContents: Sendable {
  private struct State {
    var bytes: [ContentHash: [UInt8]] = [:]
    var order: [ContentHash] = []
    var head = 0
    var size = 0
  }

  private let state = Mutex(State())
  private let limit: Int

  init(limit: Int) { self.limit = limit }

  func keep(_ bytes: [UInt8], as hash: ContentHash) {
    state.withLock { state in
      guard state.bytes.updateValue(bytes, forKey: hash) == nil else { return }
      state.order.append(hash)
      state.size += bytes.count
      while state.size > limit, state.head < state.order.count {
        state.size -= state.bytes.removeValue(forKey: state.order[state.head])?.count ?? 0
        state.head += 1
      }
      if state.head > 4_096, state.head * 2 > state.order.count {
        state.order.removeFirst(state.head)
        state.head = 0
      }
    }
  }

  subscript(hash: ContentHash) -> [UInt8]? { state.withLock { $0.bytes[hash] } }
}
