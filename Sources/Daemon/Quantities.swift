// Sizes and durations as people write them: 10GB, 24h, 1h30m.

import Causality

/// Reads and writes sizes and durations.
public enum Quantities {
  private static let sizeUnits: [(String, UInt64)] = [
    ("b", 1), ("kb", 1_000), ("mb", 1_000_000), ("gb", 1_000_000_000), ("tb", 1_000_000_000_000),
    ("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("tib", 1 << 40), ("", 1),
  ]
  private static let durationUnits: [(String, UInt64)] = [
    ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", 3_600_000_000_000),
    ("d", 86_400_000_000_000),
  ]

  /// Bytes of `10GB` (10^9 each), `1.5 GiB` (2^30) or `512`; case does not matter.
  public static func bytes(_ text: String) -> UInt64? {
    guard let (number, unit, rest) = part(text[...]), rest.isEmpty else { return nil }
    return sizeUnits.first { $0.0 == unit.lowercased() }.flatMap { scaled(number, by: $0.1) }
  }

  /// The time of `500ms`, `90s`, `24h`, `30d` or several together such as `1h30m`. A unit is required.
  public static func duration(_ text: String) -> Span? {
    var rest = text[...]
    var total: UInt64 = 0
    repeat {
      guard let (number, unit, after) = part(rest), let factor = durationUnits.first(where: { $0.0 == unit })?.1,
        let nanoseconds = scaled(number, by: factor)
      else { return nil }
      let (sum, overflow) = total.addingReportingOverflow(nanoseconds)
      if overflow { return nil }
      total = sum
      rest = after
    } while !rest.isEmpty
    return Span(nanoseconds: total)
  }

  /// A duration in the largest unit that divides it, as `duration` reads it.
  public static func text(of span: Span) -> String {
    for (unit, factor) in durationUnits.reversed() where span.nanoseconds >= factor && span.nanoseconds % factor == 0 {
      return "\(span.nanoseconds / factor)\(unit)"
    }
    return "\(span.nanoseconds / 1_000_000)ms"
  }

  /// A number with its unit, and what follows both.
  private static func part(_ text: Substring) -> (number: String, unit: String, rest: Substring)? {
    let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
    let afterNumber = text[number.endIndex...].drop { $0 == " " }
    let unit = afterNumber.prefix { $0.isASCII && $0.isLetter }
    guard number.first?.isNumber == true else { return nil }
    return (String(number), String(unit), afterNumber[unit.endIndex...])
  }

  private static func scaled(_ number: String, by factor: UInt64) -> UInt64? {
    if let whole = UInt64(number) {
      let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
      return overflow ? nil : product
    }
    guard let value = Double(number), value * Double(factor) < 1e18 else { return nil }
    return UInt64(value * Double(factor))
  }
}
