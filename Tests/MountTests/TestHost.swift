// A node without peers, disk or network for the tests of a mount: a volume in memory, contents in a temporary directory.

import Causality
import Foundation
import Glibc
import Mount
import Replication
import Storage
import Synchronization

/// A host that keeps its volume in memory and remembers what the mount told it.
final class TestHost: VolumeHost, @unchecked Sendable {
  struct State {
    var volume: Volume
    var clock: UInt64 = 1_000
    var durable = 0
    var captured: [FileID: UInt64] = [:]
  }

  let content: ContentStore
  let sizeLimit: UInt64
  let state: Mutex<State>

  init(directory: String, sizeLimit: UInt64, origin: UInt64 = 1) throws {
    content = try ContentStore(directory: directory)
    self.sizeLimit = sizeLimit
    state = Mutex(State(volume: Volume(name: "test", origin: NodeID(origin))))
  }

  func withVolume<R>(_ body: (inout Volume, _ stamp: () -> Stamp) throws -> R) rethrows -> R {
    try state.withLock { state in
      let next = max(Stamp(milliseconds: state.clock), Stamp(rawValue: state.volume.latest.rawValue + 1))
      return try body(&state.volume) { next }
    }
  }

  func makeDurable() { state.withLock { $0.durable += 1 } }

  func captured(_ file: FileID, modified: timespec, size: UInt64) {
    state.withLock { $0.captured[file] = size }
  }

  func virtual(_ name: String) -> [UInt8]? { name == "lag" ? nil : Array("\(name) of the test\n".utf8) }

  var volume: Volume { state.withLock { $0.volume } }
}

/// A mounted volume in a directory of its own, gone at the end of the test.
final class Bench {
  let directory: String
  let path: String
  let host: TestHost
  let mount: VolumeMount
  /// A peer: a second volume, whose changes reach the mount by `deliver`, with the bytes of its chunks.
  var peer = Volume(name: "test", origin: NodeID(2))
  private var peerClock: UInt64 = 2_000_000_000_000
  private var peerBytes: [ContentHash: [UInt8]] = [:]

  init(sizeLimit: UInt64 = 1 << 30, origin: UInt64 = 1) throws {
    directory = "/tmp/grapevine-mount-\(UInt64.random(in: 0 ... .max))"
    path = directory + "/mount"
    try ContentStore.makeDirectory(directory)
    try ContentStore.makeDirectory(path)
    host = try TestHost(directory: directory + "/data", sizeLimit: sizeLimit, origin: origin)
    var options = MountOptions()
    options.quietMilliseconds = 0
    mount = try VolumeMount(host: host, mountPoint: path, volumeName: "test", options: options)
  }

  deinit {
    mount.unmount()
    try? FileManager.default.removeItem(atPath: directory)
  }

  func callAsFunction(_ name: String) -> String { path + "/" + name }

  /// The file at a path of the volume.
  func file(_ name: String) -> File? {
    let volume = host.volume
    guard case .file(let id)? = volume[Path(name)] else { return nil }
    return volume.files[id]
  }

  // MARK: The peer

  func stamp() -> Stamp {
    peerClock += 1
    return max(Stamp(milliseconds: peerClock), Stamp(rawValue: peer.latest.rawValue + 1))
  }

  /// The peer takes in everything that the mount's volume holds.
  func teachPeer() {
    mount.captureAll()
    let delta = Self.everything(in: host.volume)
    _ = peer.join(delta)
    peer.acknowledge(host.volume.vector)
  }

  static func everything(in volume: Volume) -> Delta {
    var volume = volume
    var delta = Delta()
    for key in volume.keys(notCoveredBy: VersionVector()) {
      volume.append(key, notCoveredBy: VersionVector(), to: &delta)
    }
    return delta
  }

  /// The peer writes a whole small file.
  func peerWrites(_ bytes: [UInt8], to name: String, at index: UInt64 = 0) throws {
    let attributes = Attributes(mode: 0o644, modified: FileTime(seconds: 77, nanoseconds: 7))
    let id: FileID
    if case .file(let known)? = peer[Path(name)] {
      id = known
    } else {
      id = try peer.createFile(Path(name), FileForm(.regular), attributes, at: stamp())
    }
    let hash = ContentHasher.hash(bytes[...])
    peerBytes[hash] = bytes
    let write = ChunkWrite(index: index, hash: hash, length: UInt32(bytes.count))
    let size = index * UInt64(FileForm.ordinaryChunkSize) + UInt64(bytes.count)
    try peer.commit(id, [write], size: size, attributes: attributes, at: stamp())
  }

  /// Brings everything of the peer into the mounted volume, as an engine does.
  func deliver() throws {
    let delta = Self.everything(in: peer)
    var shown: [(FileID, offset: Int64, length: Int64)] = []
    var events: [VolumeEvent] = []
    try mount.exclusively(delta.files.map(\.id)) {
      let (work, collected) = host.withVolume { volume, _ in
        _ = volume.takeEvents()
        let work = volume.join(delta)
        volume.acknowledge(peer.vector)
        return (work, volume.takeEvents())
      }
      events = collected
      for item in work {
        switch item {
        case .write(let id, let index, let chunk):
          let offset = index * UInt64(FileForm.ordinaryChunkSize)
          let descriptor = try host.content.open(id, create: true)
          defer { close(descriptor) }
          try ContentStore.write(peerBytes[chunk.hash]!, at: offset, to: descriptor, path: "peer")
          shown.append((id, Int64(offset), Int64(chunk.length)))
        case .resize(let id):
          let descriptor = try host.content.open(id, create: true)
          defer { close(descriptor) }
          ftruncate(descriptor, off_t(host.volume.files[id]!.size))
          shown.append((id, 0, 0))
        default: break
        }
      }
    }
    mount.show(events, contents: shown)
  }
}

// MARK: What programs do

/// Calls, and says the number of the error; 0 for success.
func number(_ call: () -> Int32) -> Int32 { call() < 0 ? errno : 0 }

func put(_ bytes: [UInt8], _ path: String, flags: Int32 = O_CREAT | O_TRUNC) {
  let descriptor = open(path, O_WRONLY | flags, 0o644)
  precondition(descriptor >= 0, "\(path): \(String(cString: strerror(errno)))")
  precondition(write(descriptor, bytes, bytes.count) == bytes.count)
  close(descriptor)
}

func put(_ text: String, _ path: String, flags: Int32 = O_CREAT | O_TRUNC) { put(Array(text.utf8), path, flags: flags) }

func get(_ path: String) -> [UInt8]? {
  let descriptor = open(path, O_RDONLY)
  guard descriptor >= 0 else { return nil }
  defer { close(descriptor) }
  return ContentStore.read(1 << 22, at: 0, from: descriptor)
}

func text(_ path: String) -> String? { get(path).map { String(decoding: $0, as: UTF8.self) } }

func status(_ path: String) -> stat {
  var status = stat()
  let result = lstat(path, &status)
  precondition(result == 0, "\(path): \(String(cString: strerror(errno)))")
  return status
}

func names(_ path: String) -> [String] { ContentStore.names(in: path) }
