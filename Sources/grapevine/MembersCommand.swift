// grapevine members: who is where, and how far behind.

import Admin
import ArgumentParser
import Daemon

/// `grapevine members`.
struct MembersCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "members", abstract: "Who is where: status, round trip, changes behind and ahead.",
    discussion: """
      `behind` counts changes that this node has and the member lacks, `ahead` the other way round.

      Example:
        grapevine members
      """)

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  func run() throws {
    let members = try admin.client().json([MemberReport].self, "GET", "/v1/members")
    try output.print(members) { Self.text(of: members) }
  }

  static func text(of members: [MemberReport]) -> String {
    var table = TextTable("NAME", "REGION", "STATUS", "LINK", "#RTT", "#BEHIND", "#AHEAD", "HEARD", "GOSSIP", "SYNC")
    for member in members {
      let link = member.isSelf ? "self" : member.isBlocked ? "blocked" : member.isConnected ? "up" : "down"
      func sum(_ value: (LagReport) -> UInt64) -> String {
        member.lag.isEmpty ? "" : String(member.lag.reduce(0) { $0 + value($1) })
      }
      table.add(
        member.name, member.region, member.status, link,
        member.roundTripMilliseconds.map { "\(Double(Int($0 * 100)) / 100) ms" } ?? "", sum(\.behind), sum(\.ahead),
        member.lastHeardSeconds.map { Readable.seconds($0) + " ago" } ?? "", member.gossip, member.sync)
    }
    return table.text
  }
}
