// Configurations: the documented defaults are the code's, and every mistake is told with its cure.

import Causality
import Foundation
import Testing

@testable import Daemon

private let repository = URL(fileURLWithPath: #filePath)
  .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

private func read(_ text: String, _ environment: [String: String] = [:]) throws -> Configuration {
  try Configuration.parse(text, file: "test.toml", directory: "/etc/gv", environment: environment)
}

private func mistake(_ text: String, _ environment: [String: String] = [:]) -> String {
  do {
    _ = try read(text, environment)
    return "no error"
  } catch {
    return String(describing: error)
  }
}

@Suite struct ConfigurationTests {
  let documented = try! String(
    contentsOf: repository.appending(path: "Config/grapevine.toml"), encoding: .utf8)

  @Test func `the documented file is the defaults`() throws {
    #expect(try read(documented) == Configuration())
    #expect(try read("") == Configuration())
  }

  /// The file with its optional tables in force.
  private var uncommented: String {
    documented.split(separator: "\n", omittingEmptySubsequences: false)
      .map { $0.hasPrefix("#") && !$0.hasPrefix("# ") ? $0.dropFirst() : $0 }.joined(separator: "\n")
  }

  @Test func `the documented tables, uncommented, are the defaults of a volume and a mount`() throws {
    var expected = Configuration()
    expected.volumes = [.init(name: "my-volume")]
    expected.mounts = [.init(source: "my-volume", destination: "/data")]
    #expect(try read(uncommented) == expected)
  }

  @Test func `every key is documented and every documented key is one`() throws {
    let values = try ConfigurationValue.parse(uncommented, file: "grapevine.toml")
    #expect(Set(values.keys) == Set(ConfigurationSchema.tables.map(\.name)))
    for (name, keys) in ConfigurationSchema.tables {
      var value = values[name]
      if case .list(let list) = value { value = list.first }
      guard case .table(let table) = value else {
        Issue.record("\(name) is not a table")
        continue
      }
      #expect(Set(table.keys) == Set(keys), "\(name)")
    }
  }

  @Test func `every example is a configuration`() throws {
    let examples = repository.appending(path: "Config/examples")
    let files = try #require(FileManager.default.enumerator(atPath: examples.path)).compactMap { $0 as? String }
      .filter { $0.hasSuffix(".toml") }
    #expect(files.count >= 5)
    for file in files {
      let configuration = try Configuration.load(path: examples.appending(path: file).path, environment: [:])
      #expect(configuration.mounts.count == 1, "\(file)")
    }
  }

  @Test func `what users write is read`() throws {
    let configuration = try read(
      """
      [node]
      name = "lhr-1"
      region = "lhr"
      data-dir = "data"
      [mesh]
      credentials = "credentials"
      join = ["lhr-1.example:7946, ord-1.example:7946", "dns:myapp.internal:7946", "${EXTRA:-}"]
      max-offline = "1d12h"
      [gossip]
      profile = "lan"
      [admin]
      http = ""
      [[mount]]
      source = "my-volume"
      destination = "/data"
      [[volume]]
      name = "my-volume"
      size = "10GB"
      resolver = [{ match = "**/*.json", use = "newest" }]
      history = "24h"
      """)
    #expect(configuration.node.dataDirectory == "/etc/gv/data")
    #expect(configuration.mesh.credentials == "/etc/gv/credentials")
    #expect(configuration.mesh.join == ["lhr-1.example:7946", "ord-1.example:7946", "dns:myapp.internal:7946"])
    #expect(configuration.mesh.maxOffline == .seconds(129_600))
    #expect(configuration.gossip.profile == .lan && configuration.admin.http.isEmpty)
    #expect(configuration.mounts == [.init(source: "my-volume", destination: "/data")])
    #expect(configuration.volumes[0].sizeBytes == 10_000_000_000)
    #expect(configuration.volumes[0].resolver == [.init(match: "**/*.json", use: .newest)])
  }

  @Test func `a fly app's own file is understood as it stands`() throws {
    let configuration = try read(
      """
      app = "my-app"
      primary_region = "ord"
      [env]
      VOLUME = "data"
      [[services]]
      internal_port = 8080
      [mounts]
      source = "${VOLUME}"
      destination = "/data"
      initial_size = "10gb"
      """)
    #expect(configuration.node.region == "ord")
    #expect(configuration.mounts == [.init(source: "data", destination: "/data")])
  }

  @Test func `variables expand, with defaults, and the environment wins over env`() throws {
    let text = "[env]\nNAME = \"inner\"\n[node]\nname = \"${NAME}-${REGION:-lhr}\""
    #expect(try read(text).node.name == "inner-lhr")
    #expect(try read(text, ["NAME": "outer", "REGION": ""]).node.name == "outer-lhr")
    #expect(try read("[admin]\ntoken = \"a$b$${c}\"").admin.token == "a$b${c}")
    #expect(mistake("[node]\nname = \"${NAME}\"").contains("variable NAME is not set"))
    #expect(mistake("[node]\nname = \"${NAME\"").contains("without its }"))
  }

  @Test(arguments: [
    ("[gossip]\nbnid = \"x\"", "[gossip] bnid: there is no such key. Did you mean `bind` in [gossip]?"),
    ("[node]\nsocket = \"x\"", "Did you mean `socket` in [admin]?"),
    ("[node]\ndata_dir = \"x\"", "Did you mean `data-dir` in [node]?"),
    ("[gosip]\n", "Did you mean [gossip]?"),
    ("[[volume]]\nname = \"v\"\nresolver = [{ mach = \"*\" }]", "[volume.resolver] mach"),
    ("[[volume]]\nname = \"v\"\nresolver = [{ match = \"*\", use = \"best\" }]", "\"chunks\", \"newest\", \"rows\""),
    ("[gossip]\nbind = \"7946\"", "[gossip] bind: \"7946\" is not an address"),
    ("[gossip]\nbind = 7946", "is an integer. Write a string in quotes."),
    ("[gossip]\nprofile = \"fast\"", "Choose one of \"local\", \"lan\", \"wan\"."),
    ("[mesh]\njoin = \"a:1\"", "array of strings"),
    ("[mesh]\njoin = [\"a\"]", "\"a\" is not an address"),
    ("[mesh]\nmax-offline = \"5m\"", "at least \"1h\""),
    ("[mesh]\nmax-offline = \"5\"", "is not a duration"),
    ("[[volume]]\nname = \"v\"\nsize = \"big\"", "[volume] size: \"big\" is not a size"),
    ("[[volume]]\nsize = \"1GB\"", "[volume] name: is missing"),
    ("[[mount]]\nsource = \"v\"", "[mount] destination: is missing"),
    (
      "[[mount]]\nsource = \"a\"\ndestination = \"/d\"\n[[mount]]\nsource = \"b\"\ndestination = \"/d\"",
      "mounted twice"
    ),
    ("[[volume]]\nname = \"v\"\n[[volume]]\nname = \"v\"", "declared twice"),
    ("[node]\nname = \"a/b\"", "cannot be a name"),
    ("[node]\nname = lhr", "test.toml:2: not TOML"),
    ("[admin]\nsocket = \"/\(String(repeating: "s", count: 120))\"", "107 bytes"),
  ])
  func `a mistake is told with its place and its cure`(text: String, expected: String) {
    let told = mistake(text)
    #expect(told.hasPrefix("test.toml") && told.contains(expected), "\(told)")
  }

  @Test func `a file that is not there is named`() {
    #expect(throws: ConfigurationError.self) { try Configuration.load(path: "/nowhere/grapevine.toml") }
  }

  @Test(arguments: [
    ("10GB", 10_000_000_000), ("10gb", 10_000_000_000), ("1.5 GiB", 1_610_612_736), ("512", 512), ("7b", 7),
  ])
  func `sizes are read`(text: String, bytes: UInt64) { #expect(Quantities.bytes(text) == bytes) }

  @Test(arguments: ["", "GB", "-1GB", "1XB", "1GB2", "99999999999TB"])
  func `what is no size is refused`(text: String) { #expect(Quantities.bytes(text) == nil) }

  @Test(arguments: [("500ms", 500), ("90s", 90_000), ("1h30m", 5_400_000), ("30d", 2_592_000_000), ("0.5s", 500)])
  func `durations are read and written`(text: String, milliseconds: UInt64) throws {
    let span = try #require(Quantities.duration(text))
    #expect(span == .milliseconds(milliseconds))
    #expect(Quantities.duration(Quantities.text(of: span)) == span)
  }

  @Test(arguments: ["", "5", "h", "5x", "1h5", "99999999999d"])
  func `what is no duration is refused`(text: String) { #expect(Quantities.duration(text) == nil) }
}
