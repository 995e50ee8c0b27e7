// What a peer changed shows in the mount at once, and what programs had not flushed is kept.

import Glibc
import Replication
import Storage
import Testing

private let unitSize = Int(FileForm.ordinaryChunkSize)

@Suite struct `Changes of a peer on a mount` {
  @Test func `A new file shows where its absence was cached`() throws {
    let bench = try Bench()
    #expect(get(bench("new")) == nil)
    #expect(names(bench.path) == [])
    try bench.peerWrites(Array("from afar".utf8), to: "new")
    try bench.deliver()
    #expect(text(bench("new")) == "from afar")
    #expect(names(bench.path) == ["new"])
    #expect(status(bench("new")).st_mtim.tv_sec == 77)
  }

  @Test func `Bytes and size that were cached change, in open files too`() throws {
    let bench = try Bench()
    put("short", bench("a"))
    bench.teachPeer()
    let reader = open(bench("a"), O_RDONLY)
    var bytes = [UInt8](repeating: 0, count: 100)
    #expect(pread(reader, &bytes, 100, 0) == 5)
    try bench.peerWrites(Array("very much longer".utf8), to: "a")
    try bench.deliver()
    #expect(pread(reader, &bytes, 100, 0) == 16)
    #expect(String(decoding: bytes[..<16], as: UTF8.self) == "very much longer")
    #expect(status(bench("a")).st_size == 16)
    #expect(status(bench("a")).st_mtim.tv_sec == 77 && status(bench("a")).st_mtim.tv_nsec == 7)
    try bench.peerWrites(Array("tiny".utf8), to: "a")
    try bench.deliver()
    #expect(text(bench("a")) == "tiny")
    #expect(status(bench("a")).st_size == 4)
    close(reader)
    #expect(bench.file("a")?.vector == bench.peer.files[bench.file("a")!.id]?.vector, "showing changes nothing")
  }

  @Test func `Applying does not touch other bytes of the file`() throws {
    let bench = try Bench()
    put([UInt8](repeating: 1, count: 3 * unitSize), bench("a"))
    bench.teachPeer()
    #expect(get(bench("a"))?.count == 3 * unitSize)
    try bench.peerWrites([UInt8](repeating: 2, count: unitSize), to: "a", at: 2)
    try bench.deliver()
    let bytes = get(bench("a"))!
    #expect(bytes.count == 3 * unitSize)
    #expect(bytes[..<(2 * unitSize)].allSatisfy { $0 == 1 } && bytes[(2 * unitSize)...].allSatisfy { $0 == 2 })
  }

  @Test func `A write that was not flushed is kept as a concurrent change`() throws {
    let bench = try Bench()
    put("base", bench("a"))
    bench.teachPeer()
    let writer = open(bench("a"), O_RDWR)
    #expect(pwrite(writer, "mine", 4, 0) == 4)
    try bench.peerWrites(Array("them".utf8), to: "a")
    try bench.deliver()
    #expect(text(bench("a")) == "them", "the peer's clock is later")
    let conflicts = bench.host.volume.conflicts
    #expect(conflicts.count == 1)
    if case .chunk(_, _, let chunk, _)? = conflicts.first?.kind {
      #expect(chunk.hash == ContentHasher.hash(Array("mine".utf8)[...]))
    }
    #expect(pwrite(writer, "+me", 3, 4) == 3)
    close(writer)
    bench.mount.captureAll()
    #expect(text(bench("a")) == "them+me")
  }

  @Test func `Removed and replaced names show, and open files live on`() throws {
    let bench = try Bench()
    put("old", bench("a"))
    mkdir(bench("d"), 0o755)
    put("x", bench("d/f"))
    bench.teachPeer()
    let reader = open(bench("a"), O_RDONLY)
    try bench.peer.unlink(Path("a"), at: bench.stamp())
    try bench.peer.rename(Path("d"), to: Path("e"), at: bench.stamp())
    try bench.deliver()
    #expect(names(bench.path) == ["e"])
    #expect(access(bench("a"), F_OK) == -1 && access(bench("d/f"), F_OK) == -1)
    #expect(text(bench("e/f")) == "x")
    var bytes = [UInt8](repeating: 0, count: 3)
    #expect(pread(reader, &bytes, 3, 0) == 3 && bytes == Array("old".utf8))
    var status = stat()
    fstat(reader, &status)
    #expect(status.st_nlink == 0)
    close(reader)
    try bench.peerWrites(Array("again".utf8), to: "a")
    try bench.deliver()
    #expect(text(bench("a")) == "again")
  }

  @Test func `Attributes of files and directories show`() throws {
    let bench = try Bench()
    put("x", bench("a"))
    mkdir(bench("d"), 0o755)
    bench.teachPeer()
    _ = (status(bench("a")), status(bench("d")))
    let time = FileTime(seconds: 1_000, nanoseconds: 999)
    let attributes = Attributes(mode: 0o600, owner: 5, group: 6, accessed: time, modified: time)
    try bench.peer.setAttributes(Path("d"), attributes, at: bench.stamp())
    let id = bench.file("a")!.id
    try bench.peer.commit(id, [], size: 1, attributes: attributes, at: bench.stamp())
    try bench.deliver()
    for name in ["a", "d"] {
      let seen = status(bench(name))
      #expect(seen.st_mode & 0o7777 == 0o600 && seen.st_uid == 5 && seen.st_gid == 6)
      #expect(seen.st_mtim.tv_sec == 1_000 && seen.st_mtim.tv_nsec == 999)
    }
  }

  @Test func `A peer's entries do not move a directory's times, nor does showing them make changes`() throws {
    let bench = try Bench()
    mkdir(bench("d"), 0o755)
    bench.teachPeer()
    let before = status(bench("d")).st_mtim
    for index in 0..<50 { try bench.peerWrites([UInt8(index + 1)], to: "d/f\(index)") }
    try bench.peer.makeDirectory(Path("d/sub"), Attributes(mode: 0o755), at: bench.stamp())
    try bench.deliver()
    let after = status(bench("d"))
    #expect(after.st_mtim.tv_sec == before.tv_sec && after.st_mtim.tv_nsec == before.tv_nsec)
    #expect(after.st_nlink == 3)
    #expect(names(bench("d")).count == 51)
    bench.mount.captureAll()
    #expect(bench.host.volume.vector == bench.peer.vector)
  }

  @Test func `Creating where a peer has just created opens the peer's file, or refuses when it must be new`() throws {
    let bench = try Bench()
    #expect(access(bench("a"), F_OK) == -1)
    try bench.peerWrites(Array("theirs".utf8), to: "a")
    let delta = Bench.everything(in: bench.peer)
    bench.host.withVolume { volume, _ in
      _ = volume.join(delta)
      _ = volume.takeEvents()
    }
    #expect(number { open(bench("a"), O_WRONLY | O_CREAT | O_EXCL, 0o644) } == EEXIST)
    let descriptor = open(bench("a"), O_WRONLY | O_CREAT, 0o644)
    #expect(descriptor >= 0)
    close(descriptor)
    #expect(status(bench("a")).st_size == 6)
  }
}
