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

#define EXPORT __attribute__((visibility("default")))
#define IOV_COUNT_MAX 1024

/* The real function of that name; looked up once. */
#define REAL(result, name, ...)                                                                              \
    static result (*real)(__VA_ARGS__);                                                                      \
    if (!real) {                                                                                             \
        void *symbol = dlsym(RTLD_NEXT, #name);                                                              \
        if (!symbol)                                                                                         \
            pc_die("no " #name " in the C library");                                                         \
        memcpy(&real, &symbol, sizeof real);                                                                 \
    }

/* --- opening and closing --- */

static uint64_t identify(int fd, const char *path, bool existed, mode_t mode)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        pc_die("fstat failed");
    uint64_t file = existed ? pc_file_of(st.st_dev, st.st_ino) : 0;
    if (file != 0)
        return file;
    struct pc_record record = {.op = existed ? PC_KNOWN : PC_CREATE, .offset = existed ? 0 : mode & 07777};
    file = pc_record_write(&record, path, NULL, NULL, 0);
    pc_file_learn(st.st_dev, st.st_ino, file);
    return file;
}

static void opened(int fd, const char *path, int flags, mode_t mode, bool existed, uint64_t old_size)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        pc_die("fstat failed");
    struct pc_fd entry = {.durable = (flags & O_DSYNC) != 0,
                          .append = (flags & O_APPEND) != 0,
                          .folder = S_ISDIR(st.st_mode),
                          .path = (char *)(uintptr_t)path};
    if (entry.folder) {
        entry.file = UINT64_MAX; /* folders go by path */
    } else if (S_ISREG(st.st_mode)) {
        entry.file = identify(fd, path, existed, mode);
        if (existed && (flags & O_TRUNC) && old_size > 0) {
            struct pc_record record = {.op = PC_SIZE, .file = entry.file};
            pc_record_write(&record, NULL, NULL, NULL, 0);
        }
    } else {
        return;
    }
    pc_fd_set(fd, &entry);
}

static int do_open(int dirfd, const char *name, int flags, mode_t mode)
{
    REAL(int, openat64, int, const char *, int, ...)
    char path[PC_PATH_MAX];
    if (!pc_resolve(dirfd, name, path))
        return real(dirfd, name, flags, mode);
    if ((flags & O_TMPFILE) == O_TMPFILE)
        pc_die("O_TMPFILE is not modelled");
    if (flags & (O_CREAT | O_TRUNC))
        pc_enter();
    else
        pc_lock();
    struct stat st;
    bool existed = fstatat(dirfd, name, &st, 0) == 0;
    int fd = real(dirfd, name, flags, mode);
    if (fd >= 0)
        opened(fd, path, flags, mode, existed, existed ? (uint64_t)st.st_size : 0);
    pc_leave();
    return fd;
}

#define MODE_ARGUMENT(flags, last)                                                                           \
    mode_t mode = 0;                                                                                         \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                                 \
        va_list args;                                                                                        \
        va_start(args, last);                                                                                \
        mode = va_arg(args, mode_t);                                                                         \
        va_end(args);                                                                                        \
    }

