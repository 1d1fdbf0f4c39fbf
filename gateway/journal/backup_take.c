/* Taking a backup that lies ready in the data folder to where it is wanted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/layout.h"
#include "journal/maintain.h"
#include "journal/tree.h"

/* Whether a folder is the data folder or lies within it, by what they really are. 0 or an errno value. */
static int lies_within(const char *folder, const char *data, bool *out)
{
    char *inner = realpath(folder, NULL), *outer = inner ? realpath(data, NULL) : NULL;
    int rc = errno;
    if (inner && outer) {
        rc = 0;
        const size_t len = strlen(outer);
        *out = strncmp(inner, outer, len) == 0 && (inner[len] == '\0' || inner[len] == '/');
    }
    free(inner);
    free(outer);
    return rc;
}

static int look_at_destination(const char *data, const char *destination, struct gw_error *error)
{
    struct gw_path parent = gw_path_parent(destination);
    struct stat st;
    bool within = false;
    if (lstat(destination, &st) == 0)
        return gw_error_set(error, GW_EINVALID, 0, "%s is there already: give the backup a folder of its own",
                            destination);
    int e = *destination ? lies_within(parent.text, data, &within) : ENOENT;
    if (e != 0)
        return gw_error_set(error, GW_EINVALID, e,
                            "a backup cannot be made at '%s': the folder %s must be there and be usable",
                            destination, parent.text);
    if (within)
        return gw_error_set(
            error, GW_EINVALID, 0,
            "%s lies in the data folder and would be lost with it: name a folder elsewhere, best "
            "on another disk",
            destination);
    return 0;
}

int gw_backup_begin(const char *data, const char *destination, int *out_lock_fd, struct gw_error *error)
{
    struct gw_path ready = gw_path_join(data, GW_LAYOUT_BACKUP);
    int rc = look_at_destination(data, destination, error);
    if (rc != 0)
        return rc;
    int fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return gw_error_set(error, GW_EINVALID, errno, "data folder %s cannot be used", data);
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        rc = gw_error_set(error, GW_EBUSY, 0, "another backup of %s is being taken away: wait for it", data);
    int e = rc == 0 ? gw_tree_remove(ready.text) : 0;
    if (e != 0)
        rc =
            gw_error_set(error, gw_error_of_errno(e), e,
                         "%s, which an interrupted backup left, cannot be removed: run this as the gateway's "
                         "user",
                         ready.text);
    if (rc == 0)
        *out_lock_fd = fd;
    else
        close(fd);
    return rc;
}

static int copy_and_name(const char *ready, const char *destination)
{
    struct gw_path tmp;
    int n = snprintf(tmp.text, sizeof tmp.text, "%s.tmp", destination);
    if (n < 0 || (size_t)n >= sizeof tmp.text)
        return ENAMETOOLONG;
    int e = gw_tree_remove(tmp.text);
    if (e == 0)
        e = gw_tree_copy(ready, tmp.text);
    if (e == 0 && rename(tmp.text, destination) != 0)
        e = errno;
    if (e != 0)
        (void)gw_tree_remove(tmp.text);
    return e;
}

int gw_backup_take(const char *data, const char *destination, struct gw_error *error)
{
    struct gw_path ready = gw_path_join(data, GW_LAYOUT_BACKUP), plain;
    size_t len = strlen(destination);
    while (len > 1 && destination[len - 1] == '/')
        len--;
    if (len >= sizeof plain.text)
        return gw_error_set(error, GW_EINVALID, ENAMETOOLONG, "%s", destination);
    snprintf(plain.text, sizeof plain.text, "%.*s", (int)len, destination);
    int e = rename(ready.text, plain.text) == 0 ? 0 : errno;
    if (e == EXDEV)
        e = copy_and_name(ready.text, plain.text);
    if (e == 0)
        e = gw_folder_sync(gw_path_parent(plain.text).text);
    (void)gw_tree_remove(ready.text); /* it would keep segments on the disk that every sink has */
    return e == 0
               ? 0
               : gw_error_set(error, gw_error_of_errno(e), e, "the backup cannot be put at %s", destination);
}
