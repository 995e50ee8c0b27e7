// What programs may do with the bytes of files on a mount.

import CFuse
import Glibc
import Replication
import Testing

private let unitSize = Int(FileForm.ordinaryChunkSize)

@Suite struct `The bytes of a mounted file` {
  @Test func `What was written is read, across chunk borders and after a reopen`() throws {
    let bench = try Bench()
    let bytes = (0..<3 * unitSize + 17).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    put(bytes, bench("a"))
    #expect(get(bench("a")) == bytes)
    put("xyz", bench("a"), flags: O_APPEND)
    #expect(get(bench("a")) == bytes + Array("xyz".utf8))
    #expect(status(bench("a")).st_size == off_t(bytes.count + 3))
  }

  @Test func `A sparse file takes few blocks, and its holes are found`() throws {
    let bench = try Bench()
    let descriptor = open(bench("s"), O_RDWR | O_CREAT, 0o600)
    defer { close(descriptor) }
    let far = off_t(1) << 40
    #expect(pwrite(descriptor, "end", 3, far) == 3)
    // The writer has the file open, so its pages are still the kernel's: they are asked for.
    #expect(lseek(descriptor, 0, 3) == far)
    #expect(lseek(descriptor, far + 3, 3) == -1)
    #expect(errno == ENXIO)
    #expect(lseek(descriptor, 0, 4) == 0)
    var status = stat()
    fsync(descriptor)
    fstat(descriptor, &status)
    #expect(status.st_size == far + 3)
    #expect(status.st_blocks <= 16)
  }

  @Test func `Truncating cuts and extends with zeros`() throws {
    let bench = try Bench()
    put([UInt8](repeating: 7, count: unitSize + 10), bench("t"))
    truncate(bench("t"), 5)
    truncate(bench("t"), 9)
    #expect(get(bench("t")) == [7, 7, 7, 7, 7, 0, 0, 0, 0])
    truncate(bench("t"), 0)
    #expect(get(bench("t")) == [])
    bench.mount.captureAll()
    #expect(bench.file("t")?.size == 0)
  }

  @Test func `Punched and zeroed ranges read as zeros and keep the size`() throws {
    let bench = try Bench()
    put([UInt8](repeating: 7, count: 4 * unitSize), bench("p"))
    bench.mount.captureAll()
    let descriptor = open(bench("p"), O_RDWR)
    defer { close(descriptor) }
    #expect(grapevine_fallocate(descriptor, 3, Int64(unitSize), Int64(unitSize)) == 0)
    #expect(grapevine_fallocate(descriptor, 0x10, 0, 4_096) == 0)
    let bytes = get(bench("p"))!
    #expect(bytes.count == 4 * unitSize)
    #expect(bytes[..<4_096].allSatisfy { $0 == 0 } && bytes[4_096] == 7)
    #expect(bytes[unitSize..<2 * unitSize].allSatisfy { $0 == 0 } && bytes[2 * unitSize] == 7)
    bench.mount.captureAll()
    #expect(bench.file("p")?.chunks[1]?.hash == .zeros)
    #expect(grapevine_fallocate(descriptor, 1, 0, Int64(8 * unitSize)) == 0)
    #expect(status(bench("p")).st_size == off_t(4 * unitSize))
    #expect(grapevine_fallocate(descriptor, 0, 0, Int64(8 * unitSize)) == 0)
    #expect(status(bench("p")).st_size == off_t(8 * unitSize))
    #expect(grapevine_fallocate(descriptor, 8, 0, 4_096) == -1 && errno == EOPNOTSUPP)
  }

  @Test func `A shared mapping writes the file`() throws {
    let bench = try Bench()
    put([UInt8](repeating: 1, count: 8_192), bench("m"))
    let descriptor = open(bench("m"), O_RDWR)
    let memory = mmap(nil, 8_192, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0)!
    memory.storeBytes(of: 9, toByteOffset: 5_000, as: UInt8.self)
    #expect(msync(memory, 8_192, MS_SYNC) == 0)
    munmap(memory, 8_192)
    close(descriptor)
    #expect(get(bench("m"))?[5_000] == 9)
    bench.mount.captureAll()
    #expect(bench.file("m")?.size == 8_192)
  }

  @Test func `A range is copied between files without leaving the node`() throws {
    let bench = try Bench()
    let bytes = (0..<2 * unitSize).map { UInt8(truncatingIfNeeded: $0 / 7) }
    put(bytes, bench("from"))
    let from = open(bench("from"), O_RDONLY)
    let to = open(bench("to"), O_RDWR | O_CREAT, 0o644)
    var (offset, target): (Int64, Int64) = (0, 0)
    var done = 0
    while done < bytes.count {
      let count = grapevine_copy_file_range(from, &offset, to, &target, bytes.count - done)
      guard count > 0 else { break }
      done += count
    }
    close(from)
    close(to)
    #expect(done == bytes.count)
    #expect(get(bench("to")) == bytes)
    bench.mount.captureAll()
    #expect(bench.file("to")?.chunks[1]?.hash == bench.file("from")?.chunks[1]?.hash)
  }

  @Test func `A file without a name lives as long as it is open, and is not recorded`() throws {
    let bench = try Bench()
    let descriptor = open(bench("u"), O_RDWR | O_CREAT, 0o644)
    #expect(write(descriptor, "one", 3) == 3)
    #expect(unlink(bench("u")) == 0)
    #expect(bench.mount.openFiles.count == 1)
    #expect(write(descriptor, "two", 3) == 3)
    fsync(descriptor)
    var bytes = [UInt8](repeating: 0, count: 6)
    #expect(pread(descriptor, &bytes, 6, 0) == 6)
    #expect(String(decoding: bytes, as: UTF8.self) == "onetwo")
    var status = stat()
    fstat(descriptor, &status)
    #expect(status.st_nlink == 0)
    close(descriptor)
    bench.mount.captureAll()
    #expect(bench.host.volume.visible.count == 1)
    #expect(access(bench("u"), F_OK) == -1)
  }

  @Test func `A full volume refuses more bytes, and says so`() throws {
    let bench = try Bench(sizeLimit: 1 << 20)
    var space = statvfs()
    #expect(statvfs(bench.path, &space) == 0)
    #expect(space.f_blocks == 256 && space.f_bavail == 256)
    let descriptor = open(bench("big"), O_RDWR | O_CREAT, 0o644)
    let bytes = [UInt8](repeating: 3, count: 2 << 20)
    var failure: Int32 = 0
    if write(descriptor, bytes, bytes.count) < bytes.count { failure = errno }
    if fsync(descriptor) != 0 { failure = errno }
    close(descriptor)
    #expect(failure == ENOSPC)
    put("small", bench("small"))
    #expect(text(bench("small")) == "small")
  }
}
