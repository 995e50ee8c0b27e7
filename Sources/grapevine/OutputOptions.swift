// --json: the same answer for machines.

import ArgumentParser
import Foundation

/// How a verb prints its answer.
struct OutputOptions: ParsableArguments {
  @Flag(name: .long, help: "Print JSON.")
  var json = false

  /// Prints the value as JSON, or the text.
  func print(_ value: some Encodable, text: () -> String) throws {
    if json { try Self.printJSON(value) } else { Swift.print(text()) }
  }

  /// Prints the value as JSON.
  static func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
    Swift.print(String(decoding: try encoder.encode(value), as: UTF8.self))
  }
}
