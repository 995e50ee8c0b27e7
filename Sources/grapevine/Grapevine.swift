// The command line: verbs in files of their own, errors and exit statuses here.

import ArgumentParser

/// The root of the command line.
@main
struct Grapevine: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "grapevine",
    abstract: "A directory that is the same everywhere: gossip-driven replication of files and SQLite databases.",
    discussion: """
      Example, a mesh of two nodes on this machine:
        grapevine cluster create --name try --regions lhr,ord --local --volume data --dir ./try
        grapevine up --config ./try/lhr-1/grapevine.toml

      Exit status: 0 done, 1 the answer is no or it failed, 2 the command line is wrong.
      """,
    subcommands: [
      ClusterCommand.self, UpCommand.self, RunCommand.self, DemoCommand.self, StatusCommand.self, MembersCommand.self,
      VolumesCommand.self, VolumeCommand.self, DoctorCommand.self, ChunksCommand.self, DivergeCommand.self,
      ConflictsCommand.self, PositionCommand.self, WaitCommand.self, LeaveCommand.self, ForgetCommand.self,
      LinkCommand.self, KeysCommand.self, ServeDatabasesCommand.self, SimulateCommand.self, LabCommand.self,
      WatchMountsCommand.self,
    ])

  /// Parses, runs, and ends the process with 0, 1 or 2.
  static func main() async {
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch {
      CommandFailure.end(with: error)
    }
  }
}
