// The backing file of an inode: opened when first needed, kept open within a bound.

import Glibc
import Replication
import Storage

extension FileSystem {
  /// The descriptor of an inode's backing file, with its state held; nil when it was never written and is not to be made.
  func openDescriptor(_ inode: Inode, create: Bool) throws(Refusal) -> Int32? {
    if inode.descriptor >= 0 { return inode.descriptor }
    do {
      inode.descriptor = try ContentStore.open(backingPath(of: inode), create: create)
      return inode.descriptor
    } catch {
      let refusal = Refusal(error)
      if refusal.number == ENOENT && !create { return nil }
      throw refusal
    }
  }

  /// Uses the backing file; it stays open at least as long.
  func withDescriptor<R>(
    _ inode: Inode, create: Bool, _ body: (Int32?) throws(Refusal) -> R
  ) throws(Refusal) -> R {
    inode.state.lock()
    let descriptor: Int32?
    do {
      descriptor = try openDescriptor(inode, create: create)
    } catch {
      inode.state.unlock()
      throw error
    }
    inode.pins += 1
    inode.state.unlock()
    defer { inode.state.with { inode.pins -= 1 } }
    return try body(descriptor)
  }

  /// Keeps the backing file of an inode that nobody has open any more, and closes that of the one kept longest.
  func park(_ inode: Inode) {
    let evicted = pendingLock.with { () -> [(inode: Inode, at: UInt64)] in
      parkings += 1
      let at = parkings
      let isOpen = inode.state.with { () -> Bool in
        inode.parkedAt = at
        return inode.descriptor >= 0
      }
      guard isOpen else { return [] }
      parked.append((inode, at))
      guard parked.count > options.idleDescriptors else { return [] }
      let surplus = parked.prefix(max(1, options.idleDescriptors / 8))
      parked.removeFirst(surplus.count)
      return Array(surplus)
    }
    for (old, at) in evicted {
      old.state.with {
        if old.parkedAt == at, old.handles == 0, old.pins == 0, !old.isCapturing { old.closeDescriptors() }
      }
    }
  }
}

/// Calls until it is not interrupted.
@inline(__always)
func retrying(_ call: () -> Int) -> Int {
  while true {
    let result = call()
    if result >= 0 || errno != EINTR { return result }
  }
}

/// Writes all bytes at an offset.
func writeAll(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws(Refusal) {
  var done = 0
  while done < bytes.count {
    let count = retrying {
      pwrite(descriptor, bytes.baseAddress! + done, bytes.count - done, off_t(offset) + off_t(done))
    }
    guard count > 0 else { throw Refusal(count < 0 ? errno : ENOSPC) }
    done += count
  }
}

/// Reads up to the buffer's size or the end of the file.
func readAll(_ descriptor: Int32, _ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(Refusal) -> Int {
  var done = 0
  while done < buffer.count {
    let count = retrying {
      pread(descriptor, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
    }
    guard count >= 0 else { throw Refusal(errno) }
    if count == 0 { break }
    done += count
  }
  return done
}
