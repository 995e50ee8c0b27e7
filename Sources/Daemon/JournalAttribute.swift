// The journal mode in which a database was last written, carried along with it.

import Databases
import Replication

/// The mode is each node's own choice; a node on which nobody writes follows the author's, so that its readers meet no
/// locks that they would not meet there.
extension Attributes {
  private static let journalName = Array("user.grapevine.journal".utf8)
  private static let log = Array("wal".utf8)

  /// The journal mode of whoever wrote last.
  var journal: JournalKind {
    get { self[extended: Self.journalName] == Self.log ? .log : .rollback }
    set { self[extended: Self.journalName] = newValue == .log ? Self.log : nil }
  }
}
