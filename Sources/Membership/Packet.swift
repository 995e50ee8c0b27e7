// The packets and their bytes. They are the plain text: sealing is the transport's.

import Causality
import Wire

/// What both sides know of each other's digests: the bytes travel only when the other side does not hold them.
struct DigestNote: Hashable, Sendable {
  /// The checksum of the sender's digest; 0 for none.
  var sum: UInt32 = 0
  /// The checksum of the receiver's digest as the sender holds it; 0 for none.
  var held: UInt32 = 0
  /// The sender's digest, when the receiver is not known to hold it.
  var bytes: [UInt8] = []
}

/// What a packet says.
enum Packet: Hashable, Sendable {
  /// Answer, if you are the target. Sequence 0 waits for no answer.
  case ping(UInt32, target: NodeID, DigestNote)
  /// The answer to a ping.
  case ack(UInt32, DigestNote)
  /// I tried your target, it has not answered me so far: I am well, it may not be.
  case nack(UInt32)
  /// Ping the target, at this address if you know none, and tell me.
  case pingRequest(UInt32, target: NodeID, address: String)
  /// The target of your request answered me.
  case relayed(UInt32)
  /// Only rumours.
  case gossip
  /// Here I am; tell me of everyone.
  case pull(UInt32, Rumour)
  /// The members that the sender knows, or a part of them; whether all parts together are all of them.
  case state(UInt32, complete: Bool, [Rumour])
}

/// A packet with its sender and the rumours that ride on it.
///
/// `version (1) kind (1) mesh (8) sender (8) incarnation (varint) body count (varint) rumours`
struct Envelope: Hashable, Sendable {
  static let version: UInt8 = 1
  static let rumoursAtMost = 255
  static let recordsAtMost = 4_097
  static let digestBytes = 512

  var mesh: UInt64
  var sender: NodeID
  var incarnation: UInt64
  var packet: Packet
  var rumours: [Rumour] = []

  /// Writes all before the rumours.
  func writeHead(into writer: inout ByteWriter) {
    writer.write(Self.version)
    writer.write(packet.kind)
    writer.write(mesh)
    writer.write(sender.rawValue)
    writer.writeVarint(incarnation)
    switch packet {
    case .ping(let sequence, let target, let note):
      writer.writeVarint(UInt64(sequence))
      writer.write(target.rawValue)
      note.write(into: &writer)
    case .ack(let sequence, let note):
      writer.writeVarint(UInt64(sequence))
      note.write(into: &writer)
    case .nack(let sequence), .relayed(let sequence): writer.writeVarint(UInt64(sequence))
    case .pingRequest(let sequence, let target, let address):
      writer.writeVarint(UInt64(sequence))
      writer.write(target.rawValue)
      writer.writeString(address)
    case .gossip: break
    case .pull(let sequence, let record):
      writer.writeVarint(UInt64(sequence))
      record.write(into: &writer)
    case .state(let sequence, let complete, let records):
      writer.writeVarint(UInt64(sequence))
      writer.write(complete)
      writer.writeVarint(records.count)
      for record in records { record.write(into: &writer) }
    }
  }

  /// All bytes.
  var bytes: [UInt8] {
    var writer = ByteWriter(capacity: 128)
    writeHead(into: &writer)
    writer.writeVarint(rumours.count)
    for rumour in rumours { rumour.write(into: &writer) }
    return writer.bytes
  }

  /// Reads a packet of this mesh, or says why it is none.
  static func read(_ bytes: [UInt8], mesh: UInt64) throws(DatagramFault) -> Envelope {
    var reader = ByteReader(bytes)
    let version: UInt8
    let kind: UInt8
    let stamp: UInt64
    do {
      version = try reader.readUInt8()
      kind = try reader.readUInt8()
      stamp = try reader.readUInt64()
    } catch { throw .malformed }
    guard stamp == mesh else { throw .foreign }
    guard version == Self.version, Packet.kinds.contains(kind) else { throw .incompatible }
    do {
      return try Envelope(mesh: mesh, kind: kind, from: &reader)
    } catch { throw .malformed }
  }

  /// Reads all behind the mesh.
  private init(mesh: UInt64, kind: UInt8, from reader: inout ByteReader) throws(WireError) {
    self.mesh = mesh
    sender = NodeID(try reader.readUInt64())
    incarnation = try reader.readVarint()
    guard incarnation < Rumour.incarnationLimit else { throw .invalid("incarnation") }
    packet = try Packet(kind: kind, from: &reader)
    let count = try reader.readCount(atMost: Self.rumoursAtMost)
    for _ in 0..<count { rumours.append(try Rumour(from: &reader)) }
  }
}

extension Envelope {
  init(mesh: UInt64, sender: NodeID, incarnation: UInt64, packet: Packet) {
    self.mesh = mesh
    self.sender = sender
    self.incarnation = incarnation
    self.packet = packet
  }
}

extension Packet {
  static let kinds: ClosedRange<UInt8> = 1...8

  var kind: UInt8 {
    switch self {
    case .ping: 1
    case .ack: 2
    case .nack: 3
    case .pingRequest: 4
    case .relayed: 5
    case .gossip: 6
    case .pull: 7
    case .state: 8
    }
  }

  /// Reads the body of a packet of this kind, one of `kinds`.
  init(kind: UInt8, from reader: inout ByteReader) throws(WireError) {
    if kind == 6 {
      self = .gossip
      return
    }
    let sequence = UInt32(try reader.readCount(atMost: Int(UInt32.max)))
    switch kind {
    case 1:
      let target = NodeID(try reader.readUInt64())
      self = .ping(sequence, target: target, try DigestNote(from: &reader))
    case 2: self = .ack(sequence, try DigestNote(from: &reader))
    case 3: self = .nack(sequence)
    case 4:
      let target = NodeID(try reader.readUInt64())
      self = .pingRequest(sequence, target: target, address: try reader.readString(atMost: MemberCard.addressBytes))
    case 5: self = .relayed(sequence)
    case 7: self = .pull(sequence, try Rumour(from: &reader))
    default:
      let complete = try reader.readBool()
      let count = try reader.readCount(atMost: Envelope.recordsAtMost)
      var records: [Rumour] = []
      for _ in 0..<count { records.append(try Rumour(from: &reader)) }
      self = .state(sequence, complete: complete, records)
    }
  }
}

extension DigestNote {
  /// A byte of flags, then what is there.
  func write(into writer: inout ByteWriter) {
    let known = sum != 0 && bytes.isEmpty
    writer.write(UInt8((known ? 1 : 0) | (held != 0 ? 2 : 0) | (bytes.isEmpty ? 0 : 4)))
    if known { writer.write(sum) }
    if held != 0 { writer.write(held) }
    if !bytes.isEmpty { writer.writeBytes(bytes) }
  }

  /// Reads what `write` wrote.
  init(from reader: inout ByteReader) throws(WireError) {
    let flags = try reader.readUInt8()
    guard flags < 8 else { throw .invalid("digest") }
    sum = flags & 1 == 0 ? 0 : try reader.readUInt32()
    held = flags & 2 == 0 ? 0 : try reader.readUInt32()
    bytes = flags & 4 == 0 ? [] : Array(try reader.readBytes(atMost: Envelope.digestBytes))
    if !bytes.isEmpty { sum = Self.sum(of: bytes) }
  }

  /// The checksum of a digest, never 0 unless it is empty.
  static func sum(of digest: [UInt8]) -> UInt32 { digest.isEmpty ? 0 : max(1, Checksum.crc32c(digest)) }
}
