// The values of a TOML file, out of the parser's hands.

import TOMLKit

/// A value of a TOML file.
indirect enum ConfigurationValue {
  case text(String)
  case integer(Int)
  case boolean(Bool)
  case list([ConfigurationValue])
  case table([String: ConfigurationValue])
  case other(String)

  /// Reads a whole file.
  static func parse(_ text: String, file: String) throws -> [String: ConfigurationValue] {
    let root: TOMLTable
    do {
      root = try TOMLTable(string: text)
    } catch let error as TOMLParseError {
      throw ConfigurationError(
        file: "\(file):\(error.source.begin.line)", key: "", what: "not TOML: \(error.description)",
        remedy: "Mend the line; strings stand in quotes.")
    }
    // The parser frees its tree with the root.
    return withExtendedLifetime(root) { entries(of: root) }
  }

  private static func entries(of table: TOMLTable) -> [String: ConfigurationValue] {
    Dictionary(uniqueKeysWithValues: table.map { ($0.0, value($0.1)) })
  }

  private static func value(_ value: any TOMLValueConvertible) -> ConfigurationValue {
    if let text = value.string { return .text(text) }
    if let integer = value.int { return .integer(integer) }
    if let boolean = value.bool { return .boolean(boolean) }
    if let array = value.array { return .list(array.map { Self.value($0) }) }
    if let table = value.table { return .table(entries(of: table)) }
    return .other(value.type.description)
  }

  /// What kind of value it is, in words.
  var kind: String {
    switch self {
    case .text: "a string"
    case .integer: "an integer"
    case .boolean: "a boolean"
    case .list: "an array"
    case .table: "a table"
    case .other(let kind): "a \(kind)"
    }
  }
}
