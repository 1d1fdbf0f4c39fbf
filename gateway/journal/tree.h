/* Folders of a journal as a whole: copying, linking, removing them; the file that makes a folder a backup. */
#ifndef GW_JOURNAL_TREE_H
#define GW_JOURNAL_TREE_H

#include "base/error.h"
#include "journal/folder.h"
#include "journal/maintain.h"

/* These return 0 or an errno value. */
/* A folder with folders of files in it, as segments/ and a backup are; gone already is no error. */
int gw_tree_remove(const char *folder);

/* Makes `to`, which must not be there, with all files and folders of `from`; synced, but for its own name. */
GW_MUST_CHECK int gw_tree_copy(const char *from, const char *to);

#define GW_BACKUP_FILE "BACKUP" /* what makes a folder a whole backup */
GW_MUST_CHECK int gw_backup_mark(const char *folder, const struct gw_journal_summary *sum);

/* How many changes of the registry of schemas are in a backup. */
unsigned gw_backup_schemas(const char *folder);
/* GW_ENOTFOUND: the folder is no backup; GW_EVERSION; GW_EINVALID. */
GW_MUST_CHECK int gw_backup_check(const char *folder, struct gw_error *error);

#endif
