// ${VAR} and ${VAR:-default} in the strings of a configuration.

/// Replaces variables by their values.
enum VariableExpansion {
  /// Why a string could not be expanded.
  enum Failure: Error, Equatable {
    /// A variable without value and without default.
    case unset(String)
    /// An opening without its end, or a name that is none.
    case malformed
  }

  /// The string with every variable replaced. An empty value takes the default too, as in a shell. `$${` is `${`.
  static func expand(_ text: String, variables: [String: String]) throws(Failure) -> String {
    var result = ""
    var rest = text[...]
    while let dollar = rest.firstIndex(of: "$") {
      result += rest[..<dollar]
      rest = rest[dollar...]
      if rest.hasPrefix("$${") {
        result += "${"
        rest = rest.dropFirst(3)
      } else if rest.hasPrefix("${") {
        guard let end = rest.firstIndex(of: "}") else { throw .malformed }
        result += try value(of: rest[..<end].dropFirst(2), variables)
        rest = rest[rest.index(after: end)...]
      } else {
        result += "$"
        rest = rest.dropFirst()
      }
    }
    return result + rest
  }

  private static func value(of body: Substring, _ variables: [String: String]) throws(Failure) -> String {
    let name = body.prefix { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_") }
    let suffix = body[name.endIndex...]
    guard !name.isEmpty, suffix.isEmpty || suffix.hasPrefix(":-") else { throw .malformed }
    if let value = variables[String(name)], !value.isEmpty || suffix.isEmpty { return value }
    guard suffix.hasPrefix(":-") else { throw .unset(String(name)) }
    return String(suffix.dropFirst(2))
  }
}
