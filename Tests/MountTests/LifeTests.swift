// The life of a mount: from the kernel's device to the last thread.

import CFuse
import Glibc
import Mount
import Replication
import Testing

private var mounts: String {
  text("/proc/self/mountinfo") ?? ""
}

@Suite struct `The life of a mount` {
  @Test func `Unmounting records what is still open, is done once, and leaves nothing`() throws {
    let bench = try Bench()
    let descriptor = open(bench("a"), O_RDWR | O_CREAT, 0o644)
    #expect(write(descriptor, "held", 4) == 4)
    #expect(mounts.contains(bench.path))
    bench.mount.unmount()
    bench.mount.unmount()
    #expect(!mounts.contains(bench.path))
    #expect(bench.file("a")?.size == 4)
    #expect(write(descriptor, "late", 4) == -1 || fsync(descriptor) == -1)
    close(descriptor)
    #expect(bench.mount.exclusively([]) { 5 } == 5)
    bench.mount.show([.name(Path("a"))], contents: [])
  }

  @Test func `A mount that a dead daemon left is cleaned away`() throws {
    let bench = try Bench()
    bench.mount.unmount()
    let device = open("/dev/fuse", O_RDWR)
    let data = "fd=\(device),rootmode=40000,user_id=0,group_id=0"
    #expect(mount("dead", bench.path, "fuse.grapevine", 0, data) == 0)
    close(device)
    var space = statvfs()
    #expect(number { statvfs(bench.path, &space) } == ENOTCONN)
    let again = try VolumeMount(
      host: bench.host, mountPoint: bench.path, volumeName: "test", options: MountOptions())
    put("alive", bench("a"))
    #expect(text(bench("a")) == "alive")
    again.unmount()
    #expect(!mounts.contains(bench.path))
  }

  @Test func `A place that cannot be mounted on is refused with a reason`() throws {
    let bench = try Bench()
    #expect(throws: MountError.system(operation: "mount on", path: "/nonexistent/x", errno: ENOENT)) {
      try VolumeMount(
        host: bench.host, mountPoint: "/nonexistent/x", volumeName: "test", options: MountOptions())
    }
  }

  @Test func `What a mount recorded is what the next mount shows`() throws {
    let bench = try Bench()
    mkdir(bench("d"), 0o750)
    put("kept", bench("d/f"))
    symlink("d/f", bench("l"))
    let before = status(bench("d/f"))
    bench.mount.unmount()
    let again = try VolumeMount(
      host: bench.host, mountPoint: bench.path, volumeName: "test", options: MountOptions())
    #expect(text(bench("l")) == "kept")
    let after = status(bench("d/f"))
    #expect(after.st_ino == before.st_ino && after.st_mode == before.st_mode)
    #expect(after.st_mtim.tv_sec == before.st_mtim.tv_sec && after.st_mtim.tv_nsec == before.st_mtim.tv_nsec)
    #expect(status(bench("d")).st_mode & 0o7777 == 0o750)
    again.unmount()
  }
}
