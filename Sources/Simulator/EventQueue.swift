// What happens next, in virtual time.

import Causality

/// A queue ordered by time, and among equals by age.
struct EventQueue<Payload> {
  struct Item {
    var at: Instant
    var order: UInt64
    var payload: Payload
  }

  private var heap: [Item] = []
  private var order: UInt64 = 0

  var isEmpty: Bool { heap.isEmpty }
  var first: Item? { heap.first }

  mutating func add(_ payload: Payload, at instant: Instant) {
    order += 1
    heap.append(Item(at: instant, order: order, payload: payload))
    var place = heap.count - 1
    while place > 0, isBefore(place, (place - 1) / 2) {
      heap.swapAt(place, (place - 1) / 2)
      place = (place - 1) / 2
    }
  }

  mutating func removeFirst() -> Item {
    heap.swapAt(0, heap.count - 1)
    let item = heap.removeLast()
    var place = 0
    while true {
      var least = place
      for child in [2 * place + 1, 2 * place + 2] where child < heap.count && isBefore(child, least) { least = child }
      if least == place { return item }
      heap.swapAt(place, least)
      place = least
    }
  }

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    (heap[left].at, heap[left].order) < (heap[right].at, heap[right].order)
  }
}
