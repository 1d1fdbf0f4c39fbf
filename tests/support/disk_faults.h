/*
 * A disk that fails on demand: the C library's calls are replaced by ones that ask here first, so LMDB's pass through them too, and
 * under the power-cut shim they come before it. A program includes this once.
 */
#ifndef TESTS_SUPPORT_DISK_FAULTS_H
#define TESTS_SUPPORT_DISK_FAULTS_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* The call that fails: the one after `after` more of its kind, and `count` times; 0: none. */
static struct fault {
    int error, after, count;
} sync_fault, write_fault, allocate_fault;

static bool fails(struct fault *fault)
{
    if (fault->count == 0)
        return false;
    if (fault->after > 0) {
        fault->after--;
        return false;
    }
    fault->count--;
    errno = fault->error;
    return true;
}

static void no_faults(void)
{
    sync_fault = write_fault = allocate_fault = (struct fault){0};
}

#define REAL(result, name, ...)                                                                              \
    static result (*real)(__VA_ARGS__);                                                                      \
    if (!real) {                                                                                             \
        void *symbol = dlsym(RTLD_NEXT, #name);                                                              \
        memcpy(&real, &symbol, sizeof real);                                                                 \
    }

int fdatasync(int fd)
{
    REAL(int, fdatasync, int)
    return fails(&sync_fault) ? -1 : real(fd);
}

int fsync(int fd)
{
    REAL(int, fsync, int)
    return fails(&sync_fault) ? -1 : real(fd);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at)
{
    REAL(ssize_t, pwrite, int, const void *, size_t, off_t)
    return fails(&write_fault) ? -1 : real(fd, data, len, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    REAL(ssize_t, pwritev, int, const struct iovec *, int, off_t)
    return fails(&write_fault) ? -1 : real(fd, parts, count, at);
}

int posix_fallocate(int fd, off_t at, off_t len)
{
    REAL(int, posix_fallocate, int, off_t, off_t)
    return fails(&allocate_fault) ? errno : real(fd, at, len);
}

#endif
