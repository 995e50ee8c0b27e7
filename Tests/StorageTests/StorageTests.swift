// What is stored is there again; two processes never share a directory.

import Causality
import Glibc
import Replication
import Storage
import Testing

/// A directory that goes with the test.
final class Scratch {
  let path: String

  init() {
    path = "/tmp/grapevine-storage-\(getpid())-\(UInt64.random(in: 0...(.max)))"
    mkdir(path, 0o700)
  }

  deinit { Self.remove(path) }

  static func remove(_ path: String) {
    for name in ContentStore.names(in: path) { remove(path + "/" + name) }
    if rmdir(path) != 0 { unlink(path) }
  }
}

@Suite struct `Storage` {
  @Test func `records come back by key, and a deleted one is gone`() throws {
    let scratch = Scratch()
    do {
      let store = try RecordStore(path: scratch.path + "/records.db")
      try store.commit(
        [StoredRecord(key: [1, 2], value: [9]), StoredRecord(key: [1, 1], value: []), .init(key: [2], value: [7])],
        durably: false)
      try store.commit([StoredRecord(key: [1, 2], value: nil)], durably: true)
    }
    let again = try RecordStore(path: scratch.path + "/records.db")
    #expect(try again.records(prefix: [1]) == [StoredRecord(key: [1, 1], value: [])])
    #expect(try again.records().count == 2)
  }

  @Test func `a directory in use is refused`() throws {
    let scratch = Scratch()
    let first = try DataDirectory(path: scratch.path + "/node")
    #expect(first.previousEnd == .none)
    #expect(throws: StorageError.locked(path: scratch.path + "/node")) {
      _ = try DataDirectory(path: scratch.path + "/node")
    }
    withExtendedLifetime(first) {}
  }

  @Test func `a life that ended without a word is told from a clean end`() throws {
    let scratch = Scratch()
    _ = try DataDirectory(path: scratch.path)
    let second = try DataDirectory(path: scratch.path)
    #expect(second.previousEnd == .killed)
  }

  @Test func `a power loss is known until the next life says that it runs`() throws {
    let scratch = Scratch()
    do { _ = try DataDirectory(path: scratch.path) }
    try DataDirectory.write("another boot", to: scratch.path + "/running")
    do { #expect(try DataDirectory(path: scratch.path).previousEnd == .powerLoss) }
    do {
      let third = try DataDirectory(path: scratch.path)
      #expect(third.previousEnd == .powerLoss)
      try third.markRunning()
    }
    #expect(try DataDirectory(path: scratch.path).previousEnd == .killed)
  }

  @Test func `a clean end is known`() throws {
    let scratch = Scratch()
    do { try DataDirectory(path: scratch.path).markClean() }
    #expect(try DataDirectory(path: scratch.path).previousEnd == .clean)
  }

  @Test func `an unknown format is refused`() throws {
    let scratch = Scratch()
    try DataDirectory.write("99", to: scratch.path + "/format")
    #expect(throws: StorageError.format(path: scratch.path, found: "99")) { try DataDirectory(path: scratch.path) }
  }

  @Test func `contents are found by file, and short ones read as zeros to their length`() throws {
    let scratch = Scratch()
    let store = try ContentStore(directory: scratch.path)
    let file = Dot(NodeID(7), 300)
    let descriptor = try store.open(file, create: true)
    try ContentStore.write([1, 2, 3], at: 512, to: descriptor, path: "")
    close(descriptor)
    #expect(store.chunk(file, index: 1, chunkSize: 512, length: 5) == [1, 2, 3, 0, 0])
    #expect(store.held == [file])
    store.remove(file)
    #expect(store.held.isEmpty)
    #expect(store.chunk(file, index: 0, chunkSize: 512, length: 2) == [0, 0])
  }

  @Test func `kept bytes are found by hash`() throws {
    let scratch = Scratch()
    let store = try ContentStore(directory: scratch.path)
    let bytes: [UInt8] = [5, 6]
    let hash = ContentHasher.hash(bytes[...])
    try store.keep(bytes, as: hash)
    #expect(store.kept(hash) == bytes)
    store.forget(hash)
    #expect(store.kept(hash) == nil)
  }

  @Test func `the hash is SHA-256 and zeros have their own name`() {
    #expect(
      ContentHasher.hash(Array("abc".utf8)[...]).description
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(ContentHasher.hash([UInt8](repeating: 0, count: 100)[...]).isZeros)
    #expect(!ContentHasher.hash([0, 0, 0, 0, 0, 0, 0, 0, 1][...]).isZeros)
  }
}
