// grapevine cluster: the files of a mesh, before and beside the nodes that run.

import ArgumentParser
import Daemon
import Foundation

/// `grapevine cluster`.
struct ClusterCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cluster", abstract: "Make a mesh, and credentials of its nodes.",
    subcommands: [ClusterCreateCommand.self, ClusterIssueCommand.self])
}

/// `grapevine cluster create`.
struct ClusterCreateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create",
    abstract: "Make a mesh: its id, its authority, its gossip key, and one ready directory a region.",
    discussion: """
      The authority stays in DIR/authority; whoever has it can make nodes. Each DIR/NODE goes to its node's machine.

      Examples:
        grapevine cluster create --name vineyard --regions lhr,ord
        grapevine cluster create --name vineyard --regions lhr=lhr.example.com,ord=ord.example.com --volume data:10GB
        grapevine cluster create --name try --regions lhr,ord,syd --local --volume data
      """)

  @Option(name: .long, help: "What to call the mesh.")
  var name: String

  @Option(
    name: .long,
    help: ArgumentHelp(
      """
      A node a region, with commas between. A region may have the host its node is reached at, and a gossip port \
      other than 7946: lhr=host:port.
      """,
      valueName: "region[=host],..."))
  var regions: String

  @Option(name: .long, help: "Where to make it. Default: a directory with the mesh's name.")
  var dir: String?

  @Flag(name: .long, help: "All nodes on this machine: each on loopback with ports of its own.")
  var local = false

  @Option(
    name: .long,
    help: ArgumentHelp(
      "A volume that every node declares and mounts at `mount` in its directory.", valueName: "name[:size]"))
  var volume: String?

  @OptionGroup var output: OutputOptions

  func validate() throws {
    if regions.split(separator: ",").isEmpty { throw ValidationError("--regions names no region. Write lhr,ord.") }
    if local, regions.contains("=") {
      throw ValidationError("--local gives every node an address; leave out the hosts.")
    }
  }

  func run() throws {
    let directory = dir ?? name
    let parts = volume.map { $0.split(separator: ":", maxSplits: 1).map(String.init) }
    let files = try ClusterFiles.create(
      name: name, sites: regions.split(separator: ",").map { ClusterFiles.Site(text: String($0)) },
      directory: directory, local: local,
      volume: parts.map { ClusterFiles.NewVolume(name: $0.first ?? "", size: $0.count > 1 ? $0[1] : "") })
    let report = ClusterReport(files, nodes: files.nodes)
    try output.print(report) {
      """
      Mesh \(report.name), id \(report.mesh)
        \(directory)/authority  the authority: keep it here and safe; it makes nodes
      \(ClusterReport.lines(files.nodes))
      """
    }
  }
}

/// `grapevine cluster issue`.
struct ClusterIssueCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "issue",
    abstract: "Make the directory of one more node.",
    discussion: """
      Example:
        grapevine cluster issue syd-1 --region syd --host syd.example.com --dir ./vineyard
      """)

  @Argument(help: "What to call the node.")
  var node: String

  @Option(name: .long, help: "Where it stands.")
  var region: String

  @Option(name: .long, help: "The host it is reached at, with a gossip port other than 7946 as host:port.")
  var host: String?

  @Option(name: .long, help: "The directory that `cluster create` made.")
  var dir: String

  @OptionGroup var output: OutputOptions

  func run() throws {
    var files = try ClusterFiles.load(dir)
    let made = try files.issue(node, site: .init(region: region, host: host ?? ""))
    try output.print(ClusterReport(files, nodes: [made])) { ClusterReport.lines([made]) }
  }
}

/// What was made, for machines.
private struct ClusterReport: Encodable {
  var name: String
  var mesh: String
  var directory: String
  var nodes: [ClusterFiles.Node]

  init(_ files: ClusterFiles, nodes: [ClusterFiles.Node]) {
    name = files.authority.name
    mesh = files.authority.meshText
    directory = files.directory
    self.nodes = nodes
  }

  static func lines(_ nodes: [ClusterFiles.Node]) -> String {
    nodes.map { "  \($0.directory)  start it with: grapevine up --config \($0.directory)/grapevine.toml" }
      .joined(separator: "\n")
  }
}
