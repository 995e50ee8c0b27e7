// The log: which records each origin's changes touched, in order.

import Causality

/// What a change touches.
public enum RecordKey: Hashable, Comparable, Sendable {
  /// A path.
  case path(Path)
  /// A file.
  case file(FileID)

  /// Paths before files; shorter order is the value's own.
  public static func < (left: RecordKey, right: RecordKey) -> Bool {
    switch (left, right) {
    case (.path(let a), .path(let b)): a < b
    case (.file(let a), .file(let b)): a < b
    case (.path, .file): true
    case (.file, .path): false
    }
  }
}

/// For each origin the touched records by sequence: "the state is the log".
///
/// A record needs to stand only under its latest change of each origin; older places are swept when they outnumber the
/// live ones.
struct ChangeLog: Sendable {
  struct Entry: Sendable {
    var sequence: UInt64
    var key: RecordKey
  }

  struct Origin: Sendable {
    var entries: [Entry] = []
    var isSorted = true
    var sizeAfterSweep = 1_024
  }

  private(set) var origins: [NodeID: Origin] = [:]

  mutating func append(_ dot: Dot, _ key: RecordKey) {
    origins[dot.origin, default: Origin()].append(Entry(sequence: dot.sequence, key: key))
  }

  /// The records with changes that `since` does not cover, those of the lowest sequences first, each once.
  mutating func keys(notCoveredBy since: VersionVector) -> [RecordKey] {
    var seen = Set<RecordKey>()
    var keys: [RecordKey] = []
    for origin in origins.keys.sorted() {
      origins[origin]?.sort()
      for entry in origins[origin]!.entries(after: since[origin]) where seen.insert(entry.key).inserted {
        keys.append(entry.key)
      }
    }
    return keys
  }
}

extension ChangeLog.Origin {
  mutating func append(_ entry: ChangeLog.Entry) {
    if let last = entries.last, last.sequence > entry.sequence { isSorted = false }
    entries.append(entry)
    if entries.count > 2 * sizeAfterSweep { sweep() }
  }

  mutating func sort() {
    guard !isSorted else { return }
    entries.sort { ($0.sequence, $0.key) < ($1.sequence, $1.key) }
    isSorted = true
  }

  func entries(after sequence: UInt64) -> ArraySlice<ChangeLog.Entry> {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].sequence <= sequence { low = middle + 1 } else { high = middle }
    }
    return entries[low...]
  }

  private mutating func sweep() {
    sort()
    var seen = Set<RecordKey>()
    entries = entries.reversed().filter { seen.insert($0.key).inserted }.reversed()
    sizeAfterSweep = max(1_024, entries.count)
  }
}
