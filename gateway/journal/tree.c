#include "journal/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COPY_BYTES ((size_t)1 << 20)
#define BACKUP_TITLE "tributary-journal-backup"

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
    if (out >= 0)
        close(out);
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

int gw_tree_remove(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return errno == ENOENT ? 0 : errno;
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        struct gw_path path = gw_path_join(folder, entry->d_name);
        if (unlink(path.text) == 0)
            continue;
        rc = gw_folder_remove(path.text);
        if (rc == EISDIR || rc == EPERM || rc == ENOTEMPTY)
            rc = gw_tree_remove(path.text);
    }
    closedir(dir);
    return rc != 0 ? rc : gw_folder_remove(folder);
}

int gw_backup_mark(const char *folder, uint64_t epoch, uint64_t end)
{
    struct gw_path path = gw_path_join(folder, "BACKUP");
    char text[160];
    int n = snprintf(text, sizeof text,
                     BACKUP_TITLE "\nread %u\nwrite %u\nepoch %016" PRIx64 "\nend %" PRIu64 "\n",
                     GW_JOURNAL_FORMAT_READ, GW_JOURNAL_FORMAT_WRITE, epoch, end);
    int fd = open(path.text, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    int rc = write_fully(fd, text, (size_t)n);
    if (rc == 0 && fsync(fd) != 0)
        rc = errno;
    close(fd);
    return rc;
}

int gw_backup_check(const char *folder, struct gw_error *error)
{
    struct gw_path path = gw_path_join(folder, "BACKUP");
    FILE *file = fopen(path.text, "re");
    if (!file)
        return gw_error_set(error, errno == ENOENT ? GW_ENOTFOUND : GW_EINVALID, errno,
                            "%s is not a whole backup of a journal: it has no readable file BACKUP", folder);
    char title[32] = "";
    unsigned read_version = 0, write_version = 0;
    int n = fscanf(file, "%31s read %9u write %9u", title, &read_version, &write_version);
    fclose(file);
    if (n != 3 || strcmp(title, BACKUP_TITLE) != 0 || read_version == 0)
        return gw_error_set(error, GW_EINVALID, 0, "%s is not the file of a backup of a journal", path.text);
    if (read_version > GW_JOURNAL_FORMAT_READ || write_version > GW_JOURNAL_FORMAT_WRITE)
        return gw_error_set(
            error, GW_EVERSION, 0,
            "the backup in %s has format %u, this program knows format %u: use the version that "
            "made it, or a newer one",
            folder, read_version, GW_JOURNAL_FORMAT_READ);
    return 0;
}
