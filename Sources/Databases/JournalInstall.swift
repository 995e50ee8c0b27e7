// Installing in the rollback modes: a journal that rolls forward.

import CSQLite
import Glibc

extension Installer {
  /// Installs under the RESERVED lock that the connection holds.
  ///
  /// The journal's records are the *new* images. As long as its first sector is zero nobody takes it for hot; from the
  /// moment its header is written, under the EXCLUSIVE lock, whoever comes after a crash writes the new state with it.
  func rollForward(_ images: Images, file: DatabaseFile) throws -> InstallOutcome {
    let path = live.path + "-journal"
    guard let journal = try SideFile(path, flags: O_RDWR | O_CREAT | O_TRUNC) else {
      throw DatabaseError.system(path: path, operation: "making the journal", number: ENOENT)
    }
    let header: [UInt8]
    do {
      header = try writeRecords(of: images, to: journal)
      betweenSteps?()
      guard try lockExclusively(file) else {
        unlink(path)
        return .busy(.readers)
      }
    } catch {
      // Nothing is hot yet.
      unlink(path)
      throw error
    }
    try journal.write(header, at: 0)
    if durability != .off {
      try journal.synchronize()
      try synchronizeDirectory()
    }
    // Committed.
    betweenSteps?()
    try file.write(images.pageOne, at: 0)
    betweenSteps?()
    for number in images.others {
      try file.write(try images.image(number), at: Int64(number - 1) * Int64(images.pageSize))
      betweenSteps?()
    }
    let size = Int64(images.pageCount) * Int64(images.pageSize)
    if try file.size() != size { try file.truncate(size) }
    betweenSteps?()
    if durability != .off {
      try file.synchronize()
      try journal.write([UInt8](repeating: 0, count: JournalReader.headerLength), at: 0)
      try journal.synchronize()
    }
    betweenSteps?()
    guard unlink(path) == 0 else { throw DatabaseError.system(path: path, operation: "unlinking", number: errno) }
    return .installed(.counter(images.changeCounter), schemaCookie: images.schemaCookie)
  }

  /// Writes the records behind a sector of zeroes and returns the header that makes them count.
  private func writeRecords(of images: Images, to journal: SideFile) throws -> [UInt8] {
    let sector = 512
    let nonce = UInt32.random(in: 0 ... .max)
    try journal.write([UInt8](repeating: 0, count: sector), at: 0)
    var offset = Int64(sector)
    for number in [1] + images.others {
      let image = number == 1 ? images.pageOne : try images.image(number)
      var record = [UInt8](repeating: 0, count: image.count + 8)
      record.replaceSubrange(4..<4 + image.count, with: image)
      BigEndian.write(number, &record, at: 0)
      BigEndian.write(JournalReader.checksum(image, nonce: nonce), &record, at: 4 + image.count)
      try journal.write(record, at: offset)
      offset += Int64(record.count)
      betweenSteps?()
    }
    if durability != .off { try journal.synchronize() }
    var header = JournalReader.magic + [UInt8](repeating: 0, count: 20)
    BigEndian.write(UInt32(images.others.count + 1), &header, at: 8)
    BigEndian.write(nonce, &header, at: 12)
    BigEndian.write(images.pageCount, &header, at: 16)
    BigEndian.write(UInt32(sector), &header, at: 20)
    BigEndian.write(UInt32(images.pageSize), &header, at: 24)
    return header
  }

  /// Waits for readers; from the first attempt on no new ones come in. False when they did not finish in time.
  private func lockExclusively(_ file: DatabaseFile) throws -> Bool {
    let deadline = ContinuousClock.now + .milliseconds(Int(live.waitMilliseconds))
    while try !file.lock(SQLITE_LOCK_EXCLUSIVE) {
      guard ContinuousClock.now < deadline else { return false }
      usleep(300)
    }
    return true
  }

  private func synchronizeDirectory() throws {
    let path = live.path
    let directory = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    guard let file = try SideFile(directory, flags: O_RDONLY | O_DIRECTORY) else { return }
    try file.synchronize()
  }
}
