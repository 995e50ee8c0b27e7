// Metrics in Prometheus' text format. Source: its page "Exposition formats".

import Admin
import Membership

extension AdminRoutes {
  func metrics() -> AdminResponse {
    var text = MetricsText()
    let status = status()
    text.add("grapevine_up", "gauge", "Whether the volumes are mounted.", status.isReady ? 1 : 0)
    text.add("grapevine_caught_up", "gauge", "Whether all that peers hold is here.", status.isCaughtUp ? 1 : 0)
    text.add("grapevine_uptime_seconds", "gauge", "Time since the start.", Double(status.uptimeSeconds))
    text.add("grapevine_connected_peers", "gauge", "Members with a sync connection.", Double(status.connected))
    text.add("grapevine_health_score", "gauge", "How unwell the node feels; 0 is well.", Double(status.health))
    text.add("grapevine_blocked_links", "gauge", "Links blocked by drills.", Double(status.blocked.count))
    text.add(
      "grapevine_members", "gauge", "Members by status.",
      status.members.sorted { $0.key < $1.key }.map { (["status": $0.key], Double($0.value)) })
    text.add(
      "grapevine_member_round_trip_seconds", "gauge", "Time that a ping and its answer take.",
      members().compactMap { member in
        member.roundTripMilliseconds.map { (["node": member.name, "region": member.region], $0 / 1_000) }
      })
    text.add(
      "grapevine_alarms_total", "counter", "What a person should know.",
      status.alarms.map { (["what": $0.what], Double($0.times)) })
    volumes(status.volumes, &text)
    traffic(&text)
    return AdminResponse(contentType: "text/plain; version=0.0.4; charset=utf-8", body: .bytes(Array(text.text.utf8)))
  }

  private func volumes(_ volumes: [VolumeReport], _ text: inout MetricsText) {
    func each(_ name: String, _ help: String, _ value: (VolumeReport) -> Double) {
      text.add(name, "gauge", help, volumes.map { (["volume": $0.name], value($0)) })
    }
    each("grapevine_volume_entries", "Files, directories and links.") { Double($0.entries) }
    each("grapevine_volume_bytes", "Bytes of files.") { Double($0.bytes) }
    each("grapevine_volume_size_bytes", "Bytes the volume may hold.") { Double($0.sizeBytes) }
    each("grapevine_volume_conflicts", "Conflicts that wait for a person.") { Double($0.conflicts) }
    each("grapevine_volume_incoming_parcels", "Parcels on their way in.") { Double($0.incoming) }
    let lags = volumes.flatMap(\.peers)
    text.add(
      "grapevine_peer_behind_changes", "gauge", "Changes that are here and not at the peer.",
      lags.map { (["node": $0.node, "volume": $0.volume], Double($0.behind)) })
    text.add(
      "grapevine_peer_ahead_changes", "gauge", "Changes that are at the peer and not here.",
      lags.map { (["node": $0.node, "volume": $0.volume], Double($0.ahead)) })
  }

  private func traffic(_ text: inout MetricsText) {
    let counts = engine.read { $0.counts }
    let sync = service.transport.counters
    let gossip = service.gossip.counters
    func count(_ name: String, _ help: String, _ value: UInt64) { text.add(name, "counter", help, Double(value)) }
    count("grapevine_pushes_total", "Ranges of changes told to peers.", counts.pushes)
    count("grapevine_pushes_dropped_total", "Pushes left to a pull.", counts.pushesDropped)
    count("grapevine_pull_rounds_total", "Rounds of pulling begun.", counts.rounds)
    count("grapevine_parcels_applied_total", "Parcels applied.", counts.applied)
    count("grapevine_content_received_bytes_total", "Bytes of content received.", counts.contentBytes)
    count("grapevine_sync_sent_bytes_total", "Payload bytes sent over sync connections.", sync.bytesSent)
    count("grapevine_sync_received_bytes_total", "Payload bytes received over sync connections.", sync.bytesReceived)
    count("grapevine_sync_connections_opened_total", "Sync connections that came to be open.", sync.opened)
    count("grapevine_sync_connections_failed_total", "Sync connections that failed before.", sync.failed)
    count("grapevine_gossip_sent_total", "Datagrams sent.", gossip.sent)
    count("grapevine_gossip_received_total", "Datagrams received and opened.", gossip.received)
    text.add(
      "grapevine_gossip_dropped_total", "counter", "Datagrams dropped, by reason.",
      service.seal.drops.map { (["reason": "\($0.key)"], Double($0.value)) }.sorted {
        $0.0["reason"]! < $1.0["reason"]!
      })
  }
}

/// Metrics as text.
struct MetricsText {
  private(set) var text = ""

  /// A metric without labels.
  mutating func add(_ name: String, _ type: String, _ help: String, _ value: Double) {
    add(name, type, help, [([:], value)])
  }

  /// A metric with a value for each set of labels; nothing when there is none.
  mutating func add(_ name: String, _ type: String, _ help: String, _ values: [([String: String], Double)]) {
    if values.isEmpty { return }
    text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    for (labels, value) in values {
      let inside = labels.sorted { $0.key < $1.key }.map { "\($0.key)=\"\(Self.escaped($0.value))\"" }
      text += name + (inside.isEmpty ? "" : "{\(inside.joined(separator: ","))}") + " \(Self.number(value))\n"
    }
  }

  private static func number(_ value: Double) -> String {
    value.rounded() == value && abs(value) < 1e15 ? String(Int64(value)) : String(value)
  }

  private static func escaped(_ text: String) -> String {
    text.flatMap { character -> String in
      switch character {
      case "\\": "\\\\"
      case "\"": "\\\""
      case "\n": "\\n"
      default: String(character)
      }
    }.reduce(into: "") { $0.append($1) }
  }
}
