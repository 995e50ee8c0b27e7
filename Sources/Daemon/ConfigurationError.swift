// What is wrong with a configuration, said so that someone can mend it.

/// A configuration that cannot be used. Nothing was started.
public struct ConfigurationError: Error, Equatable, CustomStringConvertible {
  /// The file.
  public let file: String
  /// The setting, as `[table] key`; empty when the file as a whole is meant.
  public let key: String
  /// What is wrong with it.
  public let what: String
  /// What to do.
  public let remedy: String

  /// An error about a setting of a file.
  public init(file: String, key: String, what: String, remedy: String) {
    self.file = file
    self.key = key
    self.what = what
    self.remedy = remedy
  }

  /// All of it in one line.
  public var description: String { "\(file): \(key.isEmpty ? "" : "\(key): ")\(what). \(remedy)" }
}
