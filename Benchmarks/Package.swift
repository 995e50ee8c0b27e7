// swift-tools-version: 6.1
// Measurements of a running mesh on this machine, each beside the same work on the file system beneath.
import PackageDescription

let package = Package(
  name: "Benchmarks",
  targets: [
    .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
    .executableTarget(name: "Bench", dependencies: ["CSQLite"]),
  ]
)
