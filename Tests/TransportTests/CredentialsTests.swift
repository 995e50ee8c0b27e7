// Credentials: what is written is read, and what does not belong together is refused with a reason.

import Causality
import Foundation
import Testing

@testable import Transport

@Suite struct CredentialsTests {
  let directory = NSTemporaryDirectory() + "grapevine-credentials-\(UInt64.random(in: 0...UInt64.max))"

  @Test func `a directory holds what was issued, secrets for their owner only`() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try Meshes.london.save(to: directory)
    let loaded = try Credentials.load(from: directory)
    #expect(loaded.identity == Meshes.london.identity)
    #expect(loaded.meshName == "vineyard" && loaded.gossipKeys == Meshes.london.gossipKeys)
    for secret in ["node.key", "gossip.keys"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(directory)/\(secret)")
      #expect((attributes[.posixPermissions] as? NSNumber)?.intValue == 0o600)
    }
    #expect(try !FileManager.default.contentsOfDirectory(atPath: directory).contains("ca.key"))
  }

  @Test func `an authority that was saved issues more nodes of the same mesh`() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    try Meshes.authority.save(to: directory)
    let again = try MeshAuthority.load(from: directory)
    let credentials = try again.issue(node: "syd-1", region: "syd", id: NodeID(5))
    #expect(credentials.mesh == Meshes.authority.mesh && credentials.node == NodeID(5))
    #expect(credentials.authorityPEM == Meshes.london.authorityPEM)
  }

  @Test func `a missing file, a foreign key and a foreign certificate are told apart`() throws {
    defer { try? FileManager.default.removeItem(atPath: directory) }
    #expect(throws: CredentialsError.self) { try Credentials.load(from: directory) }
    let london = Meshes.london
    func make(certificate: String, key: String) throws -> Credentials {
      try Credentials(
        meshName: "vineyard", authorityPEM: london.authorityPEM, certificatePEM: certificate, privateKeyPEM: key,
        gossipKeys: london.gossipKeys)
    }
    let foreign = Meshes.stranger
    func why(_ body: () throws -> Credentials) -> String? {
      do {
        _ = try body()
        return nil
      } catch {
        return (error as? CredentialsError)?.why
      }
    }
    #expect(
      why { try make(certificate: london.certificatePEM, key: Meshes.chicago.privateKeyPEM) }
        == "node.key is not the key of node.pem")
    #expect(
      why { try make(certificate: foreign.certificatePEM, key: foreign.privateKeyPEM) }
        == "node.pem was not signed by ca.pem")
    #expect(why { try make(certificate: "rubbish", key: london.privateKeyPEM) }?.contains("not PEM") == true)
    #expect(
      why { try make(certificate: london.authorityPEM, key: london.privateKeyPEM) }
        == "node.key is not the key of node.pem")
  }

  @Test(arguments: ["", "-a", ".a", "a b", "a/b", "ü", String(repeating: "a", count: 64)])
  func `a name that is no file name is refused`(name: String) {
    #expect(!NodeIdentity.isValidName(name))
    #expect(throws: CredentialsError.self) { try Meshes.authority.issue(node: name, region: "lhr") }
  }

  @Test func `identities read what they write`() {
    let identity = Meshes.london.identity
    #expect(NodeIdentity(uri: identity.uri) == identity)
    for uri in ["", "grapevine://", "https://\(identity.uri)", identity.uri + "/x"] {
      #expect(NodeIdentity(uri: uri) == nil)
    }
  }

  @Test(arguments: [
    ("1.2.3.4:5", "1.2.3.4", 5), ("[::1]:7946", "::1", 7946), (":80", "0.0.0.0", 80), ("a.example:0", "a.example", 0),
  ])
  func `endpoints are read`(text: String, host: String, port: Int) {
    #expect(Endpoint(text) == Endpoint(host: host, port: port))
  }

  @Test(arguments: ["", "a", "a:", "a:b", "::1:5", "a:70000"])
  func `what is no endpoint is refused`(text: String) { #expect(Endpoint(text) == nil) }
}
