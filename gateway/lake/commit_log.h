/*
 * The lake's commit log: one line for each flush,
 *   <CRC-32C of the rest, 8 hex digits> {"epoch":"<16 hex>","from":n,"to":n,"files":[["<temporary>","<final>"],..]}
 * from and to are the first and the last journal offset. The last whole line is the lake's position. Only that line
 * may have renames outstanding, so older ones are let go when the log has grown.
 */
#ifndef GW_LAKE_COMMIT_LOG_H
#define GW_LAKE_COMMIT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct gw_lake_file {
    char *temporary, *final; /* relative to the lake's folder */
};

struct gw_lake_intent {
    uint64_t epoch, from, to;
    struct gw_lake_file *files;
    size_t file_count;
};

void gw_lake_intent_free(struct gw_lake_intent *intent);

struct gw_lake_log {
    char *path;
    uint64_t len; /* up to the end of the last whole line */
    bool any;
    struct gw_lake_intent last; /* valid with any */
};

/*
 * Reads the log, which may be missing: any is false then. Bytes behind the last whole line are a torn append.
 * GW_EDAMAGED: lines there are, but none is whole; GW_EIO; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_lake_log_read(const char *folder, struct gw_lake_log *out, struct gw_error *error);
void gw_lake_log_free(struct gw_lake_log *log);
/*
 * Makes what was read durable, by writing the last line anew: after a failed sync, the line that a read shows may
 * not be on disk, and a torn append may lie behind it. To be called before anything is done on the log's word.
 * GW_EIO, GW_EFULL, GW_ENOMEM.
 */
GW_MUST_CHECK int gw_lake_log_settle(struct gw_lake_log *log, struct gw_error *error);
/*
 * Appends and syncs: the commit point. Takes the intent over on success. On failure the line may or may not be on
 * disk: read the log again and settle. GW_EIO, GW_EFULL, GW_ENOMEM.
 */
GW_MUST_CHECK int gw_lake_log_append(struct gw_lake_log *log, struct gw_lake_intent *intent,
                                     struct gw_error *error);

/* File work that the lake and its log share. Each GW_EIO or GW_EFULL. */
GW_MUST_CHECK int gw_lake_write_file(const char *path, int flags, const void *data, size_t len,
                                     struct gw_error *error);
GW_MUST_CHECK int gw_lake_sync_folder(const char *path, struct gw_error *error);

#endif
