// What is wrong with credentials, said so that someone can mend it.

/// A credentials directory that cannot be read, written or trusted.
public struct CredentialsError: Error, Equatable, CustomStringConvertible {
  /// What failed.
  public let what: String
  /// Why.
  public let why: String
  /// What to do.
  public let remedy: String

  /// An error with all three.
  public init(_ what: String, why: String, remedy: String) {
    self.what = what
    self.why = why
    self.remedy = remedy
  }

  /// All three in one line.
  public var description: String { "\(what): \(why). \(remedy)" }
}
