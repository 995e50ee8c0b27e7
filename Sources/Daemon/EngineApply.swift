// Applying parcels: gathering bytes, joining, putting bytes in place. Runs on the applier's thread.

import Causality
import Glibc
import Node
import Replication
import Storage
import Wire

extension Engine {
  private func isFresh(_ file: FileID, in name: String) -> Bool {
    withVolume(name) { volume, _ in volume.files[file] == nil }
  }

  /// Looks for wanted bytes on this machine: in what an earlier transfer left, and where the same content is.
  func gather(_ name: String, _ parcel: UInt64, _ items: [GatherItem]) {
    guard let volume = volume(name) else { return }
    var missing: [WantedContent] = []
    var fresh: [FileID: Bool] = [:]
    for item in items {
      let want = item.wanted
      let isNew = fresh[want.file] ?? isFresh(want.file, in: name)
      fresh[want.file] = isNew
      if !find(item, volume, parcel, isFresh: isNew) { missing.append(want) }
    }
    handle(.gathered(volume: name, parcel: parcel, missing: missing))
  }

  private func find(_ item: GatherItem, _ volume: CarriedVolume, _ parcel: UInt64, isFresh: Bool) -> Bool {
    let (want, length) = (item.wanted, Int(item.wanted.chunk.length))
    if want.isLost { return volume.content.kept(want.chunk.hash) != nil }
    let offset = want.index * UInt64(want.chunkSize)
    let path = isFresh ? volume.content.path(of: want.file) : Staging.path(volume, want.file)
    if access(path, F_OK) == 0,
      let (descriptor, _) = try? staging.descriptor(volume, parcel, want.file, isFresh: isFresh),
      let bytes = ContentStore.read(length, at: offset, from: descriptor), bytes.count == length,
      ContentHasher.hash(bytes[...]) == want.chunk.hash
    {
      return true
    }
    guard let place = item.place,
      let bytes = volume.content.chunk(place.file, index: place.index, chunkSize: want.chunkSize, length: length),
      ContentHasher.hash(bytes[...]) == want.chunk.hash
    else { return false }
    return put(bytes[...], want, volume, parcel, isFresh: isFresh)
  }

  private func put(
    _ bytes: ArraySlice<UInt8>, _ want: WantedContent, _ volume: CarriedVolume, _ parcel: UInt64, isFresh: Bool
  ) -> Bool {
    do {
      if want.isLost {
        try volume.content.keep(Array(bytes), as: want.chunk.hash)
      } else {
        let (descriptor, path) = try staging.descriptor(volume, parcel, want.file, isFresh: isFresh)
        try ContentStore.write(bytes, at: want.index * UInt64(want.chunkSize), to: descriptor, path: path)
      }
      return true
    } catch {
      storageFailed(error)
      return false
    }
  }

  /// Puts fetched bytes aside. When that fails the apply finds them missing and asks again.
  func stage(_ name: String, _ parcel: UInt64, _ want: WantedContent, _ bytes: ArraySlice<UInt8>) {
    guard let volume = volume(name) else { return }
    _ = put(bytes, want, volume, parcel, isFresh: isFresh(want.file, in: name))
  }

  /// Joins a parcel and puts its bytes in place while nobody else writes those files.
  func apply(_ name: String, _ parcel: Parcel) {
    guard let volume = volume(name) else { return }
    let files = parcel.delta.files.map(\.id)
    let mount = volume.mount.withLock { $0 }
    var outcome = ApplyOutcome.failed
    var changed: [(FileID, offset: Int64, length: Int64)] = []
    var events: [VolumeEvent] = []
    var losers: [FileID] = []
    let hasIntent = intend(volume, parcel)
    let body = {
      guard let joined = self.join(volume, parcel) else {
        outcome = .needsMore
        return
      }
      events = joined.events
      losers = joined.losers
      outcome = self.place(joined, parcel, volume, &changed) ? .done : .failed
    }
    let predecessors = emptyPredecessors(volume, parcel.delta)
    joinDatabases(volume, parcel.delta) {
      if let mount { mount.exclusively(files, body) } else { body() }
      return changed
    }
    staging.close(name, parcel.id)
    if outcome == .done { tellApplied(parcel, losers, in: name) }
    if outcome == .done {
      volume.store(durably: false, also: hasIntent ? [IntentRecord.erase(parcel.id)] : [])
      for (old, new) in predecessors { mount?.adopt(old, as: new) }
      mount?.show(events, contents: changed)
    }
    installDatabases(volume, parcel.delta)
    handle(.applied(volume: name, parcel: parcel.id, outcome))
  }

