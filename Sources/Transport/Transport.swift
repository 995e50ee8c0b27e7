// Transport: bytes between nodes, sealed, and the credentials that seal them.
//
// `Credentials` are a node's files: the authority of its mesh, its own certificate, the gossip keys. `GossipSocket` sends
// and receives datagrams that `GossipSeal` encrypts. `SyncTransport` keeps persistent TLS connections whose both ends
// show a certificate of the mesh, and carries frames over them. A bad packet, a stranger or a stalled peer is counted
// and dropped; none of them is fatal.
