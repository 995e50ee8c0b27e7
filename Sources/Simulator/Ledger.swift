// Every change that was ever made, as its author made it: what all nodes are compared with.

import Causality
import Replication

/// A version of a chunk.
struct VersionFact: Sendable {
  var dot: Dot
  var hash: ContentHash
  var length: UInt32
  /// What its author had seen of the file.
  var seen: VersionVector
}

/// A truncation.
struct CutFact: Sendable {
  var dot: Dot
  var size: UInt64
  var seen: VersionVector
}

/// A write of a path.
struct PathFact: Sendable {
  var dot: Dot
  var stamp: Stamp
  var value: PathValue
}

/// A removal of a path.
struct RemovalFact: Sendable {
  var dot: Dot
  /// The write that it removed.
  var write: Dot
  var isMove: Bool
}

/// All that is known of one file.
struct FileFacts: Sendable {
  var chunkSize: UInt64
  var versions: [UInt64: [VersionFact]] = [:]
  var cuts: [CutFact] = []
  /// Changes of content or attributes.
  var touches: [Dot] = []
  /// Changes of the record, and for burials what was seen.
  var marks: [Dot] = []
  var burials: [(dot: Dot, seen: VersionVector)] = []
}

/// Every change of a run.
final class Ledger {
  unowned let world: World
  var files: [FileID: FileFacts] = [:]
  var writes: [Path: [PathFact]] = [:]
  var removals: [Path: [RemovalFact]] = [:]
  var collectedFiles = Set<FileID>()
  var collectedPaths = Set<Path>()
  /// In which life of which host each change was made.
  private var makers: [Dot: (host: Int, life: UInt64)] = [:]
  private var highest: [NodeID: UInt64] = [:]
  /// Versions whose bytes nobody needs to have: their only copy rotted, or was lost with the power before it was synced.
  var unsafeVersions = Set<Dot>()
  /// What each host had made durable on request.
  var synced: [Int: VersionVector] = [:]

  init(world: World) { self.world = world }

  /// Notes a change that has just been stored.
  func note(by host: Host, at stamp: Stamp, _ touched: [TouchedRecord]) {
    guard let volume = host.volume else { return }
    let dot = Dot(volume.origin, volume.vector[volume.origin])
    guard claim(dot, host) else { return }
    let expected = (highest[dot.origin] ?? 0) + 1
    if dot.sequence != expected {
      world.fail(.sequence, at: host.index, "change \(dot) follows \(expected - 1) of its origin")
    }
    highest[dot.origin] = dot.sequence
    for record in touched {
      switch record {
      case .vector: break
      case .path(let path): note(path, volume, dot, stamp)
      case .file(let id): note(id, volume, dot)
      case .chunk(let id, let index):
        guard let file = volume.files[id], let chunk = file.chunks[index], chunk.dot == dot else { break }
        facts(file)
        files[id]!.versions[index, default: []].append(
          VersionFact(dot: dot, hash: chunk.hash, length: chunk.length, seen: file.vector.before(dot)))
      }
    }
  }

  /// Notes under which origin a host goes on; its first change may be to mark what came without its author.
  func noteAdoption(_ volume: Volume) { highest[volume.origin] = volume.vector[volume.origin] }

  /// Notes that changes are told to peers.
  func noteTold(by host: Host, _ origin: NodeID, _ sequences: ClosedRange<UInt64>) {
    for sequence in sequences { _ = claim(Dot(origin, sequence), host) }
  }

  /// A change has one maker, in one life.
  private func claim(_ dot: Dot, _ host: Host) -> Bool {
    guard let maker = makers[dot] else {
      makers[dot] = (host.index, host.life)
      return true
    }
    if maker != (host.index, host.life) {
      world.fail(.sequence, at: host.index, "\(dot) names two changes, in lives \(maker.life) and \(host.life)")
      return false
    }
    return true
  }

  private func facts(_ file: File) {
    if files[file.id] == nil { files[file.id] = FileFacts(chunkSize: UInt64(file.form.chunkSize)) }
  }

  private func note(_ path: Path, _ volume: Volume, _ dot: Dot, _ stamp: Stamp) {
    guard let record = volume.paths[path], record.marks[dot.origin] == dot.sequence else { return }
    if let write = record.write, write.dot == dot {
      writes[path, default: []].append(PathFact(dot: dot, stamp: stamp, value: write.value))
    } else if let write = record.write {
      let isMove = record.moved.covers(write.dot)
      removals[path, default: []].append(RemovalFact(dot: dot, write: write.dot, isMove: isMove))
    }
  }

  private func note(_ id: FileID, _ volume: Volume, _ dot: Dot) {
    guard let file = volume.files[id], file.marks[dot.origin] == dot.sequence else { return }
    facts(file)
    files[id]!.marks.append(dot)
    if file.vector[dot.origin] == dot.sequence { files[id]!.touches.append(dot) }
    for cut in file.cuts where cut.dot == dot {
      files[id]!.cuts.append(CutFact(dot: dot, size: cut.size, seen: file.vector.before(dot)))
    }
    if file.buried.covers(file.vector) { files[id]!.burials.append((dot, file.vector)) }
  }

  /// Notes what a host has forgotten because everybody has seen it go.
  func noteCollected(_ touched: [TouchedRecord], _ volume: Volume) {
    for record in touched {
      switch record {
      case .path(let path) where volume.paths[path] == nil: collectedPaths.insert(path)
      case .file(let id) where volume.files[id] == nil: collectedFiles.insert(id)
      default: break
      }
    }
  }

  /// Notes that a power loss took the latest changes of an origin.
  func noteRollback(_ origin: NodeID, to sequence: UInt64) {
    guard let last = highest[origin], last > sequence else { return }
    for lost in sequence + 1...last { unsafeVersions.insert(Dot(origin, lost)) }
  }

  /// Notes that a byte of a chunk changed by itself.
  func noteRot(_ dot: Dot) { unsafeVersions.insert(dot) }

  /// Notes that all of a host's state is durable because a program asked for it.
  func noteSynced(by host: Host, _ volume: Volume) {
    synced[host.index, default: VersionVector()].merge(volume.vector)
  }
}

extension VersionVector {
  /// The vector as it was before a change that it covers as the latest of its origin.
  func before(_ dot: Dot) -> VersionVector {
    VersionVector(entries.map { $0.origin == dot.origin ? Dot(dot.origin, dot.sequence - 1) : $0 })
  }
}