  /// Tells whoever listens what a parcel changed.
  private func tellApplied(_ parcel: Parcel, _ losers: [FileID], in name: String) {
    guard self.events.isHeard else { return }
    let sender = read { node in node.membership.members.first { $0.id == parcel.sender }?.card.name }
    let path = parcel.delta.files.first?.home ?? parcel.delta.paths.first?.path ?? .root
    events.tell(
      "applied",
      [
        "volume": name, "from": sender ?? "\(parcel.sender)", "path": path.description,
        "files": "\(parcel.delta.files.count)", "paths": "\(parcel.delta.paths.count)",
      ])
    for file in parcel.delta.files where losers.contains(file.id) {
      events.tell("conflict", ["volume": name, "path": file.home.description])
    }
  }

  struct Joined {
    var work: [ContentWork]
    var events: [VolumeEvent]
    var forms: [FileID: (chunkSize: UInt32, size: UInt64, isFresh: Bool)]

    /// The files of which something lost.
    var losers: [FileID] {
      work.compactMap { work in
        switch work {
        case .keepHeld(let file, _, _), .keepSent(let file, _, _): file
        default: nil
        }
      }
    }
  }

  /// Before anything that is visible is overwritten, the intent to do so goes on record, so that a crash in the
  /// middle is not taken for a local change.
  private func intend(_ volume: CarriedVolume, _ parcel: Parcel) -> Bool {
    let overwritten = withVolume(volume.name) { state, _ in
      parcel.delta.files.filter { state.files[$0.id] != nil && !$0.chunks.elements.isEmpty }
    }
    guard !overwritten.isEmpty else { return false }
    do { try volume.records.commit([IntentRecord.record(parcel.id, overwritten)], durably: false) } catch {
      storageFailed(error)
    }
    return true
  }

  /// Joins under the core's lock, unless content is missing after all.
  private func join(_ volume: CarriedVolume, _ parcel: Parcel) -> Joined? {
    withVolume(volume.name) { state, _ in
      let missing = state.wanted(by: parcel.delta).contains { want in
        parcel.contents[want.place]?.hash != want.chunk.hash && !parcel.staged.contains(want) && !want.isLost
      }
      let needsWhole = state.verdicts(of: parcel.delta).contains { verdict in
        verdict.verdict == .needsWhole || verdict.verdict == .incomplete
      }
      guard !missing, !needsWhole else { return nil }
      let known = Set(parcel.delta.files.map(\.id).filter { state.files[$0] != nil })
      let work = state.join(parcel.delta)
      var forms: [FileID: (chunkSize: UInt32, size: UInt64, isFresh: Bool)] = [:]
      for file in parcel.delta.files {
        guard let now = state.files[file.id] else { continue }
        forms[file.id] = (now.form.chunkSize, now.size, !known.contains(file.id))
      }
      return Joined(work: work, events: state.takeEvents(), forms: forms)
    }
  }

