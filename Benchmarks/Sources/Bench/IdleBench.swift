// What a mesh costs that has nothing to do.

import Foundation

/// Traffic, processor time and memory of two idle nodes.
enum IdleBench {
  static func run(_ mesh: Mesh) {
    sleep(3)
    let (bytes, ticks) = (loopbackBytes(), mesh.pids.map(processorTicks))
    sleep(20)
    let perSecond = Double(loopbackBytes() - bytes) / 20
    print("idle: \(text(perSecond)) B/s on loopback, both nodes and both directions")
    for (index, pid) in mesh.pids.enumerated() {
      let share = Double(processorTicks(pid) - ticks[index]) / 100 / 20 * 100
      print("idle node \(index + 1): \(text(share)) % of a core, \(text(residentMebibytes(pid))) MiB resident")
    }
  }

  /// Bytes received on loopback since the machine started.
  static func loopbackBytes() -> Int {
    let text = (try? String(contentsOfFile: "/proc/net/dev", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.contains("lo:") } ?? ""
    return line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
  }

  private static func processorTicks(_ pid: Int32) -> Int {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8)) ?? ""
    let fields = text.split(separator: ")").last?.split(separator: " ") ?? []
    return fields.count > 12 ? (Int(fields[11]) ?? 0) + (Int(fields[12]) ?? 0) : 0
  }

  private static func residentMebibytes(_ pid: Int32) -> Double {
    let text = (try? String(contentsOfFile: "/proc/\(pid)/statm", encoding: .utf8)) ?? ""
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0
    return pages * 4_096 / 1_048_576
  }
}
