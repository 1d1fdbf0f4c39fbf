/* Folders of a journal as a whole: copying, linking, removing them; the file that makes a folder a backup. */
#ifndef GW_JOURNAL_TREE_H
#define GW_JOURNAL_TREE_H

#include "base/error.h"
#include "journal/folder.h"

/* These return 0 or an errno value. What they make is synced. */
int gw_file_copy(const char *from, const char *to);
/* A second name, or where that cannot be (another file system, too many links) a copy. */
int gw_file_link_or_copy(const char *from, const char *to);
/* A folder with folders of files in it, as segments/ and a backup are; gone already is no error. */
int gw_tree_remove(const char *folder);

/* The file BACKUP: what makes a folder a whole backup. 0 or an errno value. */
int gw_backup_mark(const char *folder, uint64_t epoch, uint64_t end);
/* GW_ENOTFOUND: the folder is no backup; GW_EVERSION; GW_EINVALID. */
GW_MUST_CHECK int gw_backup_check(const char *folder, struct gw_error *error);

#endif
