// Logarithms without a mathematics library, the same on every machine.

/// The binary logarithm of a positive number, to about 2^-20.
func binaryLogarithm(_ value: Double) -> Double {
  precondition(value > 0)
  var result = Double(value.exponent)
  var rest = value.significand
  var bit = 0.5
  for _ in 0..<20 {
    rest *= rest
    if rest >= 2 {
      rest /= 2
      result += bit
    }
    bit /= 2
  }
  return result
}

/// The decimal logarithm of a positive number.
func decimalLogarithm(_ value: Double) -> Double { binaryLogarithm(value) / 3.321928094887362 }
