// TLS as the mesh wants it: version 1.3, our authority only, certificates at both ends.

import NIOCore
import NIOSSL

/// Makes the TLS contexts of a node.
enum SyncSecurity {
  /// The contexts for accepting and for connecting. Host names are not checked: a peer is known by the node id in its
  /// certificate, wherever it stands.
  static func contexts(for credentials: Credentials) throws -> (server: NIOSSLContext, client: NIOSSLContext) {
    do {
      let chain = try NIOSSLCertificate.fromPEMBytes(Array(credentials.certificatePEM.utf8))
      let authority = try NIOSSLCertificate.fromPEMBytes(Array(credentials.authorityPEM.utf8))
      let key = try NIOSSLPrivateKey(bytes: Array(credentials.privateKeyPEM.utf8), format: .pem)
      var server = TLSConfiguration.makeServerConfigurationWithMTLS(
        certificateChain: chain.map { .certificate($0) }, privateKey: .privateKey(key),
        trustRoots: .certificates(authority))
      server.minimumTLSVersion = .tlsv13
      server.shutdownTimeout = .seconds(1)
      var client = TLSConfiguration.makeClientConfiguration()
      client.certificateChain = server.certificateChain
      client.privateKey = server.privateKey
      client.trustRoots = .certificates(authority)
      client.certificateVerification = .noHostnameVerification
      client.minimumTLSVersion = .tlsv13
      client.shutdownTimeout = .seconds(1)
      return (try NIOSSLContext(configuration: server), try NIOSSLContext(configuration: client))
    } catch {
      throw TransportError.badCredentials(String(describing: error))
    }
  }
}
