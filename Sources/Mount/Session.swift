// A session: the kernel's device, the mount on it, and the threads that answer.

import CFuse
import Glibc
import Replication

/// The kernel's side of a mount. Mounting is done here, not by libfuse, so that the handshake can ask for what libfuse
/// 3.14 does not know: to take away set-uid bits ourselves, without which each write asks for an attribute first.
final class Session: @unchecked Sendable {
  private let fileSystem: FileSystem
  private let raw: OpaquePointer
  private let mountPoint: String
  private var workers: [Thread] = []
  /// The number by which the kernel's control files know the connection.
  private var connection: UInt32 = 0

  init(_ fileSystem: FileSystem, mountPoint: String, volumeName: String) throws(MountError) {
    self.fileSystem = fileSystem
    self.mountPoint = mountPoint
    try Self.cleanStale(mountPoint)
    let device = Glibc.open("/dev/fuse", O_RDWR | O_CLOEXEC)
    guard device >= 0 else { throw .system(operation: "open", path: "/dev/fuse", errno: errno) }
    guard let raw = Self.makeSession(fileSystem) else {
      close(device)
      throw .library
    }
    self.raw = raw
    var hooks = fuse_custom_io(writev: writeHook, read: readHook, splice_receive: nil, splice_send: nil)
    guard fuse_session_custom_io(raw, &hooks, device) == 0 else {
      fuse_session_destroy(raw)
      close(device)
      throw .library
    }
    fileSystem.session = raw
    do throws(MountError) {
      try Self.mount(device, mountPoint, volumeName, fileSystem.options)
    } catch {
      fileSystem.session = nil
      fuse_session_destroy(raw)
      throw error
    }
    workers = (0..<max(2, fileSystem.options.workers)).map { _ in Thread { [self] in answer() } }
    var status = stat()
    if stat(mountPoint, &status) == 0 { connection = grapevine_minor(status.st_dev) }
  }

  private static func makeSession(_ fileSystem: FileSystem) -> OpaquePointer? {
    var operations = makeOperations()
    var name: [UnsafeMutablePointer<CChar>?] = [strdup("grapevine"), nil]
    defer { free(name[0]) }
    return name.withUnsafeMutableBufferPointer { argv in
      var arguments = fuse_args(argc: 1, argv: argv.baseAddress, allocated: 0)
      return fuse_session_new(
        &arguments, &operations, MemoryLayout<fuse_lowlevel_ops>.size,
        Unmanaged.passUnretained(fileSystem).toOpaque())
    }
  }

  private static func mount(
    _ device: Int32, _ mountPoint: String, _ volumeName: String, _ options: MountOptions
  ) throws(MountError) {
    let data =
      "fd=\(device),rootmode=40000,user_id=\(getuid()),group_id=\(getgid()),allow_other,default_permissions"
    let flags = options.allowsPrivileges ? 0 : UInt(MS_NOSUID) | UInt(MS_NODEV)
    let result = data.withCString { Glibc.mount(volumeName, mountPoint, "fuse.grapevine", flags, $0) }
    guard result == 0 else { throw .system(operation: "mount on", path: mountPoint, errno: errno) }
  }

  /// Unmounts what a daemon that died left: it answers ENOTCONN.
  private static func cleanStale(_ mountPoint: String) throws(MountError) {
    for _ in 0..<16 {
      var statistics = statvfs()
      if statvfs(mountPoint, &statistics) == 0 { return }
      guard errno == ENOTCONN else { throw .system(operation: "mount on", path: mountPoint, errno: errno) }
      guard umount2(mountPoint, Int32(MNT_DETACH)) == 0 else {
        throw .system(operation: "unmount what was left at", path: mountPoint, errno: errno)
      }
    }
  }

  private func answer() {
    var buffer = fuse_buf()
    while fuse_session_exited(raw) == 0 {
      let result = fuse_session_receive_buf(raw, &buffer)
      if result == -EINTR || result == -EAGAIN { continue }
      guard result > 0 else { break }
      fuse_session_process_buf(raw, &buffer)
    }
    fuse_session_exit(raw)
    free(buffer.mem)
  }

  /// Unmounts, and returns when no request is being answered any more.
  ///
  /// By force: the mount may have been copied into other namespaces, where it would live on, and with it our threads.
  func unmount() {
    if umount2(mountPoint, Int32(MNT_FORCE)) != 0, umount2(mountPoint, Int32(MNT_FORCE) | Int32(MNT_DETACH)) != 0 {
      abortConnection()
    }
    for worker in workers { worker.join() }
    workers.removeAll()
  }

  /// Somebody else has unmounted: the connection ends through the kernel's control files, where they are mounted.
  private func abortConnection() {
    let control = Glibc.open("/sys/fs/fuse/connections/\(connection)/abort", O_WRONLY | O_CLOEXEC)
    guard control >= 0 else { return }
    _ = write(control, "1", 1)
    close(control)
  }

  /// After `unmount`, and when nobody notifies any more.
  func destroy() {
    fileSystem.session = nil
    fuse_session_destroy(raw)
  }
}

/// Where things stand in the first messages of the protocol (linux/fuse.h).
private enum Handshake {
  static let opcodeOffset = 4
  static let offeredFlagsOffset = 40 + 12
  static let grantedFlagsOffset = 12
}

private func state(_ userdata: UnsafeMutableRawPointer?) -> FileSystem {
  Unmanaged<FileSystem>.fromOpaque(userdata!).takeUnretainedValue()
}

/// Reads a request; the first one tells what the kernel offers.
private func readHook(
  _ descriptor: Int32, _ buffer: UnsafeMutableRawPointer?, _ size: Int, _ userdata: UnsafeMutableRawPointer?
) -> Int {
  let count = read(descriptor, buffer, size)
  guard count > Handshake.offeredFlagsOffset + 4, let buffer,
    buffer.load(fromByteOffset: Handshake.opcodeOffset, as: UInt32.self) == UInt32(GRAPEVINE_FUSE_INIT)
  else { return count }
  let offered = buffer.load(fromByteOffset: Handshake.offeredFlagsOffset, as: UInt32.self)
  state(userdata).offersPrivileges.store(
    offered & GRAPEVINE_FUSE_HANDLE_KILLPRIV_V2 != 0, ordering: .releasing)
  return count
}

/// Writes an answer; the first one says what is taken of the offer.
private func writeHook(
  _ descriptor: Int32, _ parts: UnsafeMutablePointer<iovec>?, _ count: Int32, _ userdata: UnsafeMutableRawPointer?
) -> Int {
  let fileSystem = state(userdata)
  if !fileSystem.isNegotiated.load(ordering: .acquiring) {
    fileSystem.isNegotiated.store(true, ordering: .releasing)
    if fileSystem.offersPrivileges.load(ordering: .acquiring), count > 1, let parts,
      parts[1].iov_len >= Handshake.grantedFlagsOffset + 4
    {
      let flags = parts[1].iov_base + Handshake.grantedFlagsOffset
      let granted = flags.load(as: UInt32.self)
      flags.storeBytes(of: granted | GRAPEVINE_FUSE_HANDLE_KILLPRIV_V2, as: UInt32.self)
    }
  }
  return writev(descriptor, parts, count)
}
