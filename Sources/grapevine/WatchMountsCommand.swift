// grapevine watch-mounts: the process that ends a killed node's mounts. The node starts it; people do not.

import ArgumentParser
import Daemon

/// `grapevine watch-mounts`.
struct WatchMountsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch-mounts", abstract: "Ends the mounts of a node when that is dead. Started by the node itself.",
    shouldDisplay: false)

  @Argument(help: "The process id of the node.")
  var process: Int32

  @Argument(help: "Its mount points.")
  var mountPoints: [String]

  func run() { MountWatch.run(watching: process, mountPoints: mountPoints) }
}
