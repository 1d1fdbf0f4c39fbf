/*
 * The folders in data.folder beside the journal's own files (journal/folder.h). Part of what an upgrade must keep;
 * operators and scripts rely on them.
 */
#ifndef GW_BASE_LAYOUT_H
#define GW_BASE_LAYOUT_H

#define GW_LAYOUT_STREAM "stream"     /* the embedded stream */
#define GW_LAYOUT_LAKE "lake"         /* the embedded lake */
#define GW_LAYOUT_KEYS "keys"         /* pseudonym and seal key, where the configuration names none */
#define GW_LAYOUT_REGISTRY "registry" /* registered schemas, one file a change */
#define GW_LAYOUT_SCHEMAS                                                                                    \
    "schemas" /* the same for people: SUBJECT/VERSION.json, where the configuration names no folder */
#define GW_LAYOUT_BACKUP "backup.ready"         /* a backup that waits to be taken away */
#define GW_LAYOUT_BACKUP_TMP "backup.ready.tmp" /* one that is being made */
#define GW_LAYOUT_RUN "run"                     /* ports, admin socket: of this run only */

#endif
