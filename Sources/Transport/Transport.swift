// Transport: bytes between nodes, sealed, and the credentials that seal them.
//
// `Credentials` are a node's files: the authority of its mesh, its own certificate, the gossip keys. `GossipSocket`
// sends and receives datagrams that `GossipSeal` encrypts. `SyncTransport` keeps persistent TLS connections whose both
// ends show a certificate of the mesh, and carries frames over them. A bad packet, a stranger or a stalled peer is
// counted and dropped; none of them is fatal.
//
// A frame is: length of the payload (4 bytes, little-endian, at most 16 MiB), channel (1 byte), payload. Channel 0 is
// sync, 1 is the state exchange of membership; 240 and above are the transport's own: 253 greeting ("GVSY", lowest and
// highest protocol version), 255 ping (8 bytes the peer sends back), 254 pong. Channels a version does not know are
// ignored.
