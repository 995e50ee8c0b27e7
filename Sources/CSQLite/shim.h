// SQLite's C interface, and the few calls that Swift cannot make by itself.
#ifndef GRAPEVINE_CSQLITE_SHIM_H
#define GRAPEVINE_CSQLITE_SHIM_H
#include <malloc.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/uio.h>

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

/// Sends an open descriptor over a local socket. 0 when done.
static inline int grapevine_send_descriptor(int channel, int descriptor) {
  char byte = 0;
  struct iovec part = {&byte, 1};
  union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int))]; } control;
  struct msghdr message = {0};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  __builtin_memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  return sendmsg(channel, &message, MSG_NOSIGNAL) == 1 ? 0 : -1;
}

/// Receives a descriptor; -1 when the other side is gone, -2 when something else came.
static inline int grapevine_receive_descriptor(int channel) {
  char byte;
  struct iovec part = {&byte, 1};
  union { struct cmsghdr align; char bytes[CMSG_SPACE(sizeof(int))]; } control;
  struct msghdr message = {0};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof control.bytes;
  if (recvmsg(channel, &message, 0x40000000 /* MSG_CMSG_CLOEXEC */) != 1) return -1;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) return -2;
  int descriptor;
  __builtin_memcpy(&descriptor, CMSG_DATA(header), sizeof(int));
  return descriptor;
}

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
