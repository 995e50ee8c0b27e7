// What programs may do with names on a mount.

import CFuse
import Glibc
import Replication
import Testing

@Suite struct `Names on a mount` {
  @Test func `Any byte but slash and NUL may be in a name of up to 255 bytes`() throws {
    let bench = try Bench()
    let odd: [UInt8] = [0xFF, 0x0A, 0xC3, 0x28, 0x20]
    for name in [odd, [UInt8](repeating: 0xE9, count: 255)] {
      let path = Array(bench("").utf8CString.dropLast()) + name.map { CChar(bitPattern: $0) } + [0]
      let descriptor = creat(path, 0o644)
      #expect(descriptor >= 0)
      close(descriptor)
      #expect(bench.host.volume[Path(name)] != nil)
      #expect(unlink(path) == 0)
    }
    #expect(number { creat(bench(String(repeating: "n", count: 256)), 0o644) } == ENAMETOOLONG)
  }

  @Test func `Directories must be empty to go, and count what is below them`() throws {
    let bench = try Bench()
    mkdir(bench("d"), 0o755)
    mkdir(bench("d/one"), 0o755)
    mkdir(bench("d/two"), 0o755)
    #expect(status(bench("d")).st_nlink == 4)
    #expect(number { rmdir(bench("d")) } == ENOTEMPTY)
    #expect(rename(bench("d/two"), bench("two")) == 0)
    #expect(status(bench("d")).st_nlink == 3)
    rmdir(bench("d/one"))
    #expect(status(bench("d")).st_nlink == 2)
    #expect(rmdir(bench("d")) == 0)
    #expect(names(bench.path) == ["two"])
  }

  @Test func `A rename replaces, or refuses to, or swaps`() throws {
    let bench = try Bench()
    put("one", bench("a"))
    put("two", bench("b"))
    #expect(number { grapevine_rename(bench("a"), bench("b"), 1) } == EEXIST)
    #expect(grapevine_rename(bench("a"), bench("b"), 2) == 0)
    #expect(text(bench("a")) == "two" && text(bench("b")) == "one")
    #expect(rename(bench("a"), bench("b")) == 0)
    #expect(text(bench("b")) == "two" && names(bench.path) == ["b"])
    #expect(number { grapevine_rename(bench("b"), bench("c"), 4) } == EINVAL)
    mkdir(bench("d"), 0o755)
    #expect(number { rename(bench("b"), bench("d")) } == EISDIR)
    #expect(number { rename(bench("d"), bench("b")) } == ENOTDIR)
    #expect(number { rename(bench("d"), bench("d/e")) } == EINVAL)
    #expect(grapevine_rename(bench("d"), bench("b"), 2) == 0)
    #expect(text(bench("d")) == "two" && names(bench("b")) == [])
  }

  @Test func `A moved directory takes what is open and what is known below it along`() throws {
    let bench = try Bench()
    mkdir(bench("d"), 0o755)
    mkdir(bench("d/e"), 0o755)
    let descriptor = open(bench("d/e/f"), O_RDWR | O_CREAT, 0o644)
    let inside = open(bench("d/e"), O_RDONLY | O_DIRECTORY)
    #expect(rename(bench("d"), bench("moved")) == 0)
    #expect(write(descriptor, "late", 4) == 4)
    close(descriptor)
    #expect(text(bench("moved/e/f")) == "late")
    #expect(mkdirat(inside, "g", 0o755) == 0)
    close(inside)
    #expect(names(bench("moved/e")) == ["f", "g"])
    #expect(access(bench("d"), F_OK) == -1)
  }

  @Test func `Hard links share everything, of links and pipes too`() throws {
    let bench = try Bench()
    put("x", bench("a"))
    #expect(link(bench("a"), bench("b")) == 0)
    #expect(status(bench("a")).st_ino == status(bench("b")).st_ino && status(bench("b")).st_nlink == 2)
    put("longer", bench("b"))
    #expect(text(bench("a")) == "longer")
    unlink(bench("a"))
    #expect(status(bench("b")).st_nlink == 1)
    symlink("nowhere", bench("l"))
    #expect(link(bench("l"), bench("m")) == 0)
    #expect(status(bench("m")).st_mode & S_IFMT == S_IFLNK && status(bench("m")).st_nlink == 2)
    mkfifo(bench("p"), 0o600)
    #expect(link(bench("p"), bench("q")) == 0)
    #expect(status(bench("q")).st_mode & S_IFMT == S_IFIFO)
    #expect(number { link(bench.path, bench("r")) } == EPERM)
  }

  @Test func `A listing holds every name once, however large it is, and not the virtual directory`() throws {
    let bench = try Bench()
    let wanted = (0..<3_000).map { "file-\($0)" }.sorted()
    for name in wanted { close(creat(bench(name), 0o644)) }
    for _ in 0..<3 { #expect(names(bench.path) == wanted) }
    unlink(bench("file-7"))
    close(creat(bench("new"), 0o644))
    #expect(names(bench.path) == (wanted.filter { $0 != "file-7" } + ["new"]).sorted())
  }

  @Test func `The virtual directory speaks and takes nothing`() throws {
    let bench = try Bench()
    #expect(text(bench(".grapevine/status")) == "status of the test\n")
    #expect(names(bench(".grapevine")) == ["lag", "position", "status"])
    #expect(number { open(bench(".grapevine/status"), O_RDWR) } == EACCES)
    #expect(number { open(bench(".grapevine/lag"), O_RDONLY) } == ENOENT)
    #expect(number { creat(bench(".grapevine/x"), 0o644) } == EPERM)
    #expect(number { mkdir(bench(".grapevine"), 0o755) } == EEXIST)
    put("x", bench("x"))
    #expect(number { rename(bench("x"), bench(".grapevine")) } != 0)
    #expect(number { rename(bench("x"), bench(".grapevine/status")) } == EPERM)
    #expect(number { open(bench(".grapevine/@1"), O_RDONLY) } == ENOENT)
    #expect(bench.host.volume.visible.map(\.path) == [.root, Path("x")])
  }
}
