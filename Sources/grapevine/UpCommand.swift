// grapevine up: one node in the foreground.

import ArgumentParser
import Daemon
import Dispatch
import Foundation
import Logging

/// `grapevine up`.
struct UpCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "up", abstract: "Run a node in the foreground until SIGTERM or SIGINT.",
    discussion: """
      Mounts the volumes of the configuration, joins the mesh, and on the signal flushes, says goodbye and unmounts.

      Example:
        grapevine up --config ./try/lhr-1/grapevine.toml
      """)

  @Option(name: .long, help: "The configuration. Default: GRAPEVINE_CONFIG, or \(Configuration.standardPath).")
  var config: String?

  @Option(
    name: .long,
    help: ArgumentHelp("Write a line to this descriptor when everything is mounted, then close it.", valueName: "fd"))
  var readyFd: Int32?

  func run() async throws {
    let signals = SignalWait([SIGTERM, SIGINT])
    let service = try await RunningNode.start(config: config)
    RunningNode.announceReady(readyFd)
    _ = await signals.next()
    StandardError.write("grapevine: stopping")
    await service.stop()
  }
}

/// Starting a node from the command line.
enum RunningNode {
  /// Loads the configuration and starts the node.
  static func start(config: String?) async throws -> NodeService {
    let environment = ProcessInfo.processInfo.environment
    let path = config ?? environment["GRAPEVINE_CONFIG"] ?? Configuration.standardPath
    let configuration = try Configuration.load(path: path, environment: environment)
    let level = Logger.Level(rawValue: configuration.log.level.rawValue) ?? .info
    LoggingSystem.bootstrap { StreamLogHandler.standardError(label: $0) }
    var log = Logger(label: "grapevine")
    log.logLevel = level
    return try await NodeService.start(configuration, log: log, watchesMounts: true)
  }

  /// Tells whoever waits that the node is mounted: the given descriptor, and systemd when it started us.
  static func announceReady(_ descriptor: Int32?) {
    if let descriptor {
      _ = "ready\n".withCString { write(descriptor, $0, 6) }
      close(descriptor)
    }
    if let path = ProcessInfo.processInfo.environment["NOTIFY_SOCKET"] { SystemdNotice.send("READY=1", to: path) }
  }
}

/// Waits for signals without a handler running on a stranger's stack.
final class SignalWait: @unchecked Sendable {
  private let stream: AsyncStream<Int32>
  private let sources: [any DispatchSourceSignal]

  init(_ signals: [Int32]) {
    let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
    self.stream = stream
    sources = signals.map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { continuation.yield(number) }
      source.resume()
      return source
    }
  }

  /// The next signal.
  func next() async -> Int32 {
    for await number in stream { return number }
    return 0
  }
}

/// The datagram by which systemd learns that a service is ready. Source: sd_notify(3).
enum SystemdNotice {
  static func send(_ text: String, to path: String) {
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(path.utf8)
    if bytes.first == UInt8(ascii: "@") { bytes[0] = 0 }
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    _ = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
        text.withCString { sendto(descriptor, $0, text.utf8.count, 0, pointer, length) }
      }
    }
  }
}
