/*
 * Files and folders of the journal: making them durable, moving and removing them, the LOCK and FORMAT files.
 * Everything is made for the owner only (0600, 0700).
 */
#ifndef GW_JOURNAL_FOLDER_H
#define GW_JOURNAL_FOLDER_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

#define GW_JOURNAL_FORMAT_READ 1u  /* the version a program must know to read this journal */
#define GW_JOURNAL_FORMAT_WRITE 1u /* ... to write to it */

struct gw_path {
    char text[PATH_MAX];
};

/* folder/name; an over-long path becomes "", which no system call accepts. */
struct gw_path gw_path_join(const char *folder, const char *name);

/* GW_EFULL for "no space left", quota and file size limits, GW_EINVALID for permissions and read-only, else
 * GW_EIO. */
int gw_error_of_errno(int errno_value);

/* These return 0 or an errno value. */
int gw_folder_sync(const char *folder);   /* fsync of the folder: its names are durable */
int gw_folder_make(const char *folder);   /* 0700; there already is no error */
int gw_folder_remove(const char *folder); /* with the files in it, one level deep; gone already is no error */
int gw_file_sync(const char *path);
int gw_file_make(const char *path, uint64_t bytes);     /* made if it is not there, then as allocate */
int gw_file_allocate(const char *path, uint64_t bytes); /* space is reserved and the size durable */

bool gw_path_exists(const char *path);

/* Takes data/LOCK. GW_EBUSY names the process that has it. */
GW_MUST_CHECK int gw_lock_take(const char *folder, int *out_fd, struct gw_error *error);

/* What data/FORMAT says. GW_ENOTFOUND: no such file; GW_EVERSION: newer; GW_EINVALID: something else's file.
 */
GW_MUST_CHECK int gw_format_check(const char *folder, struct gw_error *error);
GW_MUST_CHECK int gw_format_write(const char *folder, struct gw_error *error);

/* Nothing but what Tributary makes lies in the folder. GW_EINVALID names what else does. */
GW_MUST_CHECK int gw_folder_is_ours(const char *folder, struct gw_error *error);

#endif
