// Two nodes on this machine, with a directory of the file system beneath beside their mounts.

import Foundation

/// A mesh of two nodes as child processes, in a directory that goes with it.
final class Mesh {
  let directory: String
  private var nodes: [Process] = []

  /// The mounts of both nodes.
  var mounts: [String] { ["a-1", "b-1"].map { "\(directory)/mesh/\($0)/mount" } }
  /// A directory outside of the mounts, on the same disk as the nodes' data.
  var native: String { directory + "/native" }
  /// The process ids of the nodes.
  var pids: [Int32] { nodes.map(\.processIdentifier) }

  init(binary: String) throws {
    directory = FileManager.default.currentDirectoryPath + "/.build/bench-\(getpid())"
    try FileManager.default.createDirectory(atPath: native, withIntermediateDirectories: true)
    let create = try Self.start(
      binary,
      [
        "cluster", "create", "--name", "bench", "--regions", "a,b", "--local", "--volume", "data", "--dir",
        directory + "/mesh",
      ])
    create.waitUntilExit()
    guard create.terminationStatus == 0 else { throw Failure("cluster create failed") }
    for node in ["a-1", "b-1"] {
      nodes.append(try Self.start(binary, ["up", "--config", "\(directory)/mesh/\(node)/grapevine.toml"]))
    }
    let probe = mounts[0] + "/probe"
    for _ in 0..<200 {
      usleep(100_000)
      if Self.isMounted(mounts[0]), Self.isMounted(mounts[1]) {
        FileManager.default.createFile(atPath: probe, contents: Data())
        if FileManager.default.fileExists(atPath: mounts[1] + "/probe") { return }
      }
    }
    end()
    throw Failure("the nodes did not come up within 20 s")
  }

  private static func isMounted(_ path: String) -> Bool {
    (try? String(contentsOfFile: "/proc/mounts", encoding: .utf8))?.contains(" \(path) fuse.grapevine ") ?? false
  }

  private static func start(_ binary: String, _ arguments: [String]) throws -> Process {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: binary)
    process.arguments = arguments
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    return process
  }

  /// Ends the nodes and removes the directory.
  func end() {
    for node in nodes where node.isRunning { node.terminate() }
    for node in nodes { node.waitUntilExit() }
    nodes = []
    try? FileManager.default.removeItem(atPath: directory)
  }
}

/// Why a measurement ended.
struct Failure: Error, CustomStringConvertible {
  let description: String
  init(_ description: String) { self.description = description }
}
