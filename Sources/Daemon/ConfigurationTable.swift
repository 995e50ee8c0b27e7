// One table of a configuration file, read key by key with an error for everything that is not as it should be.

import Causality
import Transport

/// A table and where it stands.
struct ConfigurationTable {
  let file: String
  let name: String
  let values: [String: ConfigurationValue]
  let directory: String
  let variables: [String: String]

  /// Refuses keys that are not the table's.
  func checkKeys(_ known: [String], foreign: Set<String> = []) throws {
    for key in values.keys.sorted() where !known.contains(key) && !foreign.contains(key) {
      throw error(
        key, "there is no such key", "Did you mean \(ConfigurationSchema.nearest(to: key, in: name))?")
    }
  }

  func text(_ key: String, default standard: String) throws -> String {
    guard let value = values[key] else { return standard }
    guard case .text(let text) = value else { throw error(key, "is \(value.kind)", "Write a string in quotes.") }
    return try expand(text, key)
  }

  func requiredText(_ key: String) throws -> String {
    let text = try text(key, default: "")
    if text.isEmpty { throw error(key, "is missing", "Write \(key) = \"...\".") }
    return text
  }

  func texts(_ key: String) throws -> [String] {
    guard let value = values[key] else { return [] }
    guard case .list(let list) = value else {
      throw error(key, "is \(value.kind)", "Write an array of strings in square brackets.")
    }
    return try list.map { element in
      guard case .text(let text) = element else {
        throw error(key, "holds \(element.kind)", "Write an array of strings in square brackets.")
      }
      return try expand(text, key)
    }
  }

  func tables(_ key: String) throws -> [ConfigurationTable] {
    switch values[key] {
    case nil: return []
    case .table(let values): return [child(key, values)]
    case .list(let list):
      return try list.map { element in
        guard case .table(let values) = element else {
          throw error(key, "holds \(element.kind)", "Write an array of tables.")
        }
        return child(key, values)
      }
    case .some(let value): throw error(key, "is \(value.kind)", "Write an array of tables.")
    }
  }

  func choice<Choice: RawRepresentable & CaseIterable>(_ key: String, default standard: Choice) throws -> Choice
  where Choice.RawValue == String {
    let text = try text(key, default: standard.rawValue)
    guard let choice = Choice(rawValue: text) else {
      let all = Choice.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
      throw error(key, "\"\(text)\" is none of its values", "Choose one of \(all).")
    }
    return choice
  }

  func duration(_ key: String, default standard: Span, atLeast least: Span = .zero) throws -> Span {
    guard values[key] != nil else { return standard }
    let text = try text(key, default: "")
    guard let span = Quantities.duration(text) else {
      throw error(key, "\"\(text)\" is not a duration", "Write one such as \"500ms\", \"90s\", \"24h\" or \"30d\".")
    }
    if span < least {
      throw error(key, "\"\(text)\" is too short", "Write at least \"\(Quantities.text(of: least))\".")
    }
    return span
  }

  func bytes(_ key: String) throws -> UInt64 {
    guard let value = values[key] else { return 0 }
    if case .integer(let count) = value, count >= 0 { return UInt64(count) }
    let text = try text(key, default: "")
    guard let bytes = Quantities.bytes(text) else {
      throw error(key, "\"\(text)\" is not a size", "Write one such as \"10GB\" or \"512MiB\".")
    }
    return bytes
  }

  /// A path; a relative one is taken from the file's directory. Empty stays empty.
  func path(_ key: String, default standard: String) throws -> String {
    let text = try text(key, default: standard)
    return text.isEmpty || text.hasPrefix("/") ? text : "\(directory)/\(text)"
  }

  /// An address of the form host:port.
  func address(_ key: String, default standard: String, mayBeEmpty: Bool = false) throws -> String {
    let text = try text(key, default: standard)
    if mayBeEmpty && text.isEmpty { return text }
    guard Endpoint(text) != nil else {
      throw error(key, "\"\(text)\" is not an address", "Write host:port, [IPv6]:port or :port.")
    }
    return text
  }

  /// A name of a node, region or volume.
  func checkedName(_ key: String, _ name: String) throws -> String {
    guard NodeIdentity.isValidName(name) else {
      throw error(
        key, "\"\(name)\" cannot be a name", "Choose 1 to 63 letters, digits, dots, dashes or underscores.")
    }
    return name
  }

  func error(_ key: String, _ what: String, _ remedy: String) -> ConfigurationError {
    ConfigurationError(file: file, key: name.isEmpty ? key : "[\(name)] \(key)", what: what, remedy: remedy)
  }

  private func child(_ key: String, _ values: [String: ConfigurationValue]) -> ConfigurationTable {
    ConfigurationTable(
      file: file, name: name.isEmpty ? key : "\(name).\(key)", values: values, directory: directory,
      variables: variables)
  }

  private func expand(_ text: String, _ key: String) throws -> String {
    do {
      return try VariableExpansion.expand(text, variables: variables)
    } catch {
      switch error {
      case .unset(let variable):
        throw self.error(
          key, "the variable \(variable) is not set", "Set it, or write ${\(variable):-DEFAULT}.")
      case .malformed:
        throw self.error(
          key, "\"\(text)\" has a ${ without its }", "Write ${VARIABLE}, or $${ for the characters themselves.")
      }
    }
  }
}
