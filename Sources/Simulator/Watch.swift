// Watching one file: its record on every node, whenever it changes.

import Causality
import Replication

extension World {
  /// Notes what each node knows of the watched file, when that has changed.
  func watch() {
    guard isTraced, let watched else { return }
    for host in hosts {
      let text = host.volume?.files[watched].map(describe) ?? "does not know the file"
      guard seen[host.index] != text else { continue }
      seen[host.index] = text
      note(host.index, text)
    }
  }

  private func describe(_ file: File) -> String {
    let chunks = file.chunks.elements.map { "\($0.index): \($0.chunk.dot) \($0.chunk.length)" }
    let lost = file.lost.map { loser in
      "\(loser.index): \(loser.chunk.dot) to \(loser.winner)\(loser.dropped == .none ? "" : ", dropped by \(loser.dropped)")"
    }
    return
      "file \(file.id): vector \(file.vector), buried \(file.buried), marks \(file.marks), size \(file.truncation) by "
      + "\(file.truncationDot), cuts \(file.cuts.map { "\($0.size) by \($0.dot)" }), chunks \(chunks), lost \(lost)"
  }
}
