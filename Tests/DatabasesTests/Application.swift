// An application as the tests play it: an ordinary SQLite connection, unaware of everything else.

import CSQLite
import Foundation

struct ApplicationError: Error, CustomStringConvertible {
  let code: Int32
  let description: String
  var isBusy: Bool { code & 0xFF == SQLITE_BUSY }
}

final class Application {
  private(set) var handle: OpaquePointer?

  init(_ path: String, waitMilliseconds: Int32 = 5000) throws {
    var handle: OpaquePointer?
    let code = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil)
    guard code == SQLITE_OK, let handle else { throw ApplicationError(code: code, description: "open \(path)") }
    self.handle = handle
    sqlite3_busy_timeout(handle, waitMilliseconds)
  }

  /// A database whose whole content is given.
  init(image: [UInt8]) throws {
    var handle: OpaquePointer?
    sqlite3_open_v2(":memory:", &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nil)
    self.handle = handle
    var image = image
    if !image.isEmpty { (image[18], image[19]) = (1, 1) }
    let copy = sqlite3_malloc64(UInt64(max(image.count, 1)))!
    copy.copyMemory(from: image, byteCount: image.count)
    let code = sqlite3_deserialize(
      handle, "main", copy.assumingMemoryBound(to: UInt8.self), Int64(image.count), Int64(image.count),
      UInt32(SQLITE_DESERIALIZE_FREEONCLOSE))
    guard code == SQLITE_OK else { throw ApplicationError(code: code, description: "deserialize") }
  }

  deinit { close() }

  func close() {
    sqlite3_close(handle)
    handle = nil
  }

  @discardableResult
  func run(_ sql: String) throws -> [[String]] {
    var rows: [[String]] = []
    var tail: UnsafePointer<CChar>?
    try sql.withCString { text in
      var next: UnsafePointer<CChar>? = text
      while let current = next, current.pointee != 0 {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v2(handle, current, -1, &statement, &tail)
        guard code == SQLITE_OK else { throw failure(code, sql) }
        defer { sqlite3_finalize(statement) }
        next = tail
        guard let statement else { continue }
        while true {
          let step = sqlite3_step(statement)
          if step == SQLITE_DONE { break }
          guard step == SQLITE_ROW else { throw failure(step, sql) }
          rows.append(
            (0..<sqlite3_column_count(statement)).map { column in
              sqlite3_column_text(statement, column).map { String(cString: $0) } ?? "NULL"
            })
        }
      }
    }
    return rows
  }

  private func failure(_ code: Int32, _ sql: String) -> ApplicationError {
    ApplicationError(code: code, description: "\(String(cString: sqlite3_errmsg(handle))) (\(code)): \(sql)")
  }

  /// All tables and rows, as one value to compare.
  func content() throws -> String {
    var text = ""
    for table in try run("SELECT name, sql FROM sqlite_schema ORDER BY name") {
      text += table.joined(separator: "|") + "\n"
    }
    for table in try run("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name") {
      for row in try run("SELECT * FROM \"\(table[0])\" ORDER BY 1") { text += row.joined(separator: "|") + "\n" }
    }
    return text
  }

  func integrity() throws -> String { try run("PRAGMA integrity_check")[0][0] }
}

/// A directory that vanishes with its owner.
final class Scratch {
  let path: String

  init() {
    var template = Array("\(NSTemporaryDirectory())/databases-XXXXXX".utf8CString)
    path = String(cString: mkdtemp(&template))
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }

  func file(_ name: String) -> String { path + "/" + name }
}
