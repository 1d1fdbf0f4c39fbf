#include "shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX 65536 /* open addressing */

static struct {
    bool active;
    char folder[PC_PATH_MAX];
    size_t folder_len;
    const char *ignore; /* a name in the folder: what lies below it is not watched */
    int trace_fd;
    uint64_t trace_device, trace_inode;
    uint64_t *position; /* shared with whoever stamps acks */
    uint64_t delay_us;
    struct pc_fd fds[PC_FDS_MAX];
    struct {
        uint64_t device, inode, file;
    } files[FILES_MAX];
} shim;

static pthread_mutex_t mutex = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

/* Calls that the start itself makes come back through the library: they are let through. */
static enum { NOT_STARTED, STARTING, STARTED } phase;

/* Own writes go to the kernel directly: the library's names are ours in this process. */
static int raw_open(const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

_Noreturn void pc_die(const char *why)
{
    static const char prefix[] = "powercut: ";
    (void)!syscall(SYS_write, 2, prefix, sizeof prefix - 1);
    (void)!syscall(SYS_write, 2, why, strlen(why));
    (void)!syscall(SYS_write, 2, "\n", 1);
    _exit(86);
}

static void map_position(const char *path)
{
    int fd = raw_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || syscall(SYS_ftruncate, fd, (long)sizeof(uint64_t)) != 0)
        pc_die("POWERCUT_POSITION cannot be made");
    void *map = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        pc_die("POWERCUT_POSITION cannot be mapped");
    shim.position = map;
    syscall(SYS_close, fd);
}

