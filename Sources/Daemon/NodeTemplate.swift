// The configuration that a new node is given.

import Transport

/// A node's `grapevine.toml`. Its paths are relative, so the directory can be carried anywhere.
struct NodeTemplate {
  let node: ClusterFiles.Node
  let peers: [ClusterFiles.Node]
  let local: Bool
  let volume: ClusterFiles.NewVolume?

  private var join: String {
    let known = peers.map(\.address).filter { !$0.isEmpty }
    let open = known.count < peers.count || peers.isEmpty ? ["${GRAPEVINE_JOIN:-}"] : []
    return (known + open).map { "\"\($0)\"" }.joined(separator: ", ")
  }

  private var gossipPort: Int { Endpoint(node.address)?.port ?? 7_946 }
  private var host: String { local ? "127.0.0.1" : "0.0.0.0" }

  private var advertise: (gossip: String, sync: String) {
    guard !local, let address = Endpoint(node.address) else { return ("", "") }
    return (address.description, Endpoint(host: address.host, port: address.port + 1).description)
  }

  var text: String {
    """
    # Node \(node.name). Start it with: grapevine up --config grapevine.toml
    # Relative paths are taken from this file's directory. Every key: Config/grapevine.toml in the source.

    [node]
    name = "\(node.name)"
    region = "\(node.region)"
    data-dir = "data"

    [mesh]
    credentials = "credentials"
    # Any one node that answers is enough. GRAPEVINE_JOIN may name several: host:7946,host:7946
    join = [\(join)]

    [gossip]
    bind = "\(host):\(gossipPort)"
    advertise = "\(advertise.gossip)"
    profile = "\(local ? "local" : "wan")"

    [sync]
    bind = "\(host):\(gossipPort + 1)"
    advertise = "\(advertise.sync)"

    [admin]
    socket = "grapevine.sock"
    http = "127.0.0.1:\(gossipPort + 2)"

    \(volumes)
    """
  }

  private var volumes: String {
    let mark = volume == nil ? "# " : ""
    let name = volume?.name ?? "my-volume"
    let size = volume?.size ?? "10GB"
    let lines =
      ["[[volume]]", "name = \"\(name)\""] + (size.isEmpty ? [] : ["size = \"\(size)\""])
      + ["", "[[mount]]", "source = \"\(name)\"", "destination = \"mount\""]
    return lines.map { $0.isEmpty ? "\n" : "\(mark)\($0)\n" }.joined()
  }
}
