// Planted bugs: to show that the checkers bite. They live in the hosts around the core, never in the core.

import Causality
import Node
import Replication

/// A bug that can be planted on purpose.
public enum Mutation: String, CaseIterable, Sendable {
  /// What lost in a join is forgotten.
  case dropLost
  /// The bytes that a join overwrites are not kept.
  case skipKeeping
  /// Local writes that are not recorded yet are overwritten by a join.
  case skipCapture
  /// Bytes of peers are not put in place.
  case skipWriting
  /// A join leaves out a part of what came.
  case joinInPart
  /// More is acknowledged than was taken in.
  case claimTooMuch
  /// After a power loss the origin is used again.
  case reuseOrigin
  /// Peers are told before the change is stored.
  case tellBeforeStoring
  /// The clock starts anew after a restart.
  case forgetLease
  /// Removals are forgotten before everybody has seen them.
  case collectEarly
  /// Who else is in the mesh is forgotten with a restart.
  case forgetHolders

  /// Faults without which it can not show.
  var needs: Set<Fault> {
    switch self {
    case .dropLost, .skipKeeping, .skipCapture, .skipWriting, .joinInPart, .claimTooMuch: [.partition]
    case .reuseOrigin: [.powerLoss]
    case .tellBeforeStoring: [.kill]
    case .forgetLease: [.powerLoss, .clockJump]
    case .collectEarly: [.partition, .away]
    case .forgetHolders: [.partition, .kill]
    }
  }
}

extension Host {
  /// Plants `dropLost`: the volume is made anew without what lost.
  func dropLost() {
    node!.withVolume(Self.volume, wall: wall) { volume, _ in
      guard volume.files.values.contains(where: { !$0.lost.isEmpty }) else { return }
      var everything = Delta()
      for key in volume.keys(notCoveredBy: VersionVector()) {
        volume.append(key, notCoveredBy: VersionVector(), to: &everything)
      }
      for place in everything.files.indices { everything.files[place].lost = [] }
      var copy = Volume(name: volume.name, origin: volume.origin)
      _ = copy.join(everything)
      copy.acknowledge(volume.vector)
      copy.adopt(origin: volume.origin)
      volume = copy
    }
  }

  /// Plants `claimTooMuch`: what the sender holds is claimed with the first parcel of it.
  func claimTooMuch(_ parcel: Parcel) {
    guard let held = node!.held(by: parcel.sender, of: Self.volume) else { return }
    node!.withVolume(Self.volume, wall: wall) { volume, _ in volume.acknowledge(held) }
  }
}

extension Delta {
  /// Without its last record, when it has several.
  var withoutLast: Delta {
    var part = self
    guard paths.count + files.count > 1 else { return part }
    if part.paths.isEmpty { part.files.removeLast() } else { part.paths.removeLast() }
    return part
  }
}
