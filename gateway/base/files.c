#include "base/files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES ((size_t)1 << 20)

struct gw_path gw_path_join(const char *folder, const char *name)
{
    struct gw_path path;
    int n = snprintf(path.text, sizeof path.text, "%s/%s", folder, name);
    if (n < 0 || (size_t)n >= sizeof path.text)
        path.text[0] = '\0';
    return path;
}

struct gw_path gw_path_parent(const char *path)
{
    struct gw_path parent;
    size_t len = strlen(path);
    while (len > 1 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0)
        snprintf(parent.text, sizeof parent.text, ".");
    else if (len >= sizeof parent.text)
        parent.text[0] = '\0';
    else
        snprintf(parent.text, sizeof parent.text, "%.*s", (int)len, path);
    return parent;
}

bool gw_path_exists(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0;
}

int gw_error_of_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return 0;
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return GW_EFULL;
    case ENOMEM:
        return GW_ENOMEM;
    case EACCES:
    case EPERM:
    case EROFS:
    case ENOENT:
    case ENOTDIR:
    case EISDIR:
    case ENAMETOOLONG:
        return GW_EINVALID;
    default:
        return GW_EIO;
    }
}

/* --- syncing --- */

static int sync_path(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int rc = fsync(fd) != 0 ? errno : 0;
    close(fd);
    return rc;
}

int gw_folder_sync(const char *folder)
{
    return sync_path(folder, O_RDONLY | O_DIRECTORY);
}

int gw_file_sync(const char *path)
{
    return sync_path(path, O_RDWR);
}

/* --- folders --- */

int gw_folder_make(const char *folder, mode_t mode)
{
    return mkdir(folder, mode) != 0 && errno != EEXIST ? errno : 0;
}

int gw_folder_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? 0 : errno;
    int rc = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) != 0 && errno != ENOENT && rc == 0)
            rc = errno;
    }
    closedir(dir);
    if (rc == 0 && rmdir(folder) != 0 && errno != ENOENT)
        rc = errno;
    return rc;
}

/* --- files --- */

static int write_fully(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : EIO;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* A new file always: one that a failure left may be open to more people than `mode` says. */
static int write_aside(const char *path, const void *data, size_t len, mode_t mode)
{
    (void)unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return errno;
    int rc = write_fully(fd, data, len);
#ifndef GW_MUTANT_NOSYNC
    if (rc == 0 && fsync(fd) != 0)
        rc = errno;
#endif
    if (close(fd) != 0 && rc == 0)
        rc = errno;
    return rc;
}

int gw_file_write(const char *folder, const char *name, const void *data, size_t len, mode_t mode)
{
    char hidden[NAME_MAX + 1];
    int n = snprintf(hidden, sizeof hidden, ".%s.new", name);
    struct gw_path path = gw_path_join(folder, name), aside = gw_path_join(folder, hidden);
    if (n < 0 || (size_t)n >= sizeof hidden || !aside.text[0])
        return ENAMETOOLONG;
    int rc = write_aside(aside.text, data, len, mode);
    if (rc == 0 && rename(aside.text, path.text) != 0)
        rc = errno;
#ifndef GW_MUTANT_NOSYNC
    if (rc == 0)
        rc = gw_folder_sync(folder);
#endif
    return rc;
}

static int copy_bytes(int from, int to)
{
    char *buffer = malloc(COPY_BYTES);
    int rc = buffer ? 0 : ENOMEM;
    while (rc == 0) {
        ssize_t n = read(from, buffer, COPY_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rc = n < 0 ? errno : 0;
            break;
        }
        rc = write_fully(to, buffer, (size_t)n);
    }
    free(buffer);
    return rc == 0 && fsync(to) != 0 ? errno : rc;
}

int gw_file_copy(const char *from, const char *to)
{
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return errno;
    int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int rc = out < 0 ? errno : copy_bytes(in, out);
    if (out >= 0 && close(out) != 0 && rc == 0)
        rc = errno;
    if (out >= 0 && rc != 0)
        (void)unlink(to);
    close(in);
    return rc;
}

int gw_file_link_or_copy(const char *from, const char *to)
{
    if (link(from, to) == 0)
        return 0;
    int e = errno;
    return e == EXDEV || e == EPERM || e == EMLINK || e == EOPNOTSUPP ? gw_file_copy(from, to) : e;
}
