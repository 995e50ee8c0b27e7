// From one node to the other: small files, a large one, many, and an edit; beside plain cp and cmp.

import Foundation

/// How long what is written on one node takes to be the same on the other.
enum ReplicationBench {
  static func run(_ mesh: Mesh, rounds: Int) throws {
    try latency(mesh, count: 40 * rounds)
    try large(mesh, mebibytes: 1_024, rounds: min(rounds, 3))
    try many(mesh, count: 10_000, rounds: min(rounds, 3))
  }

  private static func wait(_ what: String, until isThere: () -> Bool) throws {
    let limit = Date().addingTimeInterval(120)
    while !isThere() {
      guard Date() < limit else { throw Failure("\(what) did not arrive within 120 s") }
      usleep(200)
    }
  }

  private static func contents(_ path: String) -> [UInt8] {
    let descriptor = open(path, O_RDONLY)
    guard descriptor >= 0 else { return [] }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: 2_048)
    let count = read(descriptor, &bytes, bytes.count)
    return Array(bytes.prefix(max(0, count)))
  }

  private static func put(_ bytes: [UInt8], _ path: String) {
    let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    write(descriptor, bytes, bytes.count)
    close(descriptor)
  }

  private static func latency(_ mesh: Mesh, count: Int) throws {
    var times: [Double] = []
    for index in 0..<count {
      let bytes = (0..<1_024).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ index) }
      times.append(
        try seconds {
          put(bytes, "\(mesh.mounts[0])/small-\(index)")
          try wait("a small file") { contents("\(mesh.mounts[1])/small-\(index)") == bytes }
        })
      usleep(20_000)
    }
    print(
      "1 KiB file created -> visible: p50 \(text(median(times) * 1_000)) ms, p99 \(text(percentile(times, 0.99) * 1_000)) ms"
    )
  }

  private static func shell(_ command: String) -> Int32 {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", command]
    guard (try? process.run()) != nil else { return -1 }
    process.waitUntilExit()
    return process.terminationStatus
  }

  private static func size(_ path: String) -> Int64 {
    var status = stat()
    return stat(path, &status) == 0 ? Int64(status.st_size) : -1
  }

  private static func large(_ mesh: Mesh, mebibytes: Int, rounds: Int) throws {
    let source = mesh.native + "/source"
    guard shell("head -c \(mebibytes << 20) /dev/urandom > \(source)") == 0 else { throw Failure("no room") }
    var (mounted, plain, edits, sent): ([Double], [Double], [Double], [Double]) = ([], [], [], [])
    for round in 0..<rounds {
      let (from, to) = ("\(mesh.mounts[0])/large-\(round)", "\(mesh.mounts[1])/large-\(round)")
      plain.append(
        Double(mebibytes) / seconds { _ = shell("cp \(source) \(source)-2 && cmp \(source) \(source)-2") })
      mounted.append(
        Double(mebibytes)
          / (try seconds {
            guard shell("cp \(source) \(from)") == 0 else { throw Failure("cp failed") }
            try wait("a large file") { size(to) == Int64(mebibytes) << 20 && shell("cmp -s \(source) \(to)") == 0 }
          }))
      let block = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 131 &+ round) }
      let before = IdleBench.loopbackBytes()
      edits.append(
        try seconds {
          let descriptor = open(from, O_WRONLY)
          pwrite(descriptor, block, block.count, 400 << 20)
          close(descriptor)
          try wait("an edit") {
            let descriptor = open(to, O_RDONLY)
            defer { close(descriptor) }
            var bytes = [UInt8](repeating: 0, count: 1 << 20)
            return pread(descriptor, &bytes, bytes.count, 400 << 20) == 1 << 20 && bytes == block
          }
        })
      sent.append(Double(IdleBench.loopbackBytes() - before) / 1_048_576)
      unlink(from)
      unlink(source + "-2")
    }
    report("1 GiB until identical (cp + cmp)", mount: mounted, native: plain, unit: "MiB/s")
    print("1 MiB overwritten inside: \(text(median(edits) * 1_000)) ms, \(text(median(sent))) MiB sent")
  }

  private static func many(_ mesh: Mesh, count: Int, rounds: Int) throws {
    let bytes = (0..<4_096).map { UInt8(truncatingIfNeeded: $0 &* 17) }
    func fill(_ directory: String) {
      mkdir(directory, 0o755)
      for index in 0..<count {
        var own = bytes
        withUnsafeBytes(of: index) { own.replaceSubrange(0..<8, with: $0) }
        put(own, "\(directory)/file-\(index)")
      }
    }
    var (mounted, plain): ([Double], [Double]) = ([], [])
    for round in 0..<rounds {
      plain.append(seconds { fill("\(mesh.native)/many-\(round)") })
      mounted.append(
        try seconds {
          fill("\(mesh.mounts[0])/many-\(round)")
          try wait("many files") {
            size("\(mesh.mounts[1])/many-\(round)/file-\(count - 1)") == 4_096
              && shell("diff -rq \(mesh.native)/many-\(round) \(mesh.mounts[1])/many-\(round) >/dev/null 2>&1") == 0
          }
        })
    }
    print(
      "10,000 files of 4 KiB until identical: \(text(median(mounted))) s; writing them natively \(text(median(plain))) s"
    )
  }
}
