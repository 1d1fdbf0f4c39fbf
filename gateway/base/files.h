/*
 * Files and folders that must be there after a power cut: paths, syncing, writing whole files, copying. POSIX.1-2008; a name
 * is durable once its folder was synced. All of it blocks on the disk. Nothing is for the group or others unless asked for.
 */
#ifndef GW_BASE_FILES_H
#define GW_BASE_FILES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct gw_path {
    char text[PATH_MAX];
};

/* folder/name; an over-long path becomes "", which no system call accepts. */
struct gw_path gw_path_join(const char *folder, const char *name);
/* The folder that the path's last name is in; "." for a mere name. Slashes at the end do not count. */
struct gw_path gw_path_parent(const char *path);
bool gw_path_exists(const char *path);

/* GW_EFULL for "no space left", quota and file size limits, GW_ENOMEM, GW_EINVALID for what permissions, a read-only file
 * system or the path forbid, else GW_EIO. */
int gw_error_of_errno(int errno_value);

/* These return 0 or an errno value. */
int gw_folder_sync(const char *folder);              /* fsync of the folder: its names are durable */
int gw_folder_make(const char *folder, mode_t mode); /* there already is no error */
int gw_folder_remove(const char *folder); /* with the files in it, one level deep; gone already is no error */
int gw_file_sync(const char *path);
/*
 * folder/name with these bytes: whole and durable on return, or as it was before. It is written as .NAME.new beside it and
 * renamed, which is what a failure may leave.
 */
GW_MUST_CHECK int gw_file_write(const char *folder, const char *name, const void *data, size_t len,
                                mode_t mode);
/* A new file with what `from` holds, synced; its name is not. EEXIST: there is one. What a failure left goes. */
GW_MUST_CHECK int gw_file_copy(const char *from, const char *to);
/* A second name, or where that cannot be (another file system, too many links) a copy. */
GW_MUST_CHECK int gw_file_link_or_copy(const char *from, const char *to);

#endif
