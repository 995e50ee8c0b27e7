// A place in a log as numbers, to be kept across lives of a process.

extension LogPosition {
  /// Everything that makes the place.
  public var numbers: [UInt32] {
    [salts.first, salts.second, frame, checksum.first, checksum.second, UInt32(pageSize), isBigEndian ? 1 : 0, change]
  }

  /// The place with these numbers; nil when they are not those of a place.
  public init?(numbers: [UInt32]) {
    // A log without frames has no page size yet.
    guard numbers.count == 8, numbers[5] == 0 || DatabaseHeader.pageSizes.contains(Int(numbers[5])) else { return nil }
    salts = LogSalts(first: numbers[0], second: numbers[1])
    frame = numbers[2]
    var sums = LogChecksum()
    sums.first = numbers[3]
    sums.second = numbers[4]
    checksum = sums
    pageSize = Int(numbers[5])
    isBigEndian = numbers[6] != 0
    change = numbers[7]
  }
}
