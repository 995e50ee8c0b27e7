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
