// The files that SQLite keeps beside a database: they belong to this node and never replicate.

/// A file beside a database, by its kind.
enum Companion: UInt64, CaseIterable {
  /// The rollback journal.
  case journal = 1
  /// The write-ahead log.
  case log = 2
  /// The log's index, which connections share.
  case index = 3

  /// What its name has behind that of the database.
  var suffix: [UInt8] {
    switch self {
    case .journal: Self.journalSuffix
    case .log: Self.logSuffix
    case .index: Self.indexSuffix
    }
  }

  /// By how much its inode's number is meant to differ from that of the database.
  var offset: UInt64 { rawValue }

  private static let journalSuffix = Array("-journal".utf8)
  private static let logSuffix = Array("-wal".utf8)
  private static let indexSuffix = Array("-shm".utf8)

  /// The database and the companion that a name would mean.
  static func split(_ name: some BidirectionalCollection<UInt8>) -> (database: [UInt8], companion: Companion)? {
    for companion in allCases where name.count > companion.suffix.count {
      guard name.last == companion.suffix.last, name.suffix(companion.suffix.count).elementsEqual(companion.suffix)
      else { continue }
      return (Array(name.dropLast(companion.suffix.count)), companion)
    }
    return nil
  }
}
