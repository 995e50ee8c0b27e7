// grapevine doctor: what is wrong and how to mend it.

import Admin
import ArgumentParser
import Daemon
import Foundation
import Transport

/// `grapevine doctor`.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor", abstract: "What is wrong on this machine and in the mesh, and how to mend it.",
    discussion: """
      Looks at the machine (FUSE, disk, configuration, credentials) and asks the node when it runs. Exit status 1 when
      something needs to be done.

      Example:
        grapevine doctor --config ./try/lhr-1/grapevine.toml
      """)

  @OptionGroup var admin: AdminOptions
  @OptionGroup var output: OutputOptions

  /// One thing that was looked at.
  struct Finding: Encodable {
    var what: String
    var isWell: Bool
    var detail: String
    var remedy: String
  }

  func run() throws {
    var findings = machine()
    findings += configurationFindings()
    findings += node()
    try output.print(findings) {
      findings.map { finding in
        let line = "\(finding.isWell ? "ok  " : "BAD ") \(finding.what): \(finding.detail)"
        return finding.remedy.isEmpty ? line : line + "\n     do: \(finding.remedy)"
      }.joined(separator: "\n")
    }
    if findings.contains(where: { !$0.isWell }) { throw ExitCode(1) }
  }

  private func finding(_ what: String, _ isWell: Bool, _ good: String, _ bad: String, _ remedy: String) -> Finding {
    Finding(what: what, isWell: isWell, detail: isWell ? good : bad, remedy: isWell ? "" : remedy)
  }

  private func machine() -> [Finding] {
    let mayMount = access("/dev/fuse", R_OK | W_OK) == 0
    return [
      finding(
        "fuse", mayMount, "/dev/fuse may be opened", "/dev/fuse may not be opened by this user",
        "Load the fuse module and run as root; give a container the device and CAP_SYS_ADMIN.")
    ]
  }

  /// The configuration, when one is named or stands where one is expected.
  private func configurationFindings() -> [Finding] {
    let environment = ProcessInfo.processInfo.environment
    let named = admin.config ?? environment["GRAPEVINE_CONFIG"]
    let path = named ?? Configuration.standardPath
    guard named != nil || FileManager.default.fileExists(atPath: path) else { return [] }
    do {
      let configuration = try Configuration.load(path: path, environment: environment)
      var findings = [finding("configuration", true, path, "", "")]
      do {
        let credentials = try Credentials.load(from: configuration.mesh.credentials)
        let name = credentials.identity.name
        findings.append(finding("credentials", true, "\(name) of mesh \(credentials.meshName)", "", ""))
      } catch {
        let failure = CommandFailure(error)
        findings.append(finding("credentials", false, "", "\(failure.what): \(failure.why)", failure.remedy))
      }
      return findings + [disk(configuration.node.dataDirectory)]
    } catch {
      let failure = CommandFailure(error)
      return [finding("configuration", false, "", "\(failure.what): \(failure.why)", failure.remedy)]
    }
  }

  private func disk(_ directory: String) -> Finding {
    var existing = directory
    while !FileManager.default.fileExists(atPath: existing), existing != "/", !existing.isEmpty {
      existing = (existing as NSString).deletingLastPathComponent
    }
    var status = statvfs()
    guard statvfs(existing.isEmpty ? "." : existing, &status) == 0 else {
      return finding("disk", false, "", "\(directory) cannot be looked at", "Check the path and its mode.")
    }
    let free = UInt64(status.f_bavail) * UInt64(status.f_frsize)
    let share = Double(status.f_bavail) / Double(max(1, status.f_blocks))
    let isWell = free > 1 << 30 || share > 0.1
    return finding(
      "disk", isWell, "\(Readable.bytes(free)) free below \(existing)",
      "only \(Readable.bytes(free)) free below \(existing)",
      "Free some space, or move data-dir to a larger disk.")
  }

  private func node() -> [Finding] {
    do {
      let client = try admin.client(timeoutSeconds: 5)
      let status = try client.json(StatusReport.self, "GET", "/v1/status")
      let members = try client.json([MemberReport].self, "GET", "/v1/members")
      var findings = [
        finding("node", status.isReady, "\(status.node) is up and mounted", "\(status.node) is still mounting", "Wait.")
      ]
      findings.append(
        finding(
          "health", status.health < 3, "probes are answered in time", "this node feels unwell (score \(status.health))",
          "It is short of processor time or its network loses packets: look at its load."))
      findings += members.filter { !$0.isSelf && $0.status != "left" }.map { about($0) }
      findings += status.volumes.filter { $0.conflicts > 0 }.map { volume in
        finding(
          "conflicts", false, "", "\(volume.conflicts) wait in \(volume.name)",
          "Look at `grapevine conflicts list`, restore or drop them.")
      }
      findings += status.alarms.map { finding("alarm", false, "", $0.what, "See docs/operations.md.") }
      return findings
    } catch {
      let failure = CommandFailure(error)
      return [finding("node", false, "", "\(failure.what): \(failure.why)", failure.remedy)]
    }
  }

  private func about(_ member: MemberReport) -> Finding {
    let name = "member \(member.name)"
    let port = Endpoint(member.sync).map { String($0.port) } ?? "of [sync]"
    let gossip = Endpoint(member.gossip).map { String($0.port) } ?? "of [gossip]"
    switch (member.isBlocked, member.status, member.isConnected) {
    case (true, _, _):
      return finding(name, false, "", "blocked by a drill", "`grapevine link unblock \(member.name)`, or wait.")
    case (_, "alive", true):
      let behind = member.lag.reduce(0) { $0 + $1.behind }
      let ahead = member.lag.reduce(0) { $0 + $1.ahead }
      return finding(name, true, "alive and connected, \(behind) behind, \(ahead) ahead", "", "")
    case (_, "alive", false):
      return finding(
        name, false, "", "answers gossip at \(member.gossip), but no connection to \(member.sync) stands",
        "Open TCP port \(port) between the two, or set `advertise` in [sync] to the address that is reached.")
    case (_, _, true):
      return finding(
        name, false, "", "is connected at \(member.sync), but \(member.gossip) answers no datagrams",
        "Open UDP port \(gossip) between the two, or set `advertise` in [gossip].")
    default:
      return finding(
        name, false, "", "is \(member.status): neither datagrams nor connections reach it",
        "Start it, or open UDP \(gossip) and TCP \(port). If it is gone for good: `grapevine forget \(member.name)`.")
    }
  }
}
