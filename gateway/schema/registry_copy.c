/* The store's files in a backup, and back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/registry_disk.h"
#include "schema/registry_files.h"

static struct gw_path change(const char *folder, unsigned number)
{
    char name[16];
    (void)snprintf(name, sizeof name, GW_RECORD_NAME, number);
    return gw_path_join(folder, name);
}

/* By number, not by what the folder lists: a listing under way may show a newer change and not the one before it. */
int gw_schema_store_copy(const char *store, const char *to, unsigned *out_count)
{
    unsigned count = 0;
    int e = gw_path_exists(change(store, 1).text) ? gw_folder_make(to, 0700) : ENOENT;
    while (e == 0) {
        e = gw_file_link_or_copy(change(store, count + 1).text, change(to, count + 1).text);
        count += e == 0;
    }
    if (e != ENOENT)
        return e;
    e = count > 0 ? gw_folder_sync(to) : 0;
    if (e == 0)
        *out_count = count;
    return e;
}

unsigned gw_schema_store_sound(const char *copy, unsigned count)
{
    struct gw_record_memory memory;
    struct gw_schemas_record record;
    for (unsigned i = 1; i <= count; i++) {
        char *text = NULL;
        size_t len = 0;
        int rc = gw_files_read(change(copy, i).text, GW_RECORD_BYTES_MAX, &text, &len);
        if (rc == 0)
            rc = gw_record_read(text, len, &memory, &record);
        free(text);
        if (rc != 0)
            return i - 1;
    }
    return count;
}

/* 0: the same; GW_ENOTFOUND: the store has none of this number; GW_ECONFLICT. text: of the copy, the caller's. */
static int compare(const char *copy, const char *store, unsigned number, char **out_text, size_t *out_len)
{
    char *there = NULL;
    size_t there_len = 0;
    int rc = gw_files_read(change(copy, number).text, GW_RECORD_BYTES_MAX, out_text, out_len);
    if (rc != 0)
        return rc == GW_ENOMEM ? rc : GW_EDAMAGED;
    rc = gw_files_read(change(store, number).text, GW_RECORD_BYTES_MAX, &there, &there_len);
    if (rc == 0 && (there_len != *out_len || memcmp(there, *out_text, there_len) != 0))
        rc = GW_ECONFLICT;
    free(there);
    return rc == GW_ELIMIT ? GW_ECONFLICT : rc;
}

static int refuse(int rc, const char *copy, const char *store, unsigned number, struct gw_error *error)
{
    if (rc == GW_ECONFLICT)
        return gw_error_set(
            error, rc, 0,
            "%s holds other schemas than the backup (change %u): move that folder away, and keep it "
            "until all is well",
            store, number);
    return gw_error_set(error, rc, 0, "change %u of the schemas, in %s or %s, cannot be read", number, copy,
                        store);
}

static int restore_one(const char *copy, const char *store, unsigned number, bool only_look,
                       struct gw_error *error)
{
    char *text = NULL, name[16];
    size_t len = 0;
    int e = 0, rc = compare(copy, store, number, &text, &len);
    if (rc == GW_ENOTFOUND && !only_look) {
        (void)snprintf(name, sizeof name, GW_RECORD_NAME, number);
        e = gw_file_write(store, name, text, len, GW_FILES_MODE);
    }
    free(text);
    if (e != 0)
        return gw_error_set(error, gw_error_of_errno(e), e, "the schemas cannot be put back into %s", store);
    return rc == 0 || rc == GW_ENOTFOUND ? 0 : refuse(rc, copy, store, number, error);
}

int gw_schema_store_restore(const char *copy, unsigned count, const char *store, struct gw_error *error)
{
    int rc = 0;
    for (unsigned i = 1; rc == 0 && i <= count; i++)
        rc = restore_one(copy, store, i, true, error);
    int e = rc == 0 && count > 0 ? gw_files_make_folder(store) : 0;
    if (e != 0)
        return gw_error_set(error, gw_error_of_errno(e), e, "%s cannot be made", store);
    for (unsigned i = 1; rc == 0 && i <= count; i++)
        rc = restore_one(copy, store, i, false, error);
    return rc;
}
