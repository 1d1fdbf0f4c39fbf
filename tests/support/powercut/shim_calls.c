/*
 * The interposed calls. Each does the real thing and, if a watched file is concerned and it succeeded, records it.
 * A sync is recorded after it returned; all under one lock, so that the trace has the kernel's order.
 *
 * Not seen: stores through a shared map (LMDB without MDB_WRITEMAP only reads its map), stdio streams (their writes
 * do not pass here: opening one for writing in the folder ends the process), io_uring, splice and its like (likewise).
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim.h"

#define IOV_COUNT_MAX 1024

/* --- writing --- */

/* Records what a write of these parts that returned `n` has done at `offset`. */
static void wrote(const struct pc_fd *entry, uint64_t offset, const struct iovec *parts, int count, ssize_t n)
{
    struct iovec done[IOV_COUNT_MAX];
    size_t left = (size_t)n;
    int used = 0;
    for (int i = 0; i < count && left > 0; i++) {
        done[used] = parts[i];
        if (done[used].iov_len > left)
            done[used].iov_len = left;
        left -= done[used++].iov_len;
    }
    struct pc_record record = {
        .op = PC_WRITE, .flags = entry->durable ? PC_DURABLE : 0, .file = entry->file, .offset = offset};
    pc_record_write(&record, NULL, NULL, done, used);
}

/* Where a write without an offset will go. */
static uint64_t write_place(int fd, const struct pc_fd *entry)
{
    struct stat st;
    if (!entry->append)
        return (uint64_t)lseek(fd, 0, SEEK_CUR);
    return fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static ssize_t do_writev(int fd, const struct iovec *parts, int count)
{
    REAL(ssize_t, writev, int, const struct iovec *, int)
    const struct pc_fd *entry = pc_fd_get(fd);
    if (!entry || count > IOV_COUNT_MAX)
        return real(fd, parts, count);
    pc_enter();
    uint64_t offset = write_place(fd, entry);
    ssize_t n = real(fd, parts, count);
    if (n > 0)
        wrote(entry, offset, parts, count, n);
    pc_leave();
    return n;
}

static ssize_t do_pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    REAL(ssize_t, pwritev64, int, const struct iovec *, int, off_t)
    const struct pc_fd *entry = pc_fd_get(fd);
    if (!entry || count > IOV_COUNT_MAX)
        return real(fd, parts, count, offset);
    pc_enter();
    ssize_t n = real(fd, parts, count, offset);
    if (n > 0)
        wrote(entry, (uint64_t)offset, parts, count, n);
    pc_leave();
    return n;
}

EXPORT ssize_t write(int fd, const void *data, size_t len)
{
    REAL(ssize_t, write, int, const void *, size_t)
    if (!pc_fd_get(fd))
        return real(fd, data, len);
    struct iovec part = {(void *)(uintptr_t)data, len};
    return do_writev(fd, &part, 1);
}
EXPORT ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return do_writev(fd, parts, count);
}
EXPORT ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    struct iovec part = {(void *)(uintptr_t)data, len};
    return do_pwritev(fd, &part, 1, offset);
}
EXPORT ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset)
{
    struct iovec part = {(void *)(uintptr_t)data, len};
    return do_pwritev(fd, &part, 1, offset);
}
EXPORT ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    return do_pwritev(fd, parts, count, offset);
}
EXPORT ssize_t pwritev64(int fd, const struct iovec *parts, int count, off_t offset)
{
    return do_pwritev(fd, parts, count, offset);
}

#define REFUSED(name, fd, ...)                                                                               \
    if (pc_fd_get(fd))                                                                                       \
        pc_die(#name " into the folder is not modelled");

EXPORT ssize_t copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t len, unsigned flags)
{
    REAL(ssize_t, copy_file_range, int, off_t *, int, off_t *, size_t, unsigned)
    REFUSED(copy_file_range, out)
    return real(in, in_at, out, out_at, len, flags);
}
EXPORT ssize_t sendfile(int out, int in, off_t *at, size_t len)
{
    REAL(ssize_t, sendfile, int, int, off_t *, size_t)
    REFUSED(sendfile, out)
    return real(out, in, at, len);
}
EXPORT ssize_t splice(int in, off_t *in_at, int out, off_t *out_at, size_t len, unsigned flags)
{
    REAL(ssize_t, splice, int, off_t *, int, off_t *, size_t, unsigned)
    REFUSED(splice, out)
    return real(in, in_at, out, out_at, len, flags);
}

