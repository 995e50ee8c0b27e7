// The authority of a mesh: the only thing that can make a node, kept where no node runs.

import Causality
import Crypto
import Foundation
import X509

/// A mesh's certificate authority: `ca.key` (mode 0600), `ca.pem`, `mesh.json` and `gossip.keys` in one directory.
public struct MeshAuthority: Sendable {
  /// The mesh.
  public let mesh: UInt64
  /// The mesh's id as sixteen hexadecimal digits.
  public var meshText: String { NodeIdentity.text(ofMesh: mesh) }
  /// What people call it.
  public let name: String
  /// The gossip keys that new nodes are given.
  public let gossipKeys: GossipKeyRing
  private let key: P256.Signing.PrivateKey
  private let certificate: Certificate

  /// A new mesh with a random id, a key of its own and one gossip key.
  public static func create(name: String) throws -> MeshAuthority {
    guard NodeIdentity.isValidName(name) else { throw invalidName("mesh", name) }
    let mesh = UInt64.random(in: 1...UInt64.max)
    let key = P256.Signing.PrivateKey()
    return MeshAuthority(
      mesh: mesh, name: name, gossipKeys: try GossipKeyRing([.random()]), key: key,
      certificate: try NodeCertificate.makeAuthority(key: key, name: name, mesh: mesh))
  }

  /// Credentials of a new node; its id is random unless an old node is given new credentials.
  public func issue(node name: String, region: String, id: NodeID? = nil) throws -> Credentials {
    guard NodeIdentity.isValidName(name) else { throw Self.invalidName("node", name) }
    guard NodeIdentity.isValidName(region) else { throw Self.invalidName("region", region) }
    let nodeKey = P256.Signing.PrivateKey()
    let identity = NodeIdentity(
      mesh: mesh, node: id ?? NodeID(UInt64.random(in: 1...UInt64.max)), name: name, region: region)
    let issued = try NodeCertificate.issue(
      identity, publicKey: nodeKey.publicKey, authority: certificate, authorityKey: key)
    return try Credentials(
      meshName: self.name, authorityPEM: certificate.serializeAsPEM().pemString,
      certificatePEM: issued.serializeAsPEM().pemString, privateKeyPEM: nodeKey.pemRepresentation,
      gossipKeys: gossipKeys)
  }

  /// Writes the authority's directory, readable for its owner only.
  public func save(to directory: String) throws {
    try CredentialFile.createDirectory(directory, mode: 0o700)
    try CredentialFile.write(certificate.serializeAsPEM().pemString, to: "ca.pem", in: directory, mode: 0o644)
    try CredentialFile.write(key.pemRepresentation, to: "ca.key", in: directory, mode: 0o600)
    try CredentialFile.write(gossipKeys.text, to: "gossip.keys", in: directory, mode: 0o600)
    try MeshFile(mesh: NodeIdentity.text(ofMesh: mesh), name: name).save(to: directory)
  }

  /// Reads what `save` wrote.
  public static func load(from directory: String) throws -> MeshAuthority {
    let file = try MeshFile.load(from: directory)
    let certificatePEM = try CredentialFile.read("ca.pem", in: directory)
    let keyPEM = try CredentialFile.read("ca.key", in: directory)
    guard let certificate = try? Certificate(pemEncoded: certificatePEM),
      let key = try? P256.Signing.PrivateKey(pemRepresentation: keyPEM),
      certificate.publicKey == Certificate.PublicKey(key.publicKey), let mesh = NodeIdentity.mesh(ofText: file.mesh)
    else {
      throw CredentialsError(
        "the authority in \(directory) cannot be used", why: "ca.pem and ca.key are not a pair",
        remedy: "Restore the directory from where `grapevine cluster create` made it.")
    }
    return MeshAuthority(
      mesh: mesh, name: file.name, gossipKeys: try Credentials.loadGossipKeys(from: directory), key: key,
      certificate: certificate)
  }

  private static func invalidName(_ kind: String, _ name: String) -> CredentialsError {
    CredentialsError(
      "'\(name)' cannot be the name of a \(kind)",
      why: "a name is 1 to 63 letters, digits, dots, dashes or underscores",
      remedy: "Choose a name such as lhr-1.")
  }
}
