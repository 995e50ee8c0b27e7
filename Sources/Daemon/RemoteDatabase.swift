// A live database as the daemon has it worked on: orders to the process that holds SQLite's connections.

import Databases
import Glibc
import Replication
import Storage
import Wire

/// Orders for one live database. One thread uses it.
final class RemoteDatabase {
  /// What the other side could not do.
  struct Failure: Error, CustomStringConvertible {
    var description: String
  }

  /// The header of the database file.
  struct Header {
    var pageSize: Int
    var journal: JournalKind
    var changeCounter: UInt32
    private var storedPageCount: UInt32

    init(_ reader: inout ByteReader) throws {
      pageSize = Int(try reader.readUInt32())
      journal = try reader.readKind()
      changeCounter = try reader.readUInt32()
      storedPageCount = try reader.readUInt32()
    }

    func pageCount(fileSize: Int64) -> UInt32 {
      storedPageCount != 0 ? storedPageCount : UInt32(clamping: fileSize / Int64(pageSize))
    }
  }

  /// What is to be installed.
  struct Order {
    var pageSize: Int
    var pageCount: UInt32
    var cookie: PageOne.Cookie
    var pages: [UInt32: [UInt8]]
  }

  /// What came of an install.
  enum Outcome {
    case installed(schemaCookie: UInt32, isLog: Bool)
    case busy(InstallOutcome.Obstacle)
    case refused
  }

  /// Where capture stands in the log.
  private(set) var position: LogPosition?
  /// Where capture stands in the rollback modes.
  private(set) var counter: UInt32?
  private(set) var isOpen = false
  /// Why commits may have been missed.
  private(set) var lossReason: String?
  private let channel: LocalChannel

  init(_ channel: LocalChannel, path: String) throws {
    self.channel = channel
    try channel.send(Array(path.utf8))
  }

  /// Gives an order; `between` gets what comes before the end.
  private func order<R>(
    _ kind: DatabaseOrder, _ arguments: (inout ByteWriter) -> Void = { _ in },
    between: (DatabaseAnswer, inout ByteReader) throws -> Void = { _, _ in },
    result: (inout ByteReader) throws -> R
  ) throws -> R {
    var writer = ByteWriter()
    writer.write(kind.rawValue)
    arguments(&writer)
    try channel.send(writer.bytes)
    while true {
      var reader = ByteReader(try channel.receive())
      guard let answer = DatabaseAnswer(rawValue: try reader.readUInt8()) else { throw LocalChannel.Closed() }
      switch answer {
      case .failed: throw Failure(description: try reader.readString(atMost: 65_536))
      case .begin, .page, .question: try between(answer, &reader)
      case .done:
        let value = try result(&reader)
        position = try reader.readPosition()
        counter = try reader.readOptional()
        isOpen = try reader.readBool()
        return value
      }
    }
  }

  private func order(_ kind: DatabaseOrder, _ arguments: (inout ByteWriter) -> Void = { _ in }) throws {
    try order(kind, arguments) { _ in }
  }

  func header() throws -> Header? {
    try order(.header) { reader in try reader.readBool() ? try Header(&reader) : nil }
  }

  func close(checkpointing: Bool = false) {
    guard isOpen else { return }
    isOpen = false
    try? order(.close) { $0.write(checkpointing) }
  }

  func isReplaced() throws -> Bool { try order(.isReplaced) { try $0.readBool() } }
  func recover() throws { try order(.recover) }
  func checkpoint() throws { try order(.checkpoint) }
  func move(into kind: JournalKind) throws -> Bool { try order(.move, { $0.write(kind) }) { try $0.readBool() } }
  func resume(at position: LogPosition?) throws { try order(.resumeLog) { $0.write(position) } }
  func resume(atCounter counter: UInt32?) throws { try order(.resumeCounter) { $0.write(optional: counter) } }
  func isCurrent() throws -> Bool { try order(.isCurrent) { try $0.readBool() } }

  func poll() throws -> LogReading {
    try order(.poll) { reader in
      switch try reader.readUInt8() {
      case 0: return .nothing
      case 1:
        self.lossReason = try reader.readString(atMost: 4_096)
        return .lost
      case 2: return .notLog
      case 3: return .busy
      default:
        let isComplete = try reader.readBool()
        let transactions = try (0..<(try reader.readUInt32())).map { _ in try Self.transaction(&reader) }
        return .transactions(transactions, isComplete: isComplete)
      }
    }
  }

  private static func transaction(_ reader: inout ByteReader) throws -> CapturedTransaction {
    let pageSize = Int(try reader.readUInt32())
    let pageCount = try reader.readUInt32()
    let pages = try (0..<(try reader.readUInt32())).map { _ in try reader.readPage() }
    return CapturedTransaction(pages: pages, pageCount: pageCount, pageSize: pageSize, isCompared: false)
  }

