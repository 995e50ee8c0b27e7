// Why a socket could not be opened.

/// What `start()` throws.
public enum TransportError: Error, Equatable, CustomStringConvertible {
  /// Not an address of the form host:port.
  case badAddress(String)
  /// The system refused the address; says why.
  case cannotBind(String, String)
  /// The credentials do not make a TLS context; says why.
  case badCredentials(String)

  /// What, why, and what to do.
  public var description: String {
    switch self {
    case .badAddress(let text):
      "'\(text)' is not an address. Write host:port, [IPv6]:port or :port."
    case .cannotBind(let text, let why):
      "cannot bind \(text): \(why). Choose another address or port, or stop the program that has it."
    case .badCredentials(let why):
      "the credentials cannot be used for TLS: \(why). Issue them again with `grapevine cluster issue`."
    }
  }
}
