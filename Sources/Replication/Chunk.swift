// Chunks: the unit of versioning and transfer.

import Causality

/// The SHA-256 of a chunk's bytes; all zero names content that is all zero, which is never transferred.
@frozen
public struct ContentHash: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The digest as four little-endian words.
  public var words: (UInt64, UInt64, UInt64, UInt64)

  /// Wraps the words.
  @inlinable
  public init(_ first: UInt64, _ second: UInt64, _ third: UInt64, _ fourth: UInt64) {
    words = (first, second, third, fourth)
  }

  /// The hash that names all-zero content of any length.
  @inlinable
  public static var zeros: ContentHash { ContentHash(0, 0, 0, 0) }

  /// Whether it names all-zero content.
  @inlinable
  public var isZeros: Bool { words.0 | words.1 | words.2 | words.3 == 0 }

  /// Equal words.
  @inlinable
  public static func == (left: ContentHash, right: ContentHash) -> Bool { left.words == right.words }

  /// Some order, the same on every machine.
  @inlinable
  public static func < (left: ContentHash, right: ContentHash) -> Bool { left.words < right.words }

  /// Feeds the first word, which is as good as random.
  @inlinable
  public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }

  /// Sixty-four hexadecimal digits, in the digest's byte order.
  public var description: String {
    [words.0, words.1, words.2, words.3].map { word in
      NodeID(word.byteSwapped).description
    }.joined()
  }
}

/// One version of one chunk.
@frozen
public struct Chunk: Hashable, Sendable {
  /// What its bytes are.
  public var hash: ContentHash
  /// How many bytes it has: the chunk size but for the last of a file.
  public var length: UInt32
  /// The change that wrote it.
  public var dot: Dot

  /// All parts.
  @inlinable
  public init(hash: ContentHash, length: UInt32, dot: Dot) {
    self.hash = hash
    self.length = length
    self.dot = dot
  }
}

/// The chunks of a file by index, sparse, sorted.
public struct ChunkTable: Hashable, Sendable {
  /// A chunk and its place.
  @frozen
  public struct Element: Hashable, Sendable {
    /// Which chunk of the file.
    public var index: UInt64
    /// Its version.
    public var chunk: Chunk

    /// Joins both.
    @inlinable
    public init(index: UInt64, chunk: Chunk) {
      self.index = index
      self.chunk = chunk
    }
  }

  /// All chunks, by index.
  public private(set) var elements: [Element] = []

  /// A table without chunks.
  public init() {}

  private func place(of index: UInt64) -> Int {
    if let last = elements.last, last.index < index { return elements.count }
    var low = 0
    var high = elements.count
    while low < high {
      let middle = (low + high) / 2
      if elements[middle].index < index { low = middle + 1 } else { high = middle }
    }
    return low
  }

  /// The chunk at an index; nil where nothing was ever written.
  public subscript(index: UInt64) -> Chunk? {
    get {
      let place = place(of: index)
      return place < elements.count && elements[place].index == index ? elements[place].chunk : nil
    }
    set {
      let place = place(of: index)
      let exists = place < elements.count && elements[place].index == index
      switch (newValue, exists) {
      case (let chunk?, true): elements[place].chunk = chunk
      case (let chunk?, false): elements.insert(Element(index: index, chunk: chunk), at: place)
      case (nil, true): elements.remove(at: place)
      case (nil, false): break
      }
    }
  }

  /// The chunks from `index` on.
  public func elements(from index: UInt64) -> ArraySlice<Element> { elements[place(of: index)...] }

  /// Takes away the chunks from `index` on for which the condition holds.
  public mutating func removeAll(from index: UInt64, where condition: (Element) -> Bool) {
    let start = place(of: index)
    guard start < elements.count else { return }
    let kept = elements[start...].filter { !condition($0) }
    elements.replaceSubrange(start..., with: kept)
  }
}
