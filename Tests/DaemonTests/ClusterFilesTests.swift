// The files of a new mesh: complete, usable as they are, and never overwritten.

import Foundation
import Testing
import Transport

@testable import Daemon

@Suite struct ClusterFilesTests {
  let directory = NSTemporaryDirectory() + "grapevine-cluster-\(UInt64.random(in: 0...UInt64.max))"

  private func configuration(_ node: ClusterFiles.Node, _ environment: [String: String] = [:]) throws -> Configuration {
    try Configuration.load(path: "\(node.directory)/grapevine.toml", environment: environment)
  }

  @Test func `each region gets a directory with a configuration and credentials that fit`() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let files = try ClusterFiles.create(
      name: "vineyard", sites: ["lhr", "ord", "lhr"].map(ClusterFiles.Site.init(text:)), directory: directory)
    #expect(files.nodes.map(\.name) == ["lhr-1", "ord-1", "lhr-2"])
    for node in files.nodes {
      let configuration = try configuration(node, ["GRAPEVINE_JOIN": "a:1,b:2"])
      let credentials = try Credentials.load(from: configuration.mesh.credentials)
      #expect(credentials.identity.name == configuration.node.name && credentials.identity.region == node.region)
      #expect(credentials.node.description == node.id && credentials.mesh == files.authority.mesh)
      #expect(configuration.mesh.join == ["a:1", "b:2"])
      #expect(configuration.node.dataDirectory == "\(node.directory)/data")
      #expect(!FileManager.default.fileExists(atPath: "\(node.directory)/credentials/ca.key"))
    }
    let key = try FileManager.default.attributesOfItem(atPath: "\(directory)/authority/ca.key")
    #expect((key[.posixPermissions] as? NSNumber)?.intValue == 0o600)
  }

  @Test func `hosts are joined and advertised`() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    var files = try ClusterFiles.create(
      name: "vineyard", sites: ["lhr=a.example", "ord=b.example:9000"].map(ClusterFiles.Site.init(text:)),
      directory: directory)
    let second = try configuration(files.nodes[1])
    #expect(second.mesh.join == ["a.example:7946"] && second.gossip.advertise == "b.example:9000")
    #expect(second.gossip.bind == "0.0.0.0:9000" && second.sync.advertise == "b.example:9001")
    files = try ClusterFiles.load(directory)
    let third = try files.issue("syd-1", site: .init(text: "syd=c.example"))
    #expect(try configuration(third).mesh.join == ["a.example:7946", "b.example:9000"])
    #expect(try ClusterFiles.load(directory).nodes.count == 3)
  }

  @Test func `a mesh on one machine has ports of its own and can declare a volume`() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    var files = try ClusterFiles.create(
      name: "try", sites: [.init(region: "lhr"), .init(region: "ord")], directory: directory, local: true,
      volume: .init(name: "data", size: "1GB"))
    _ = try files.issue("syd-1", site: .init(region: "syd"))
    let all = try files.nodes.map { try configuration($0) }
    #expect(Set(all.flatMap { [$0.gossip.bind, $0.sync.bind, $0.admin.http] }).count == 9)
    #expect(all[2].mesh.join == [all[0].gossip.bind, all[1].gossip.bind])
    for (node, configuration) in zip(files.nodes, all) {
      #expect(configuration.mounts == [.init(source: "data", destination: "\(node.directory)/mount")])
      #expect(configuration.volumes.map(\.sizeBytes) == [1_000_000_000] && configuration.gossip.profile == .local)
    }
  }

  @Test func `nothing is overwritten and nothing bad is made`() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    func refuses(_ name: String, _ sites: [String]) {
      #expect(throws: (any Error).self) {
        try ClusterFiles.create(name: name, sites: sites.map(ClusterFiles.Site.init(text:)), directory: directory)
      }
      #expect(!FileManager.default.fileExists(atPath: directory))
    }
    refuses("a b", ["lhr"])
    refuses("ok", [])
    refuses("ok", ["l hr"])
    refuses("ok", ["lhr=a:b:c"])
    var files = try ClusterFiles.create(name: "ok", sites: [.init(region: "lhr")], directory: directory)
    #expect(throws: ClusterError.self) {
      try ClusterFiles.create(name: "ok", sites: [.init(region: "ord")], directory: directory)
    }
    #expect(throws: ClusterError.self) { try files.issue("lhr-1", site: .init(region: "lhr")) }
    #expect(throws: ClusterError.self) { try files.issue("authority", site: .init(region: "lhr")) }
    #expect(throws: CredentialsError.self) { try ClusterFiles.load(directory + "-none") }
  }
}
