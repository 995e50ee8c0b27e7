// swift-tools-version: 6.1
// The package: one binary, and the rooms of the house with the arrows that may be drawn between them.
import PackageDescription

let strict: [SwiftSetting] = [.unsafeFlags(["-warnings-as-errors"])]

/// A room of the house.
func room(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

/// The tests of a room.
func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies, swiftSettings: strict)
}

let nio: [Target.Dependency] = [
  .product(name: "NIOCore", package: "swift-nio"),
  .product(name: "NIOPosix", package: "swift-nio"),
]
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let tls: Target.Dependency = .product(name: "NIOSSL", package: "swift-nio-ssl")

let package = Package(
  name: "grapevine",
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
    .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.0"),
    .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CFuse", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
    .systemLibrary(
      name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),

    room("Wire"),
    room("Causality"),
    room("Membership", ["Causality", "Wire"]),
    room("Replication", ["Causality", "Wire"]),
    room(
      "Transport",
      ["Causality", "Wire", logging, tls] + nio + [
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "NIOTLS", package: "swift-nio"),
        .product(name: "X509", package: "swift-certificates"),
      ]),
    room("Node", ["Causality", "Wire", "Membership", "Replication"]),
    room("Simulator", ["Causality", "Wire", "Membership", "Replication", "Node"]),

    room("Databases", ["CSQLite"]),
    room("Storage", ["Replication", "CSQLite", .product(name: "Crypto", package: "swift-crypto")]),
    room("Admin", [logging, .product(name: "NIOHTTP1", package: "swift-nio")] + nio),
    room("Mount", ["Causality", "Databases", "Replication", "Storage", "CFuse"]),
    room(
      "Daemon",
      [
        "Admin", "Causality", "Wire", "Databases", "Membership", "Mount", "Node", "Replication", "Storage", "Transport",
        logging,
        .product(name: "TOMLKit", package: "TOMLKit"),
      ] + nio),
    .executableTarget(
      name: "grapevine",
      dependencies: [
        "Admin", "CFuse", "CSQLite", "Causality", "Daemon", "Simulator", "Transport", logging,
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ], swiftSettings: strict),

    tests("AdminTests", ["Admin", logging] + nio),
    tests("CausalityTests", ["Causality"]),
    tests("DatabasesTests", ["Databases", "CSQLite", "Causality", "DatabaseTool"]),
    .executableTarget(
      name: "DatabaseTool", dependencies: ["Databases"], path: "Tests/DatabaseTool", swiftSettings: strict),
    tests("DaemonTests", ["Admin", "Causality", "Daemon", "Node", "Replication", "Storage", "Transport", logging]),
    tests(
      "GrapevineTests",
      ["Admin", "Daemon", "grapevine", .product(name: "ArgumentParser", package: "swift-argument-parser")]),
    tests("MountTests", ["Mount", "Causality", "CFuse", "Replication", "Storage"]),
    tests("TransportTests", ["Causality", "Transport", logging, tls] + nio),
    tests("MembershipTests", ["Causality", "Membership", "Wire"]),
    tests("WireTests", ["Wire"]),
    tests("ReplicationTests", ["Replication", "Causality", "Wire"]),
    tests("SimulatorTests", ["Causality", "Simulator"]),
    tests("StorageTests", ["Storage", "Replication", "Causality"]),
    tests("TidyTests", []),
    .testTarget(
      name: "ClusterTests", dependencies: ["grapevine"], exclude: ["Scripts"], swiftSettings: strict),
  ]
)
