// What a rollback journal says of a transaction: which pages it overwrites, and what they were.

/// The content of a rollback journal. Source: sqlite.org/fileformat2.html, section 3.
public struct JournalContents: Hashable, Sendable {
  /// Bytes of a page.
  public var pageSize: Int
  /// Pages of the database before the transaction.
  public var pageCount: UInt32
  /// The images from before the transaction, ascending; those of page 1 in canonical form.
  public var before: [PageImage]

  /// The pages that the transaction may have changed, besides those it added.
  ///
  /// SQLite does not journal the content of a free page that it puts to use again; but the free-list trunk page that
  /// named it is journaled then. So whatever an image would name if it were such a trunk is a candidate too.
  public var candidates: PageCandidates {
    var numbers = Set(before.map(\.number))
    for page in before {
      let count = BigEndian.read(page.bytes, at: 4)
      guard count <= UInt32(pageSize / 4 - 2) else { continue }
      for place in 0..<Int(count) {
        let leaf = BigEndian.read(page.bytes, at: 8 + 4 * place)
        if leaf > 0, leaf <= pageCount { numbers.insert(leaf) }
      }
    }
    return .pages(numbers)
  }
}

/// Parses journals.
public enum JournalReader {
  static let magic: [UInt8] = [0xD9, 0xD5, 0x05, 0xF9, 0x20, 0xA1, 0x63, 0xD7]
  static let headerLength = 28

  /// Reads a journal, as far as its checksums hold; nil when it has no header, that is, when no transaction needs it.
  public static func read(_ source: some ByteSource) throws(DatabaseError) -> JournalContents? {
    var contents: JournalContents?
    var images: [UInt32: [UInt8]] = [:]
    var offset: Int64 = 0
    while let header = try source.read(headerLength, at: offset), header.starts(with: magic) {
      let declared = BigEndian.read(header, at: 8)
      let nonce = BigEndian.read(header, at: 12)
      let sector = max(Int64(BigEndian.read(header, at: 20)), 512)
      let pageSize = Int(BigEndian.read(header, at: 24))
      if contents == nil {
        guard DatabaseHeader.pageSizes.contains(pageSize), sector <= 65536 else { return nil }
        contents = JournalContents(pageSize: pageSize, pageCount: BigEndian.read(header, at: 16), before: [])
      }
      guard let size = contents?.pageSize else { return nil }
      offset += sector
      // Zero and minus one mean that the count was not written: the checksums tell.
      let limit = declared == 0 ? UInt32.max : declared
      var count: UInt32 = 0
      while count < limit, let record = try source.read(size + 8, at: offset) {
        let number = BigEndian.read(record, at: 0)
        let image = Array(record[4..<4 + size])
        let checksum = BigEndian.read(record, at: 4 + size)
        guard number != 0, checksum == JournalReader.checksum(image, nonce: nonce) else { break }
        if images[number] == nil { images[number] = image }
        offset += Int64(size + 8)
        count += 1
      }
      offset = (offset + sector - 1) / sector * sector
    }
    contents?.before = images.sorted { $0.key < $1.key }.map { PageImage(recording: $0.value, as: $0.key) }
    return contents
  }

  /// The checksum of a record: every 200th byte from the end.
  static func checksum(_ image: [UInt8], nonce: UInt32) -> UInt32 {
    var sum = nonce
    var index = image.count - 200
    while index > 0 {
      sum &+= UInt32(image[index])
      index -= 200
    }
    return sum
  }

  /// Whether a journal stands beside a database that a transaction needs: it exists and its header is not zeroed.
  public static func isActive(besideDatabase path: String) throws(DatabaseError) -> Bool {
    guard let file = try SideFile(reading: path + "-journal") else { return false }
    guard let first = try file.read(1, at: 0) else { return false }
    return first[0] != 0
  }
}

/// Keeps the journal of a running transaction open, so that it can be read whole after its unlink.
///
/// Call `look` when the journal appears or changes and `finish` when it has ended. Only a journal that was unlinked is
/// known to be complete; one that was truncated is gone, and one whose header was zeroed no longer tells its length.
public final class JournalFollower {
  private let path: String
  private var file: SideFile?

  /// Follows the journal of a database.
  public init(databasePath: String) { path = databasePath + "-journal" }

  /// Opens the journal if it is not the one already open. A finished one that was not asked for is forgotten.
  public func look() throws(DatabaseError) {
    guard let found = try SideFile(reading: path) else { return }
    if let file, try file.identity() == found.identity() { return }
    file = found
  }

  /// What the journal held when it was unlinked; nil when that cannot be known.
  public func finish() throws(DatabaseError) -> JournalContents? {
    guard let file, try file.isUnlinked() else { return nil }
    self.file = nil
    return try JournalReader.read(file)
  }
}
