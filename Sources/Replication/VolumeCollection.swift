// Collection: forgetting what every node has seen go.

import Causality

extension Volume {
  /// Forgets removed paths and buried files of which every active or away node has seen all.
  ///
  /// - Parameters:
  ///   - frontier: covered by the vectors of all nodes, and by nothing less than what each had made when it said so.
  ///   - isPinned: files that programs of this node still hold open.
  /// - Returns: the files whose bytes may go.
  public mutating func collect(frontier: VersionVector, isPinned: (FileID) -> Bool) -> [FileID] {
    for path in removedPaths.sorted() {
      guard let record = paths[path], record.isRemoved, frontier.covers(record.marks) else { continue }
      if case .file(let id)? = record.write?.value { names[id]?.remove(path) }
      paths[path] = nil
      removedPaths.remove(path)
      touched.insert(.path(path))
    }
    var gone: [FileID] = []
    for id in namelessFiles.sorted() {
      guard let file = files[id], names[id]?.isEmpty ?? true, !file.hasUnseenChanges, frontier.covers(file.marks),
        file.lost.allSatisfy({ $0.dropped != .none }), !isPinned(id)
      else { continue }
      bytes = bytes &- file.contentBytes
      for element in file.chunks.elements { touched.insert(.chunk(id, element.index)) }
      touched.insert(.file(id))
      files[id] = nil
      names[id] = nil
      namelessFiles.remove(id)
      gone.append(id)
    }
    return gone
  }
}
