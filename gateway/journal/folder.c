#include "journal/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/layout.h"

static int allocate(const char *path, int flags, uint64_t bytes)
{
    int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0)
        return errno;
    int rc = posix_fallocate(fd, 0, (off_t)bytes);
    if (rc == 0 && fsync(fd) != 0)
        rc = errno;
    close(fd);
    return rc;
}

int gw_file_allocate(const char *path, uint64_t bytes)
{
    return allocate(path, 0, bytes);
}

int gw_file_make(const char *path, uint64_t bytes)
{
    return allocate(path, O_CREAT, bytes);
}

int gw_lock_take(const char *folder, int *out_fd, struct gw_error *error)
{
    struct gw_path path = gw_path_join(folder, "LOCK");
    int fd = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        int e = errno;
        if (e == ENOSPC || e == EDQUOT)
            return gw_error_set(error, GW_EFULL, e,
                                "data folder %s: no space for its LOCK file: free some space on this disk",
                                folder);
        return gw_error_set(
            error, GW_EINVALID, e,
            "data folder %s cannot be written to: mount it read-write and give it to the user that "
            "runs tributaryd",
            folder);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        int e = errno;
        char owner[32] = "";
        ssize_t n = pread(fd, owner, sizeof owner - 1, 0);
        owner[n > 0 ? strcspn(owner, "\n") : 0] = '\0';
        close(fd);
        if (e != EWOULDBLOCK)
            return gw_error_set(error, GW_EIO, e, "data folder %s: its LOCK file cannot be locked", folder);
        return gw_error_set(
            error, GW_EBUSY, 0,
            "data folder %s is already open%s%s: stop that tributaryd first, or give this one a "
            "data.folder of its own",
            folder, *owner ? " by process " : "", owner);
    }
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    /* Only a hint for people: on a full disk the lock itself still counts. */
    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, text, (size_t)n, 0);
    *out_fd = fd;
    return 0;
}

#define FORMAT_TITLE "tributary-journal"

static int format_damaged(const char *path, struct gw_error *error)
{
    return gw_error_set(
        error, GW_EINVALID, 0,
        "%s is not the FORMAT file of a Tributary journal: point data.folder at an empty folder or at "
        "a journal, or restore the file from a backup",
        path);
}

int gw_journal_format_check(const char *folder, struct gw_error *error)
{
    struct gw_path path = gw_path_join(folder, "FORMAT");
    FILE *file = fopen(path.text, "re");
    if (!file && errno == ENOENT)
        return GW_ENOTFOUND;
    if (!file)
        return gw_error_set(error, GW_EINVALID, errno,
                            "%s cannot be read: give it to the user that runs tributaryd", path.text);
    char title[32] = "", end[2];
    unsigned read_version = 0, write_version = 0;
    int n = fscanf(file, "%31s read %9u write %9u %1s", title, &read_version, &write_version, end);
    fclose(file);
    if (n != 3 || strcmp(title, FORMAT_TITLE) != 0 || read_version == 0 || write_version < read_version)
        return format_damaged(path.text, error);
    if (read_version > GW_JOURNAL_FORMAT_READ || write_version > GW_JOURNAL_FORMAT_WRITE)
        return gw_error_set(
            error, GW_EVERSION, 0,
            "the journal in %s has format %u (to write: %u), this tributaryd knows format %u: run the "
            "version that wrote it, or a newer one",
            folder, read_version, write_version, GW_JOURNAL_FORMAT_WRITE);
    return 0;
}

int gw_journal_format_write(const char *folder, struct gw_error *error)
{
    char text[96];
    int n = snprintf(text, sizeof text, FORMAT_TITLE "\nread %u\nwrite %u\n", GW_JOURNAL_FORMAT_READ,
                     GW_JOURNAL_FORMAT_WRITE);
    int e = gw_file_write(folder, "FORMAT", text, (size_t)n, 0600);
    if (e == 0)
        return 0;
    return gw_error_set(error, gw_error_of_errno(e), e,
                        "a journal cannot be made in %s: the folder must be writable and have space", folder);
}

int gw_folder_is_ours(const char *folder, struct gw_error *error)
{
    static const char *const ours[] = {
        "LOCK",     "FORMAT.tmp", "meta.tmp",   "meta.new",       "segments",
        "damaged",  "keys",       "run",        "stream",         "lake",
        "registry", "schemas",    "lost+found", GW_LAYOUT_BACKUP, GW_LAYOUT_BACKUP_TMP};
    DIR *dir = opendir(folder);
    if (!dir)
        return gw_error_set(error, GW_EINVALID, errno, "data folder %s cannot be read", folder);
    char other[128] = "";
    for (struct dirent *entry; !*other && (entry = readdir(dir)) != NULL;) {
        bool known = entry->d_name[0] == '.';
        for (size_t i = 0; !known && i < sizeof ours / sizeof ours[0]; i++)
            known = strcmp(entry->d_name, ours[i]) == 0;
        if (!known)
            snprintf(other, sizeof other, "%.120s", entry->d_name);
    }
    closedir(dir);
    if (!*other)
        return 0;
    if (strcmp(other, "meta") == 0)
        return gw_error_set(
            error, GW_EINVALID, 0,
            "the journal in %s has lost its FORMAT file: restore it from a backup (three lines: "
            "tributary-journal, read %u, write %u)",
            folder, GW_JOURNAL_FORMAT_READ, GW_JOURNAL_FORMAT_WRITE);
    return gw_error_set(
        error, GW_EINVALID, 0,
        "data folder %s is not a journal and not empty (it has %s): point data.folder at an empty "
        "folder",
        folder, other);
}
