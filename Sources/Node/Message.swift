// What two nodes say to each other over a sync connection.

import Causality
import Replication
import Wire

/// A chunk's bytes beside the place they belong to.
public struct PlacedContent: Hashable, Sendable {
  /// Where they belong.
  public var place: ContentPlace
  /// What they must hash to.
  public var hash: ContentHash
  /// The bytes.
  public var bytes: ArraySlice<UInt8>

  /// All parts.
  public init(place: ContentPlace, hash: ContentHash, bytes: ArraySlice<UInt8>) {
    self.place = place
    self.hash = hash
    self.bytes = bytes
  }
}

/// A request for the bytes of one chunk version.
public struct ContentRequest: Hashable, Sendable {
  /// The name under which the answer comes; unique in the asking node's life.
  public var id: UInt64
  /// Where the bytes are.
  public var place: ContentPlace
  /// What they must hash to.
  public var hash: ContentHash
  /// How many.
  public var length: UInt32

  /// All parts.
  public init(id: UInt64, place: ContentPlace, hash: ContentHash, length: UInt32) {
    self.id = id
    self.place = place
    self.hash = hash
    self.length = length
  }
}

/// What two nodes say to each other over a sync connection. All but the first name a volume.
public enum Message: Hashable, Sendable {
  /// The first of a connection: who speaks, the protocol versions spoken, and the vectors of the volumes carried.
  case hello(node: NodeID, protocols: ClosedRange<UInt16>, volumes: [VolumeVector])
  /// What the sender holds now.
  case have(VolumeVector)
  /// What the sender just did: changes `sequences` of `origin`.
  case push(volume: String, origin: NodeID, sequences: ClosedRange<UInt64>, Delta, [PlacedContent])
  /// Send me what `since` does not cover, in parts.
  case pull(volume: String, round: UInt64, since: VersionVector)
  /// A part of a round; the last carries what the receiver will hold when it has them all.
  case part(volume: String, round: UInt64, number: UInt64, claim: VersionVector?, Delta, [PlacedContent])
  /// A part has been applied: send the next.
  case partDone(volume: String, round: UInt64, number: UInt64)
  /// Send me these bytes.
  case fetch(volume: String, [ContentRequest])
  /// The bytes that were asked for; nil when the version is gone.
  case content(volume: String, id: UInt64, ArraySlice<UInt8>?)
  /// A question of a person, for the receiver's owner.
  case ask(volume: String, id: UInt64, Question)
  /// The answer to a question; nil when there is none.
  case answer(volume: String, id: UInt64, ArraySlice<UInt8>?)

  /// Send me this database with all its pages: my own line of it has lost, or I have none.
  case askWhole(volume: String, parcel: UInt64, FileID)
  /// A database with all its pages, in as many messages as it needs.
  case whole(volume: String, parcel: UInt64, isLast: Bool, Delta)

  /// A volume and what is held of it.
  public struct VolumeVector: Hashable, Sendable {
    /// The volume's name.
    public var volume: String
    /// What is held.
    public var vector: VersionVector
    /// What of it no power loss takes.
    public var durable: VersionVector
    /// The other nodes that may hold it too, as far as the sender knows; sorted.
    public var holders: [NodeID]

    /// All parts.
    public init(volume: String, vector: VersionVector, durable: VersionVector, holders: [NodeID]) {
      self.volume = volume
      self.vector = vector
      self.durable = durable
      self.holders = holders
    }
  }

  /// The protocol versions that this code speaks.
  public static let protocols: ClosedRange<UInt16> = 1...1
  /// The largest message, in bytes.
  public static let largest = 16 << 20
}

extension Message {
  private enum Tag: UInt8 {
    case hello = 1
    case have, push, pull, part, partDone, fetch, content, askWhole, whole
    case ask = 32
    case answer = 33
  }

