/*
 * WebSocket frames, server side (RFC 6455 §5), without I/O: bytes in, whole messages out. Strict where
 * libwebsockets is not: client frames must be masked (§5.1), a message has a size limit that its declared
 * length already trips, and reserved bits and opcodes, fragmented or long control frames and bad UTF-8 end
 * the connection with the code that §7.4.1 names.
 */
#ifndef GW_INGEST_FRAME_H
#define GW_INGEST_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GW_FRAME_HEADER_MAX 10 /* of a frame that a server sends */
#define GW_FRAME_CONTROL_MAX 125

enum gw_frame_opcode {
    GW_FRAME_CONTINUATION = 0,
    GW_FRAME_TEXT = 1,
    GW_FRAME_BINARY = 2,
    GW_FRAME_CLOSE = 8,
    GW_FRAME_PING = 9,
    GW_FRAME_PONG = 10,
};

enum gw_frame_close {
    GW_CLOSE_NORMAL = 1000,
    GW_CLOSE_GOING_AWAY = 1001,
    GW_CLOSE_PROTOCOL = 1002,
    GW_CLOSE_NO_STATUS = 1005, /* never on the wire */
    GW_CLOSE_BAD_DATA = 1007,
    GW_CLOSE_POLICY = 1008,
    GW_CLOSE_TOO_LARGE = 1009,
    GW_CLOSE_TRY_LATER = 1013,
};

struct gw_frame_reader {
    uint8_t header[14];
    uint8_t have, need;     /* of the header */
    uint8_t opcode;         /* of the frame being read */
    uint8_t message_opcode; /* text or binary while a message is unfinished, else 0 */
    bool in_payload, final;
    uint8_t mask[4];
    uint64_t payload_len, payload_have;
    uint8_t control[GW_FRAME_CONTROL_MAX];
    uint8_t *message; /* only while a message is spread over several reads or frames */
    size_t message_len, message_capacity;
};

enum gw_frame_kind {
    GW_FRAME_MORE,    /* everything was used; nothing is complete */
    GW_FRAME_MESSAGE, /* opcode text or binary */
    GW_FRAME_CONTROL, /* opcode close, ping or pong */
    GW_FRAME_BROKEN,  /* close with `code`; the reader is of no more use */
};

struct gw_frame {
    enum gw_frame_kind kind;
    unsigned opcode;
    const uint8_t *data; /* valid until the next call; into the input or the reader */
    size_t len;
    unsigned code; /* close frame: its status, GW_CLOSE_NO_STATUS without one; broken: what to close with */
    const char *text; /* broken: why */
};

void gw_frame_reader_init(struct gw_frame_reader *reader);
void gw_frame_reader_free(struct gw_frame_reader *reader);

/*
 * Reads on until something is complete. data is unmasked in place. limit: largest message now allowed. Call
 * again with the rest until kind is GW_FRAME_MORE or GW_FRAME_BROKEN. Returns the bytes used.
 */
size_t gw_frame_read(struct gw_frame_reader *reader, uint8_t *data, size_t len, size_t limit,
                     struct gw_frame *out);

/* Header of an unfragmented, unmasked frame; returns its length. */
size_t gw_frame_header(unsigned opcode, size_t len, uint8_t out[GW_FRAME_HEADER_MAX]);

#endif
