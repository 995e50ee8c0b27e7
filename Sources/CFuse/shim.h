// The low-level interface of libfuse 3, and the few calls that Swift cannot make by itself.
#ifndef GRAPEVINE_CFUSE_SHIM_H
#define GRAPEVINE_CFUSE_SHIM_H
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <linux/falloc.h>
#include <malloc.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/types.h>
#include <sys/xattr.h>
#include <fcntl.h>
#include <unistd.h>

// The requests and flags of the kernel's protocol that this project reads past libfuse (linux/fuse.h).
#define GRAPEVINE_FUSE_INIT 26
#define GRAPEVINE_FUSE_HANDLE_KILLPRIV_V2 (1u << 28)
#define GRAPEVINE_SEEK_DATA 3
#define GRAPEVINE_SEEK_HOLE 4
#define GRAPEVINE_AT_EMPTY_PATH 0x1000
#define GRAPEVINE_O_PATH 010000000
#define GRAPEVINE_O_TMPFILE 020200000

static inline ssize_t grapevine_copy_file_range(
    int from, int64_t *from_offset, int to, int64_t *to_offset, size_t length) {
  return syscall(SYS_copy_file_range, from, from_offset, to, to_offset, length, 0u);
}

static inline int grapevine_fallocate(int descriptor, int mode, int64_t offset, int64_t length) {
  return (int)syscall(SYS_fallocate, descriptor, mode, offset, length);
}

static inline int grapevine_set_times(int descriptor, const struct timespec times[2]) {
  return (int)syscall(SYS_utimensat, descriptor, "", times, GRAPEVINE_AT_EMPTY_PATH);
}

// The size that the kernel believes a file has, without asking the file system; -1 when it cannot be told.
static inline int64_t grapevine_cached_size(int descriptor) {
  struct { uint32_t mask, blksize; uint64_t attributes; uint32_t nlink, uid, gid; uint16_t mode, spare;
           uint64_t ino, size, rest[32]; } status;
  const int dont_sync = 0x4000;
  const unsigned want_size = 0x200;
  long result = syscall(SYS_statx, descriptor, "", GRAPEVINE_AT_EMPTY_PATH | dont_sync, want_size, &status);
  return result == 0 ? (int64_t)status.size : -1;
}

static inline int grapevine_rename(const char *from, const char *to, unsigned flags) {
  return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static inline void grapevine_sync_file_system(int descriptor) { syscall(SYS_syncfs, descriptor); }

// Has the kernel write the pages of an open file and wait for it, without a sync.
static inline void grapevine_write_back(int descriptor) {
  const unsigned wait_write_wait = 7;
  syscall(SYS_sync_file_range, descriptor, (int64_t)0, (int64_t)0, wait_write_wait);
}

// Has the allocator ask for much at once and give nothing back: a call that changes the process's memory map waits for
// page faults, and a fault on a file of our own mount waits for the threads that answer the kernel.
static inline void grapevine_settle_allocator(void) {
  mallopt(M_TOP_PAD, 32 << 20);
  mallopt(M_TRIM_THRESHOLD, 0x7fffffff);
  mallopt(M_MMAP_THRESHOLD, 32 << 20);
}

static inline unsigned grapevine_minor(dev_t device) { return minor(device); }

static inline long grapevine_thread_id(void) { return syscall(SYS_gettid); }
#endif
