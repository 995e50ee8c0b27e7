// The process that works on live databases: it holds SQLite's connections and does what the daemon orders.

import Databases
import Glibc
import Replication
import Storage
import Wire

/// Why there is a process for it: connections map the index of a log, through the mount, into memory, and a fault on
/// such a page waits until the daemon has answered a write of it. In the daemon itself the fault would keep the threads
/// that answer from changing its memory map, and both would wait for ever.
public enum DatabaseServants {
  /// Serves until the daemon, at the other end of standard input, is gone.
  public static func run() {
    for number in [SIGINT, SIGTERM, SIGHUP] { signal(number, SIG_IGN) }
    for descriptor in Int32(3)..<1_024 { close(descriptor) }
    let control = LocalChannel(dup(0))
    while let descriptor = control.take() {
      startThread { DatabaseServant(LocalChannel(descriptor)).serve() }
    }
    exit(0)
  }
}

/// Serves the orders for one database.
private final class DatabaseServant {
  private let channel: LocalChannel
  private let live: LiveDatabase
  private let log: LogCapture
  private let rollback: RollbackCapture
  private let installer: Installer

  init(_ channel: LocalChannel) {
    self.channel = channel
    let path = (try? channel.receive()).map { String(decoding: $0, as: UTF8.self) } ?? ""
    live = LiveDatabase(path: path)
    log = LogCapture(live)
    rollback = RollbackCapture(live)
    installer = Installer(live)
  }

  func serve() {
    while let order = try? channel.receive() {
      do {
        var writer = ByteWriter()
        writer.write(DatabaseAnswer.done.rawValue)
        try perform(order, &writer)
        writer.write(log.position)
        writer.write(optional: rollback.counter)
        writer.write(live.isOpen)
        try channel.send(writer.bytes)
      } catch is LocalChannel.Closed {
        break
      } catch {
        var writer = ByteWriter()
        writer.write(DatabaseAnswer.failed.rawValue)
        writer.writeString("\(error)")
        guard (try? channel.send(writer.bytes)) != nil else { break }
      }
    }
    live.close()
  }

  private func perform(_ order: [UInt8], _ writer: inout ByteWriter) throws {
    var reader = ByteReader(order)
    guard let kind = DatabaseOrder(rawValue: try reader.readUInt8()) else { throw WireError.invalid("order") }
    switch kind {
    case .header: try writeHeader(to: &writer)
    case .close: live.close(checkpointing: try reader.readBool())
    case .isReplaced: writer.write(live.isReplaced())
    case .recover: try live.recover()
    case .checkpoint: try live.checkpoint()
    case .move: writer.write(try live.move(into: try reader.readKind()))
    case .resumeLog: log.resume(at: try reader.readPosition())
    case .resumeCounter: rollback.resume(at: try reader.readOptional())
    case .isCurrent: writer.write(try rollback.isCurrent())
    case .poll: try poll(&writer)
    case .scanLog:
      let (state, candidates) = try RecordedHashes.read(from: &reader, hash: Self.hash)
      write(try log.scan(against: state, among: candidates, into: sink), to: &writer)
    case .scanRollback:
      let isLocked = try reader.readBool()
      let (state, candidates) = try RecordedHashes.read(from: &reader, hash: Self.hash)
      write(
        try rollback.scan(against: state, among: candidates, isLocked: isLocked, into: sink), to: &writer)
    case .install: try install(&writer)
    }
  }

  private static func hash(_ image: PageImage) -> ContentHash { ContentHasher.hash(image.bytes[...]) }

  private func writeHeader(to writer: inout ByteWriter) throws {
    let header = try live.header()
    writer.write(header != nil)
    guard let header else { return }
    writer.write(UInt32(header.pageSize))
    writer.write(header.journal)
    writer.write(header.changeCounter)
    writer.write(header.isPageCountValid ? header.storedPageCount : 0)
  }

  private var sink: PageSink {
    PageSink(
      begin: { [channel] in try channel.send([DatabaseAnswer.begin.rawValue]) },
      found: { [channel] image in
        var writer = ByteWriter()
        writer.write(DatabaseAnswer.page.rawValue)
        writer.write(image)
        try channel.send(writer.bytes)
      })
  }

  private func write(_ outcome: ScanOutcome, to writer: inout ByteWriter) {
    switch outcome {
    case .nothing: writer.write(UInt8(0))
    case .changed(let shape):
      writer.write(UInt8(1))
      writer.write(UInt32(shape.pageSize))
      writer.write(shape.pageCount)
    case .unsettled: writer.write(UInt8(2))
    case .otherMode: writer.write(UInt8(3))
    }
  }

  private func poll(_ writer: inout ByteWriter) throws {
    switch try log.poll(byteLimit: 16 << 20) {
    case .nothing: writer.write(UInt8(0))
    case .lost:
      writer.write(UInt8(1))
      writer.writeString(log.lossReason ?? "nothing was captured before")
    case .notLog: writer.write(UInt8(2))
    case .busy: writer.write(UInt8(3))
    case .transactions(let transactions, let isComplete):
      writer.write(UInt8(4))
      writer.write(isComplete)
      writer.write(UInt32(transactions.count))
      for transaction in transactions {
        writer.write(UInt32(transaction.pageSize))
        writer.write(transaction.pageCount)
        writer.write(UInt32(transaction.pages.count))
        for page in transaction.pages { writer.write(page) }
      }
    }
  }

  // MARK: Installing

  private func install(_ writer: inout ByteWriter) throws {
    let outcome = try installer.install { try self.ask($0) }
    switch outcome {
    case .refused: writer.write(UInt8(0))
    case .busy(let obstacle):
      writer.write(UInt8(1))
      writer.write(UInt8(obstacle == .writer ? 0 : obstacle == .readers ? 1 : 2))
    case .installed(let position, let cookie):
      writer.write(UInt8(2))
      writer.write(cookie)
      switch position {
      case .counter(let counter): rollback.resume(at: counter)
      case .log(let position): log.advance(past: position)
      }
      if case .log = position { writer.write(true) } else { writer.write(false) }
    }
  }

  /// Under the write lock: what is to be installed, unless something was committed that is not captured.
  private func ask(_ locked: LockedDatabase) throws -> Installation? {
    switch locked.journal {
    case .log: guard case .nothing = try log.poll() else { return nil }
    case .rollback: guard locked.changeCounter == rollback.counter else { return nil }
    }
    try channel.send([DatabaseAnswer.question.rawValue])
    var reader = ByteReader(try channel.receive())
    guard try reader.readBool() else { return nil }
    let pageSize = Int(try reader.readUInt32())
    let pageCount = try reader.readUInt32()
    let cookie = try reader.readCookie()
    let count = try reader.readUInt32()
    var pages: [PageImage] = []
    for _ in 0..<count {
      var reader = ByteReader(try channel.receive())
      pages.append(try reader.readPage())
    }
    return Installation(pageSize: pageSize, pageCount: pageCount, pages: pages, cookie: cookie)
  }
}
