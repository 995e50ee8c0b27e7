// Installs one transaction and stops itself, without ceremony, at a given step: what a crash leaves is then examined.
//
// Usage: DatabaseTool DATABASE TRANSACTION STEP DURABILITY
//
// TRANSACTION is a file: page size, page count and, for each page, its number and its bytes (numbers as four bytes,
// big-endian). STEP counts from zero; a step beyond the last lets the install succeed and prints how many there were.

import Databases
import Glibc

let arguments = CommandLine.arguments
guard arguments.count == 5, let stop = Int(arguments[3]), let file = fopen(arguments[2], "rb") else { exit(2) }

func number() -> UInt32? {
  var bytes = [UInt8](repeating: 0, count: 4)
  guard fread(&bytes, 1, 4, file) == 4 else { return nil }
  return bytes.reduce(0) { $0 << 8 | UInt32($1) }
}

guard let pageSize = number().map(Int.init), let pageCount = number() else { exit(2) }
var pages: [PageImage] = []
while let page = number() {
  var bytes = [UInt8](repeating: 0, count: pageSize)
  guard fread(&bytes, 1, pageSize, file) == pageSize else { exit(2) }
  pages.append(PageImage(number: page, bytes: bytes))
}
let durability: Durability = arguments[4] == "full" ? .full : arguments[4] == "off" ? .off : .normal
let installer = Installer(LiveDatabase(path: arguments[1], waitMilliseconds: 5000), durability: durability)
nonisolated(unsafe) var step = 0
installer.betweenSteps = {
  if step == stop { kill(getpid(), SIGKILL) }
  step += 1
}
let outcome = try installer.install(
  Installation(pageSize: pageSize, pageCount: pageCount, pages: pages, cookie: .aboveAll))
guard case .installed = outcome else {
  print(outcome)
  exit(1)
}
print(step)
