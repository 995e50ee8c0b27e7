// What programs do: each seed has its own mixture.

import Causality
import Replication

/// One thing that a program does.
enum Deed: CaseIterable, Sendable {
  case create, makeDirectory, write, append, replace, truncate, rewrite, unlink, removeDirectory, rename, exchange, link
  case renew, setMode, synchronize, dropConflict, restoreConflict, removeTree
}

/// How often programs do what.
struct Habits: Sendable {
  private let weights: [(deed: Deed, weight: Int)]
  private let total: Int
  /// The pause between two deeds on one machine, in milliseconds.
  let pause: ClosedRange<UInt64>
  /// Names out of which paths are made: the fewer, the more they meet.
  let names: [String]
  let depth: Int
  let chunkSize: UInt32
  /// How many different bytes programs write: the fewer, the more often contents are the same.
  let letters: UInt8

  init(seed: UInt64) {
    var random = SeededGenerator.of(seed, 6)
    var weights: [(Deed, Int)] = [(.create, 4), (.write, 6)]
    for deed in Deed.allCases where random.chance(0.65) {
      weights.append((deed, [1, 2, 2, 3, 6].randomElement(using: &random)!))
    }
    self.weights = weights
    total = weights.reduce(0) { $0 + $1.1 }
    pause = [5...120, 30...500, 100...2_000].randomElement(using: &random)!
    names = [["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]].randomElement(using: &random)!
    depth = Int.random(in: 1...3, using: &random)
    chunkSize = [512, 512, 1_024].randomElement(using: &random)!
    letters = [2, 20, 255].randomElement(using: &random)!
  }

  func deed(_ random: inout SeededGenerator) -> Deed {
    var place = Int.random(in: 0..<total, using: &random)
    for (deed, weight) in weights {
      place -= weight
      if place < 0 { return deed }
    }
    return .write
  }

  func path(_ random: inout SeededGenerator) -> Path {
    let depth = Int.random(in: 1...depth, using: &random)
    return Path((0..<depth).map { _ in names.randomElement(using: &random)! }.joined(separator: "/"))
  }

  func bytes(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
    if random.chance(0.1) { return [UInt8](repeating: 0, count: count) }
    if random.chance(0.2) { return [UInt8](repeating: UInt8.random(in: 0..<letters, using: &random), count: count) }
    let word = random.next()
    return (0..<count).map { UInt8(truncatingIfNeeded: word >> UInt64($0 % 7 * 8)) % letters &+ UInt8($0 % 31) }
  }
}

extension World {
  /// A program on a machine does something.
  func act(_ host: Host) {
    queue.add(.act(host.index, life: host.life), at: now + host.random.span(habits.pause))
    guard !host.disk.isFull else { return }
    var random = host.random
    let deed = habits.deed(&random)
    let (one, other) = (habits.path(&random), habits.path(&random))
    let attributes = Attributes(mode: .random(in: 0...0o777, using: &random))
    host.random = random
    host.act(deed, one, other, attributes)
  }
}

extension Host {
  private func file(at path: Path) -> FileID? {
    guard case .file(let id)? = volume?[path] else { return nil }
    return id
  }

  private func draw(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }

  private func content(_ count: Int) -> [UInt8] { world.habits.bytes(count, &random) }

  func act(_ deed: Deed, _ one: Path, _ other: Path, _ attributes: Attributes) {
    let size = Int(world.habits.chunkSize)
    switch deed {
    case .create: create(one, attributes, bytes: content(draw(1...3 * size)))
    case .makeDirectory:
      change("makes directory \(one)") { (volume, stamp) throws(VolumeError) in
        try volume.makeDirectory(one, attributes, at: stamp)
      }
    case .write:
      guard let id = file(at: one) else { return create(one, attributes, bytes: content(draw(1...size))) }
      write(id, at: draw(0...4 * size), content(draw(1...size + 8)))
    case .append:
      guard let id = file(at: one) else { return }
      write(id, at: disk.state.files[id]?.count ?? 0, content(draw(1...size)))
    case .truncate:
      guard let id = file(at: one) else { return }
      truncate(id, to: draw(0...5 * size))
    case .replace: replace(one, attributes)
    case .rewrite:
      guard let id = file(at: one) else { return }
      write(id, at: 0, content(max(1, disk.state.files[id]?.count ?? 0)))
      if random.chance(0.5) { synchronize(id) }
    case .unlink: unlink(one)
    case .removeDirectory:
      change("removes directory \(one)") { (volume, stamp) throws(VolumeError) in
        try volume.removeDirectory(one, at: stamp)
      }
    case .rename:
      settle(other)
      change("renames \(one) to \(other)") { (volume, stamp) throws(VolumeError) in
        try volume.rename(one, to: other, at: stamp)
      }
    case .exchange:
      change("exchanges \(one) and \(other)") { (volume, stamp) throws(VolumeError) in
        try volume.exchange(one, with: other, at: stamp)
      }
    case .link:
      guard let id = file(at: one) else { return }
      change("links \(one) to \(other)") { (volume, stamp) throws(VolumeError) in
        try volume.link(id, at: other, stamp: stamp)
      }
    case .renew:
      guard let id = file(at: one) else { return }
      settle(one)
      change("renews \(one)") { (volume, stamp) throws(VolumeError) in
        _ = try volume.renew(id, attributes: attributes, at: stamp)
      }
      if let id = file(at: one) { write(id, at: 0, content(draw(1...size))) }
    case .setMode: setMode(one, attributes)
    case .synchronize: if let id = file(at: one) { synchronize(id) }
    case .dropConflict, .restoreConflict: settleConflict(deed, other)
    case .removeTree: removeTree(one)
    }
  }

  private func create(_ path: Path, _ attributes: Attributes, bytes: [UInt8]) {
    // A regular file with chunks this small would be a database; the core treats the contents of all other kinds alike.
    let form = FileForm(.pipe, chunkSize: world.habits.chunkSize)
    var made: FileID?
    change("creates \(path)") { (volume, stamp) throws(VolumeError) in
      made = try volume.createFile(path, form, attributes, at: stamp)
    }
    if let made, !disk.isDead { write(made, at: 0, bytes) }
  }

  /// Writes a new file beside and renames it over: how editors save.
  private func replace(_ path: Path, _ attributes: Attributes) {
    let aside = path.parent.appending(Array("new-\(index)".utf8))
    create(aside, attributes, bytes: content(draw(1...2 * Int(world.habits.chunkSize))))
    guard let id = file(at: aside) else { return }
    if random.chance(0.5) { synchronize(id) } else { capture(id) }
    settle(path)
    change("renames \(aside) over \(path)") { (volume, stamp) throws(VolumeError) in
      try volume.rename(aside, to: path, at: stamp)
    }
  }

  /// Records what was written into the file at a path, before its name goes.
  private func settle(_ path: Path) { if let id = file(at: path) { capture(id) } }

  private func unlink(_ path: Path) {
    settle(path)
    change("unlinks \(path)") { (volume, stamp) throws(VolumeError) in try volume.unlink(path, at: stamp) }
  }

  private func removeTree(_ path: Path) {
    guard let volume else { return }
    for (path, value) in volume.subtree(path).reversed() {
      guard case .file = value else {
        change("removes directory \(path)") { (volume, stamp) throws(VolumeError) in
          try volume.removeDirectory(path, at: stamp)
        }
        continue
      }
      unlink(path)
    }
  }

  private func setMode(_ path: Path, _ attributes: Attributes) {
    switch volume?[path] {
    case .directory?:
      change("changes the mode of directory \(path)") { (volume, stamp) throws(VolumeError) in
        try volume.setAttributes(path, attributes, at: stamp)
      }
    case .file(let id)?:
      change("changes the mode of \(path)") { (volume, stamp) throws(VolumeError) in
        guard let file = volume.files[id] else { throw .notFound }
        try volume.commit(id, [], size: file.size, attributes: attributes, at: stamp)
      }
    case nil: break
    }
  }

  private func settleConflict(_ deed: Deed, _ path: Path) {
    guard let conflict = volume?.conflicts.randomElement(using: &random) else { return }
    if deed == .dropConflict {
      change("drops conflict \(conflict.id)") { (volume, stamp) throws(VolumeError) in
        try volume.drop(conflict, at: stamp)
      }
    } else if case .file(let id) = conflict.kind {
      change("restores \(id) at \(path)") { (volume, stamp) throws(VolumeError) in
        try volume.restore(id, at: path, stamp: stamp)
      }
    }
  }
}
