// What stat and getxattr tell on a mount, and what changes it.

import CFuse
import Glibc
import Replication
import Testing

@Suite struct `Attributes on a mount` {
  @Test func `Times keep their nanoseconds, and each can be left alone`() throws {
    let bench = try Bench()
    put("x", bench("a"))
    let omit = 0x3FFF_FFFE
    var times = [timespec(tv_sec: 11, tv_nsec: 123_456_789), timespec(tv_sec: -5, tv_nsec: 999_999_999)]
    #expect(utimensat(AT_FDCWD, bench("a"), times, 0) == 0)
    times[0] = timespec(tv_sec: 99, tv_nsec: 1)
    times[1].tv_nsec = omit
    #expect(utimensat(AT_FDCWD, bench("a"), times, 0) == 0)
    let seen = status(bench("a"))
    #expect(seen.st_atim.tv_sec == 99 && seen.st_atim.tv_nsec == 1)
    #expect(seen.st_mtim.tv_sec == -5 && seen.st_mtim.tv_nsec == 999_999_999)
    #expect(bench.file("a")?.attributes.modified == FileTime(seconds: -5, nanoseconds: 999_999_999))
  }

  @Test func `Mode and owner are recorded at once when nobody writes`() throws {
    let bench = try Bench()
    put("x", bench("a"))
    chmod(bench("a"), 0o4751)
    #expect(bench.file("a")?.attributes.mode == 0o4751)
    chown(bench("a"), 12, 34)
    let attributes = bench.file("a")?.attributes
    #expect(attributes?.owner == 12 && attributes?.group == 34)
    #expect(attributes?.mode == 0o751, "a change of owner takes set-uid away")
    mkdir(bench("d"), 0o755)
    chmod(bench("d"), 0o2700)
    #expect(bench.host.volume.directoryAttributes(Path("d")).mode == 0o2700)
  }

  @Test func `Entries of a set-gid directory inherit its group`() throws {
    let bench = try Bench()
    mkdir(bench("d"), 0o755)
    chown(bench("d"), 0, 77)
    chmod(bench("d"), 0o2775)
    put("x", bench("d/f"))
    mkdir(bench("d/e"), 0o755)
    #expect(status(bench("d/f")).st_gid == 77)
    #expect(status(bench("d/e")).st_gid == 77)
    #expect(status(bench("d/e")).st_mode & 0o7777 == 0o2755)
  }

  @Test func `Entries move a directory's times, which are recorded after a quiet time`() throws {
    let bench = try Bench()
    mkdir(bench("d"), 0o755)
    let old = [timespec(tv_sec: 5, tv_nsec: 0), timespec(tv_sec: 5, tv_nsec: 0)]
    utimensat(AT_FDCWD, bench("d"), old, 0)
    #expect(status(bench("d")).st_mtim.tv_sec == 5)
    close(creat(bench("d/f"), 0o644))
    let moved = status(bench("d")).st_mtim
    #expect(moved.tv_sec > 5)
    #expect(bench.host.volume.directoryAttributes(Path("d")).modified.seconds == 5)
    bench.mount.captureAll()
    #expect(bench.host.volume.directoryAttributes(Path("d")).modified.seconds == Int64(moved.tv_sec))
    utimensat(AT_FDCWD, bench("d"), old, 0)
    bench.mount.captureAll()
    #expect(bench.host.volume.directoryAttributes(Path("d")).modified.seconds == 5)
  }

  @Test func `Extended attributes are set, listed, replaced and removed`() throws {
    let bench = try Bench()
    put("x", bench("a"))
    #expect(setxattr(bench("a"), "user.one", "1", 1, 0) == 0)
    #expect(setxattr(bench("a"), "user.two", "", 0, 0) == 0)
    #expect(number { setxattr(bench("a"), "user.one", "2", 1, 1) } == EEXIST)
    #expect(number { setxattr(bench("a"), "user.none", "2", 1, 2) } == ENODATA)
    var buffer = [CChar](repeating: 0, count: 100)
    #expect(listxattr(bench("a"), &buffer, 100) == 18)
    #expect(number { Int32(getxattr(bench("a"), "user.one", &buffer, 0)) } == 0)
    #expect(getxattr(bench("a"), "user.one", &buffer, 100) == 1 && buffer[0] == 49)
    #expect(removexattr(bench("a"), "user.one") == 0)
    #expect(number { Int32(getxattr(bench("a"), "user.one", &buffer, 100)) } == ENODATA)
    #expect(bench.file("a")?.attributes.extended.map(\.name) == [Array("user.two".utf8)])
    #expect(number { setxattr(bench("a"), "system.unknown", "x", 1, 0) } == EOPNOTSUPP)
    mkdir(bench("d"), 0o755)
    #expect(setxattr(bench("d"), "user.dir", "d", 1, 0) == 0)
    #expect(bench.host.volume.directoryAttributes(Path("d")).extended.count == 1)
  }

  @Test func `A file tells its version and origin, and does not list them`() throws {
    let bench = try Bench()
    put("x", bench("a"))
    bench.mount.captureAll()
    var buffer = [CChar](repeating: 0, count: 200)
    let length = getxattr(bench("a"), "user.grapevine.version", &buffer, 200)
    #expect(String(decoding: buffer[..<max(0, length)].map { UInt8(bitPattern: $0) }, as: UTF8.self).hasPrefix("{"))
    #expect(getxattr(bench("a"), "user.grapevine.origin", &buffer, 200) == 16)
    #expect(getxattr(bench("a"), "user.grapevine.conflicts", &buffer, 200) == 1)
    #expect(listxattr(bench("a"), &buffer, 200) == 0)
    #expect(number { setxattr(bench("a"), "user.grapevine.version", "x", 1, 0) } == EPERM)
  }

  @Test func `A node of any kind keeps its kind and device`() throws {
    let bench = try Bench()
    #expect(mknod(bench("c"), S_IFCHR | 0o640, makedev(5, 300)) == 0)
    #expect(mknod(bench("s"), S_IFSOCK | 0o640, 0) == 0)
    #expect(symlink(String(repeating: "t", count: 4_000), bench("l")) == 0)
    let seen = status(bench("c"))
    #expect(seen.st_mode == S_IFCHR | 0o640 && seen.st_rdev == makedev(5, 300))
    #expect(status(bench("s")).st_mode & S_IFMT == S_IFSOCK)
    #expect(status(bench("l")).st_size == 4_000)
    #expect(bench.file("l")?.form.target.count == 4_000)
  }

  private func makedev(_ major: UInt64, _ minor: UInt64) -> dev_t {
    dev_t((major << 8) | (minor & 0xFF) | ((minor & ~0xFF) << 12))
  }
}
