/*
 * An audit of an LMDB data file's structure, page by page, without LMDB: no page is used twice or used and free, every
 * tree has the pages and entries that its root claims, keys rise, and the keys of branch pages lead to where they say.
 * LMDB checks none of this: with a wrong branch key it answers "not found", with a wrong free list it overwrites what
 * is in use. For a child process only: it maps the file.
 */
#ifndef GW_JOURNAL_AUDIT_H
#define GW_JOURNAL_AUDIT_H

#include "base/error.h"

/* The file must have passed gw_store_judge. 0, GW_EDAMAGED, GW_EIO, GW_ENOMEM. */
GW_MUST_CHECK int gw_audit(const char *folder);

#endif
