// grapevine volumes and volume: what is carried, and more of it.

import Admin
import ArgumentParser
import Daemon
import Foundation

/// `grapevine volumes`.
struct VolumesCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volumes", abstract: "The volumes of the node.",
    discussion: """
      Example:
        grapevine volumes
      """)

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let volumes = try admin.client().json([VolumeReport].self, "GET", "/v1/volumes")
    try output.print(volumes) { Self.text(of: volumes) }
  }

  static func text(of volumes: [VolumeReport]) -> String {
    if volumes.isEmpty { return "The node carries no volume." }
    var table = TextTable("NAME", "MOUNTED AT", "#ENTRIES", "#CONTENT", "#SIZE", "#INCOMING", "#CONFLICTS")
    for volume in volumes {
      table.add(
        volume.name, volume.mountedAt.isEmpty ? "-" : volume.mountedAt, String(volume.entries),
        Readable.bytes(volume.bytes), Readable.bytes(volume.sizeBytes), String(volume.incoming),
        String(volume.conflicts))
    }
    return table.text
  }
}

/// `grapevine volume`.
struct VolumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volume", abstract: "Volumes: list, show, create, attach to an app.",
    subcommands: [VolumesList.self, VolumeShowCommand.self, VolumeCreateCommand.self, VolumeAttachCommand.self])

  /// `grapevine volume list`.
  struct VolumesList: ParsableCommand {
    static let configuration = CommandConfiguration(
      commandName: "list", abstract: "The volumes of the node.",
      discussion: """
        Example:
          grapevine volume list
        """)

    @OptionGroup var inner: VolumesCommand

    func run() throws { try inner.run() }
  }
}

/// `grapevine volume show`.
struct VolumeShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "One volume, and how the peers stand to it.",
    discussion: """
      Example:
        grapevine volume show data
      """)

  @Argument(help: "The volume.")
  var name: String

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let volumes = try admin.client().json([VolumeReport].self, "GET", "/v1/volumes", query: ["name": name])
    guard let volume = volumes.first else { return }
    try output.print(volume) {
      var table = TextTable("PEER", "#BEHIND", "#AHEAD")
      for peer in volume.peers { table.add(peer.node, String(peer.behind), String(peer.ahead)) }
      return """
        \(VolumesCommand.text(of: [volume]))
        origin    \(volume.origin)
        position  \(volume.position)
        \(volume.peers.isEmpty ? "no peer is connected" : table.text)
        """
    }
  }
}

/// `grapevine volume create`.
struct VolumeCreateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Make a volume on the node and on every member it can reach.",
    discussion: """
      They carry it from now on, also after a restart. It is mounted where a configuration has a [[mount]] for it, at
      the next start.

      Example:
        grapevine volume create photos --size 10GB
      """)

  @Argument(help: "What to call the volume.")
  var name: String

  @Option(name: .long, help: "How many bytes it may hold. Default: as many as the disk does.")
  var size: String?

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    if let size, Quantities.bytes(size) == nil { throw ValidationError("'\(size)' is not a size. Write 10GB.") }
  }

  func run() throws {
    var query = ["name": name]
    query["size"] = size
    let told = try admin.client(timeoutSeconds: 60).json(ToldReport.self, "POST", "/v1/volumes", query: query)
    try output.print(told) {
      "Carried by \(told.done.joined(separator: ", "))."
        + (told.failed.isEmpty ? "" : "\nNOT by \(told.failed.joined(separator: ", ")): they could not be reached.")
    }
    if !told.failed.isEmpty { throw ExitCode(1) }
  }
}

/// `grapevine volume attach`.
struct VolumeAttachCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "attach", abstract: "Write the mount of a volume into an app's TOML, beside what stands there.",
    discussion: """
      Example:
        grapevine volume attach ./my-app --volume data --mount-path /data
        grapevine volume attach ./my-app/fly.toml --volume data --mount-path /data
      """)

  @Argument(help: "The TOML file, or a directory with a fly.toml or a grapevine.toml.")
  var app: String

  @Option(name: .long, help: "The volume.")
  var volume: String

  @Option(name: .long, help: "The directory it appears at.")
  var mountPath: String

  @OptionGroup var output: OutputOptions

  private struct Attached: Encodable {
    var file: String
    var source: String
    var destination: String
    var changed: Bool
  }

  func run() throws {
    let file = try path()
    let old = (try? String(contentsOfFile: file, encoding: .utf8)) ?? ""
    let environment = ProcessInfo.processInfo.environment
    let before = try Configuration.parse(
      old, file: file, directory: FileManager.default.currentDirectoryPath, environment: environment)
    if before.mounts.contains(where: { $0.source == volume && $0.destination == mountPath }) {
      let told = Attached(file: file, source: volume, destination: mountPath, changed: false)
      return try output.print(told) { "\(file) has that mount already." }
    }
    if let other = before.mounts.first {
      throw CommandFailure(
        what: "\(file) was not changed", why: "it mounts \(other.source) at \(other.destination) already",
        remedy: "Change that table by hand.")
    }
    let table = "[[mounts]]\nsource = \"\(volume)\"\ndestination = \"\(mountPath)\"\n"
    let text = old + (old.isEmpty || old.hasSuffix("\n") ? "" : "\n") + (old.isEmpty ? "" : "\n") + table
    _ = try Configuration.parse(
      text, file: file, directory: FileManager.default.currentDirectoryPath, environment: environment)
    do {
      try Data(text.utf8).write(to: URL(fileURLWithPath: file), options: .atomic)
    } catch {
      throw CommandFailure(
        what: "\(file) was not changed", why: String(describing: error),
        remedy: "Check that this user may write there.")
    }
    let told = Attached(file: file, source: volume, destination: mountPath, changed: true)
    try output.print(told) { "\(file): \(volume) at \(mountPath)." }
  }

  /// The file that is meant; a directory's fly.toml before its grapevine.toml.
  private func path() throws -> String {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: app, isDirectory: &isDirectory) else {
      if app.hasSuffix(".toml") { return app }
      throw CommandFailure(
        what: "there is no app '\(app)'", why: "it is neither a directory nor a .toml file",
        remedy: "Name the app's directory or its TOML file.")
    }
    if !isDirectory.boolValue { return app }
    let candidates = ["fly.toml", "grapevine.toml"].map { "\(app)/\($0)" }
    return candidates.first { FileManager.default.fileExists(atPath: $0) } ?? candidates[0]
  }
}