/* --- sizes --- */

static void sized(uint64_t file, enum pc_op op, uint64_t size)
{
    struct pc_record record = {.op = (uint16_t)op, .file = file, .offset = size};
    pc_record_write(&record, NULL, NULL, NULL, 0);
}

static int do_ftruncate(int fd, off_t size)
{
    REAL(int, ftruncate64, int, off_t)
    const struct pc_fd *entry = pc_fd_get(fd);
    if (!entry)
        return real(fd, size);
    pc_enter();
    int rc = real(fd, size);
    if (rc == 0)
        sized(entry->file, PC_SIZE, (uint64_t)size);
    pc_leave();
    return rc;
}

EXPORT int ftruncate(int fd, off_t size)
{
    return do_ftruncate(fd, size);
}
EXPORT int ftruncate64(int fd, off_t size)
{
    return do_ftruncate(fd, size);
}

/* By way of a descriptor, so that the file has its identity. */
static int do_truncate(const char *name, off_t size)
{
    REAL(int, truncate64, const char *, off_t)
    char path[PC_PATH_MAX];
    if (!pc_resolve(AT_FDCWD, name, path))
        return real(name, size);
    int fd = pc_openat(AT_FDCWD, name, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int rc = do_ftruncate(fd, size);
    int saved = errno;
    close(fd);
    errno = saved;
    return rc;
}

EXPORT int truncate(const char *name, off_t size)
{
    return do_truncate(name, size);
}
EXPORT int truncate64(const char *name, off_t size)
{
    return do_truncate(name, size);
}

static int do_posix_fallocate(int fd, off_t offset, off_t len)
{
    REAL(int, posix_fallocate64, int, off_t, off_t)
    const struct pc_fd *entry = pc_fd_get(fd);
    if (!entry)
        return real(fd, offset, len);
    pc_enter();
    int rc = real(fd, offset, len);
    if (rc == 0)
        sized(entry->file, PC_ALLOCATE, (uint64_t)(offset + len));
    pc_leave();
    return rc;
}

EXPORT int posix_fallocate(int fd, off_t offset, off_t len)
{
    return do_posix_fallocate(fd, offset, len);
}
EXPORT int posix_fallocate64(int fd, off_t offset, off_t len)
{
    return do_posix_fallocate(fd, offset, len);
}

static int do_fallocate(int fd, int mode, off_t offset, off_t len)
{
    REAL(int, fallocate64, int, int, off_t, off_t)
    const struct pc_fd *entry = pc_fd_get(fd);
    if (!entry)
        return real(fd, mode, offset, len);
    if ((mode & ~FALLOC_FL_KEEP_SIZE) != 0)
        pc_die("fallocate that punches, zeroes or moves is not modelled");
    pc_enter();
    int rc = real(fd, mode, offset, len);
    if (rc == 0 && mode == 0)
        sized(entry->file, PC_ALLOCATE, (uint64_t)(offset + len));
    pc_leave();
    return rc;
}

EXPORT int fallocate(int fd, int mode, off_t offset, off_t len)
{
    return do_fallocate(fd, mode, offset, len);
}
EXPORT int fallocate64(int fd, int mode, off_t offset, off_t len)
{
    return do_fallocate(fd, mode, offset, len);
}

/* --- syncing --- */

static void synced(const struct pc_fd *entry, bool full)
{
    struct pc_record record = {
        .op = entry->folder ? PC_SYNC_FOLDER : PC_SYNC, .flags = full ? PC_FULL : 0, .file = entry->file};
    pc_record_write(&record, entry->folder ? entry->path : NULL, NULL, NULL, 0);
}

EXPORT int fsync(int fd)
{
    REAL(int, fsync, int)
    const struct pc_fd *entry = pc_fd_get(fd);
    if (!entry)
        return real(fd);
    pc_enter();
    int rc = real(fd);
    if (rc == 0)
        synced(entry, true);
    pc_leave();
    return rc;
}

EXPORT int fdatasync(int fd)
{
    REAL(int, fdatasync, int)
    const struct pc_fd *entry = pc_fd_get(fd);
    if (!entry)
        return real(fd);
    pc_enter();
    int rc = real(fd);
    if (rc == 0)
        synced(entry, false);
    pc_leave();
    return rc;
}

EXPORT int sync_file_range(int fd, off_t offset, off_t len, unsigned flags)
{
    REAL(int, sync_file_range, int, off_t, off_t, unsigned)
    const struct pc_fd *entry = pc_fd_get(fd);
    if (!entry)
        return real(fd, offset, len, flags);
    pc_enter();
    int rc = real(fd, offset, len, flags);
    if (rc == 0) {
        struct pc_record record = {
            .op = PC_SYNC_RANGE, .file = entry->file, .offset = (uint64_t)offset, .length = (uint64_t)len};
        pc_record_write(&record, NULL, NULL, NULL, 0);
    }
    pc_leave();
    return rc;
}

EXPORT void sync(void)
{
    REAL(void, sync, void)
    if (!pc_active()) {
        real();
        return;
    }
    pc_enter();
    real();
    struct pc_record record = {.op = PC_SYNC_ALL};
    pc_record_write(&record, NULL, NULL, NULL, 0);
    pc_leave();
}

EXPORT int syncfs(int fd)
{
    REAL(int, syncfs, int)
    if (!pc_fd_get(fd))
        return real(fd);
    pc_enter();
    int rc = real(fd);
    struct pc_record record = {.op = PC_SYNC_ALL};
    if (rc == 0)
        pc_record_write(&record, NULL, NULL, NULL, 0);
    pc_leave();
    return rc;
}

/* --- maps: msync of a watched file records the whole file as written and synced --- */

#define MAPS_MAX 256
static struct {
    uintptr_t begin, end;
    int fd; /* own duplicate, outside the table */
    uint64_t file;
} maps[MAPS_MAX];

static void *do_mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    REAL(void *, mmap64, void *, size_t, int, int, int, off_t)
    void *map = real(address, len, protection, flags, fd, offset);
    const struct pc_fd *entry = fd >= 0 && map != MAP_FAILED ? pc_fd_get(fd) : NULL;
    if (!entry || !(flags & MAP_SHARED) || !(protection & PROT_WRITE))
        return map;
    pc_lock();
    for (size_t i = 0; i < MAPS_MAX; i++) {
        if (maps[i].file != 0)
            continue;
        maps[i].begin = (uintptr_t)map;
        maps[i].end = (uintptr_t)map + len;
        maps[i].fd = pc_fcntl(fd, F_DUPFD_CLOEXEC, (void *)(uintptr_t)1000);
        maps[i].file = entry->file;
        break;
    }
    pc_leave();
    return map;
}

