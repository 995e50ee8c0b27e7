// Each counter of a sender once: a sliding window over the newest of them.

/// Which of a sender's last counters have been seen. Source: RFC 6479, "IPsec anti-replay without bit shifting".
struct ReplayWindow: Sendable {
  private static let words: UInt64 = 32
  /// How far behind the newest counter a datagram may come and still be taken.
  static let span = (words - 1) * 64

  private var newest: UInt64 = 0
  private var seen = [UInt64](repeating: 0, count: Int(words))

  /// Whether this counter is new; it is not the next time.
  mutating func accept(_ counter: UInt64) -> Bool {
    if counter > newest {
      let word = newest / 64
      for step in 0..<min(counter / 64 - word, Self.words) { seen[Int((word + 1 + step) % Self.words)] = 0 }
      newest = counter
    } else if newest - counter >= Self.span {
      return false
    }
    let word = Int(counter / 64 % Self.words)
    let bit = UInt64(1) << (counter % 64)
    guard seen[word] & bit == 0 else { return false }
    seen[word] |= bit
    return true
  }
}
