/*
 * Reading the embedded stream, from any process, while the gateway writes it. Nothing is locked.
 *
 *   gw_stream_reader_open(folder, from, &reader, &error);
 *   while (gw_stream_reader_next(reader, &record, &error) == 1) ...   then again later, to follow
 *
 * What is seen is whole; the newest records may not be synced yet: a power cut can take them, and they are then
 * written again, equal and with the same numbers.
 */
#ifndef GW_SINKS_STREAM_READER_H
#define GW_SINKS_STREAM_READER_H

#include "sinks/stream_file.h"

struct gw_stream_reader;

/* from: the first number wanted; 0: from the start. A missing folder is an empty stream. GW_ENOMEM, GW_EIO. */
GW_MUST_CHECK int gw_stream_reader_open(const char *folder, uint64_t from, struct gw_stream_reader **out,
                                        struct gw_error *error);
void gw_stream_reader_close(struct gw_stream_reader *reader);
/*
 * 1 with the next event (its JSON is borrowed until the next call; marks are stepped over); 0 at the end for now;
 * GW_EIO, GW_ENOMEM. Damaged places are stepped over and counted, except at the very end, where a record may be
 * in the making.
 */
GW_MUST_CHECK int gw_stream_reader_next(struct gw_stream_reader *reader, struct gw_stream_record *out,
                                        struct gw_error *error);
/* Damaged places that were stepped over so far. */
uint64_t gw_stream_reader_damaged(const struct gw_stream_reader *reader);

struct gw_stream_info {
    uint64_t files, bytes;
    uint64_t first_number, next_number; /* equal: no events */
    bool any;                           /* there is a record: then of the last one, the journal position */
    uint64_t epoch, offset;
    uint32_t index;
};

/* Reads the newest file only. GW_EIO, GW_ENOMEM. */
GW_MUST_CHECK int gw_stream_info_get(const char *folder, struct gw_stream_info *out, struct gw_error *error);

#endif
