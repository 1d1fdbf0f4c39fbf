/*
 * Faults at the file system's door: the calls that a sink makes are taken over by the test program, which counts
 * them while armed and lets the one with a given number fail, or ends the process there. A write is torn: half of
 * it is done first. (Definitions in the program go before those of the C library.)
 */
#ifndef FAULT_IO_H
#define FAULT_IO_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum fault_kind { FAULT_NONE, FAULT_CRASH, FAULT_ERROR };

#define FAULT_EXIT 77

static struct {
    enum fault_kind kind;
    unsigned at, calls; /* the fault comes with call number `at`, from 1 */
    unsigned length;    /* FAULT_ERROR: so many calls fail */
    int error;
} fault;

static inline void fault_arm(enum fault_kind kind, unsigned at, unsigned length, int error)
{
    fault.kind = kind;
    fault.at = at;
    fault.calls = 0;
    fault.length = length;
    fault.error = error;
}

static inline void fault_disarm(void)
{
    fault.kind = FAULT_NONE;
}

/* True when this call has to fail. Does not return when the process has to end. */
static inline bool fault_now(void)
{
    if (fault.kind == FAULT_NONE)
        return false;
    fault.calls++;
    if (fault.calls < fault.at || fault.calls >= fault.at + fault.length)
        return false;
    if (fault.kind == FAULT_CRASH)
        _exit(FAULT_EXIT);
    errno = fault.error;
    return true;
}

/* Whether the next call would be hit: a write does half its work first. */
static inline bool fault_next(void)
{
    return fault.kind != FAULT_NONE && fault.calls + 1 >= fault.at &&
           fault.calls + 1 < fault.at + fault.length;
}

#define REAL(result, name, ...)                                                                              \
    static result (*real_##name)(__VA_ARGS__);                                                               \
    if (!real_##name)                                                                                        \
    *(void **)&real_##name = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *data, size_t len)
{
    REAL(ssize_t, write, int, const void *, size_t);
    if (fault_next() && len > 1) {
        ssize_t half = real_write(fd, data, len / 2);
        if (fault.kind == FAULT_ERROR) { /* a short write, and the error with the next call */
            fault.at++;
            fault.calls++;
            return half;
        }
    }
    return fault_now() ? -1 : real_write(fd, data, len);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t);
    if (fault_next() && len > 1) {
        ssize_t half = real_pwrite(fd, data, len / 2, at);
        if (fault.kind == FAULT_ERROR) {
            fault.at++;
            fault.calls++;
            return half;
        }
    }
    return fault_now() ? -1 : real_pwrite(fd, data, len, at);
}

int open(const char *path, int flags, ...)
{
    REAL(int, open, const char *, int, ...);
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return fault_now() ? -1 : real_open(path, flags, mode);
}

#define SIMPLE_CALL(name, parameters, types, arguments)                                                      \
    int name parameters                                                                                      \
    {                                                                                                        \
        static int(*real) types;                                                                             \
        if (!real)                                                                                           \
            *(void **)&real = dlsym(RTLD_NEXT, #name);                                                       \
        return fault_now() ? -1 : real arguments;                                                            \
    }

/* A sync is counted, and done by nobody: the process ends here, not the machine. (tests/powercut takes the other.) */
int fsync(int fd)
{
    (void)fd;
    return fault_now() ? -1 : 0;
}

int fdatasync(int fd)
{
    (void)fd;
    return fault_now() ? -1 : 0;
}

SIMPLE_CALL(ftruncate, (int fd, off_t len), (int, off_t), (fd, len))
SIMPLE_CALL(rename, (const char *from, const char *to), (const char *, const char *), (from, to))
SIMPLE_CALL(unlink, (const char *path), (const char *), (path))
SIMPLE_CALL(unlinkat, (int fd, const char *path, int flags), (int, const char *, int), (fd, path, flags))
SIMPLE_CALL(mkdir, (const char *path, mode_t mode), (const char *, mode_t), (path, mode))

#endif
