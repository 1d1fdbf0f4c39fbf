#include "admin/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

/*
 * sun_path holds 107 bytes. A longer path goes by its folder's descriptor, which Linux shows as a short path:
 * *out_folder is that descriptor, to be closed after the call, or -1.
 */
static int make_address(const char *path, struct sockaddr_un *out, int *out_folder)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    *out_folder = -1;
    if (strlen(path) < sizeof out->sun_path) {
        strcpy(out->sun_path, path);
        return 0;
    }
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path)) : NULL;
    if (!folder)
        return -1;
    *out_folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (*out_folder < 0)
        return -1;
    int n = snprintf(out->sun_path, sizeof out->sun_path, "/proc/self/fd/%d/%s", *out_folder, slash + 1);
    if (n < (int)sizeof out->sun_path)
        return 0;
    close(*out_folder);
    *out_folder = -1;
    errno = ENAMETOOLONG;
    return -1;
}

static int take_lock(const char *path, int *out_lock, struct gw_error *error)
{
    char *name;
    if (asprintf(&name, "%s.lock", path) < 0)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    int lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = GW_OK;
    if (lock < 0)
        rc = gw_error_set(error, GW_EIO, errno,
                          "admin.socket: %s cannot be made: make its folder writable, or give "
                          "another path",
                          name);
    else if (flock(lock, LOCK_EX | LOCK_NB) != 0)
        rc = gw_error_set(error, GW_EBUSY, 0,
                          "admin.socket: another gateway listens at %s: stop it, or give another "
                          "path",
                          path);
    if (rc != GW_OK && lock >= 0)
        close(lock);
    if (rc == GW_OK)
        *out_lock = lock;
    free(name);
    return rc;
}

/* The lock is ours, so a socket here is left over from a gateway that was killed. */
static int remove_stale(const char *path, struct gw_error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return GW_OK;
    if (!S_ISSOCK(status.st_mode))
        return gw_error_set(error, GW_EINVALID, 0,
                            "admin.socket: %s is there and is no socket: move it away, or give "
                            "another path",
                            path);
    if (unlink(path) != 0)
        return gw_error_set(error, GW_EIO, errno, "admin.socket: the old socket %s cannot be removed", path);
    return GW_OK;
}

int gw_admin_socket_listen(const char *path, struct gw_admin_socket *out, struct gw_error *error)
{
    struct gw_admin_socket made = {.listener = -1, .lock = -1};
    struct sockaddr_un address;
    struct stat status;
    int folder = -1;
    int rc = take_lock(path, &made.lock, error);
    if (rc == GW_OK)
        rc = remove_stale(path, error);
    if (rc != GW_OK)
        goto failed;
    made.path = strdup(path);
    made.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Linux gives the file the mode of the descriptor: so it is never open to others, not even for a moment.
     */
    if (!made.path || made.listener < 0 || fchmod(made.listener, 0600) != 0 ||
        make_address(path, &address, &folder) != 0 ||
        bind(made.listener, (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(made.listener, BACKLOG) != 0 || stat(path, &status) != 0) {
        rc = gw_error_set(error, GW_EIO, errno, "admin.socket: cannot listen at %s: give another path", path);
        goto failed;
    }
    if (folder >= 0)
        close(folder);
    made.device = status.st_dev;
    made.inode = status.st_ino;
    *out = made;
    return GW_OK;
failed:
    if (folder >= 0)
        close(folder);
    if (made.listener >= 0)
        close(made.listener);
    if (made.lock >= 0)
        close(made.lock);
    free(made.path);
    return rc;
}

void gw_admin_socket_close(struct gw_admin_socket *s)
{
    struct stat status;
    if (s->listener < 0)
        return;
    close(s->listener);
    if (stat(s->path, &status) == 0 && status.st_dev == s->device && status.st_ino == s->inode)
        (void)unlink(s->path);
    close(s->lock); /* last: until here nobody else may take the path */
    free(s->path);
    *s = (struct gw_admin_socket){.listener = -1, .lock = -1};
}

int gw_admin_socket_connect(const char *path, int *out_descriptor, struct gw_error *error)
{
    struct sockaddr_un address;
    int folder = -1;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = descriptor < 0 ? -1 : make_address(path, &address, &folder);
    if (rc == 0)
        rc = connect(descriptor, (const struct sockaddr *)&address, sizeof address);
    int why = errno;
    if (folder >= 0)
        close(folder);
    if (rc == 0) {
        *out_descriptor = descriptor;
        return GW_OK;
    }
    if (descriptor >= 0)
        close(descriptor);
    if (why == ENOENT || why == ECONNREFUSED || why == ENOTDIR)
        return gw_error_set(error, GW_ENOTFOUND, 0, "no gateway listens at %s", path);
    return gw_error_set(error, why == EACCES ? GW_EAUTH : GW_EIO, why, "cannot connect to %s", path);
}
