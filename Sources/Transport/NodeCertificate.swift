// Certificates of a mesh: its authority's, and those of its nodes, with the identity inside.

import Causality
import Crypto
import Foundation
import X509

/// Makes and reads the X.509 certificates. All keys are P-256.
enum NodeCertificate {
  private static let day: TimeInterval = 24 * 3_600
  private static let authorityLifetime = 30 * 365 * day
  private static let nodeLifetime = 10 * 365 * day

  /// A self-signed authority, valid from a day ago so that a clock a little behind still trusts it.
  static func makeAuthority(key: P256.Signing.PrivateKey, name: String, mesh: UInt64) throws -> Certificate {
    let subject = try DistinguishedName {
      CommonName("\(name) authority")
      OrganizationName(NodeIdentity.text(ofMesh: mesh))
    }
    let now = Date()
    return try Certificate(
      version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey), notValidBefore: now - day,
      notValidAfter: now + authorityLifetime, issuer: subject, subject: subject,
      signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
        Critical(KeyUsage(keyCertSign: true, cRLSign: true))
      },
      issuerPrivateKey: .init(key))
  }

  /// A node's certificate, good for both ends of a connection.
  static func issue(
    _ identity: NodeIdentity, publicKey: P256.Signing.PublicKey, authority: Certificate,
    authorityKey: P256.Signing.PrivateKey
  ) throws -> Certificate {
    let now = Date()
    return try Certificate(
      version: .v3, serialNumber: .init(), publicKey: .init(publicKey), notValidBefore: now - day,
      notValidAfter: min(now + nodeLifetime, authority.notValidAfter), issuer: authority.subject,
      subject: try DistinguishedName {
        CommonName(identity.name)
        OrganizationalUnitName(identity.region)
        OrganizationName(NodeIdentity.text(ofMesh: identity.mesh))
      },
      signatureAlgorithm: .ecdsaWithSHA256,
      extensions: try Certificate.Extensions {
        Critical(BasicConstraints.notCertificateAuthority)
        Critical(KeyUsage(digitalSignature: true))
        try ExtendedKeyUsage([.serverAuth, .clientAuth])
        SubjectAlternativeNames([.uniformResourceIdentifier(identity.uri)])
      },
      issuerPrivateKey: .init(authorityKey))
  }

  /// The identity in a certificate, nil when it is not one of a node.
  static func identity(of certificate: Certificate) -> NodeIdentity? {
    guard let names = try? certificate.extensions.subjectAlternativeNames else { return nil }
    for case .uniformResourceIdentifier(let uri) in names {
      if let identity = NodeIdentity(uri: uri) { return identity }
    }
    return nil
  }

  /// The identity in a certificate as the connection hands it over.
  static func identity(der: [UInt8]) -> NodeIdentity? {
    guard let certificate = try? Certificate(derEncoded: der) else { return nil }
    return identity(of: certificate)
  }
}
