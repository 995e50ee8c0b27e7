// Two sides of a partition do one thing each: one tree comes out, and the loser is listed.

import Causality
import Replication
import Testing

@Suite struct `Both sides of a partition` {
  static let attributes = Attributes(mode: 0o644)

  /// Runs both sides after a common start and returns the two volumes after the heal, checked equal.
  static func meet(
    _ before: (inout Mesh) throws -> Void = { _ in }, _ left: (inout Volume, Stamp) throws -> Void,
    _ right: (inout Volume, Stamp) throws -> Void
  ) throws -> Volume {
    var mesh = Mesh(2, seed: 7)
    try before(&mesh)
    try mesh.settle()
    let (first, second) = (mesh.stamp(0), mesh.stamp(1))
    try left(&mesh.volumes[0], first)
    try right(&mesh.volumes[1], max(second, Stamp(rawValue: first.rawValue + (1 << 20))))
    try mesh.settle()
    #expect(Agreed(mesh.volumes[0]) == Agreed(mesh.volumes[1]))
    return mesh.volumes[0]
  }

  static func file(_ mesh: inout Mesh, _ path: String, _ content: UInt64 = 1) throws {
    let id = try mesh.volumes[0].createFile(Path(path), FileForm(.regular), attributes, at: mesh.stamp(0))
    try mesh.volumes[0].commit(
      id, [ChunkWrite(index: 0, hash: ContentHash(content, 0, 0, 0), length: 10)], size: 10, attributes: attributes,
      at: mesh.stamp(0))
  }

  static func edit(_ volume: inout Volume, _ path: String, _ content: UInt64, _ stamp: Stamp) throws {
    guard case .file(let id)? = volume[Path(path)] else { throw VolumeError.notFound }
    try volume.commit(
      id, [ChunkWrite(index: 0, hash: ContentHash(content, 0, 0, 0), length: 10)], size: 10, attributes: attributes,
      at: stamp)
  }

  static func create(_ volume: inout Volume, _ path: String, _ content: UInt64, _ stamp: Stamp) throws {
    let id = try volume.createFile(Path(path), FileForm(.regular), attributes, at: stamp)
    try volume.commit(
      id, [ChunkWrite(index: 0, hash: ContentHash(content, 0, 0, 0), length: 10)], size: 10, attributes: attributes,
      at: Stamp(rawValue: stamp.rawValue + 1))
  }

  static func content(_ volume: Volume, _ path: String) -> UInt64? {
    guard case .file(let id)? = volume[Path(path)] else { return nil }
    return volume.files[id]?.chunks[0]?.hash.words.0
  }

  @Test func `edit against edit keeps the later and lists the earlier`() throws {
    let volume = try Self.meet(
      { try Self.file(&$0, "f") }, { try Self.edit(&$0, "f", 2, $1) }, { try Self.edit(&$0, "f", 3, $1) })
    #expect(Self.content(volume, "f") == 3)
    #expect(volume.conflicts.count == 1)
    guard case .chunk(_, 0, let chunk, _)? = volume.conflicts.first?.kind else { throw VolumeError.notFound }
    #expect(chunk.hash.words.0 == 2)
  }

  @Test func `the same edit on both sides is no conflict`() throws {
    let volume = try Self.meet(
      { try Self.file(&$0, "f") }, { try Self.edit(&$0, "f", 2, $1) }, { try Self.edit(&$0, "f", 2, $1) })
    #expect(volume.conflicts.isEmpty)
  }

  @Test func `create against create keeps the later and lists the earlier file`() throws {
    let volume = try Self.meet({ _ in }, { try Self.create(&$0, "f", 2, $1) }, { try Self.create(&$0, "f", 3, $1) })
    #expect(Self.content(volume, "f") == 3)
    #expect(volume.conflicts.count == 1 && volume.conflicts[0].path == Path("f"))
  }

