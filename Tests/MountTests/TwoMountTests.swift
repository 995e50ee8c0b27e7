// Two mounts that exchange changes while programs write to both: at rest they are the same.

import CFuse
import Causality
import Glibc
import Mount
import Replication
import Storage
import Synchronization
import Testing

/// Two mounted volumes and the simplest of engines between them.
private final class Pair {
  let one: Bench
  let other: Bench

  init() throws {
    one = try Bench(origin: 1)
    other = try Bench(origin: 2)
  }

  /// Takes what `from` has and `to` lacks across; false when contents moved meanwhile, so that it must be tried again.
  @discardableResult
  func pump(_ from: Bench, _ to: Bench) throws -> Bool {
    from.mount.capture()
    let since = to.host.volume.vector
    let (claim, delta) = from.host.withVolume { volume, _ in
      var delta = Delta()
      for key in volume.keys(notCoveredBy: since) { volume.append(key, notCoveredBy: since, to: &delta) }
      return (volume.vector, delta)
    }
    var bytes: [ContentHash: [UInt8]] = [:]
    for want in to.host.volume.wanted(by: delta) {
      let length = Int(want.chunk.length)
      let found =
        from.host.content.kept(want.chunk.hash)
        ?? from.host.content.chunk(want.file, index: want.index, chunkSize: want.chunkSize, length: length)
      guard let found, ContentHasher.hash(found[...]) == want.chunk.hash else { return false }
      bytes[want.chunk.hash] = found
    }
    return try apply(delta, claim, bytes, to)
  }

  private func apply(
    _ delta: Delta, _ claim: VersionVector, _ bytes: [ContentHash: [UInt8]], _ to: Bench
  ) throws -> Bool {
    var events: [VolumeEvent] = []
    var shown: [(FileID, offset: Int64, length: Int64)] = []
    let isApplied = try to.mount.exclusively(delta.files.map(\.id)) {
      let work: [ContentWork]? = to.host.withVolume { volume, _ in
        // What was written here meanwhile may want more than was fetched.
        for want in volume.wanted(by: delta) where bytes[want.chunk.hash] == nil { return nil }
        _ = volume.takeEvents()
        let work = volume.join(delta)
        volume.acknowledge(claim)
        events = volume.takeEvents()
        return work
      }
      guard let work else { return false }
      let volume = to.host.volume
      for item in work { try perform(item, bytes, volume, to, &shown) }
      return true
    }
    to.mount.show(events, contents: shown)
    return isApplied
  }

  private func perform(
    _ item: ContentWork, _ bytes: [ContentHash: [UInt8]], _ volume: Volume, _ to: Bench,
    _ shown: inout [(FileID, offset: Int64, length: Int64)]
  ) throws {
    let content = to.host.content
    let size = Int64(FileForm.ordinaryChunkSize)
    switch item {
    case .write(let id, let index, let chunk):
      let new = chunk.hash.isZeros ? [UInt8](repeating: 0, count: Int(chunk.length)) : bytes[chunk.hash]
      guard let new else { return }
      let descriptor = try content.open(id, create: true)
      defer { close(descriptor) }
      try ContentStore.write(new, at: index * UInt64(size), to: descriptor, path: "")
      let (start, end) = (Int64(index) * size, Int64(index) * size + Int64(chunk.length))
      if end < start + size { _ = grapevine_fallocate(descriptor, 3, end, start + size - end) }
      shown.append((id, Int64(index) * size, size))
    case .erase(let id, let index):
      let descriptor = try content.open(id, create: true)
      defer { close(descriptor) }
      _ = grapevine_fallocate(descriptor, 3, Int64(index) * size, size)
      shown.append((id, Int64(index) * size, size))
    case .resize(let id):
      guard let file = volume.files[id], file.form.kind == .regular else { return }
      let descriptor = try content.open(id, create: true)
      defer { close(descriptor) }
      ftruncate(descriptor, off_t(file.size))
    case .keepHeld(let id, let index, let chunk):
      let held = content.chunk(
        id, index: index, chunkSize: FileForm.ordinaryChunkSize, length: Int(chunk.length))
      if let held { try content.keep(held, as: chunk.hash) }
    case .keepSent(_, _, let chunk):
      if let sent = bytes[chunk.hash] { try content.keep(sent, as: chunk.hash) }
    }
  }
}

/// A program that does what its seed says to one mount.
private final class Program: @unchecked Sendable {
  private let path: String
  private var random: SeededGenerator
  private let steps: Int
  private var thread = pthread_t()