  private func place(
    _ joined: Joined, _ parcel: Parcel, _ volume: CarriedVolume,
    _ changed: inout [(FileID, offset: Int64, length: Int64)]
  ) -> Bool {
    var descriptors: [FileID: Int32] = [:]
    var inPlace = Set(joined.forms.filter(\.value.isFresh).keys)
    for file in joined.forms.keys where !inPlace.contains(file) && staging.moveIntoPlace(volume, parcel.id, file) {
      inPlace.insert(file)
    }
    defer { for descriptor in descriptors.values { close(descriptor) } }
    do {
      for work in joined.work {
        switch work {
        case .keepHeld(let file, let index, let chunk): try keepHeld(file, index, chunk, joined, volume)
        case .keepSent(let file, let index, let chunk):
          let content = parcel.contents[ContentPlace(file: file, index: index)]
          if let content, content.hash == chunk.hash { try volume.content.keep(Array(content.bytes), as: chunk.hash) }
        case .write(let file, let index, let chunk):
          guard let form = joined.forms[file] else { continue }
          let descriptor = try descriptors[file] ?? volume.content.open(file, create: true)
          descriptors[file] = descriptor
          let offset = index * UInt64(form.chunkSize)
          let want = WantedContent(file: file, index: index, chunk: chunk, chunkSize: form.chunkSize, isLost: false)
          try write(want, offset, parcel, volume, inPlace.contains(file), descriptor)
          // A chunk that was the last of a cut file is short; where the file goes on after it there is nothing.
          let end = offset + UInt64(chunk.length)
          let limit = max(end, min(form.size, offset + UInt64(form.chunkSize)))
          if end < limit { ContentStore.punch(descriptor, at: Int64(end), length: Int64(limit - end)) }
          changed.append((file, Int64(offset), Int64(limit - offset)))
        case .erase(let file, let index):
          guard let form = joined.forms[file] else { continue }
          let descriptor = try descriptors[file] ?? volume.content.open(file, create: true)
          descriptors[file] = descriptor
          let offset = Int64(index * UInt64(form.chunkSize))
          ContentStore.punch(descriptor, at: offset, length: Int64(form.chunkSize))
          changed.append((file, offset, Int64(form.chunkSize)))
        case .resize(let file):
          guard let form = joined.forms[file] else { continue }
          if form.size == 0, descriptors[file] == nil, access(volume.content.path(of: file), F_OK) != 0 { continue }
          let descriptor = try descriptors[file] ?? volume.content.open(file, create: true)
          descriptors[file] = descriptor
          guard ftruncate(descriptor, off_t(form.size)) == 0 else {
            throw StorageError.system(operation: "resize", path: volume.content.path(of: file), errno: errno)
          }
        }
      }
      for file in descriptors.keys { volume.mark(file) }
      for file in joined.forms where !file.value.isFresh { unlink(Staging.path(volume, file.key)) }
      return true
    } catch {
      storageFailed(error)
      return false
    }
  }

  private func keepHeld(
    _ file: FileID, _ index: UInt64, _ chunk: Chunk, _ joined: Joined, _ volume: CarriedVolume
  ) throws {
    guard !chunk.hash.isZeros, let form = joined.forms[file],
      let bytes = volume.content.chunk(file, index: index, chunkSize: form.chunkSize, length: Int(chunk.length))
    else { return }
    try volume.content.keep(bytes, as: ContentHasher.hash(bytes[...]))
  }

  private func write(
    _ want: WantedContent, _ offset: UInt64, _ parcel: Parcel, _ volume: CarriedVolume, _ isInPlace: Bool,
    _ descriptor: Int32
  ) throws {
    let chunk = want.chunk
    let path = volume.content.path(of: want.file)
    if chunk.hash.isZeros {
      ContentStore.punch(descriptor, at: Int64(offset), length: Int64(chunk.length))
    } else if let content = parcel.contents[want.place], content.hash == chunk.hash {
      try ContentStore.write(content.bytes, at: offset, to: descriptor, path: path)
    } else if parcel.staged.contains(want), !isInPlace {
      let (source, _) = try staging.descriptor(volume, parcel.id, want.file, isFresh: false)
      guard let bytes = ContentStore.read(Int(chunk.length), at: offset, from: source) else {
        throw StorageError.system(operation: "read staged bytes of", path: path, errno: errno)
      }
      try ContentStore.write(bytes, at: offset, to: descriptor, path: path)
    }
  }
}

/// The record of which chunks are about to be overwritten by a parcel.
enum IntentRecord {
  static let letter = UInt8(ascii: "I")

  private static func key(_ parcel: UInt64) -> [UInt8] {
    [letter] + (0..<8).map { UInt8(truncatingIfNeeded: parcel >> (56 - 8 * UInt64($0))) }
  }

  static func record(_ parcel: UInt64, _ files: [File]) -> StoredRecord {
    var delta = Delta()
    delta.files = files
    var writer = ByteWriter()
    writer.write(delta)
    return StoredRecord(key: key(parcel), value: writer.bytes)
  }

  static func erase(_ parcel: UInt64) -> StoredRecord { StoredRecord(key: key(parcel), value: nil) }

  /// The chunks that were about to be overwritten when the process ended.
  static func places(in records: [StoredRecord]) -> Set<ContentPlace> {
    var places = Set<ContentPlace>()
    for record in records {
      guard let value = record.value else { continue }
      var reader = ByteReader(value)
      guard let delta = try? reader.readDelta() else { continue }
      for file in delta.files {
        for element in file.chunks.elements { places.insert(ContentPlace(file: file.id, index: element.index)) }
      }
    }
    return places
  }
}
