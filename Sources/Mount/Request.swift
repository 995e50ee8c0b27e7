// A request of the kernel: answered exactly once.

import CFuse
import Glibc

/// A request of the kernel. Each way to answer consumes it; one that is dropped without an answer gets EIO.
struct Request: ~Copyable {
  private let raw: fuse_req_t

  init(_ raw: fuse_req_t) { self.raw = raw }

  deinit { fuse_reply_err(raw, EIO) }

  /// The caller's user, group, thread and umask.
  var caller: fuse_ctx { fuse_req_ctx(raw).pointee }

  /// Gives the request up to another thread, which makes a new one of it.
  consuming func handOver() -> Pending {
    let pending = Pending(raw: raw)
    discard self
    return pending
  }

  /// A request on its way to another thread.
  struct Pending: @unchecked Sendable {
    fileprivate let raw: fuse_req_t
    func resume() -> Request { Request(raw) }
  }

  // MARK: Answers

  consuming func succeed() { fail(0) }

  consuming func fail(_ number: Int32) {
    fuse_reply_err(raw, number)
    discard self
  }

  consuming func fail(_ error: Refusal) { fail(error.number) }

  /// Needs no answer: forget.
  consuming func end() {
    fuse_reply_none(raw)
    discard self
  }

  /// False when the kernel has given the request up, and with it what the answer would have given it.
  consuming func entry(_ entry: fuse_entry_param) -> Bool {
    let result = withUnsafePointer(to: entry) { fuse_reply_entry(raw, $0) }
    discard self
    return result == 0
  }

  consuming func created(_ entry: fuse_entry_param, _ handle: fuse_file_info) -> Bool {
    let result = withUnsafePointer(to: entry) { entry in
      withUnsafePointer(to: handle) { fuse_reply_create(raw, entry, $0) }
    }
    discard self
    return result == 0
  }

  consuming func attributes(_ attributes: stat, timeout: Double) {
    _ = withUnsafePointer(to: attributes) { fuse_reply_attr(raw, $0, timeout) }
    discard self
  }

  consuming func opened(_ handle: fuse_file_info) -> Bool {
    let result = withUnsafePointer(to: handle) { fuse_reply_open(raw, $0) }
    discard self
    return result == 0
  }

  consuming func target(_ bytes: [UInt8]) {
    (bytes + [0]).withUnsafeBytes { _ = fuse_reply_readlink(raw, $0.baseAddress!.assumingMemoryBound(to: CChar.self)) }
    discard self
  }

  consuming func written(_ count: Int) {
    fuse_reply_write(raw, count)
    discard self
  }

  consuming func data(_ bytes: UnsafeRawBufferPointer) {
    fuse_reply_buf(raw, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    discard self
  }

  consuming func statistics(_ statistics: statvfs) {
    _ = withUnsafePointer(to: statistics) { fuse_reply_statfs(raw, $0) }
    discard self
  }

  consuming func length(_ count: Int) {
    fuse_reply_xattr(raw, count)
    discard self
  }

  consuming func position(_ offset: Int64) {
    fuse_reply_lseek(raw, off_t(offset))
    discard self
  }

  /// Answers getxattr and listxattr, which ask for the length first.
  consuming func sized(_ bytes: [UInt8], room: Int) {
    if room == 0 {
      length(bytes.count)
    } else if bytes.count > room {
      fail(ERANGE)
    } else {
      bytes.withUnsafeBytes { buffer in
        _ = fuse_reply_buf(raw, buffer.baseAddress?.assumingMemoryBound(to: CChar.self), buffer.count)
      }
      discard self
    }
  }

  /// What a directory reader's buffer holds after one more entry, or nil when that does not fit.
  borrowing func add(
    _ name: [CChar], _ entry: fuse_entry_param, isPlus: Bool, next: Int, to buffer: UnsafeMutableRawBufferPointer
  ) -> Int? {
    let place = buffer.baseAddress?.assumingMemoryBound(to: CChar.self)
    var entry = entry
    let size =
      isPlus
      ? fuse_add_direntry_plus(raw, place, buffer.count, name, &entry, off_t(next))
      : fuse_add_direntry(raw, place, buffer.count, name, &entry.attr, off_t(next))
    return size <= buffer.count ? size : nil
  }
}
