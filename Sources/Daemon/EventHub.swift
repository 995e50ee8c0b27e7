// Who listens to what happens on this node.

import Admin
import Foundation
import Synchronization

/// Hands events to everybody who listens; a listener who is slow loses the oldest.
final class EventHub: Sendable {
  /// Events that wait for one listener, at most.
  static let bufferLimit = 1_024

  private struct State {
    var next = 0
    var listeners: [Int: AsyncStream<AdminEvent>.Continuation] = [:]
  }

  private let state = Mutex(State())

  /// Whether anybody listens.
  var isHeard: Bool { state.withLock { !$0.listeners.isEmpty } }

  /// Events from now on, until the listener goes.
  func listen() -> AsyncStream<AdminEvent> {
    let (stream, continuation) = AsyncStream.makeStream(
      of: AdminEvent.self, bufferingPolicy: .bufferingNewest(Self.bufferLimit))
    let id = state.withLock { state in
      state.next += 1
      state.listeners[state.next] = continuation
      return state.next
    }
    continuation.onTermination = { _ in _ = self.state.withLock { $0.listeners.removeValue(forKey: id) } }
    return stream
  }

  /// Tells everybody; the fields become a JSON object with the time.
  func tell(_ name: String, _ fields: @autoclosure () -> [String: String]) {
    guard isHeard else { return }
    var fields = fields()
    fields["at"] = Moment.text(milliseconds: SystemClock.wall)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(fields) else { return }
    let event = AdminEvent(name: name, data: String(decoding: data, as: UTF8.self))
    for listener in state.withLock({ Array($0.listeners.values) }) { listener.yield(event) }
  }

  /// Ends every stream.
  func close() {
    for listener in state.withLock({ Array($0.listeners.values) }) { listener.finish() }
  }
}

/// Points in time for people and machines alike.
enum Moment {
  /// ISO 8601 in UTC with milliseconds; empty for zero.
  static func text(milliseconds: UInt64) -> String {
    if milliseconds == 0 { return "" }
    let date = Date(timeIntervalSince1970: Double(milliseconds) / 1_000)
    return date.formatted(
      .iso8601.year().month().day().time(includingFractionalSeconds: true).timeZone(separator: .omitted))
  }
}
