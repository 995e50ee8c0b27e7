// Bytes put aside for parcels until they can be applied.

import Causality
import Glibc
import Replication
import Storage
import Synchronization

/// The open files into which parcels collect bytes. A file that is new here collects in its backing file, where nobody
/// sees it yet; one that is visible collects beside it. What a broken transfer leaves is found again by the next.
final class Staging: Sendable {
  private struct Key: Hashable {
    var volume: String
    var parcel: UInt64
    var file: FileID
  }

  private struct Open {
    var descriptor: Int32
    var path: String
    /// Whether all that it holds is of this parcel.
    var isNew: Bool
  }

  private let open = Mutex<[Key: Open]>([:])

  /// The file in which a parcel collects bytes of `file`, opened if need be.
  ///
  /// - Parameter isFresh: whether the file is new here.
  func descriptor(
    _ volume: CarriedVolume, _ parcel: UInt64, _ file: FileID, isFresh: Bool
  ) throws -> (descriptor: Int32, path: String) {
    try open.withLock { open in
      let key = Key(volume: volume.name, parcel: parcel, file: file)
      if let known = open[key] { return (known.descriptor, known.path) }
      let path = isFresh ? volume.content.path(of: file) : Self.path(volume, file)
      let isNew = access(path, F_OK) != 0
      let descriptor = try ContentStore.open(path, create: true)
      open[key] = Open(descriptor: descriptor, path: path, isNew: isNew)
      return (descriptor, path)
    }
  }

  static func path(_ volume: CarriedVolume, _ file: FileID) -> String {
    volume.content.stagingPath(of: "\(file.origin)-\(file.sequence)")
  }

  /// Makes the file beside the visible one the backing file, where that has none yet and so nobody has it open.
  ///
  /// - Returns: whether the bytes of the parcel are in place now.
  func moveIntoPlace(_ volume: CarriedVolume, _ parcel: UInt64, _ file: FileID) -> Bool {
    open.withLock { open in
      guard let staged = open[Key(volume: volume.name, parcel: parcel, file: file)], staged.isNew else { return false }
      let target = volume.content.path(of: file)
      return access(target, F_OK) != 0 && rename(staged.path, target) == 0
    }
  }

  /// Closes what a parcel has open.
  func close(_ volume: String, _ parcel: UInt64) {
    let closing = open.withLock { open in
      let keys = open.keys.filter { $0.volume == volume && $0.parcel == parcel }
      return keys.map { open.removeValue(forKey: $0)!.descriptor }
    }
    for descriptor in closing { Glibc.close(descriptor) }
  }
}