  init(_ path: String, seed: UInt64, steps: Int) {
    (self.path, self.steps) = (path, steps)
    random = SeededGenerator(seed: seed)
    pthread_create(
      &thread, nil,
      { raw in
        Unmanaged<Program>.fromOpaque(raw!).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
  }

  func join() { pthread_join(thread, nil) }

  private func name() -> String {
    let directory = ["", "", "d/", "e/"].randomElement(using: &random)!
    return path + "/" + directory + "f\(Int.random(in: 0..<6, using: &random))"
  }

  private func run() {
    mkdir(path + "/d", 0o755)
    mkdir(path + "/e", 0o755)
    for step in 0..<steps {
      let name = name()
      switch Int.random(in: 0..<12, using: &random) {
      case 0: unlink(name)
      case 1: rename(name, self.name())
      case 2: truncate(name, off_t(Int.random(in: 0..<400_000, using: &random)))
      case 3: chmod(name, mode_t([0o600, 0o644, 0o755].randomElement(using: &random)!))
      case 4: link(name, self.name())
      case 5: rewrite(name, step)
      default: edit(name, step)
      }
    }
  }

  private func rewrite(_ name: String, _ step: Int) {
    let descriptor = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    guard descriptor >= 0 else { return }
    let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: Int.random(in: 0..<300_000, using: &random))
    write(descriptor, bytes, bytes.count)
    close(descriptor)
  }

  private func edit(_ name: String, _ step: Int) {
    let descriptor = open(name, O_RDWR | O_CREAT, 0o644)
    guard descriptor >= 0 else { return }
    for _ in 0..<3 {
      let bytes = [UInt8](
        repeating: UInt8(truncatingIfNeeded: step), count: Int.random(in: 1..<5_000, using: &random))
      pwrite(descriptor, bytes, bytes.count, off_t(Int.random(in: 0..<400_000, using: &random)))
    }
    if step % 8 == 0 { fsync(descriptor) }
    close(descriptor)
  }
}

@Suite(.serialized) struct `Two mounts` {
  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func `They are the same once their programs rest`(seed: UInt64) throws {
    let pair = try Pair()
    let programs = [
      Program(pair.one.path, seed: seed, steps: 300), Program(pair.other.path, seed: seed + 1_000, steps: 300),
    ]
    let isDone = Mutex(false)
    let pumping = Mutex<(any Error)?>(nil)
    let pump = Pump {
      do {
        while !isDone.withLock({ $0 }) {
          try pair.pump(pair.one, pair.other)
          try pair.pump(pair.other, pair.one)
        }
      } catch {
        pumping.withLock { $0 = error }
      }
    }
    for program in programs { program.join() }
    isDone.withLock { $0 = true }
    pump.join()
    #expect(pumping.withLock { $0 == nil })

    for bench in [pair.one, pair.other] {
      let root = open(bench.path, O_RDONLY | O_DIRECTORY)
      grapevine_sync_file_system(root)
      close(root)
    }
    var rounds = 0
    while rounds < 200 {
      pair.one.mount.captureAll()
      pair.other.mount.captureAll()
      let moved = try !(pair.pump(pair.one, pair.other) && pair.pump(pair.other, pair.one))
      let isEqual = pair.one.host.volume.vector == pair.other.host.volume.vector
      if isEqual && !moved { break }
      usleep(5_000)
      rounds += 1
    }
    try check(pair)
  }

  private func check(_ pair: Pair) throws {
    let volume = pair.one.host.volume
    let isEqual = volume.allRecords.map(\.key) == pair.other.host.volume.allRecords.map(\.key)
    let theirs = pair.other.host.volume
    #expect(isEqual && volume.vector == theirs.vector)
    try #require(volume.visible.map(\.path) == theirs.visible.map(\.path))
    for (path, shown) in volume.visible where !path.isRoot {
      let name = String(decoding: path.bytes, as: UTF8.self)
      let (mine, theirs) = (status(pair.one(name)), status(pair.other(name)))
      #expect(mine.st_mode == theirs.st_mode && mine.st_nlink == theirs.st_nlink, "\(name)")
      guard case .file(let id) = shown else { continue }
      let file = volume.files[id]!
      #expect(mine.st_size == off_t(file.size) && theirs.st_size == off_t(file.size), "\(name)")
      #expect(mine.st_mtim.tv_nsec == theirs.st_mtim.tv_nsec, "\(name)")
      let (one, other) = (get(pair.one(name))!, get(pair.other(name))!)
      let isSame = one == other
      #expect(isSame, "\(name): \(one.count) and \(other.count) of \(file.size)")
      for element in file.chunks.elements {
        let start = Int(element.index) * Int(FileForm.ordinaryChunkSize)
        let end = min(start + Int(element.chunk.length), one.count)
        let isRight = start < end && ContentHasher.hash(one[start..<end]) == element.chunk.hash
        #expect(isRight, "\(name) \(element.index)")
      }
    }
  }
}

/// A thread around a closure.
private final class Pump: @unchecked Sendable {
  private var thread = pthread_t()
  private let body: () -> Void

  init(_ body: @escaping () -> Void) {
    self.body = body
    pthread_create(
      &thread, nil,
      { raw in
        Unmanaged<Pump>.fromOpaque(raw!).takeRetainedValue().body()
        return nil
      }, Unmanaged.passRetained(self).toOpaque())
  }

  func join() { pthread_join(thread, nil) }
}