  func scanLog(against recorded: RecordedHashes, into sink: PageSink) throws -> ScanOutcome {
    try order(
      .scanLog, { recorded.write(among: nil, to: &$0) }, between: { try Self.feed(sink, $0, &$1) },
      result: { try Self.outcome(&$0) })
  }

  func scanRollback(
    against recorded: RecordedHashes, among candidates: Set<UInt32>? = nil, isLocked: Bool, into sink: PageSink
  ) throws -> ScanOutcome {
    try order(
      .scanRollback,
      {
        $0.write(isLocked)
        recorded.write(among: candidates, to: &$0)
      }, between: { try Self.feed(sink, $0, &$1) }, result: { try Self.outcome(&$0) })
  }

  private static func feed(_ sink: PageSink, _ answer: DatabaseAnswer, _ reader: inout ByteReader) throws {
    if answer == .begin { try sink.begin() } else { try sink.found(try reader.readPage()) }
  }

  private static func outcome(_ reader: inout ByteReader) throws -> ScanOutcome {
    switch try reader.readUInt8() {
    case 0: .nothing
    case 1: .changed(DatabaseShape(pageSize: Int(try reader.readUInt32()), pageCount: try reader.readUInt32()))
    case 2: .unsettled
    default: .otherMode
    }
  }

  /// Installs what `decide` says while nobody else can commit and all that was committed is captured.
  func install(_ decide: () throws -> Order?) throws -> Outcome {
    var failure: (any Error)?
    let outcome = try order(
      .install,
      between: { _, _ in
        var order: Order?
        do { order = try decide() } catch { failure = error }
        try self.send(order)
      }, result: { try Self.installed(&$0) })
    if let failure { throw failure }
    return outcome
  }

  private func send(_ order: Order?) throws {
    var writer = ByteWriter()
    writer.write(order != nil)
    guard let order else { return try channel.send(writer.bytes) }
    writer.write(UInt32(order.pageSize))
    writer.write(order.pageCount)
    writer.write(order.cookie)
    writer.write(UInt32(order.pages.count))
    try channel.send(writer.bytes)
    for (number, bytes) in order.pages.sorted(by: { $0.key < $1.key }) {
      var writer = ByteWriter()
      writer.write(PageImage(number: number, bytes: bytes))
      try channel.send(writer.bytes)
    }
  }

  private static func installed(_ reader: inout ByteReader) throws -> Outcome {
    switch try reader.readUInt8() {
    case 0: return .refused
    case 1:
      let obstacle = try reader.readUInt8()
      return .busy(obstacle == 0 ? .writer : obstacle == 1 ? .readers : .openElsewhere)
    default: return .installed(schemaCookie: try reader.readUInt32(), isLog: try reader.readBool())
    }
  }
}

/// The process that works on live databases, started when it is first needed.
final class DatabaseHelper: @unchecked Sendable {
  private let program: String
  private let lock = PlainLock()
  /// With `lock`.
  private var control: LocalChannel?
  private var child: pid_t = 0
  private var isStopped = false

  /// - Parameter program: that serves when its first argument is `serve-databases`.
  init(program: String) { self.program = program }

  /// Where this program is, when it is the one that serves.
  static var ownProgram: String? {
    var buffer = [CChar](repeating: 0, count: 4_096)
    let count = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard count > 0 else { return nil }
    let path = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return path.hasSuffix("/grapevine") ? "/proc/self/exe" : nil
  }

  /// A database at a path.
  func database(at path: String) throws -> RemoteDatabase {
    guard let (mine, theirs) = LocalChannel.pair() else { throw LocalChannel.Closed() }
    let channel = LocalChannel(mine)
    defer { close(theirs) }
    try lock.with {
      if let control, (try? control.give(theirs)) != nil { return }
      try start()
      try control?.give(theirs)
    }
    return try RemoteDatabase(channel, path: path)
  }

  /// Starts the process, or starts it anew when it has ended.
  func keepRunning() throws {
    try lock.with {
      guard !isStopped else { return }
      var status: Int32 = 0
      if child > 0, waitpid(child, &status, WNOHANG) == 0 { return }
      child = 0
      try start()
    }
  }

  /// Ends the process.
  func stop() {
    lock.with {
      isStopped = true
      control = nil
      reap()
    }
  }

  private func reap() {
    guard child > 0 else { return }
    var status: Int32 = 0
    waitpid(child, &status, 0)
    child = 0
  }

  private func start() throws {
    control = nil
    reap()
    guard let (mine, theirs) = LocalChannel.pair() else { throw LocalChannel.Closed() }
    defer { close(theirs) }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, theirs, 0)
    var arguments: [UnsafeMutablePointer<CChar>?] =
      ["grapevine", "serve-databases"].map { (word: String) in strdup(word) } + [nil]
    defer { for argument in arguments { free(argument) } }
    let status = posix_spawn(&child, program, &actions, nil, &arguments, environ)
    let channel = LocalChannel(mine)
    guard status == 0 else {
      child = 0
      throw StorageError.system(operation: "start", path: program, errno: status)
    }
    control = channel
  }
}