EXPORT int open(const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags, flags)
    return do_open(AT_FDCWD, name, flags, mode);
}
EXPORT int open64(const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags, flags)
    return do_open(AT_FDCWD, name, flags, mode);
}
EXPORT int openat(int dirfd, const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags, flags)
    return do_open(dirfd, name, flags, mode);
}
EXPORT int openat64(int dirfd, const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags, flags)
    return do_open(dirfd, name, flags, mode);
}
EXPORT int __open_2(const char *name, int flags)
{
    return do_open(AT_FDCWD, name, flags, 0);
}
EXPORT int __open64_2(const char *name, int flags)
{
    return do_open(AT_FDCWD, name, flags, 0);
}
EXPORT int __openat_2(int dirfd, const char *name, int flags)
{
    return do_open(dirfd, name, flags, 0);
}
EXPORT int __openat64_2(int dirfd, const char *name, int flags)
{
    return do_open(dirfd, name, flags, 0);
}
EXPORT int creat(const char *name, mode_t mode)
{
    return do_open(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
EXPORT int creat64(const char *name, mode_t mode)
{
    return do_open(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

static void refuse_stream(const char *name, const char *mode)
{
    char path[PC_PATH_MAX];
    if (strpbrk(mode, "wa+") && pc_resolve(AT_FDCWD, name, path))
        pc_die("a stdio stream was opened for writing in the folder: its writes cannot be seen");
}

EXPORT FILE *fopen(const char *name, const char *mode)
{
    REAL(FILE *, fopen64, const char *, const char *)
    refuse_stream(name, mode);
    return real(name, mode);
}
EXPORT FILE *fopen64(const char *name, const char *mode)
{
    REAL(FILE *, fopen64, const char *, const char *)
    refuse_stream(name, mode);
    return real(name, mode);
}

EXPORT FILE *fdopen(int fd, const char *mode)
{
    REAL(FILE *, fdopen, int, const char *)
    if (strpbrk(mode, "wa+") && pc_fd_get(fd))
        pc_die("a stdio stream was made for writing in the folder: its writes cannot be seen");
    return real(fd, mode);
}

EXPORT int close(int fd)
{
    REAL(int, close, int)
    if (!pc_fd_get(fd))
        return real(fd);
    pc_lock();
    pc_fd_clear(fd);
    int rc = real(fd);
    pc_leave();
    return rc;
}

static int duplicated(int from, int to)
{
    pc_lock();
    const struct pc_fd *entry = pc_fd_get(from);
    if (to >= 0 && from != to) {
        if (entry)
            pc_fd_set(to, entry);
        else
            pc_fd_clear(to);
    }
    pc_leave();
    return to;
}

EXPORT int dup(int fd)
{
    REAL(int, dup, int)
    int to = real(fd);
    return pc_active() ? duplicated(fd, to) : to;
}
EXPORT int dup2(int fd, int to)
{
    REAL(int, dup2, int, int)
    int rc = real(fd, to);
    return pc_active() ? duplicated(fd, rc) : rc;
}
EXPORT int dup3(int fd, int to, int flags)
{
    REAL(int, dup3, int, int, int)
    int rc = real(fd, to, flags);
    return pc_active() ? duplicated(fd, rc) : rc;
}

static int do_fcntl(int fd, int command, void *argument)
{
    REAL(int, fcntl64, int, int, ...)
    int rc = real(fd, command, argument);
    if (pc_active() && (command == F_DUPFD || command == F_DUPFD_CLOEXEC))
        return duplicated(fd, rc);
    return rc;
}

EXPORT int fcntl(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return do_fcntl(fd, command, argument);
}
EXPORT int fcntl64(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return do_fcntl(fd, command, argument);
}

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
    int fd = do_open(AT_FDCWD, name, O_WRONLY | O_CLOEXEC, 0);
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
        maps[i].fd = do_fcntl(fd, F_DUPFD_CLOEXEC, (void *)(uintptr_t)1000);
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

/* --- names --- */

static int do_rename(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    REAL(int, renameat2, int, const char *, int, const char *, unsigned)
    char path[PC_PATH_MAX], path2[PC_PATH_MAX];
    bool inside = pc_resolve(from_dir, from, path), inside2 = pc_resolve(to_dir, to, path2);
    if (!inside && !inside2)
        return real(from_dir, from, to_dir, to, flags);
    if (inside != inside2 || (flags & RENAME_EXCHANGE))
        pc_die("a rename into or out of the folder, or an exchange, is not modelled");
    pc_enter();
    int rc = real(from_dir, from, to_dir, to, flags);
    struct pc_record record = {.op = PC_RENAME};
    if (rc == 0)
        pc_record_write(&record, path, path2, NULL, 0);
    pc_leave();
    return rc;
}

EXPORT int rename(const char *from, const char *to)
{
    return do_rename(AT_FDCWD, from, AT_FDCWD, to, 0);
}
EXPORT int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    return do_rename(from_dir, from, to_dir, to, 0);
}
EXPORT int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return do_rename(from_dir, from, to_dir, to, flags);
}

static int do_link(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    REAL(int, linkat, int, const char *, int, const char *, int)
    char path[PC_PATH_MAX], path2[PC_PATH_MAX];
    bool inside = pc_resolve(from_dir, from, path), inside2 = pc_resolve(to_dir, to, path2);
    if (!inside2)
        return real(from_dir, from, to_dir, to, flags);
    if (!inside)
        pc_die("a link into the folder is not modelled");
    pc_enter();
    int rc = real(from_dir, from, to_dir, to, flags);
    struct pc_record record = {.op = PC_LINK};
    if (rc == 0)
        pc_record_write(&record, path, path2, NULL, 0);
    pc_leave();
    return rc;
}

EXPORT int link(const char *from, const char *to)
{
    return do_link(AT_FDCWD, from, AT_FDCWD, to, 0);
}
EXPORT int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    return do_link(from_dir, from, to_dir, to, flags);
}

static int do_unlink(int dirfd, const char *name, int flags)
{
    REAL(int, unlinkat, int, const char *, int)
    char path[PC_PATH_MAX];
    if (!pc_resolve(dirfd, name, path))
        return real(dirfd, name, flags);
    pc_enter();
    int rc = real(dirfd, name, flags);
    struct pc_record record = {.op = flags & AT_REMOVEDIR ? PC_RMDIR : PC_UNLINK};
    if (rc == 0)
        pc_record_write(&record, path, NULL, NULL, 0);
    pc_leave();
    return rc;
}

EXPORT int unlink(const char *name)
{
    return do_unlink(AT_FDCWD, name, 0);
}
EXPORT int unlinkat(int dirfd, const char *name, int flags)
{
    return do_unlink(dirfd, name, flags);
}
EXPORT int rmdir(const char *name)
{
    return do_unlink(AT_FDCWD, name, AT_REMOVEDIR);
}
EXPORT int remove(const char *name)
{
    int rc = do_unlink(AT_FDCWD, name, 0);
    return rc != 0 && errno == EISDIR ? do_unlink(AT_FDCWD, name, AT_REMOVEDIR) : rc;
}

static int do_mkdir(int dirfd, const char *name, mode_t mode)
{
    REAL(int, mkdirat, int, const char *, mode_t)
    char path[PC_PATH_MAX];
    if (!pc_resolve(dirfd, name, path))
        return real(dirfd, name, mode);
    pc_enter();
    int rc = real(dirfd, name, mode);
    struct pc_record record = {.op = PC_MKDIR, .offset = mode};
    if (rc == 0)
        pc_record_write(&record, path, NULL, NULL, 0);
    pc_leave();
    return rc;
}

EXPORT int mkdir(const char *name, mode_t mode)
{
    return do_mkdir(AT_FDCWD, name, mode);
}
EXPORT int mkdirat(int dirfd, const char *name, mode_t mode)
{
    return do_mkdir(dirfd, name, mode);
}

EXPORT int symlinkat(const char *target, int dirfd, const char *name)
{
    REAL(int, symlinkat, const char *, int, const char *)
    char path[PC_PATH_MAX];
    if (pc_resolve(dirfd, name, path))
        pc_die("a symbolic link in the folder is not modelled");
    return real(target, dirfd, name);
}
EXPORT int symlink(const char *target, const char *name)
{
    return symlinkat(target, AT_FDCWD, name);
}