  /// The message as bytes.
  public var bytes: [UInt8] {
    var writer = ByteWriter(capacity: 256)
    switch self {
    case .hello(let node, let protocols, let volumes):
      writer.write(Tag.hello.rawValue)
      writer.write(node)
      writer.write(protocols.lowerBound)
      writer.write(protocols.upperBound)
      writer.writeVarint(volumes.count)
      for volume in volumes {
        writer.write(volume)
      }
    case .have(let volume):
      writer.write(Tag.have.rawValue)
      writer.write(volume)
    case .push(let volume, let origin, let sequences, let delta, let contents):
      writer.write(Tag.push.rawValue)
      writer.writeString(volume)
      writer.write(origin)
      writer.writeVarint(sequences.lowerBound)
      writer.writeVarint(sequences.upperBound)
      writer.write(delta)
      writer.write(contents)
    case .pull(let volume, let round, let since):
      writer.write(Tag.pull.rawValue)
      writer.writeString(volume)
      writer.writeVarint(round)
      writer.write(since)
    case .part(let volume, let round, let number, let claim, let delta, let contents):
      writer.write(Tag.part.rawValue)
      writer.writeString(volume)
      writer.writeVarint(round)
      writer.writeVarint(number)
      writer.write(claim != nil)
      if let claim { writer.write(claim) }
      writer.write(delta)
      writer.write(contents)
    case .partDone(let volume, let round, let number):
      writer.write(Tag.partDone.rawValue)
      writer.writeString(volume)
      writer.writeVarint(round)
      writer.writeVarint(number)
    case .fetch(let volume, let requests):
      writer.write(Tag.fetch.rawValue)
      writer.writeString(volume)
      writer.writeVarint(requests.count)
      for request in requests {
        writer.writeVarint(request.id)
        writer.write(request.place.file)
        writer.writeVarint(request.place.index)
        writer.write(request.hash)
        writer.writeVarint(UInt64(request.length))
      }
    case .content(let volume, let id, let bytes):
      writer.write(Tag.content.rawValue)
      writer.writeString(volume)
      writer.writeVarint(id)
      writer.write(bytes != nil)
      if let bytes { writer.writeBytes(bytes) }
    case .askWhole(let volume, let parcel, let file):
      writer.write(Tag.askWhole.rawValue)
      writer.writeString(volume)
      writer.writeVarint(parcel)
      writer.write(file)
    case .whole(let volume, let parcel, let isLast, let delta):
      writer.write(Tag.whole.rawValue)
      writer.writeString(volume)
      writer.writeVarint(parcel)
      writer.write(isLast)
      writer.write(delta)
    case .ask(let volume, let id, let question):
      writer.write(Tag.ask.rawValue)
      writer.writeString(volume)
      writer.writeVarint(id)
      writer.writeRaw(question.bytes)
    case .answer(let volume, let id, let bytes):
      writer.write(Tag.answer.rawValue)
      writer.writeString(volume)
      writer.writeVarint(id)
      writer.write(bytes != nil)
      if let bytes { writer.writeBytes(bytes) }
    }
    return writer.bytes
  }

  /// Reads a message; every bound is checked, nothing of it is believed yet.
  public init(_ bytes: ArraySlice<UInt8>) throws(WireError) {
    var reader = ByteReader(bytes)
    guard let tag = Tag(rawValue: try reader.readUInt8()) else { throw .invalid("message") }
    switch tag {
    case .hello:
      let node = try reader.readNodeID()
      let (low, high) = (try reader.readUInt16(), try reader.readUInt16())
      guard low <= high else { throw .invalid("protocols") }
      var volumes: [VolumeVector] = []
      for _ in 0..<(try reader.readCount(atMost: 1_024)) {
        volumes.append(try reader.readVolumeVector())
      }
      self = .hello(node: node, protocols: low...high, volumes: volumes)
    case .have: self = .have(try reader.readVolumeVector())
    case .push:
      let volume = try reader.readString(atMost: 255)
      let origin = try reader.readNodeID()
      let (first, last) = (try reader.readVarint(), try reader.readVarint())
      guard first > 0, first <= last else { throw .invalid("sequences") }
      self = .push(
        volume: volume, origin: origin, sequences: first...last, try reader.readDelta(), try reader.readContents())
    case .pull:
      self = .pull(
        volume: try reader.readString(atMost: 255), round: try reader.readVarint(), since: try reader.readVector())
    case .part:
      let volume = try reader.readString(atMost: 255)
      let (round, number) = (try reader.readVarint(), try reader.readVarint())
      let claim = try reader.readBool() ? try reader.readVector() : nil
      self = .part(
        volume: volume, round: round, number: number, claim: claim, try reader.readDelta(), try reader.readContents())
    case .partDone:
      self = .partDone(
        volume: try reader.readString(atMost: 255), round: try reader.readVarint(), number: try reader.readVarint())
    case .fetch:
      let volume = try reader.readString(atMost: 255)
      var requests: [ContentRequest] = []
      for _ in 0..<(try reader.readCount(atMost: 4_096)) {
        requests.append(
          ContentRequest(
            id: try reader.readVarint(),
            place: ContentPlace(file: try reader.readDot(), index: try reader.readVarint()),
            hash: try reader.readHash(), length: UInt32(try reader.readCount(atMost: 1 << 24))))
      }
      self = .fetch(volume: volume, requests)
    case .content:
      let volume = try reader.readString(atMost: 255)
      let id = try reader.readVarint()
      self = .content(
        volume: volume, id: id, try reader.readBool() ? try reader.readBytes(atMost: Message.largest) : nil)
    case .askWhole:
      self = .askWhole(
        volume: try reader.readString(atMost: 255), parcel: try reader.readVarint(), try reader.readDot())
    case .whole:
      self = .whole(
        volume: try reader.readString(atMost: 255), parcel: try reader.readVarint(), isLast: try reader.readBool(),
        try reader.readDelta())
    case .ask:
      let volume = try reader.readString(atMost: 255)
      let id = try reader.readVarint()
      self = .ask(volume: volume, id: id, try Question(reader.readRaw(reader.remaining)))
    case .answer:
      let volume = try reader.readString(atMost: 255)
      let id = try reader.readVarint()
      self = .answer(
        volume: volume, id: id, try reader.readBool() ? try reader.readBytes(atMost: Message.largest) : nil)
    }
  }
}

