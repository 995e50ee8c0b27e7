// Live databases after a crash: whose bytes are whose.

import Databases
import Glibc
import Mount
import Replication
import Storage

extension LiveDatabases {
  /// A crash between the rename of a file that became a database and the record of it leaves bytes under a name that
  /// nobody knows: they are given back to the file that they were. What belongs to nobody goes.
  func recoverNames() {
    let directory = volume.content.directory + "/local"
    for name in ContentStore.names(in: directory) {
      guard name.hasSuffix(".db"), let file = FileID(localName: String(name.dropLast(3))) else {
        if name.hasSuffix(".fresh") { unlink("\(directory)/\(name)") }
        continue
      }
      let path = "\(directory)/\(name)"
      let was = LiveOrigin.read(at: path)
      let (isKnown, form) = volume.withVolume { volume, _ in
        (volume.files[file] != nil, was.flatMap { volume.files[$0]?.form })
      }
      guard !isKnown else { continue }
      guard let was, let form else {
        for suffix in ["", "-journal", "-wal", "-shm"] { unlink(path + suffix) }
        continue
      }
      let old = volume.content.livePath(of: was)
      let goal = form.isDatabase ? old : volume.content.path(of: was)
      guard access(goal, F_OK) != 0 || !form.isDatabase else { continue }
      if rename(path, goal) == 0 {
        for suffix in ["-journal", "-wal", "-shm"] { _ = rename(path + suffix, old + suffix) }
      }
    }
  }

  /// After the machine went down, a live form that was never synced may not be a database any more, while what is
  /// recorded is one: the live form is made anew from that when it is next opened.
  func dropTorn() {
    let directory = volume.content.directory + "/local"
    for name in ContentStore.names(in: directory) {
      guard name.hasSuffix(".db"), let file = FileID(localName: String(name.dropLast(3))) else { continue }
      let hasRecorded = volume.withVolume { volume, _ in volume.files[file].map { $0.tip != .none } ?? false }
      guard hasRecorded, let descriptor = try? ContentStore.open("\(directory)/\(name)", create: false) else {
        continue
      }
      defer { close(descriptor) }
      let bytes = ContentStore.read(DatabaseHeader.length, at: 0, from: descriptor) ?? []
      let hasJournal = access("\(directory)/\(name)-journal", F_OK) == 0
      if !hasJournal, (try? DatabaseHeader(bytes)) == nil {
        for suffix in ["", "-wal", "-shm"] { unlink("\(directory)/\(name)\(suffix)") }
      }
    }
  }
}
