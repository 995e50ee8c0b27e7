// Daemon: what surrounds the core of a node.
//
// `Configuration` is the file a node is started with; `ClusterFiles` makes the files of a new mesh. The daemon itself
// performs what the core decides: it owns the sockets, the disk and the mounts.
