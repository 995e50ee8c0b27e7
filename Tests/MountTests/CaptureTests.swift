// When and how writes become changes of the volume.

import CFuse
import Glibc
import Replication
import Storage
import Synchronization
import Testing

private let unitSize = Int(FileForm.ordinaryChunkSize)

@Suite struct `Writes become changes` {
  /// Waits for what follows the answer to close.
  private func settled(_ condition: () -> Bool) -> Bool {
    for _ in 0..<2_000 {
      if condition() { return true }
      usleep(5_000)
    }
    return false
  }

  @Test func `Closing ends a change, with the hashes of what was written`() throws {
    let bench = try Bench()
    let bytes = (0..<2 * unitSize + 5).map { UInt8(truncatingIfNeeded: $0 &* 13) }
    put(bytes, bench("a"))
    #expect(settled { bench.file("a")?.size == UInt64(bytes.count) })
    let file = bench.file("a")!
    for (index, start) in stride(from: 0, to: bytes.count, by: unitSize).enumerated() {
      let end = min(start + unitSize, bytes.count)
      #expect(file.chunks[UInt64(index)]?.hash == ContentHasher.hash(bytes[start..<end]))
      #expect(file.chunks[UInt64(index)]?.length == UInt32(end - start))
    }
    #expect(settled { bench.host.state.withLock { $0.captured[file.id] } == UInt64(bytes.count) })
  }

  @Test func `A large file that is written whole and in pieces has the hashes of its bytes`() throws {
    let bench = try Bench()
    var bytes = (0..<16 * unitSize).map { UInt8(truncatingIfNeeded: $0 / 251) }
    put(bytes, bench("a"))
    let descriptor = open(bench("a"), O_RDWR)
    #expect(pwrite(descriptor, "piece", 5, off_t(3 * unitSize - 2)) == 5)
    bytes.replaceSubrange(3 * unitSize - 2..<3 * unitSize + 3, with: "piece".utf8)
    close(descriptor)
    #expect(settled { bench.file("a")?.chunks[3]?.hash == ContentHasher.hash(bytes[3 * unitSize..<4 * unitSize]) })
    for index in 0..<16 {
      let expected = ContentHasher.hash(bytes[index * unitSize..<(index + 1) * unitSize])
      #expect(bench.file("a")?.chunks[UInt64(index)]?.hash == expected)
    }
  }

  @Test func `fsync records what was written and makes it durable`() throws {
    let bench = try Bench()
    let descriptor = open(bench("a"), O_RDWR | O_CREAT, 0o644)
    defer { close(descriptor) }
    #expect(write(descriptor, "safe", 4) == 4)
    #expect(bench.file("a")?.size == 0)
    let before = bench.host.state.withLock { $0.durable }
    #expect(fsync(descriptor) == 0)
    #expect(bench.file("a")?.size == 4)
    #expect(bench.host.state.withLock { $0.durable } == before + 1)
    let directory = open(bench.path, O_RDONLY | O_DIRECTORY)
    #expect(fsync(directory) == 0)
    close(directory)
    #expect(bench.host.state.withLock { $0.durable } == before + 2)
  }

  @Test func `A rename records what it moves first`() throws {
    let bench = try Bench()
    let descriptor = open(bench("a"), O_RDWR | O_CREAT, 0o644)
    #expect(write(descriptor, "moved", 5) == 5)
    grapevine_write_back(descriptor)
    #expect(rename(bench("a"), bench("b")) == 0)
    #expect(bench.file("b")?.size == 5)
    close(descriptor)
  }

  @Test func `An open file is captured when its writes have been quiet`() throws {
    let bench = try Bench()
    let descriptor = open(bench("a"), O_RDWR | O_CREAT, 0o644)
    #expect(write(descriptor, "quiet", 5) == 5)
    grapevine_write_back(descriptor)
    bench.mount.capture()
    #expect(settled { bench.file("a")?.size == 5 })
    close(descriptor)
  }

  @Test func `Opening with O_TRUNC gives a file a new identity and keeps its number and its names`() throws {
    let bench = try Bench()
    put("first", bench("a"))
    link(bench("a"), bench("b"))
    bench.mount.captureAll()
    let (old, number) = (bench.file("a")!.id, status(bench("a")).st_ino)
    put("second", bench("a"))
    bench.mount.captureAll()
    let new = bench.file("a")!.id
    #expect(new != old && bench.file("b")?.id == new)
    #expect(status(bench("b")).st_ino == number)
    #expect(text(bench("b")) == "second")
    put("", bench("fresh"))
    let fresh = bench.file("fresh")!.id
    put("now", bench("fresh"))
    #expect(bench.file("fresh")?.id == fresh, "an empty file has nothing to be mixed with")
  }

