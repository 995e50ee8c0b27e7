// Who may import whom: the table of the house, and the purity of its core.

import Foundation
import Testing

/// The arrows of the house. A room may import what its arrows lead to, near or far, and nothing else of the house.
private let arrows: [String: [String]] = [
  "Wire": [],
  "Causality": [],
  "Membership": ["Causality", "Wire"],
  "Replication": ["Causality", "Wire"],
  "Node": ["Causality", "Wire", "Membership", "Replication"],
  "Storage": ["Replication"],
  "Databases": ["Replication", "Storage"],
  "Mount": ["Replication", "Storage", "Databases"],
  "Transport": ["Causality", "Wire"],
  "Admin": ["Node"],
  "Simulator": ["Node"],
  "Daemon": ["Node", "Storage", "Databases", "Mount", "Transport", "Admin"],
  "grapevine": ["Daemon", "Simulator"],
  "CFuse": [],
  "CSQLite": [],
]

/// What is not of the house, and the only rooms that may know it.
private let outside: [String: [String]] = [
  "CFuse": ["Mount", "grapevine"],
  "CSQLite": ["Storage", "Databases", "grapevine"],
  "ArgumentParser": ["grapevine"],
  "TOMLKit": ["Daemon"],
  "Crypto": ["Storage", "Transport"],
  "X509": ["Transport"],
  "SwiftASN1": ["Transport"],
  "NIOSSL": ["Transport"],
  "NIOTLS": ["Transport"],
  "NIOHTTP1": ["Admin"],
  "NIOCore": ["Admin", "Transport", "Daemon"],
  "NIOPosix": ["Admin", "Transport", "Daemon"],
  "NIOConcurrencyHelpers": ["Admin", "Transport", "Daemon"],
  "Logging": ["Admin", "Transport", "Daemon", "grapevine"],
  "Foundation": ["Admin", "Transport", "Simulator", "Daemon", "grapevine"],
  "Glibc": ["Storage", "Databases", "Mount", "Transport", "Admin", "Daemon", "grapevine"],
  "Dispatch": ["Admin", "Transport", "Daemon", "grapevine"],
  "Synchronization": ["Storage", "Databases", "Mount", "Transport", "Admin", "Daemon", "grapevine"],
]

/// The rooms that do no IO, read no clock and draw no randomness of their own.
private let core: Set<String> = ["Wire", "Causality", "Membership", "Replication", "Node"]

@Suite struct ImportTests {
  private func reachable(from room: String) -> Set<String> {
    var found = Set<String>()
    var open = arrows[room] ?? []
    while let next = open.popLast() {
      if found.insert(next).inserted { open += arrows[next] ?? [] }
    }
    return found
  }

  @Test func `the table holds every room`() {
    for room in Sources.rooms("Sources") { #expect(arrows[room] != nil, "the table does not hold \(room)") }
  }

  @Test func `no room imports beyond its arrows`() {
    for file in Sources.swift where file.path.hasPrefix("Sources/") {
      let allowed = reachable(from: file.room)
      for module in file.imports {
        let isFine = outside[module].map { $0.contains(file.room) } ?? allowed.contains(module)
        #expect(isFine, "\(file.path) may not import \(module)")
      }
    }
  }

  @Test func `the core has no time, no chance, no tasks and no system`() {
    let forbidden: [(Regex<Substring>, String)] = [
      (#/\bDate\b/#, "a date"), (#/\.now\b/#, "the time"), (#/\bTask\b/#, "a task"), (#/\basync\b/#, "asynchrony"),
      (#/\brandom\((?!.*using:)/#, "randomness of its own"), (#/\bshuffled\((?!.*using:)/#, "randomness of its own"),
      (#/\brandomElement\((?!.*using:)/#, "randomness of its own"), (#/SystemRandomNumberGenerator/#, "randomness"),
      (#/\bhashValue\b/#, "a hash that differs from run to run"), (#/\bprint\(/#, "output"),
      (#/\bDispatchTime\b|\bContinuousClock\b|\bSuspendingClock\b/#, "a clock"),
    ]
    for file in Sources.swift where file.path.hasPrefix("Sources/") && core.contains(file.room) {
      for (number, line) in file.code {
        for (pattern, what) in forbidden {
          #expect(line.firstMatch(of: pattern) == nil, "\(file.path):\(number) has \(what)")
        }
      }
      for module in file.imports {
        #expect(core.contains(module), "\(file.path) imports \(module): the core imports the core only")
      }
    }
  }
}
