// Databases: SQLite's committed pages out of a live database, and pages into it as a transaction of SQLite's own.
//
// A live database is the file that programs use, with its journal, log and index beside it. *Capture* takes each
// committed transaction out of it as numbered pages: `LogCapture` from the write-ahead log, `RollbackCapture` in the
// other journal modes. *Install* (`Installer`) puts a set of pages into it as one transaction that every connection
// accepts: readers keep their snapshots, and a crash leaves the old state or the new one.
//
// All access goes through ordinary SQLite connections (`LiveDatabase`), because POSIX locks of a process are dropped
// when any descriptor of the file is closed: nothing here opens the database or its index by itself. The types of
// this room are not thread-safe; one thread owns one live database.
//
// One owner of a live database goes round like this. In log mode: `LogCapture.poll` whenever the log was written, and
// `compare` or `scan` when the answer is `lost`; `suspend` when idle for a moment, `LiveDatabase.close` when idle for
// longer. In the rollback modes: `RollbackCapture.capture` when the journal has ended, with the pages that were
// written, or those of `JournalFollower`, or all. To install: `Installer.install`, capturing the rest within its
// decision, then `LogCapture.advance(past:)` or `RollbackCapture.resume(at:)` with the position it returns.
//
// Three things that SQLite does and one might not expect. It does not journal free pages that it puts to use again, and
// does not restore them in a rollback; so what a journal lists is not all that changed. It may leave frames without
// salts and checksums in a committed log; readers never notice, because they go by the index. And under exclusive
// locking it moves the change counter once, however many commits follow.
