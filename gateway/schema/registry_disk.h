/*
 * The registry on disk: what it holds lies in a folder of its own beside the journal, one file a change, numbered; each is written
 * aside, synced, renamed, and the folder synced, so that a power cut leaves a change whole or not at all. A file that is damaged,
 * or missing between others, is told and never stepped over.
 *
 * Beside that, schemas stand as files for people and for git: FOLDER/SUBJECT/VERSION.json, and FOLDER/ids (id and hash a line).
 * At start, files that are not registered yet are registered, by the same rules as any; a file that differs from what was
 * registered is refused. A file that is missing is written again. gw_schema_disk_reload does the same later, and what is wrong with
 * one subject's files then keeps no other's from being registered.
 */
#ifndef GW_SCHEMA_REGISTRY_DISK_H
#define GW_SCHEMA_REGISTRY_DISK_H

#include "schema/registry.h"

struct gw_schema_disk;

struct gw_schema_disk_options {
    const char *
        store; /* folder of the changes; made if it is not there. Its parent is there. NULL: nothing is stored */
    const char *files;    /* folder of SUBJECT/VERSION.json; made if it is not there. NULL: none */
    bool read_files_only; /* files are never written: a checkout */
    void (*on_trouble)(
        const char *text); /* files could not be written, when that begins; NULL: nobody is told */
    int64_t now_ms;        /* for what is registered from files */
};

/*
 * Reads the store into an empty registry, attaches to it, and brings the files in line. *out is the caller's, to be closed after the
 * last registration. Errors, with *error: GW_EDAMAGED (the store; which file), GW_ECONFLICT (a file contradicts what was
 * registered or may not follow it; *report has why), GW_EINVALID (a file is no schema, or the folder cannot be used), GW_EIO,
 * GW_EFULL, GW_ENOMEM. Blocks on the disk.
 */
GW_MUST_CHECK int gw_schema_disk_open(const struct gw_schema_disk_options *options,
                                      struct gw_schemas *schemas, struct gw_compat_report *report,
                                      struct gw_schema_disk **out, struct gw_error *error);
/*
 * Reads the folder of files again: what is new is registered, what is missing written. Subjects with something wrong are left as
 * they were; the first fault is told, as by gw_schema_disk_open. One at a time; beside registrations by clients. Blocks on the disk.
 */
GW_MUST_CHECK int gw_schema_disk_reload(struct gw_schema_disk *disk, int64_t now_ms, struct gw_error *error);
/* NULL is allowed. The registry stays, and takes nothing new. */
void gw_schema_disk_close(struct gw_schema_disk *disk);

/*
 * The files could not be written: "" if all is well, else why. The store is what counts; the files are tried again with
 * the next registration and at start. Any thread; out is filled and returned.
 */
const char *gw_schema_disk_trouble(struct gw_schema_disk *disk, char out[256]);

/* --- a backup's copy of the store (registry_copy.c) --- */

/*
 * Makes the folder `to` with the changes in `store`: second names where that can be, else copies. A change never changes and
 * they are numbered without a gap, so this may run while the registry takes more: *out_count are there, from the first, among them all
 * that were registered before the call. Neither a store nor a change: no folder, and 0. Returns 0 or an errno value.
 */
GW_MUST_CHECK int gw_schema_store_copy(const char *store, const char *to, unsigned *out_count);
/* How many of the first `count` changes in a copy are whole, up to the first that is not. Reads only. */
unsigned gw_schema_store_sound(const char *copy, unsigned count);
/*
 * Adds to `store` (made if it is not there) those of the first `count` changes in a copy that it has not. It may have more: a
 * registry only grows. 0; GW_ECONFLICT: it says something else in one of them, and nothing was changed; GW_EDAMAGED: of the copy;
 * GW_EFULL, GW_EINVALID, GW_EIO, GW_ENOMEM. No gateway runs on it meanwhile.
 */
GW_MUST_CHECK int gw_schema_store_restore(const char *copy, unsigned count, const char *store,
                                          struct gw_error *error);

#endif