static void start(void)
{
    const char *folder = getenv("POWERCUT_FOLDER"), *trace = getenv("POWERCUT_TRACE");
    const char *position = getenv("POWERCUT_POSITION"), *delay = getenv("POWERCUT_DELAY_US");
    if (!folder)
        return;
    if (!trace || !position)
        pc_die("POWERCUT_TRACE and POWERCUT_POSITION must be set with POWERCUT_FOLDER");
    if (!realpath(folder, shim.folder))
        pc_die("POWERCUT_FOLDER does not exist");
    shim.folder_len = strlen(shim.folder);
    shim.ignore = getenv("POWERCUT_IGNORE");
    shim.delay_us = delay ? strtoull(delay, NULL, 10) : 1000;
    shim.trace_fd = raw_open(trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (shim.trace_fd < 0)
        pc_die("POWERCUT_TRACE cannot be opened");
    /* Out of the way of programs that close low descriptors. */
    int high = (int)syscall(SYS_fcntl, shim.trace_fd, F_DUPFD_CLOEXEC, 900);
    if (high >= 0) {
        syscall(SYS_close, shim.trace_fd);
        shim.trace_fd = high;
    }
    map_position(position);
    shim.active = true;
}

bool pc_active(void)
{
    if (phase == NOT_STARTED) {
        phase = STARTING;
        start();
        phase = STARTED;
    }
    return phase == STARTED && shim.active;
}

/* Before main, when there is one thread. */
__attribute__((constructor)) static void start_early(void)
{
    (void)pc_active();
}

void pc_lock(void)
{
    pthread_mutex_lock(&mutex);
}

void pc_leave(void)
{
    pthread_mutex_unlock(&mutex);
}

void pc_enter(void)
{
    int saved = errno;
    if (shim.delay_us != 0) {
        struct timespec wait = {.tv_sec = (time_t)(shim.delay_us / 1000000),
                                .tv_nsec = (long)(shim.delay_us % 1000000) * 1000};
        nanosleep(&wait, NULL);
    }
    errno = saved;
    pc_lock();
}

/* Takes ".", ".." and doubled slashes out of an absolute path, in place. */
static void normalise(char *path)
{
    char *out = path;
    const char *in = path;
    while (*in) {
        while (*in == '/')
            in++;
        size_t len = strcspn(in, "/");
        if (len == 0)
            break;
        if (len == 2 && in[0] == '.' && in[1] == '.') {
            while (out > path && *--out != '/')
                continue;
        } else if (!(len == 1 && in[0] == '.')) {
            *out++ = '/';
            memmove(out, in, len);
            out += len;
        }
        in += len;
    }
    *out = '\0';
}

bool pc_resolve(int dirfd, const char *name, char out_relative[PC_PATH_MAX])
{
    if (!pc_active() || !name)
        return false;
    char path[2 * PC_PATH_MAX] = "";
    size_t at = 0;
    if (name[0] != '/') {
        char link[64];
        if (dirfd == AT_FDCWD)
            snprintf(link, sizeof link, "/proc/self/cwd");
        else
            snprintf(link, sizeof link, "/proc/self/fd/%d", dirfd);
        ssize_t n = (ssize_t)syscall(SYS_readlinkat, AT_FDCWD, link, path, PC_PATH_MAX - 1);
        if (n < 0)
            return false;
        at = (size_t)n;
        path[at++] = '/';
    }
    size_t len = strlen(name);
    if (len >= PC_PATH_MAX)
        return false;
    memcpy(path + at, name, len + 1);
    normalise(path);
    if (strncmp(path, shim.folder, shim.folder_len) != 0)
        return false;
    const char *rest = path + shim.folder_len;
    if (*rest != '\0' && *rest != '/')
        return false;
    while (*rest == '/')
        rest++;
    size_t ignored = shim.ignore ? strlen(shim.ignore) : 0;
    if (ignored != 0 && strncmp(rest, shim.ignore, ignored) == 0 &&
        (rest[ignored] == '/' || rest[ignored] == '\0'))
        return false;
    snprintf(out_relative, PC_PATH_MAX, "%s", rest);
    return true;
}

struct pc_fd *pc_fd_get(int fd)
{
    if (!pc_active() || fd < 0 || fd >= PC_FDS_MAX || shim.fds[fd].file == 0)
        return NULL;
    return &shim.fds[fd];
}

void pc_fd_set(int fd, const struct pc_fd *value)
{
    if (fd < 0 || fd >= PC_FDS_MAX)
        pc_die("a descriptor number is too high");
    pc_fd_clear(fd);
    shim.fds[fd] = *value;
    shim.fds[fd].path = value->path ? strdup(value->path) : NULL;
}

void pc_fd_clear(int fd)
{
    if (fd < 0 || fd >= PC_FDS_MAX)
        return;
    free(shim.fds[fd].path);
    shim.fds[fd] = (struct pc_fd){0};
}

static size_t slot_of(uint64_t device, uint64_t inode)
{
    size_t at = (size_t)((inode * 0x9e3779b97f4a7c15u ^ device) % FILES_MAX);
    for (size_t i = 0; i < FILES_MAX; i++, at = (at + 1) % FILES_MAX) {
        if (shim.files[at].file == 0 || (shim.files[at].device == device && shim.files[at].inode == inode))
            return at;
    }
    pc_die("too many files");
}

uint64_t pc_file_of(uint64_t device, uint64_t inode)
{
    return shim.files[slot_of(device, inode)].file;
}

void pc_file_learn(uint64_t device, uint64_t inode, uint64_t file)
{
    size_t at = slot_of(device, inode);
    shim.files[at].device = device;
    shim.files[at].inode = inode;
    shim.files[at].file = file;
}

static void write_fully(struct iovec *parts, int count)
{
    while (count > 0) {
        ssize_t n = (ssize_t)syscall(SYS_writev, shim.trace_fd, parts, count);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            pc_die("the trace cannot be written");
        while (count > 0 && (size_t)n >= parts->iov_len) {
            n -= (ssize_t)parts->iov_len;
            parts++;
            count--;
        }
        if (count > 0) {
            parts->iov_base = (char *)parts->iov_base + n;
            parts->iov_len -= (size_t)n;
        }
    }
}

uint64_t pc_record_write(struct pc_record *record, const char *path, const char *path2,
                         const struct iovec *data, int data_count)
{
    int saved = errno;
    record->magic = PC_MAGIC;
    record->position = __atomic_load_n(shim.position, __ATOMIC_SEQ_CST) + 1;
    record->path_len = path ? (uint32_t)strlen(path) : 0;
    record->path2_len = path2 ? (uint32_t)strlen(path2) : 0;
    if (record->file == 0)
        record->file = record->position;
    for (int i = 0; i < data_count; i++)
        record->data_len += data[i].iov_len;
    struct iovec head[3] = {{record, sizeof *record},
                            {(void *)(uintptr_t)path, record->path_len},
                            {(void *)(uintptr_t)path2, record->path2_len}};
    write_fully(head, 3);
    for (int i = 0; i < data_count; i++) {
        struct iovec part = data[i];
        write_fully(&part, 1);
    }
    __atomic_store_n(shim.position, record->position, __ATOMIC_SEQ_CST);
    errno = saved;
    return record->position;
}
