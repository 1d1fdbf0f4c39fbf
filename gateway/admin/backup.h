/*
 * A backup of the journal at work, over the admin socket. Nothing of it waits: the committer makes it within a second or so, and the
 * one who asked looks how it fares.
 *
 *   POST   /v1/backup            202, or 409 if another is under way or was not taken away
 *   GET    /v1/backup            state (none, waiting, running, ready, failed) and number; of a ready one what is in it, of one that
 *                                failed the error
 *   DELETE /v1/backup?number=N   takes back one that still waits; 404 if it does not
 *
 * A ready one lies in the data folder as backup.ready (journal/maintain.h), so no path is taken from whoever asks.
 */
#ifndef GW_ADMIN_BACKUP_H
#define GW_ADMIN_BACKUP_H

#include "admin/routes.h"

/* False: not this path. */
bool gw_admin_backup(struct gw_admin_view *view, const struct gw_admin_question *question,
                     struct gw_admin_answer *out);

#endif
