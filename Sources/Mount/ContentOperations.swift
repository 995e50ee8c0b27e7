// Bytes: read, write, fsync.

import CFuse
import Glibc
import Replication
import Storage

extension FileSystem {
  func read(
    _ request: consuming Request, _ node: fuse_ino_t, _ size: Int, _ offset: off_t, _ handle: fuse_file_info
  ) {
    let inode = table.inode(node)
    if inode.isVirtual { return readVirtual(request, handle.fh, size, offset) }
    guard let buffer = buffer(size) else { return request.fail(ENOMEM) }
    do throws(Refusal) {
      inode.state.lock()
      let descriptor: Int32?
      do throws(Refusal) {
        descriptor = try openDescriptor(inode, create: false)
      } catch {
        inode.state.unlock()
        throw error
      }
      let end = inode.size
      inode.state.unlock()
      var count = 0
      if let descriptor {
        count = try readAll(descriptor, buffer, at: UInt64(offset))
      } else if UInt64(offset) < end {
        count = min(size, Int(end - UInt64(offset)))
        memset(buffer.baseAddress!, 0, count)
      }
      request.data(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    } catch {
      request.fail(error)
    }
  }

  func write(
    _ request: consuming Request, _ node: fuse_ino_t, _ bytes: UnsafeRawBufferPointer, _ offset: off_t,
    _ handle: fuse_file_info
  ) {
    let inode = table.inode(node)
    guard let form = inode.form else { return request.fail(EBADF) }
    let range = UInt64(offset)..<UInt64(offset) + UInt64(bytes.count)
    let clearsPrivileges = handle.writepage == 0 && request.caller.uid != 0
    inode.writing.lock()
    do throws(Refusal) {
      let isNews = try write(inode, form, bytes, range, clearsPrivileges: clearsPrivileges)
      inode.writing.unlock()
      if isNews { addPending(inode) }
      request.written(bytes.count)
    } catch {
      inode.writing.unlock()
      request.fail(error)
    }
  }

  /// Writes, with `writing` held; says whether the inode has become one with changes.
  private func write(
    _ inode: Inode, _ form: FileForm, _ bytes: UnsafeRawBufferPointer, _ range: Range<UInt64>, clearsPrivileges: Bool
  ) throws(Refusal) -> Bool {
    try detachIfUnlinked(inode)
    inode.state.lock()
    let descriptor: Int32
    let growth = inode.growth(byWriting: range, form)
    do throws(Refusal) {
      descriptor = try openDescriptor(inode, create: true)!
      inode.pins += 1
    } catch {
      inode.state.unlock()
      throw error
    }
    inode.state.unlock()
    defer { inode.state.with { inode.pins -= 1 } }

    if growth > 0 { try reserve(growth) }
    do throws(Refusal) {
      try writeAll(descriptor, bytes, at: range.lowerBound)
    } catch {
      grownBytes.subtract(growth, ordering: .relaxed)
      throw error
    }
    if inode.isLocal { return noteLocalWrite(inode, range, growth, clearsPrivileges: clearsPrivileges) }
    let hashes = wholeChunks(bytes, range, form)
    inode.state.lock()
    defer { inode.state.unlock() }
    inode.growth += growth
    if range.upperBound > inode.size { inode.setSize(range.upperBound) }
    inode.markWritten(range)
    remember(hashes, of: range, in: inode, form)
    if clearsPrivileges { inode.loseSetBits() }
    return inode.touch()
  }

  /// Refuses what the volume has no room for.
  func reserve(_ growth: UInt64) throws(Refusal) {
    let grown = grownBytes.add(growth, ordering: .relaxed).newValue
    guard recordedBytes.load(ordering: .relaxed) &+ grown <= host.sizeLimit else {
      grownBytes.subtract(growth, ordering: .relaxed)
      throw Refusal(ENOSPC)
    }
  }

  /// The hashes of the chunks that a request writes whole: its bytes are at hand now, and would have to be read again.
  private func wholeChunks(
    _ bytes: UnsafeRawBufferPointer, _ range: Range<UInt64>, _ form: FileForm
  ) -> [(index: UInt64, hash: ContentHash)] {
    let chunk = UInt64(form.chunkSize)
    guard UInt64(bytes.count) >= chunk, !form.isDatabase else { return [] }
    var found: [(UInt64, ContentHash)] = []
    var index = (range.lowerBound + chunk - 1) / chunk
    while (index + 1) * chunk <= range.upperBound {
      let start = Int(index * chunk - range.lowerBound)
      found.append((index, ContentHasher.hash(UnsafeRawBufferPointer(rebasing: bytes[start..<start + Int(chunk)]))))
      index += 1
    }
    return found
  }

  private func remember(
    _ hashes: [(index: UInt64, hash: ContentHash)], of range: Range<UInt64>, in inode: Inode, _ form: FileForm
  ) {
    guard !hashes.isEmpty || !inode.hashes.isEmpty, !range.isEmpty else { return }
    let chunk = UInt64(form.chunkSize)
    inode.dropHash(range.lowerBound / chunk)
    inode.dropHash((range.upperBound - 1) / chunk)
    for (index, hash) in hashes {
      if inode.hashes.count < 65_536 { inode.hashes[index] = hash } else { inode.dropHash(index) }
    }
  }

  /// fsync: bytes first, then the records that speak of them.
  func synchronise(_ request: consuming Request, _ node: fuse_ino_t) {
    let inode = table.inode(node)
    let pending = request.handOver()
    slowLane.add { [self] in
      do throws(Refusal) {
        try capture(inode, durably: true)
        makeTreeDurable()
        pending.resume().succeed()
      } catch {
        pending.resume().fail(error)
      }
    }
  }
}

extension Inode {
  /// About how many bytes a write adds to the volume, with `state` held: the kernel writes pages back in any order, so
  /// what lies before the end may be as new as what moves it.
  func growth(byWriting range: Range<UInt64>, _ form: FileForm) -> UInt64 {
    var growth = range.upperBound > size ? range.upperBound - max(size, range.lowerBound) : 0
    if range.lowerBound < size, range.upperBound > recordedSize,
      !dirty.contains(range.lowerBound / UInt64(form.chunkSize))
    {
      growth += min(range.upperBound, size) - max(range.lowerBound, min(recordedSize, size))
    }
    return growth
  }

  /// A write by somebody without privileges takes set-uid and set-gid away, with `state` held.
  func loseSetBits() {
    let before = attributes.mode
    dropPrivileges()
    if attributes.mode != before { attributesChanged = true }
  }
}