EXPORT void *mmap(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    return do_mmap(address, len, protection, flags, fd, offset);
}
EXPORT void *mmap64(void *address, size_t len, int protection, int flags, int fd, off_t offset)
{
    return do_mmap(address, len, protection, flags, fd, offset);
}

EXPORT int munmap(void *address, size_t len)
{
    REAL(int, munmap, void *, size_t)
    if (pc_active()) {
        pc_lock();
        for (size_t i = 0; i < MAPS_MAX; i++) {
            if (maps[i].file == 0 || maps[i].begin != (uintptr_t)address)
                continue;
            close(maps[i].fd);
            maps[i].file = 0;
        }
        pc_leave();
    }
    return real(address, len);
}

static void record_whole_file(int fd, uint64_t file)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        pc_die("fstat failed");
    char *copy = malloc((size_t)st.st_size + 1);
    if (!copy || pread(fd, copy, (size_t)st.st_size, 0) != st.st_size)
        pc_die("a mapped file cannot be read");
    struct iovec part = {copy, (size_t)st.st_size};
    struct pc_record write_record = {.op = PC_WRITE, .file = file};
    pc_record_write(&write_record, NULL, NULL, &part, 1);
    struct pc_record sync_record = {.op = PC_SYNC, .flags = PC_FULL, .file = file};
    pc_record_write(&sync_record, NULL, NULL, NULL, 0);
    free(copy);
}

EXPORT int msync(void *address, size_t len, int flags)
{
    REAL(int, msync, void *, size_t, int)
    if (!pc_active())
        return real(address, len, flags);
    pc_enter();
    int rc = real(address, len, flags);
    for (size_t i = 0; rc == 0 && (flags & MS_SYNC) && i < MAPS_MAX; i++) {
        if (maps[i].file != 0 && (uintptr_t)address >= maps[i].begin && (uintptr_t)address < maps[i].end)
            record_whole_file(maps[i].fd, maps[i].file);
    }
    pc_leave();
    return rc;
}
