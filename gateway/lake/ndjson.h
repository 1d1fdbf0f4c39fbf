/*
 * The embedded lake as a sink: newline-delimited JSON in Hive partitions, each event exactly once. docs/lake.md.
 *
 *   <folder>/events/schema=<type>/date=<YYYY-MM-DD>/part-<epoch>-<first offset>-<last offset>.jsonl
 *   <folder>/_tmp          files in the making
 *   <folder>/_commits.log  one line for each flush: the commit point
 *
 * A flush writes a file for each partition under a temporary name, syncs them and their folder, appends an intent
 * (the range of entries and the names) to the log, syncs it, and renames. What comes before the intent's sync never
 * happened; what comes after it is done again at the next open. Readers see whole files only.
 */
#ifndef GW_LAKE_NDJSON_H
#define GW_LAKE_NDJSON_H

#include "delivery/sink.h"

struct gw_lake_config {
    const char *folder;     /* made when missing; its parent must exist. Copied. */
    uint32_t flush_ms;      /* the oldest event waits no longer than this; 0: 10000 */
    uint64_t flush_bytes;   /* memory for what waits, roughly; 0: 8 MiB */
    uint64_t epoch;         /* of the journal */
    const char *gateway_id; /* copied */
};

/* The sink is freed by sink.free. GW_ENOMEM. */
GW_MUST_CHECK int gw_lake_new(const struct gw_lake_config *config, struct gw_sink *out,
                              struct gw_error *error);

#endif
