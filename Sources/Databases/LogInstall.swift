// Installing in log mode: frames that SQLite would have appended.

import CSQLite
import Glibc

extension Installer {
  /// Appends under the write lock of the log, which the connection holds.
  ///
  /// Frames count only when the index's header covers them; a crash before leaves frames that nobody sees, or that
  /// recovery takes for the transaction they are.
  func appendToLog(
    _ images: Images, log: DatabaseFile, index: LogIndex, end: LogIndexHeader
  ) throws -> LogPosition {
    var end = end
    try restartIfPossible(&end, index: index)
    if end.lastFrame == 0 { try begin(&end, log: log, pageSize: images.pageSize) }
    let committed = end.lastFrame
    let numbers = [1] + images.others
    for (place, number) in numbers.enumerated() {
      let image = number == 1 ? images.pageOne : try images.image(number)
      let frame = LogFrame.encode(
        page: number, commit: place == numbers.count - 1 ? images.pageCount : 0, salts: end.salts, image: image,
        isBigEndian: end.isBigEndian, checksum: &end.checksum)
      try log.write(frame, at: LogFrame.offset(of: committed + UInt32(place) + 1, pageSize: images.pageSize))
      betweenSteps?()
    }
    if durability == .full { try log.synchronize() }
    for (place, number) in numbers.enumerated() {
      try index.append(frame: committed + UInt32(place) + 1, page: number, committed: committed)
      betweenSteps?()
    }
    end.lastFrame = committed + UInt32(numbers.count)
    end.pageCount = images.pageCount
    end.change &+= 1
    index.publish(end)
    betweenSteps?()
    return LogPosition(end)
  }

  /// Starts the log over when all of it is in the database file and nobody reads from it.
  private func restartIfPossible(_ end: inout LogIndexHeader, index: LogIndex) throws {
    guard end.lastFrame > 0, index.backfilled == end.lastFrame,
      try index.file.lockShared(LogIndex.Lock.firstReader, count: LogIndex.Lock.readerCount)
    else { return }
    defer { index.file.unlockShared(LogIndex.Lock.firstReader, count: LogIndex.Lock.readerCount) }
    end.lastFrame = 0
    end.salts = LogSalts(first: end.salts.first &+ 1, second: .random(in: 0 ... .max))
    index.restart(end)
  }

  /// Writes the header of a new generation.
  private func begin(_ end: inout LogIndexHeader, log: DatabaseFile, pageSize: Int) throws {
    var sequence: UInt32 = 0
    if let bytes = try log.read(LogFileHeader.length, at: 0), let old = LogFileHeader(bytes) {
      sequence = old.sequence &+ 1
      // Never the salts of frames that may still stand in the file.
      if old.salts == end.salts {
        end.salts = LogSalts(first: old.salts.first &+ 1, second: .random(in: 0 ... .max))
      }
    } else {
      end.salts = LogSalts(first: .random(in: 0 ... .max), second: .random(in: 0 ... .max))
    }
    let header = LogFileHeader(pageSize: pageSize, sequence: sequence, salts: end.salts)
    try log.write(header.encoded(), at: 0)
    // The header must not be older than the frames on the disk.
    if durability != .off { try log.synchronize() }
    end.isBigEndian = header.isBigEndian
    end.pageSize = pageSize
    end.checksum = header.checksum
    betweenSteps?()
  }
}
