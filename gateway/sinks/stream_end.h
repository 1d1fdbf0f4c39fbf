/* Where a stream folder ends: the last whole record, and what a writer goes on from. Pure reading. */
#ifndef GW_SINKS_STREAM_END_H
#define GW_SINKS_STREAM_END_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "delivery/sink.h"
#include "sinks/stream_file.h"

struct gw_stream_end {
    bool any_file;
    uint64_t file_first, file_len; /* of the newest file; its whole records end at file_len */
    uint64_t next_number;
    struct gw_sink_position position;
};

/* The end after one more record. */
void gw_stream_end_follow(struct gw_stream_end *end, const struct gw_stream_record *record);

/*
 * Reads the newest file to the first bytes that are no whole record, and older ones only while none was found.
 * out_tail_has_records: behind those bytes there are whole records, so it is damage and no torn append. 0; GW_EDAMAGED: files,
 * but no readable record in any; GW_EIO; GW_EINVALID; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_stream_end_find(const char *folder, struct gw_stream_end *out,
                                     bool *out_tail_has_records, struct gw_error *error);

#endif