extension Message {
  /// The bytes of a `content` message up to the content itself, so that it need not be copied.
  public static func contentHead(volume: String, id: UInt64, count: Int) -> [UInt8] {
    var writer = ByteWriter()
    writer.write(Tag.content.rawValue)
    writer.writeString(volume)
    writer.writeVarint(id)
    writer.write(true)
    writer.writeVarint(count)
    return writer.bytes
  }

  /// The message with those contents taken out that do not hash to what they should; the hash is the owner's.
  public func checked(_ hash: (ArraySlice<UInt8>) -> ContentHash) -> Message {
    switch self {
    case .push(let volume, let origin, let sequences, let delta, let contents):
      .push(
        volume: volume, origin: origin, sequences: sequences, delta, contents.filter { hash($0.bytes) == $0.hash })
    case .part(let volume, let round, let number, let claim, let delta, let contents):
      .part(
        volume: volume, round: round, number: number, claim: claim, delta,
        contents.filter { hash($0.bytes) == $0.hash })
    default: self
    }
  }

  /// A push or part with contents put in.
  public func with(_ contents: [PlacedContent]) -> Message {
    switch self {
    case .push(let volume, let origin, let sequences, let delta, _):
      .push(volume: volume, origin: origin, sequences: sequences, delta, contents)
    case .part(let volume, let round, let number, let claim, let delta, _):
      .part(volume: volume, round: round, number: number, claim: claim, delta, contents)
    default: self
    }
  }
}

extension ByteWriter {
  mutating func write(_ volume: Message.VolumeVector) {
    writeString(volume.volume)
    write(volume.vector)
    write(volume.durable)
    writeVarint(volume.holders.count)
    for holder in volume.holders { write(holder) }
  }

  mutating func write(_ contents: [PlacedContent]) {
    writeVarint(contents.count)
    for content in contents {
      write(content.place.file)
      writeVarint(content.place.index)
      write(content.hash)
      writeBytes(content.bytes)
    }
  }
}

extension ByteReader {
  mutating func readVolumeVector() throws(WireError) -> Message.VolumeVector {
    let (volume, vector, durable) = (try readString(atMost: 255), try readVector(), try readVector())
    var holders: [NodeID] = []
    for _ in 0..<(try readCount(atMost: 4_096)) { holders.append(try readNodeID()) }
    return Message.VolumeVector(volume: volume, vector: vector, durable: durable, holders: holders)
  }

  mutating func readContents() throws(WireError) -> [PlacedContent] {
    var contents: [PlacedContent] = []
    for _ in 0..<(try readCount(atMost: CodingBounds.records)) {
      contents.append(
        PlacedContent(
          place: ContentPlace(file: try readDot(), index: try readVarint()), hash: try readHash(),
          bytes: try readBytes(atMost: Message.largest)))
    }
    return contents
  }
}
