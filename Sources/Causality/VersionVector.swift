// Version vectors: what has been seen of every origin.

/// Origin -> highest contiguous sequence seen; kept sorted, so that equal vectors are equal bytes.
///
/// Source: Parker et al., "Detection of Mutual Inconsistency in Distributed Systems", 1983.
public struct VersionVector: Hashable, Sendable, CustomStringConvertible {
  /// One entry for each origin with a sequence above 0, sorted by origin.
  public private(set) var entries: [Dot]

  /// The vector that has seen nothing.
  public init() { entries = [] }

  /// A vector of the given dots: for each origin the highest counts.
  public init(_ dots: some Sequence<Dot>) {
    entries = []
    for dot in dots { include(dot) }
  }

  /// Whether nothing has been seen.
  public var isEmpty: Bool { entries.isEmpty }

  /// The place of `origin` in `entries`, or where it would stand.
  func place(of origin: NodeID) -> Int {
    var low = 0
    var high = entries.count
    while low < high {
      let middle = (low + high) / 2
      if entries[middle].origin < origin { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The highest sequence seen of `origin`, 0 for none.
  public subscript(origin: NodeID) -> UInt64 {
    let index = place(of: origin)
    return index < entries.count && entries[index].origin == origin ? entries[index].sequence : 0
  }

  /// Whether the change has been seen. Nothing needs to be seen of `Dot.none`.
  public func covers(_ dot: Dot) -> Bool { self[dot.origin] >= dot.sequence }

  /// Whether everything that `other` has seen has been seen here too.
  public func covers(_ other: VersionVector) -> Bool {
    other.entries.allSatisfy { covers($0) }
  }

  /// Takes in the change and all before it of its origin.
  public mutating func include(_ dot: Dot) {
    guard dot.sequence > 0 else { return }
    let index = place(of: dot.origin)
    if index < entries.count, entries[index].origin == dot.origin {
      entries[index].sequence = max(entries[index].sequence, dot.sequence)
    } else {
      entries.insert(dot, at: index)
    }
  }

  /// Takes in all that `other` has seen: the join.
  public mutating func merge(_ other: VersionVector) {
    for dot in other.entries { include(dot) }
  }

  /// The join of both.
  public func merged(with other: VersionVector) -> VersionVector {
    var result = self
    result.merge(other)
    return result
  }

  /// What both have seen: the meet.
  public func meet(_ other: VersionVector) -> VersionVector {
    VersionVector(entries.map { Dot($0.origin, min($0.sequence, other[$0.origin])) })
  }

  /// What is seen here and not by `other`: for each origin the range of sequences.
  public func missing(from other: VersionVector) -> [(origin: NodeID, sequences: ClosedRange<UInt64>)] {
    entries.compactMap { dot in
      let seen = other[dot.origin]
      return seen < dot.sequence ? (dot.origin, seen + 1...dot.sequence) : nil
    }
  }

  /// `{origin:sequence, …}`.
  public var description: String { "{" + entries.map(\.description).joined(separator: ", ") + "}" }
}
