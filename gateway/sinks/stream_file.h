/*
 * The files of the embedded stream: names, record framing, and an iterator over one file. docs/stream.md.
 *
 * A file is named by the number of its first event in 20 digits, ".log". A record is a header of 40 bytes,
 * little-endian, then the payload:
 *
 *   0  crc     CRC-32C of everything behind it, payload included
 *   4  length  of the payload
 *   8  number  of the event in the stream, from 0; a mark has the number of the next event
 *  16  epoch   of the journal
 *  24  offset  of the journal entry
 *  32  index   of the event in the entry
 *  36  flags   enum gw_stream_flag
 *
 * A mark has no payload: it says that entries without events were passed.
 */
#ifndef GW_SINKS_STREAM_FILE_H
#define GW_SINKS_STREAM_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GW_STREAM_HEADER_BYTES 40
#define GW_STREAM_PAYLOAD_MAX (16u << 20)
#define GW_STREAM_NAME_BYTES 25 /* 20 digits, ".log", terminated */

enum gw_stream_flag {
    GW_STREAM_LAST = 1, /* the last event of its entry */
    GW_STREAM_MARK = 2,
};

struct gw_stream_record {
    uint64_t number, epoch, offset;
    uint32_t index, flags;
    const char *json; /* borrowed, not terminated */
    size_t json_len;
};

/* Writes header and payload; out has room for GW_STREAM_HEADER_BYTES + json_len. Returns that length. */
size_t gw_stream_record_encode(const struct gw_stream_record *record, uint8_t *out);

void gw_stream_file_name(uint64_t first_number, char out[GW_STREAM_NAME_BYTES]);
/* Whether a folder entry is a stream file, and its first number. */
bool gw_stream_file_parse_name(const char *name, uint64_t *out_first_number);

/* First numbers of all files in the folder, ascending; malloced. A missing folder has none. GW_EIO, GW_ENOMEM. */
GW_MUST_CHECK int gw_stream_file_list(const char *folder, uint64_t **out_numbers, size_t *out_count,
                                      struct gw_error *error);

struct gw_stream_file {
    int fd;      /* -1: none */
    uint64_t at; /* where in the file the buffer begins */
    uint8_t *buffer;
    size_t capacity, len, pos;
};

void gw_stream_file_init(struct gw_stream_file *file);
/* GW_ENOTFOUND, GW_EIO. */
GW_MUST_CHECK int gw_stream_file_open(struct gw_stream_file *file, const char *folder, uint64_t first_number,
                                      struct gw_error *error);
void gw_stream_file_close(struct gw_stream_file *file);
/*
 * 1 with the next record (borrowed until the next call); 0 where the file ends, be it within a record: call
 * again when it has grown; GW_EDAMAGED where the bytes are no record: the position stays; GW_EIO; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_stream_file_next(struct gw_stream_file *file, struct gw_stream_record *out,
                                      struct gw_error *error);
/* Where the next record would begin. */
uint64_t gw_stream_file_position(const struct gw_stream_file *file);
/* From a damaged place to the next whole record. 1 found; 0 none up to the end of the file; GW_EIO; GW_ENOMEM. */
GW_MUST_CHECK int gw_stream_file_resync(struct gw_stream_file *file, struct gw_error *error);

#endif