  @Test func `a write wins over a delete that did not see it`() throws {
    for deleteFirst in [true, false] {
      let delete: (inout Volume, Stamp) throws -> Void = { try $0.unlink(Path("f"), at: $1) }
      let edit: (inout Volume, Stamp) throws -> Void = { try Self.edit(&$0, "f", 2, $1) }
      let volume = try Self.meet(
        { try Self.file(&$0, "f") }, deleteFirst ? delete : edit, deleteFirst ? edit : delete)
      #expect(Self.content(volume, "f") == 2)
      #expect(volume.conflicts.isEmpty)
    }
  }

  @Test func `an edit of a file that was replaced is listed`() throws {
    let volume = try Self.meet(
      { try Self.file(&$0, "f") }, { try Self.edit(&$0, "f", 2, $1) },
      { volume, stamp in
        try Self.create(&volume, "new", 3, stamp)
        try volume.rename(Path("new"), to: Path("f"), at: Stamp(rawValue: stamp.rawValue + 2))
      })
    #expect(Self.content(volume, "f") == 3)
    #expect(volume.conflicts.map(\.path) == [Path("f")])
  }

  @Test func `two atomic replacements keep one and list the other`() throws {
    let replace: (UInt64) -> (inout Volume, Stamp) throws -> Void = { content in
      { volume, stamp in
        try Self.create(&volume, "new\(content)", content, stamp)
        try volume.rename(Path("new\(content)"), to: Path("f"), at: Stamp(rawValue: stamp.rawValue + 2))
      }
    }
    let volume = try Self.meet({ try Self.file(&$0, "f") }, replace(2), replace(3))
    #expect(Self.content(volume, "f") == 3)
    #expect(volume.conflicts.count == 1)
    #expect(volume.entries(of: .root).count == 1)
  }

  @Test func `a file against a directory with entries: the directory stays, the file is listed`() throws {
    for fileFirst in [true, false] {
      let file: (inout Volume, Stamp) throws -> Void = { try Self.create(&$0, "x", 2, $1) }
      let directory: (inout Volume, Stamp) throws -> Void = { volume, stamp in
        try volume.makeDirectory(Path("x"), Attributes(mode: 0o755), at: stamp)
        try Self.create(&volume, "x/inside", 3, Stamp(rawValue: stamp.rawValue + 1))
      }
      let volume = try Self.meet({ _ in }, fileFirst ? file : directory, fileFirst ? directory : file)
      #expect(volume[Path("x")] == .directory)
      #expect(Self.content(volume, "x/inside") == 3)
      #expect(volume.conflicts.map(\.path) == [Path("x")])
    }
  }

  @Test func `an entry made in a directory that was removed keeps the directory`() throws {
    let volume = try Self.meet(
      { try $0.volumes[0].makeDirectory(Path("d"), Attributes(mode: 0o700), at: $0.stamp(0)) },
      { try Self.create(&$0, "d/f", 2, $1) }, { try $0.removeDirectory(Path("d"), at: $1) })
    #expect(Self.content(volume, "d/f") == 2)
    #expect(volume.directoryAttributes(Path("d")).mode == 0o700)
  }

  @Test func `rename against edit: the edit follows the file`() throws {
    let volume = try Self.meet(
      { try Self.file(&$0, "f") }, { try $0.rename(Path("f"), to: Path("g"), at: $1) },
      { try Self.edit(&$0, "f", 2, $1) })
    #expect(Self.content(volume, "g") == 2)
    #expect(volume[Path("f")] == nil)
    #expect(volume.conflicts.isEmpty)
  }

  @Test func `rename against rename: both names stay, of one file`() throws {
    let volume = try Self.meet(
      { try Self.file(&$0, "f") }, { try $0.rename(Path("f"), to: Path("g"), at: $1) },
      { try $0.rename(Path("f"), to: Path("h"), at: $1) })
    #expect(volume[Path("g")] != nil && volume[Path("g")] == volume[Path("h")])
    #expect(volume[Path("f")] == nil)
  }

