// What can go wrong with a live database, in words that say what happened to it.

/// An error at a live database. Unless it says otherwise the database is as it was.
public enum DatabaseError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The bytes are not those of a database; says why.
  case notDatabase(String)
  /// SQLite refused; its extended result code and its words.
  case refused(path: String, code: Int32, message: String)
  /// The system refused; what was tried and the error number.
  case system(path: String, operation: String, number: Int32)
  /// A file beside the database holds what its format forbids; says what.
  case damaged(path: String, String)
  /// An image cannot be installed as given; says why. Nothing was changed.
  case unfit(String)

  /// A sentence for a person.
  public var description: String {
    switch self {
    case .notDatabase(let why): "not a SQLite database: \(why)"
    case .refused(let path, let code, let message): "SQLite refused at \(path): \(message) (code \(code))"
    case .system(let path, let operation, let number): "\(operation) failed at \(path): error \(number)"
    case .damaged(let path, let what): "\(path) is damaged: \(what)"
    case .unfit(let why): "the pages cannot be installed: \(why)"
    }
  }
}
