// Who holds what, remembered across restarts: nothing that an absent node has not seen go may be forgotten.

import Causality
import Membership
import Node
import Replication
import Storage
import Synchronization
import Wire

/// What was stored last of each node's vector, by record key.
final class HolderNotes: Sendable {
  let stored = Mutex<[[UInt8]: [UInt8]]>([:])
}

extension Engine {
  private static let letter = UInt8(ascii: "H")

  private static func key(_ holder: NodeID, of volume: String) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(letter)
    writer.writeString(volume)
    writer.write(holder)
    return writer.bytes
  }

  /// Tells the core what other nodes held in this node's earlier life. Call it when the volumes are carried.
  func recallHolders() throws {
    for record in try nodeRecords.records(prefix: [Self.letter]) {
      guard let value = record.value else { continue }
      holderNotes.stored.withLock { $0[record.key] = value }
      var key = ByteReader(record.key[1...])
      var reader = ByteReader(value)
      guard let name = try? key.readString(atMost: 255), let holder = try? key.readNodeID(),
        let vector = try? reader.readVector()
      else { continue }
      core.withLock { node, _ in node.remember(holder, holding: vector, of: name) }
    }
  }

  /// Whether somebody carries the volume of whom nothing is stored: after a restart he would not be waited for.
  func hasNewHolder(_ volume: String) -> Bool {
    let holders = read { $0.holders(of: volume) }
    return holderNotes.stored.withLock { stored in holders.contains { stored[Self.key($0, of: volume)] == nil } }
  }

  /// Stores who holds what, before anything is forgotten; a node that is new durably. False when that failed.
  func storeHolders(of volume: String) -> Bool {
    let vectors = read { node in
      node.holders(of: volume).map { ($0, node.heldDurably(by: $0, of: volume) ?? VersionVector()) }
    }
    var records: [StoredRecord] = []
    var isNew = false
    holderNotes.stored.withLock { stored in
      for (holder, vector) in vectors {
        var writer = ByteWriter()
        writer.write(vector)
        let key = Self.key(holder, of: volume)
        guard stored[key] != writer.bytes else { continue }
        isNew = isNew || stored[key] == nil
        records.append(StoredRecord(key: key, value: writer.bytes))
      }
    }
    guard !records.isEmpty else { return true }
    do {
      try nodeRecords.commit(records, durably: isNew)
    } catch {
      storageFailed(error)
      return false
    }
    holderNotes.stored.withLock { stored in for record in records { stored[record.key] = record.value } }
    return true
  }

  /// A node is gone for good: nothing is kept for it any more.
  func forget(_ holder: NodeID) {
    handle(.membership(.forget(holder)))
    core.withLock { node, _ in node.forget(holder) }
    let keys = allVolumes.map { Self.key(holder, of: $0.name) }
    do {
      try nodeRecords.commit(keys.map { StoredRecord(key: $0, value: nil) }, durably: true)
      holderNotes.stored.withLock { stored in for key in keys { stored[key] = nil } }
    } catch { storageFailed(error) }
  }
}
