// SQLite's C interface, and the few calls that Swift cannot make by itself.
#ifndef GRAPEVINE_CSQLITE_SHIM_H
#define GRAPEVINE_CSQLITE_SHIM_H
#include <sqlite3.h>

/// Binds a blob that SQLite copies.
static inline int grapevine_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count) {
  return sqlite3_bind_blob64(statement, index, bytes ? bytes : "", count, SQLITE_TRANSIENT);
}
#endif