  @Test func `Only the chunks that were written change`() throws {
    let bench = try Bench()
    put([UInt8](repeating: 1, count: 4 * unitSize), bench("a"))
    bench.mount.captureAll()
    let before = bench.file("a")!
    let descriptor = open(bench("a"), O_WRONLY)
    pwrite(descriptor, "x", 1, off_t(2 * unitSize))
    close(descriptor)
    #expect(settled { bench.file("a")?.chunks[2] != before.chunks[2] })
    let after = bench.file("a")!
    for index in [0, 1, 3] as [UInt64] { #expect(after.chunks[index] == before.chunks[index]) }
  }

  @Test func `What is recorded of a file stays as it was when its nameless rest is written`() throws {
    let bench = try Bench()
    put([UInt8](repeating: 1, count: unitSize), bench("a"))
    bench.mount.captureAll()
    let file = bench.file("a")!
    let descriptor = open(bench("a"), O_RDWR)
    defer { close(descriptor) }
    unlink(bench("a"))
    #expect(pwrite(descriptor, "later", 5, 0) == 5)
    fsync(descriptor)
    var bytes = [UInt8](repeating: 0, count: 6)
    #expect(pread(descriptor, &bytes, 6, 0) == 6 && bytes == Array("later".utf8) + [1])
    let kept = bench.host.content.chunk(file.id, index: 0, chunkSize: file.form.chunkSize, length: unitSize)!
    #expect(ContentHasher.hash(kept[...]) == file.chunks[0]?.hash)
  }

  @Test func `A file that was cut and grew again has holes where it was cut`() throws {
    let bench = try Bench()
    put([UInt8](repeating: 1, count: 3 * unitSize), bench("a"))
    bench.mount.captureAll()
    let descriptor = open(bench("a"), O_RDWR)
    ftruncate(descriptor, 100)
    ftruncate(descriptor, off_t(3 * unitSize))
    close(descriptor)
    #expect(settled { bench.file("a")?.chunks[2]?.hash == .zeros })
    let bytes = get(bench("a"))!
    #expect(bytes.count == 3 * unitSize && bytes[99] == 1 && bytes[100...].allSatisfy { $0 == 0 })
    #expect(bench.file("a")?.chunks[0]?.hash == ContentHasher.hash(bytes[..<unitSize]))
    #expect(bench.file("a")?.chunks[1]?.hash == .zeros)
    truncate(bench("a"), 100)
    truncate(bench("a"), off_t(2 * unitSize))
    #expect(bench.file("a")?.chunks[1]?.hash == .zeros, "a peer that missed the cut must learn of it")
  }

  @Test func `Creating and removing a file touches no backing file`() throws {
    let bench = try Bench()
    for index in 0..<100 {
      close(creat(bench("t\(index)"), 0o644))
      #expect(unlink(bench("t\(index)")) == 0)
    }
    #expect(bench.host.content.held.isEmpty)
  }

  @Test func `Many threads writing many files lose nothing`() throws {
    let bench = try Bench()
    let writers = 4
    let paths = (0..<writers).map { bench("w\($0)") }
    let group = DispatchWriters(paths)
    group.run()
    bench.mount.captureAll()
    for (index, path) in paths.enumerated() {
      let bytes = get(path)!
      #expect(bytes.count == 50 * 9_000)
      #expect(bytes.allSatisfy { $0 == UInt8(index + 1) })
      #expect(bench.file("w\(index)")?.size == UInt64(bytes.count))
    }
  }
}

/// Plain threads that append to a file each, with fsync now and then.
private final class DispatchWriters {
  let paths: [String]
  init(_ paths: [String]) { self.paths = paths }

  func run() {
    var threads: [pthread_t] = []
    for (index, path) in paths.enumerated() {
      let box = Unmanaged.passRetained(Job(path, UInt8(index + 1)))
      var thread = pthread_t()
      pthread_create(
        &thread, nil,
        { raw in
          Unmanaged<Job>.fromOpaque(raw!).takeRetainedValue().run()
          return nil
        }, box.toOpaque())
      threads.append(thread)
    }
    for thread in threads { pthread_join(thread, nil) }
  }

  private final class Job {
    let path: String
    let byte: UInt8
    init(_ path: String, _ byte: UInt8) { (self.path, self.byte) = (path, byte) }

    func run() {
      let bytes = [UInt8](repeating: byte, count: 9_000)
      for round in 0..<50 {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        precondition(write(descriptor, bytes, bytes.count) == bytes.count)
        if round % 10 == 0 { fsync(descriptor) }
        close(descriptor)
      }
    }
  }
}
