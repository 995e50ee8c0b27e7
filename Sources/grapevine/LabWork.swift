// The lab's own program: writes in every way, and notes what fsync acknowledged.

import ArgumentParser
import Dispatch
import Foundation
import Synchronization

/// `grapevine lab work`: what the lab runs on each node when the scenario names no program.
struct LabWorkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(commandName: "work", shouldDisplay: false)

  @Option(name: .long, help: "The node's number.")
  var number: Int

  func run() throws {
    let environment = ProcessInfo.processInfo.environment
    guard let mount = environment["GRAPEVINE_MOUNT"], let acks = environment["GRAPEVINE_ACKS"],
      let node = environment["GRAPEVINE_NODE"]
    else { throw CommandFailure(what: "this is what the lab runs", remedy: "Use `grapevine lab run`.", status: 2) }
    LabWork(mount: mount, acks: acks, node: node, number: number).work()
  }
}

/// One acknowledged write: how it was made, where, and which.
struct LabWrite: Hashable {
  /// How a write is made.
  enum Kind: String, CaseIterable {
    /// A new file of the node's own.
    case new
    /// A file of the node's own, replaced by rename.
    case replace
    /// A line at the end of a file of the node's own.
    case append
    /// A chunk of the node's own in a file that all nodes write.
    case slot
    /// A name that all nodes try to be the first to create: where two succeed neither has seen the other.
    case claim
  }

  var kind: Kind
  var path: String
  var node: String
  var number: Int

  /// What the write puts into the file.
  var content: [UInt8] {
    if kind == .append { return Array("\(number)\n".utf8) }
    let line = Array("\(kind) \(path) \(node) \(number)\n".utf8)
    var bytes: [UInt8] = []
    while bytes.count < 4_096 { bytes += line }
    return Array(bytes.prefix(4_096))
  }

  /// As a line of the notes.
  var line: String { "\(kind) \(path) \(node) \(number)" }

  init(kind: Kind, path: String, node: String, number: Int) {
    self.kind = kind
    self.path = path
    self.node = node
    self.number = number
  }

  init?(_ words: ArraySlice<Substring>) {
    guard words.count == 4, let kind = Kind(rawValue: String(words[words.startIndex])),
      let number = Int(words[words.startIndex + 3])
    else { return nil }
    self.init(
      kind: kind, path: String(words[words.startIndex + 1]), node: String(words[words.startIndex + 2]), number: number)
  }
}

/// The program.
struct LabWork {
  static let board = "shared/board"
  static let chunk = 131_072
  static let slots = 4

  let mount: String
  let acks: String
  let node: String
  let number: Int

  /// Makes what all nodes write, once, before any of them works.
  static func prepare(_ mount: String, nodes: [String]) throws {
    for directory in ["shared"] + nodes {
      try FileManager.default.createDirectory(atPath: "\(mount)/\(directory)", withIntermediateDirectories: true)
    }
    try Data().write(to: URL(fileURLWithPath: "\(mount)/\(board)"))
    truncate("\(mount)/\(board)", off_t(chunk * slots * (nodes.count + 1)))
  }

  /// Where a write of kind `slot` lies in the board.
  static func offset(node number: Int, slot: Int) -> Int { (number * slots + slot) * chunk }

  /// Writes until it is told to end, or something fails, which it does when the node is killed. A write that has begun is
  /// brought to its end.
  func work() {
    signal(SIGTERM, SIG_IGN)
    let isEnding = Atomic<Bool>(false)
    let source = DispatchSource.makeSignalSource(signal: SIGTERM, queue: .global())
    source.setEventHandler { isEnding.store(true, ordering: .relaxed) }
    source.resume()
    defer { source.cancel() }
    let notes = open(acks, O_WRONLY | O_CREAT | O_APPEND, 0o600)
    var count = ((try? String(contentsOfFile: acks, encoding: .utf8)) ?? "").split(separator: "\n").count
    var claims = 0
    while !isEnding.load(ordering: .relaxed) {
      count += 1
      var write = LabWrite(kind: LabWrite.Kind.allCases[Int.random(in: 0..<5)], path: "", node: node, number: count)
      switch write.kind {
      case .new: write.path = "\(node)/new-\(count)"
      case .replace: write.path = "\(node)/replaced-\(Int.random(in: 0..<4))"
      case .append: write.path = "\(node)/appended-\(Int.random(in: 0..<2))"
      case .slot: write.path = "\(Self.board)#\(Self.offset(node: number, slot: Int.random(in: 0..<Self.slots)))"
      case .claim:
        while access("\(mount)/shared/claim-\(claims)", F_OK) == 0 { claims += 1 }
        write.path = "shared/claim-\(claims)"
      }
      note("try", write, notes)
      switch perform(write) {
      case 0: note("done", write, notes)
      case EEXIST: break
      default: return
      }
      usleep(5_000)
    }
  }

  private func note(_ state: String, _ write: LabWrite, _ notes: Int32) {
    let line = Array("\(state) \(write.line)\n".utf8)
    _ = Glibc.write(notes, line, line.count)
  }

  private func perform(_ write: LabWrite) -> Int32 {
    let path = "\(mount)/\(write.path)"
    switch write.kind {
    case .new, .claim: return put(write.content, path, O_WRONLY | O_CREAT | O_EXCL)
    case .append: return put(write.content, path, O_WRONLY | O_CREAT | O_APPEND)
    case .slot:
      let parts = path.split(separator: "#")
      return put(write.content, String(parts[0]), O_RDWR, at: off_t(parts[1]))
    case .replace:
      let draft = path + ".draft"
      let error = put(write.content, draft, O_WRONLY | O_CREAT | O_TRUNC)
      if error != 0 { return error }
      guard rename(draft, path) == 0 else { return errno }
      return synchronise("\(mount)/\(node)")
    }
  }

  private func put(_ bytes: [UInt8], _ path: String, _ flags: Int32, at offset: off_t? = nil) -> Int32 {
    let descriptor = open(path, flags | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    let count = offset.map { pwrite(descriptor, bytes, bytes.count, $0) } ?? Glibc.write(descriptor, bytes, bytes.count)
    guard count == bytes.count, fsync(descriptor) == 0 else { return errno == 0 ? EIO : errno }
    return 0
  }

  private func synchronise(_ directory: String) -> Int32 {
    let descriptor = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return errno }
    defer { close(descriptor) }
    return fsync(descriptor) == 0 ? 0 : errno
  }
}
