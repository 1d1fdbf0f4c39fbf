/*
 * Files and folders of the journal beside what base/files.h does for any: allocated files, LOCK and FORMAT.
 * Everything is made for the owner only (0600, 0700).
 */
#ifndef GW_JOURNAL_FOLDER_H
#define GW_JOURNAL_FOLDER_H

#include <stdint.h>

#include "base/files.h"

#define GW_JOURNAL_FORMAT_READ 1u  /* the version a program must know to read this journal */
#define GW_JOURNAL_FORMAT_WRITE 1u /* ... to write to it */

/* These return 0 or an errno value. */
int gw_file_make(const char *path, uint64_t bytes);     /* made if it is not there, then as allocate */
int gw_file_allocate(const char *path, uint64_t bytes); /* space is reserved and the size durable */

/* Takes data/LOCK. GW_EBUSY names the process that has it. */
GW_MUST_CHECK int gw_lock_take(const char *folder, int *out_fd, struct gw_error *error);

/* What data/FORMAT says. GW_ENOTFOUND: no such file; GW_EVERSION: newer; GW_EINVALID: something else's file.
 */
GW_MUST_CHECK int gw_journal_format_check(const char *folder, struct gw_error *error);
GW_MUST_CHECK int gw_journal_format_write(const char *folder, struct gw_error *error);

/* Nothing but what Tributary makes lies in the folder. GW_EINVALID names what else does. */
GW_MUST_CHECK int gw_folder_is_ours(const char *folder, struct gw_error *error);

#endif
