/* The interposed calls that open, duplicate, close, name and remove files. shim_calls.c says how they work. */
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

int pc_openat(int dirfd, const char *name, int flags, mode_t mode)
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
    return pc_openat(AT_FDCWD, name, flags, mode);
}
EXPORT int open64(const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags, flags)
    return pc_openat(AT_FDCWD, name, flags, mode);
}
EXPORT int openat(int dirfd, const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags, flags)
    return pc_openat(dirfd, name, flags, mode);
}
EXPORT int openat64(int dirfd, const char *name, int flags, ...)
{
    MODE_ARGUMENT(flags, flags)
    return pc_openat(dirfd, name, flags, mode);
}
EXPORT int __open_2(const char *name, int flags)
{
    return pc_openat(AT_FDCWD, name, flags, 0);
}
EXPORT int __open64_2(const char *name, int flags)
{
    return pc_openat(AT_FDCWD, name, flags, 0);
}
EXPORT int __openat_2(int dirfd, const char *name, int flags)
{
    return pc_openat(dirfd, name, flags, 0);
}
EXPORT int __openat64_2(int dirfd, const char *name, int flags)
{
    return pc_openat(dirfd, name, flags, 0);
}
EXPORT int creat(const char *name, mode_t mode)
{
    return pc_openat(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
EXPORT int creat64(const char *name, mode_t mode)
{
    return pc_openat(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
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

int pc_fcntl(int fd, int command, void *argument)
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
    return pc_fcntl(fd, command, argument);
}
EXPORT int fcntl64(int fd, int command, ...)
{
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    return pc_fcntl(fd, command, argument);
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
