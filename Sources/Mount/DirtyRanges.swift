// Which chunks of a file programs have written since its last capture.

/// A set of chunk indices as sorted ranges that neither touch nor overlap.
struct DirtyRanges: Hashable, Sendable {
  private(set) var ranges: [ClosedRange<UInt64>] = []

  var isEmpty: Bool { ranges.isEmpty }

  /// How many chunks.
  var count: UInt64 { ranges.reduce(0) { $0 + ($1.upperBound - $1.lowerBound) + 1 } }

  mutating func insert(_ range: ClosedRange<UInt64>) {
    guard let last = ranges.last else {
      ranges.append(range)
      return
    }
    if range.lowerBound >= last.lowerBound {
      if range.upperBound <= last.upperBound { return }
      if range.lowerBound <= last.upperBound + 1 {
        ranges[ranges.count - 1] = last.lowerBound...range.upperBound
      } else {
        ranges.append(range)
      }
      return
    }
    let first = firstIndex(endingAtOrAfter: range.lowerBound == 0 ? 0 : range.lowerBound - 1)
    var end = first
    var merged = range
    while end < ranges.count, ranges[end].lowerBound <= range.upperBound + 1 {
      merged =
        min(merged.lowerBound, ranges[end].lowerBound)...max(merged.upperBound, ranges[end].upperBound)
      end += 1
    }
    ranges.replaceSubrange(first..<end, with: CollectionOfOne(merged))
  }

  mutating func formUnion(_ other: DirtyRanges) {
    for range in other.ranges { insert(range) }
  }

  /// Forgets the chunks from `index` on: the file was cut there.
  mutating func removeAll(from index: UInt64) {
    while let last = ranges.last, last.upperBound >= index {
      ranges.removeLast()
      if last.lowerBound < index { ranges.append(last.lowerBound...(index - 1)) }
    }
  }

  func contains(_ index: UInt64) -> Bool {
    let place = firstIndex(endingAtOrAfter: index)
    return place < ranges.count && ranges[place].lowerBound <= index
  }

  private func firstIndex(endingAtOrAfter index: UInt64) -> Int {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < index { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
