// Writing to a file after its last name went: apart from what is recorded of it.

import CFuse
import Glibc
import Replication
import Storage

extension FileSystem {
  /// Whether chunks of the file are recorded, for which peers may ask.
  func hasRecordedBytes(_ inode: Inode) -> Bool {
    let file = inode.state.with { inode.file }
    return host.withVolume { volume, _ in volume.files[file].map { !$0.chunks.elements.isEmpty } ?? false }
  }

  /// Before an unlinked file is changed, with `writing` held: its bytes move to a file of no name, so that what is
  /// recorded of it stays as it was until every node has seen it go.
  func detachIfUnlinked(_ inode: Inode) throws(Refusal) {
    let isDue = inode.state.with { inode.isUnlinked && !inode.isDetached }
    guard isDue, !inode.isLocal, hasRecordedBytes(inode) else { return }
    let own = Glibc.open(host.content.directory + "/staging", GRAPEVINE_O_TMPFILE | O_RDWR | O_CLOEXEC, 0o600)
    guard own >= 0 else { throw Refusal(errno) }
    do throws(Refusal) {
      try withDescriptor(inode, create: false) { (descriptor) throws(Refusal) in
        if let descriptor { try copyData(from: descriptor, to: own) }
      }
    } catch {
      close(own)
      throw error
    }
    inode.state.with {
      if inode.descriptor >= 0 { inode.retired.append(inode.descriptor) }
      inode.descriptor = own
      inode.isDetached = true
    }
  }

  /// Copies what is not a hole.
  private func copyData(from source: Int32, to target: Int32) throws(Refusal) {
    var status = stat()
    guard fstat(source, &status) == 0, ftruncate(target, status.st_size) == 0 else { throw Refusal(errno) }
    var position = lseek(source, 0, GRAPEVINE_SEEK_DATA)
    while position >= 0 && position < status.st_size {
      let end = lseek(source, position, GRAPEVINE_SEEK_HOLE)
      var (from, to) = (Int64(position), Int64(position))
      while from < Int64(end) {
        let count = retrying { grapevine_copy_file_range(source, &from, target, &to, end - Int(from)) }
        guard count >= 0 else { throw Refusal(errno) }
        if count == 0 { break }
      }
      position = lseek(source, end, GRAPEVINE_SEEK_DATA)
    }
  }
}
