// A cell: a shell in mount, process and network namespaces of its own, in which everything ends with the test.

import Foundation
import Synchronization

/// A script that failed, with what it printed.
struct CellError: Error, CustomStringConvertible {
  var script: String
  var output: String
  var description: String { "failed: \(script)\n\(output)" }
}

/// A shell that the test speaks to over pipes.
///
/// Its first process waits for the test's end of a pipe to close, however that comes about; then the kernel ends all
/// processes of the cell, and with the last of them its mounts and networks.
final class Cell: Sendable {
  /// Whether this machine can have one.
  static let isPossible = getuid() == 0 && access("/dev/fuse", R_OK | W_OK) == 0

  /// The directory that the cell works in, seen from both sides; mounts in it are seen from inside only.
  let directory: String
  private let process: Process
  private let lifeline: FileHandle
  private let commands: Int32
  private let answers: Int32
  private let queue = DispatchQueue(label: "cell")
  private let buffer = Mutex<[UInt8]>([])

  init() throws {
    var template = Array("\(NSTemporaryDirectory())/gv-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw CellError(script: "mkdtemp", output: "errno \(errno)") }
    directory = String(decoding: template.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    guard mkfifo("\(directory)/in", 0o600) == 0, mkfifo("\(directory)/out", 0o600) == 0 else {
      throw CellError(script: "mkfifo", output: "errno \(errno)")
    }
    let line = Pipe()
    let process = Process()
    self.process = process
    process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
    process.arguments = [
      "--mount", "--pid", "--net", "--fork", "--kill-child", "--mount-proc", "/bin/bash", "-c",
      #"bash --noprofile --norc -s <"$0/in" >"$0/out" 2>&1 & read -r _"#, directory,
    ]
    process.standardInput = line
    try Self.withoutBlockedSignals { try process.run() }
    lifeline = line.fileHandleForWriting
    try? line.fileHandleForReading.close()
    commands = open("\(directory)/in", O_RDWR | O_CLOEXEC)
    answers = open("\(directory)/out", O_RDWR | O_CLOEXEC)
  }

  /// Threads of a pool block signals, and processes started from them would do so too.
  private static func withoutBlockedSignals(_ body: () throws -> Void) rethrows {
    var none = sigset_t()
    var former = sigset_t()
    sigemptyset(&none)
    pthread_sigmask(SIG_SETMASK, &none, &former)
    defer { pthread_sigmask(SIG_SETMASK, &former, nil) }
    try body()
  }

  /// Ends everything in the cell; nodes first, each by itself, while the guards of their mounts are there.
  func close() {
    _ = try? perform(
      "for pid in \"${pids[@]}\"; do kill -KILL \"$pid\"; wait \"$pid\"; done 2>/dev/null; true", seconds: 20)
    try? lifeline.close()
    process.waitUntilExit()
    Glibc.close(commands)
    Glibc.close(answers)
    try? FileManager.default.removeItem(atPath: directory)
  }

  /// Runs a script in the cell's shell and returns what it printed; throws when it fails or takes too long.
  @discardableResult
  func run(_ script: String, seconds: Double = 120) async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
      queue.async { continuation.resume(with: Result { try self.perform(script, seconds: seconds) }) }
    }
  }

  private func perform(_ script: String, seconds: Double) throws -> String {
    let mark = "--- end \(UInt64.random(in: 0...UInt64.max)) "
    let text = Array("{\n\(script)\n} </dev/null\nprintf '\\n%s%d\\n' '\(mark)' $?\n".utf8)
    guard write(commands, text, text.count) == text.count else {
      throw CellError(script: script, output: "errno \(errno)")
    }
    let end = DispatchTime.now().uptimeNanoseconds + UInt64(seconds * 1_000_000_000)
    while true {
      if let (output, status) = taken(upTo: mark) {
        if status != 0 { throw CellError(script: script, output: output) }
        return output
      }
      let now = DispatchTime.now().uptimeNanoseconds
      guard now < end, process.isRunning else {
        let output = buffer.withLock { String(decoding: $0, as: UTF8.self) }
        throw CellError(script: script, output: "\(output)\n(no end within \(seconds) s)")
      }
      var waiting = pollfd(fd: answers, events: Int16(POLLIN), revents: 0)
      guard poll(&waiting, 1, Int32(min(500, (end - now) / 1_000_000 + 1))) > 0 else { continue }
      var chunk = [UInt8](repeating: 0, count: 65_536)
      let count = read(answers, &chunk, chunk.count)
      if count > 0 { buffer.withLock { $0 += chunk.prefix(count) } }
    }
  }

  private func taken(upTo mark: String) -> (output: String, status: Int)? {
    buffer.withLock { bytes in
      let text = String(decoding: bytes, as: UTF8.self)
      guard let found = text.range(of: "\n" + mark), let end = text[found.upperBound...].firstIndex(of: "\n") else {
        return nil
      }
      let status = Int(text[found.upperBound..<end]) ?? -1
      bytes = Array(text[text.index(after: end)...].utf8)
      return (text[..<found.lowerBound].trimmingCharacters(in: .newlines), status)
    }
  }
}