  @Test func `append against append keeps the later tail and lists the other`() throws {
    let append: (UInt64) -> (inout Volume, Stamp) throws -> Void = { content in
      { volume, stamp in
        guard case .file(let id)? = volume[Path("f")] else { throw VolumeError.notFound }
        let write = ChunkWrite(index: 0, hash: ContentHash(content, 0, 0, 0), length: 20)
        try volume.commit(id, [write], size: 20, attributes: Self.attributes, at: stamp)
      }
    }
    let volume = try Self.meet({ try Self.file(&$0, "f") }, append(2), append(3))
    #expect(Self.content(volume, "f") == 3)
    #expect(volume.conflicts.count == 1)
  }

  @Test func `dropping and restoring a conflict shows on both sides`() throws {
    var mesh = Mesh(2, seed: 3)
    try Self.create(&mesh.volumes[0], "f", 2, mesh.stamp(0))
    try Self.create(&mesh.volumes[1], "f", 3, Stamp(milliseconds: 5_000))
    try mesh.settle()
    let conflict = try #require(mesh.volumes[0].conflicts.first)
    guard case .file(let id) = conflict.kind else { throw VolumeError.notFound }
    try mesh.volumes[0].restore(id, at: Path("f.lost"), stamp: Stamp(milliseconds: 6_000))
    try mesh.settle()
    #expect(Self.content(mesh.volumes[1], "f.lost") == 2)
    #expect(mesh.volumes[1].conflicts.isEmpty)
    try Self.edit(&mesh.volumes[0], "f", 8, Stamp(milliseconds: 7_000))
    try Self.edit(&mesh.volumes[1], "f", 9, Stamp(milliseconds: 7_001))
    try mesh.settle()
    try mesh.volumes[1].drop(try #require(mesh.volumes[1].conflicts.first), at: Stamp(milliseconds: 8_000))
    try mesh.settle()
    #expect(mesh.volumes[0].conflicts.isEmpty)
  }

  @Test func `a delete never resurrects, however late a copy of the old state arrives`() throws {
    var mesh = Mesh(3, seed: 4)
    try Self.file(&mesh, "f")
    try mesh.settle()
    try mesh.volumes[0].unlink(Path("f"), at: mesh.stamp(0))
    try mesh.pull(1, from: 0)
    try mesh.pull(1, from: 2)
    #expect(mesh.volumes[1][Path("f")] == nil)
    try mesh.settle()
    #expect(mesh.volumes[2][Path("f")] == nil)
  }

  @Test func `a truncation kills older chunks beyond it, and an unseen one is listed`() throws {
    let volume = try Self.meet(
      { mesh in
        try Self.file(&mesh, "f")
        guard case .file(let id)? = mesh.volumes[0][Path("f")] else { return }
        let size = UInt64(FileForm.ordinaryChunkSize) + 10
        let write = ChunkWrite(index: 1, hash: ContentHash(5, 0, 0, 0), length: 10)
        try mesh.volumes[0].commit(id, [write], size: size, attributes: Self.attributes, at: mesh.stamp(0))
      },
      { volume, stamp in
        guard case .file(let id)? = volume[Path("f")] else { return }
        let write = ChunkWrite(index: 1, hash: ContentHash(6, 0, 0, 0), length: 10)
        try volume.commit(id, [write], size: volume.files[id]!.size, attributes: Self.attributes, at: stamp)
      },
      { volume, stamp in
        guard case .file(let id)? = volume[Path("f")] else { return }
        try volume.commit(id, [], size: 10, attributes: Self.attributes, at: stamp)
      })
    guard case .file(let id)? = volume[Path("f")] else { throw VolumeError.notFound }
    #expect(volume.files[id]!.size == 10)
    #expect(volume.conflicts.count == 1)
  }
}
