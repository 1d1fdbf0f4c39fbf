#include "storage_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#ifdef __linux__
#include <linux/fs.h>
#include <sys/ioctl.h>
#endif
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES_MAX 4096

static int write_all(int fd, const void *data, size_t length, off_t at)
{
    const char *from = data;
    while (length > 0) {
        ssize_t n = pwrite(fd, from, length, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return TRIB_EIO;
        from += n;
        at += n;
        length -= (size_t)n;
    }
    return 0;
}

static int fill(int fd, off_t from, off_t to)
{
    char blank[4096];
    memset(blank, 0xFF, sizeof blank);
    while (from < to) {
        size_t n = to - from < (off_t)sizeof blank ? (size_t)(to - from) : sizeof blank;
        if (write_all(fd, blank, n, from) < 0)
            return TRIB_EIO;
        from += (off_t)n;
    }
    return 0;
}

static bool inside(const struct trib_storage_file *f, uint32_t address, uint32_t length)
{
    uint64_t size = (uint64_t)f->sector_bytes * f->sector_count;
    return f->fd >= 0 && !f->failed && address <= size && length <= size - address;
}

static int file_read(void *context, uint32_t address, void *out_buffer, uint32_t length)
{
    struct trib_storage_file *f = context;
    char *to = out_buffer;
    if (!inside(f, address, length))
        return TRIB_EIO;
    while (length > 0) {
        ssize_t n = pread(f->fd, to, length, (off_t)address);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) /* the end: somebody has cut the file under us */
            return TRIB_EIO;
        to += n;
        address += (uint32_t)n;
        length -= (uint32_t)n;
    }
    return 0;
}

static int file_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    struct trib_storage_file *f = context;
    return inside(f, address, length) ? write_all(f->fd, data, length, (off_t)address) : TRIB_EIO;
}

static int file_erase(void *context, uint32_t sector)
{
    struct trib_storage_file *f = context;
    if (sector >= f->sector_count || !inside(f, sector * f->sector_bytes, f->sector_bytes))
        return TRIB_EIO;
    off_t from = (off_t)sector * f->sector_bytes;
    return fill(f->fd, from, from + (off_t)f->sector_bytes);
}

static int file_sync(void *context)
{
    struct trib_storage_file *f = context;
    if (f->fd < 0 || f->failed)
        return TRIB_EIO;
    if (fdatasync(f->fd) < 0) {
        f->failed = true;
        return TRIB_EIO;
    }
    return 0;
}

/* A new name is durable only when its folder is. */
static int sync_folder(const char *path)
{
    char folder[PATH_BYTES_MAX];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    if (len >= sizeof folder)
        return TRIB_EINVAL;
    memcpy(folder, path, len);
    folder[len] = 0;
    int fd = open(!slash ? "." : len == 0 ? "/" : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return TRIB_EIO;
    int rc = fsync(fd) < 0 ? TRIB_EIO : 0;
    close(fd);
    return rc;
}

/* A wish, and not on all file systems: what it says does not count. */
static void mark_nodump(int fd)
{
#ifdef FS_IOC_GETFLAGS
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_NODUMP_FL) == 0) {
        flags |= FS_NODUMP_FL;
        (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
#else
    (void)fd;
#endif
}

static int prepare(struct trib_storage_file *f, const char *path)
{
    struct stat st;
    off_t size = (off_t)f->sector_bytes * f->sector_count;
    if (flock(f->fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? TRIB_EBUSY : TRIB_EIO;
    if (fstat(f->fd, &st) < 0)
        return TRIB_EIO;
    if (!S_ISREG(st.st_mode))
        return TRIB_EINVAL;
    mark_nodump(f->fd);
    if (st.st_size >= size)
        return 0;
    if (fill(f->fd, st.st_size, size) < 0 || fsync(f->fd) < 0)
        return TRIB_EIO;
    return sync_folder(path);
}

int trib_storage_file_open(struct trib_storage_file *file, const char *path, uint32_t sector_bytes,
                           uint32_t sector_count, struct trib_storage *out_storage)
{
    file->fd = -1;
    file->sector_bytes = sector_bytes;
    file->sector_count = sector_count;
    file->failed = false;
    if (sector_bytes < 256 || sector_bytes > 131072 || sector_count < 3 ||
        sector_count > UINT32_MAX / sector_bytes)
        return TRIB_EINVAL;
    file->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file->fd < 0)
        return TRIB_EIO;
    int rc = prepare(file, path);
    if (rc < 0) {
        int saved = errno;
        trib_storage_file_close(file);
        errno = saved;
        return rc;
    }
    *out_storage = (struct trib_storage){.context = file,
                                         .sector_bytes = sector_bytes,
                                         .sector_count = sector_count,
                                         .program_bytes = 1,
                                         .read = file_read,
                                         .program = file_program,
                                         .erase = file_erase,
                                         .sync = file_sync};
    return 0;
}

int trib_storage_file_leave_out(const char *folder)
{
    static const char tag[] = "Signature: 8a477f597d28d172789f06886806bc55\n"
                              "# Device journals of Tributary: a restored copy would be an older one. See "
                              "CACHEDIR.TAG's specification.\n";
    char path[PATH_BYTES_MAX];
    int length = snprintf(path, sizeof path, "%s/CACHEDIR.TAG", folder);
    if (length < 0 || (size_t)length >= sizeof path) {
        errno = ENAMETOOLONG;
        return TRIB_EIO;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return errno == EEXIST ? 0 : TRIB_EIO;
    int rc = write_all(fd, tag, sizeof tag - 1, 0);
    int saved = errno;
    close(fd);
    if (rc < 0)
        (void)unlink(path); /* half a tag would never be mended */
    errno = saved;
    return rc;
}

void trib_storage_file_close(struct trib_storage_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}
