// What a node holds to be of a mesh: the files of its credentials directory.

import Causality
import Crypto
import Foundation
import X509

/// A node's credentials: `ca.pem`, `node.pem`, `node.key` (mode 0600), `mesh.json` and `gossip.keys` (mode 0600).
public struct Credentials: Sendable {
  /// What people call the mesh.
  public let meshName: String
  /// Who the node is, as its certificate says.
  public let identity: NodeIdentity
  /// The authority's certificate.
  public let authorityPEM: String
  /// The node's certificate.
  public let certificatePEM: String
  /// The node's private key.
  public let privateKeyPEM: String
  /// The keys that seal datagrams.
  public var gossipKeys: GossipKeyRing

  /// The mesh.
  public var mesh: UInt64 { identity.mesh }
  /// The node.
  public var node: NodeID { identity.node }

  /// Checks what belongs together: the certificate is the authority's, is valid now, and has this key.
  public init(
    meshName: String, authorityPEM: String, certificatePEM: String, privateKeyPEM: String, gossipKeys: GossipKeyRing
  ) throws {
    let reissue = "Issue the node's credentials again with `grapevine cluster issue`."
    let authority: Certificate
    let certificate: Certificate
    let key: Certificate.PrivateKey
    do {
      authority = try Certificate(pemEncoded: authorityPEM)
      certificate = try Certificate(pemEncoded: certificatePEM)
      key = try Certificate.PrivateKey(pemEncoded: privateKeyPEM)
    } catch {
      throw CredentialsError(
        "the credentials cannot be read",
        why: "ca.pem, node.pem or node.key is not PEM of the expected kind (\(error))",
        remedy: reissue)
    }
    guard authority.publicKey.isValidSignature(certificate.signature, for: certificate) else {
      throw CredentialsError(
        "the credentials do not belong together", why: "node.pem was not signed by ca.pem", remedy: reissue)
    }
    guard certificate.publicKey == key.publicKey else {
      throw CredentialsError(
        "the credentials do not belong together", why: "node.key is not the key of node.pem", remedy: reissue)
    }
    guard let identity = NodeCertificate.identity(of: certificate) else {
      throw CredentialsError(
        "node.pem names no node", why: "its subject alternative name is not of the form grapevine://", remedy: reissue)
    }
    let now = Date()
    guard certificate.notValidBefore <= now, now <= certificate.notValidAfter else {
      throw CredentialsError(
        "node.pem is not valid now",
        why: "it is valid from \(certificate.notValidBefore) to \(certificate.notValidAfter) and the clock says \(now)",
        remedy: "Set the clock, or issue the credentials again.")
    }
    self.meshName = meshName
    self.identity = identity
    self.authorityPEM = authorityPEM
    self.certificatePEM = certificatePEM
    self.privateKeyPEM = privateKeyPEM
    self.gossipKeys = gossipKeys
  }

  /// Reads a credentials directory.
  public static func load(from directory: String) throws -> Credentials {
    let file = try MeshFile.load(from: directory)
    let credentials = try Credentials(
      meshName: file.name, authorityPEM: CredentialFile.read("ca.pem", in: directory),
      certificatePEM: CredentialFile.read("node.pem", in: directory),
      privateKeyPEM: CredentialFile.read("node.key", in: directory), gossipKeys: loadGossipKeys(from: directory))
    guard NodeIdentity.text(ofMesh: credentials.mesh) == file.mesh, file.node == credentials.node.description else {
      throw CredentialsError(
        "the credentials in \(directory) do not belong together",
        why: "mesh.json and node.pem name different meshes or nodes",
        remedy: "Copy the whole directory again from the cluster directory.")
    }
    return credentials
  }

  /// Writes a credentials directory, each file whole.
  public func save(to directory: String) throws {
    try CredentialFile.createDirectory(directory, mode: 0o700)
    try CredentialFile.write(authorityPEM, to: "ca.pem", in: directory, mode: 0o644)
    try CredentialFile.write(certificatePEM, to: "node.pem", in: directory, mode: 0o644)
    try CredentialFile.write(privateKeyPEM, to: "node.key", in: directory, mode: 0o600)
    try saveGossipKeys(to: directory)
    try MeshFile(mesh: NodeIdentity.text(ofMesh: mesh), name: meshName, node: node.description).save(to: directory)
  }

  /// Writes `gossip.keys` alone, after a rotation.
  public func saveGossipKeys(to directory: String) throws {
    try CredentialFile.write(gossipKeys.text, to: "gossip.keys", in: directory, mode: 0o600)
  }

  static func loadGossipKeys(from directory: String) throws -> GossipKeyRing {
    let text = try CredentialFile.read("gossip.keys", in: directory)
    do {
      return try GossipKeyRing(text: text)
    } catch {
      throw CredentialsError(
        "\(directory)/gossip.keys cannot be used", why: String(describing: error),
        remedy: "It holds 1 to \(GossipKeyRing.maxKeys) lines of 64 hexadecimal digits; copy it from another node.")
    }
  }
}

/// `mesh.json`: which mesh and which node a directory is of.
struct MeshFile: Codable {
  var mesh: String
  var name: String
  var node: String?

  static func load(from directory: String) throws -> MeshFile {
    let text = try CredentialFile.read("mesh.json", in: directory)
    guard let file = try? JSONDecoder().decode(MeshFile.self, from: Data(text.utf8)),
      NodeIdentity.mesh(ofText: file.mesh) != nil
    else {
      throw CredentialsError(
        "\(directory)/mesh.json cannot be used", why: "it does not hold a mesh id and a name",
        remedy: "Copy it again from the cluster directory.")
    }
    return file
  }

  func save(to directory: String) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
    let text = String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
    try CredentialFile.write(text, to: "mesh.json", in: directory, mode: 0o644)
  }
}
