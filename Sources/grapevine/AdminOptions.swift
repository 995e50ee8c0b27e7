// --admin: which node a verb talks to.

import Admin
import ArgumentParser
import Daemon
import Foundation

/// Which node a verb talks to.
struct AdminOptions: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "The node's socket, or http://host:port. Default: GRAPEVINE_ADMIN, or the socket named by the configuration.",
      valueName: "socket-or-url"))
  var admin: String?

  @Option(
    name: .long,
    help: "The configuration that names the socket. Default: GRAPEVINE_CONFIG, or \(Configuration.standardPath).")
  var config: String?

  /// A client of the node. Over http the token of GRAPEVINE_TOKEN allows it to change things.
  func client(timeoutSeconds: Int = 30) throws -> AdminClient {
    let environment = ProcessInfo.processInfo.environment
    return AdminClient(
      try address(environment), token: environment["GRAPEVINE_TOKEN"] ?? "", timeoutSeconds: timeoutSeconds)
  }

  /// `--admin`; else the socket in `--config`; else `GRAPEVINE_ADMIN`; else the socket in `GRAPEVINE_CONFIG` or in the
  /// standard configuration; else the standard socket.
  func address(_ environment: [String: String] = ProcessInfo.processInfo.environment) throws -> AdminAddress {
    let given = environment["GRAPEVINE_ADMIN"].flatMap { $0.isEmpty ? nil : $0 }
    if let text = admin ?? (config == nil ? given : nil) {
      guard let address = AdminAddress(text) else {
        throw CommandFailure(
          what: "'\(text)' does not name a node", why: "it is neither a socket's path nor http://host:port",
          remedy: "Write --admin /run/grapevine.sock or --admin http://127.0.0.1:7948.", status: 2)
      }
      return address
    }
    let named = config ?? environment["GRAPEVINE_CONFIG"]
    let path = named ?? Configuration.standardPath
    if named == nil, !FileManager.default.fileExists(atPath: path) { return .socket(Configuration().admin.socket) }
    let configuration = try Configuration.load(path: path, environment: environment)
    if !configuration.admin.socket.isEmpty { return .socket(configuration.admin.socket) }
    guard let address = AdminAddress("http://\(configuration.admin.http)"), !configuration.admin.http.isEmpty else {
      throw CommandFailure(
        what: "the node cannot be asked", why: "\(path) turns off both `socket` and `http` in [admin]",
        remedy: "Set one of them and restart the node.")
    }
    return address
  }
}
