// SQLite's C interface, and the few calls that Swift cannot make by itself.
#ifndef GRAPEVINE_CSQLITE_SHIM_H
#define GRAPEVINE_CSQLITE_SHIM_H
#include <malloc.h>
#include <sqlite3.h>

/// Chunks of 128 KiB come and go all the time: memory for them is not asked of the kernel each time, nor by many arenas.
static inline void grapevine_tune_memory(void) {
  mallopt(M_MMAP_THRESHOLD, 8 << 20);
  mallopt(M_TRIM_THRESHOLD, 16 << 20);
  mallopt(M_ARENA_MAX, 4);
}

/// Makes a range of a file a hole (Linux's fallocate, which Glibc's module does not export). 0 when done.
int fallocate(int descriptor, int mode, long offset, long length);
static inline int grapevine_punch_hole(int descriptor, long offset, long length) {
  return fallocate(descriptor, 0x02 | 0x01, offset, length);
}
#include <stdint.h>

/// Binds a blob that SQLite copies.
static inline int grapevine_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count) {
  return sqlite3_bind_blob64(statement, index, bytes ? bytes : "", count, SQLITE_TRANSIENT);
}

/// Sets one integer option of a connection.
static inline int grapevine_configure(sqlite3 *connection, int option, int value) {
  return sqlite3_db_config(connection, option, value, (int *)0);
}

/// A full barrier between accesses to memory shared with other processes.
static inline void grapevine_barrier(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

/// Loads 32 bits from memory shared with other processes; later accesses stay behind it.
static inline uint32_t grapevine_load32(const void *at) {
  return __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE);
}

/// Stores 32 bits into memory shared with other processes; earlier accesses stay before it.
static inline void grapevine_store32(void *at, uint32_t value) {
  __atomic_store_n((uint32_t *)at, value, __ATOMIC_RELEASE);
}

/// Loads 16 bits from memory shared with other processes; later accesses stay behind it.
static inline uint16_t grapevine_load16(const void *at) {
  return __atomic_load_n((const uint16_t *)at, __ATOMIC_ACQUIRE);
}

/// Stores 16 bits into memory shared with other processes; earlier accesses stay before it.
static inline void grapevine_store16(void *at, uint16_t value) {
  __atomic_store_n((uint16_t *)at, value, __ATOMIC_RELEASE);
}
#endif
