// The mount against the file system beneath: reads, stats, creation, streams.

import Foundation

/// Rates of one mount and of the file system beneath it, by turns.
enum MountBench {
  static func run(_ mesh: Mesh, rounds: Int) throws {
    let (mount, native) = (mesh.mounts[0], mesh.native)
    compare("4 KiB random read, warm", "reads/s", rounds, mount, native, randomReads)
    compare("stat, warm", "stats/s", rounds, mount, native, stats)
    compare("create + close + unlink", "files/s", rounds, mount, native, creations)
    compare("1 MiB sequential write", "MiB/s", rounds, mount, native, sequentialWrite)
    compare("sequential read, warm", "MiB/s", rounds, mount, native, sequentialRead)
  }

  private static func compare(
    _ name: String, _ unit: String, _ rounds: Int, _ mount: String, _ native: String, _ rate: (String) -> Double
  ) {
    var (mounted, plain): ([Double], [Double]) = ([], [])
    for _ in 0..<rounds {
      plain.append(rate(native))
      mounted.append(rate(mount))
    }
    report(name, mount: mounted, native: plain, unit: unit)
  }

  private static func file(_ directory: String, mebibytes: Int) -> String {
    let path = "\(directory)/stream-\(mebibytes)"
    guard access(path, F_OK) != 0 else { return path }
    let descriptor = open(path, O_WRONLY | O_CREAT, 0o644)
    defer { close(descriptor) }
    var block = [UInt8](repeating: 7, count: 1 << 20)
    for index in 0..<mebibytes {
      block[0] = UInt8(truncatingIfNeeded: index)
      write(descriptor, block, block.count)
    }
    return path
  }

  private static func randomReads(_ directory: String) -> Double {
    let descriptor = open(file(directory, mebibytes: 64), O_RDONLY)
    defer { close(descriptor) }
    var block = [UInt8](repeating: 0, count: 4_096)
    for page in 0..<16_384 { pread(descriptor, &block, 4_096, off_t(page) * 4_096) }
    let count = 200_000
    var place: UInt64 = 88_172_645_463_325_252
    let time = seconds {
      for _ in 0..<count {
        place ^= place << 13
        place ^= place >> 7
        place ^= place << 17
        pread(descriptor, &block, 4_096, off_t(place % 16_384) * 4_096)
      }
    }
    return Double(count) / time
  }

  private static func stats(_ directory: String) -> Double {
    let path = file(directory, mebibytes: 64)
    var status = stat()
    let count = 200_000
    let time = seconds { for _ in 0..<count { stat(path, &status) } }
    return Double(count) / time
  }

  private static func creations(_ directory: String) -> Double {
    let count = 3_000
    let time = seconds {
      for index in 0..<count {
        let path = "\(directory)/new-\(index)"
        close(open(path, O_WRONLY | O_CREAT | O_EXCL, 0o644))
        unlink(path)
      }
    }
    return Double(count) / time
  }

  private static func sequentialWrite(_ directory: String) -> Double {
    let path = directory + "/written"
    let block = [UInt8](repeating: 9, count: 1 << 20)
    let time = seconds {
      let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
      for _ in 0..<256 { write(descriptor, block, block.count) }
      close(descriptor)
    }
    unlink(path)
    return 256 / time
  }

  private static func sequentialRead(_ directory: String) -> Double {
    let descriptor = open(file(directory, mebibytes: 256), O_RDONLY)
    defer { close(descriptor) }
    var block = [UInt8](repeating: 0, count: 1 << 20)
    func pass() { for index in 0..<256 { pread(descriptor, &block, block.count, off_t(index) << 20) } }
    pass()
    return 256 / seconds(pass)
  }
}
