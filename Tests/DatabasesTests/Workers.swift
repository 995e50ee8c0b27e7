// Other processes that use a database: unmodified programs with a SQLite of their own.

import Foundation

/// A process that works on a database, written in Python with its sqlite3 module.
final class Worker {
  private static let script = """
    import hashlib, random, sqlite3, sys, time
    role, path, argument = sys.argv[1:4]
    def content(d):
        h = hashlib.sha256()
        for table in ('meta', 'item'):
            for row in d.execute(f'select * from {table} order by 1'): h.update(repr(row).encode())
        return h.hexdigest()
    def tolerable(e): return 'locked' in str(e) or 'locking protocol' in str(e)
    def connect(timeout=20): return sqlite3.connect(path, timeout=timeout, isolation_level=None)
    if role == 'write':  # so many commits, each counted; prints the content of every state
        d = connect(); r = random.Random(7); d.execute('pragma synchronous=off')
        for n in range(int(argument)):
            d.execute('begin immediate')
            k = d.execute('select seq from meta').fetchone()[0] + 1
            d.execute('update meta set seq=?', (k,))
            for _ in range(r.choice([1, 1, 3])):
                d.execute('insert into item(text) values(?)', (r.randbytes(r.choice([5, 400, 3000])).hex(),))
            if r.random() < .4: d.execute('delete from item where id in (select id from item order by id limit 3)')
            d.execute('commit')
            print(k, content(d), flush=True)
            if n % 50 == 30: d.execute('pragma wal_checkpoint(%s)' % r.choice(['passive', 'full'])).fetchall()
            time.sleep(.0005)
    if role == 'read':  # reads snapshots until the given state; prints each state it saw
        d = connect(); r = random.Random(path + str(sys.argv[4])); last = -1; seen = {}
        kind = sys.argv[4]
        if 'mmap' in kind: d.execute('pragma mmap_size=268435456').fetchall()
        while last < int(argument):
            try:
                if 'reopen' in kind: d.close(); d = connect()
                d.execute('begin')
                k = d.execute('select seq from meta').fetchone()[0]; h = content(d)
                if 'long' in kind: time.sleep(r.random() * .02); assert content(d) == h
                if r.random() < .05: assert d.execute('pragma integrity_check').fetchall() == [('ok',)]
                d.execute('commit')
                assert k >= last, (k, last)
                last = k
                if seen.setdefault(k, h) != h: raise Exception(f'two contents of {k}')
                if 'checkpoint' in kind and r.random() < .2: d.execute('pragma wal_checkpoint').fetchall()
            except sqlite3.OperationalError as e:
                if not tolerable(e): raise
                if d.in_transaction: d.execute('rollback')
            time.sleep(.0005)
        for k in sorted(seen): print(k, seen[k])
    if role == 'count':  # so many increments of its own counter
        d = connect(); who = sys.argv[4]; r = random.Random(who)
        for n in range(int(argument)):
            while True:
                try:
                    d.execute('begin immediate')
                    d.execute('update counter set n = n + 1 where id = ?', (who,))
                    d.execute('insert into item(text) values(?)', (r.randbytes(r.choice([5, 400, 3000])).hex(),))
                    d.execute('commit'); break
                except sqlite3.OperationalError as e:
                    if not tolerable(e): raise
                    if d.in_transaction: d.execute('rollback')
            time.sleep(r.random() * .002)
        print('done', flush=True)
    """

  private let process = Process()
  private let output = Pipe()
  private let errors = Pipe()

  init(_ role: String, _ path: String, _ argument: String, _ more: String = "") throws {
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["python3", "-c", Self.script, role, path, argument, more]
    process.standardOutput = output
    process.standardError = errors
    try process.run()
  }

  var isRunning: Bool { process.isRunning }

  /// Waits for its end and returns the lines that it printed.
  func finish() throws -> [String] {
    let lines = output.fileHandleForReading.readDataToEndOfFile()
    let words = errors.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    guard process.terminationStatus == 0 else {
      throw ApplicationError(code: process.terminationStatus, description: String(decoding: words, as: UTF8.self))
    }
    return String(decoding: lines, as: UTF8.self).split(separator: "\n").map(String.init)
  }
}

/// Runs the tool that installs a transaction and stops itself at a step.
enum Tool {
  static func write(_ transaction: CapturedPages, to path: String) throws {
    var bytes: [UInt8] = []
    func number(_ value: UInt32) { bytes += withUnsafeBytes(of: value.bigEndian) { Array($0) } }
    number(UInt32(transaction.pageSize))
    number(transaction.pageCount)
    for (page, image) in transaction.pages {
      number(page)
      bytes += image
    }
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  /// Nil when it was killed at the step, and otherwise how many steps there are.
  static func install(_ transaction: String, on database: String, step: Int, durability: String) throws -> Int? {
    let process = Process()
    let output = Pipe()
    process.executableURL = Self.location
    process.arguments = [database, transaction, "\(step)", durability]
    process.standardOutput = output
    try process.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    process.waitUntilExit()
    if process.terminationReason == .uncaughtSignal { return nil }
    guard process.terminationStatus == 0, let steps = Int(text.dropLast()) else {
      throw ApplicationError(code: process.terminationStatus, description: "DatabaseTool: \(text)")
    }
    return steps
  }

  /// The tool stands beside the test bundle.
  private static var location: URL {
    let program = URL(fileURLWithPath: CommandLine.arguments[0]).resolvingSymlinksInPath()
    var directory = program.deletingLastPathComponent()
    while directory.path != "/" {
      let tool = directory.appendingPathComponent("DatabaseTool")
      if FileManager.default.isExecutableFile(atPath: tool.path) { return tool }
      directory.deleteLastPathComponent()
    }
    return URL(fileURLWithPath: "DatabaseTool")
  }
}

/// Pages as the tool reads them.
struct CapturedPages {
  var pageSize: Int
  var pageCount: UInt32
  var pages: [(UInt32, [UInt8])]
}
