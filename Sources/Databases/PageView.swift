// A consistent view of a live database.

/// A consistent view of a live database, and the comparison of it with what is recorded.
struct PageView {
  let file: DatabaseFile
  /// The log, when pages may stand in it.
  let log: (file: DatabaseFile, index: LogIndex, lastFrame: UInt32)?
  let pageSize: Int
  let pageCount: UInt32

  /// The bytes of a page as the view has it; zeroes beyond the end of the file.
  func page(_ number: UInt32) throws(DatabaseError) -> [UInt8] {
    if let log, let frame = try log.index.frame(of: number, upTo: log.lastFrame) {
      let offset = LogFrame.offset(of: frame, pageSize: pageSize) + Int64(LogFrame.headerLength)
      guard let bytes = try log.file.read(pageSize, at: offset) else {
        throw .damaged(path: log.file.path, "frame \(frame) is missing")
      }
      return bytes
    }
    let offset = Int64(number - 1) * Int64(pageSize)
    return try file.read(pageSize, at: offset) ?? [UInt8](repeating: 0, count: pageSize)
  }

  /// Finds what differs from the recorded state; nil when nothing does. Pages of the set are taken as recorded.
  func scan(
    against recorded: RecordedState, among candidates: PageCandidates, except ignored: Set<UInt32> = [],
    into found: (PageImage) throws -> Void
  ) throws -> DatabaseShape? {
    let lockByte = DatabaseHeader.lockBytePage(pageSize: pageSize)
    var isChanged = recorded.pageSize != pageSize || recorded.pageCount != pageCount
    func consider(_ number: UInt32, isNew: Bool) throws {
      guard number != lockByte else { return }
      let image = PageImage(recording: try page(number), as: number)
      guard try isNew || !recorded.isRecorded(image) else { return }
      isChanged = true
      try found(image)
    }
    let known = recorded.pageSize == pageSize ? min(recorded.pageCount, pageCount) : 0
    if known > 0 {
      switch candidates {
      case .all:
        for number in 1...known where !ignored.contains(number) { try consider(number, isNew: false) }
      case .pages(let numbers):
        for number in numbers.union([1]).subtracting(ignored).sorted() where number >= 1 && number <= known {
          try consider(number, isNew: false)
        }
      }
    }
    if known < pageCount {
      for number in (known + 1)...pageCount { try consider(number, isNew: true) }
    }
    return isChanged ? DatabaseShape(pageSize: pageSize, pageCount: pageCount) : nil
  }

  /// The same, in memory.
  func difference(from recorded: RecordedState, among candidates: PageCandidates) throws -> CapturedTransaction? {
    var pages: [PageImage] = []
    let shape = try scan(against: recorded, among: candidates) { pages.append($0) }
    return shape.map { CapturedTransaction(compared: pages, shape: $0) }
  }

  /// The pages of the free list that hold nothing, whose bytes mean nothing.
  func freeLeaves() throws(DatabaseError) -> Set<UInt32> {
    var leaves: Set<UInt32> = []
    var trunk = BigEndian.read(try page(1), at: 32)
    var visited: UInt32 = 0
    while trunk > 1, trunk <= pageCount, visited < pageCount {
      let bytes = try page(trunk)
      let count = min(Int(BigEndian.read(bytes, at: 4)), pageSize / 4 - 2)
      for place in 0..<count { leaves.insert(BigEndian.read(bytes, at: 8 + 4 * place)) }
      trunk = BigEndian.read(bytes, at: 0)
      visited += 1
    }
    return leaves
  }
}
