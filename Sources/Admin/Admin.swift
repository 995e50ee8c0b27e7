// Admin: how people and programs ask a node.
//
// `AdminServer` answers HTTP on a Unix socket, where everything may be asked, and on a TCP address, where a request
// without the token may only look. What is answered is a function handed in. `AdminClient` is the other end, for the
// command line.
