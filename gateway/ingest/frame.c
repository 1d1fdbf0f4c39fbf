#include "ingest/frame.h"

#include <stdlib.h>
#include <string.h>

#include "ingest/utf8.h"

void gw_frame_reader_init(struct gw_frame_reader *reader)
{
    *reader = (struct gw_frame_reader){.need = 2};
}

void gw_frame_reader_free(struct gw_frame_reader *reader)
{
    free(reader->message);
    reader->message = NULL;
}

static void broken(struct gw_frame *out, unsigned code, const char *text)
{
    *out = (struct gw_frame){.kind = GW_FRAME_BROKEN, .code = code, .text = text};
}

/* §5.3, eight bytes at a time. phase: how much of the payload came before. */
static void unmask(uint8_t *data, size_t len, const uint8_t mask[4], uint64_t phase)
{
    uint8_t turned[8];
    for (unsigned i = 0; i < sizeof turned; i++)
        turned[i] = mask[(phase + i) & 3];
    uint64_t wide;
    memcpy(&wide, turned, sizeof wide);
    size_t i = 0;
    for (; i + sizeof wide <= len; i += sizeof wide) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        word ^= wide;
        memcpy(data + i, &word, sizeof word);
    }
    for (; i < len; i++)
        data[i] ^= turned[i & 7];
}

/* §5.2: the first two bytes, as soon as they are there. False: *out says what is wrong. */
static bool check_start(struct gw_frame_reader *reader, struct gw_frame *out)
{
    uint8_t first = reader->header[0], second = reader->header[1];
    reader->final = first & 0x80;
    reader->opcode = first & 0x0f;
    bool control = reader->opcode & 8;
    if (first & 0x70) {
        broken(out, GW_CLOSE_PROTOCOL, "a reserved bit is set");
    } else if (!(second & 0x80)) {
        broken(out, GW_CLOSE_PROTOCOL, "the frame is not masked");
    } else if ((reader->opcode > GW_FRAME_BINARY && !control) || reader->opcode > GW_FRAME_PONG) {
        broken(out, GW_CLOSE_PROTOCOL, "a reserved opcode");
    } else if (control && (!reader->final || (second & 0x7f) > GW_FRAME_CONTROL_MAX)) {
        broken(out, GW_CLOSE_PROTOCOL, "a fragmented or long control frame");
    } else if (!control && (reader->opcode == GW_FRAME_CONTINUATION) != (reader->message_opcode != 0)) {
        broken(out, GW_CLOSE_PROTOCOL, "a continuation without a start, or a start inside a message");
    } else {
        reader->need = (second & 0x7f) == 126 ? 8 : (second & 0x7f) == 127 ? 14 : 6;
        return true;
    }
    return false;
}

static bool check_length(struct gw_frame_reader *reader, size_t limit, struct gw_frame *out)
{
    unsigned len_bytes = reader->need - 6u;
    uint64_t len = reader->header[1] & 0x7f;
    if (len_bytes > 0) {
        len = 0;
        for (unsigned i = 0; i < len_bytes; i++)
            len = len << 8 | reader->header[2 + i];
        if (len < (len_bytes == 2 ? 126u : 65536u) || len >> 63) {
            broken(out, GW_CLOSE_PROTOCOL, "a length that is not minimal");
            return false;
        }
    }
    if (!(reader->opcode & 8) && (len > limit || reader->message_len > limit - len)) {
        broken(out, GW_CLOSE_TOO_LARGE, "the message is larger than allowed");
        return false;
    }
    memcpy(reader->mask, reader->header + reader->need - 4, 4);
    reader->payload_len = len;
    reader->payload_have = 0;
    reader->in_payload = true;
    return true;
}

static size_t read_header(struct gw_frame_reader *reader, const uint8_t *data, size_t len, size_t limit,
                          struct gw_frame *out)
{
    size_t used = 0;
    while (used < len && !reader->in_payload) {
        reader->header[reader->have++] = data[used++];
        if (reader->have == 2 && reader->need == 2 && !check_start(reader, out))
            return used;
        if (reader->have == reader->need && !check_length(reader, limit, out))
            return used;
    }
    return used;
}

static bool make_room(struct gw_frame_reader *reader, size_t more)
{
    size_t needed = reader->message_len + more;
    if (needed <= reader->message_capacity)
        return true;
    uint8_t *grown = realloc(reader->message, needed);
    if (!grown)
        return false;
    reader->message = grown;
    reader->message_capacity = needed;
    return true;
}

static void drop_message(struct gw_frame_reader *reader)
{
    free(reader->message);
    reader->message = NULL;
    reader->message_len = reader->message_capacity = 0;
    reader->message_opcode = 0;
}

static bool close_code_allowed(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}

static void finish_control(struct gw_frame_reader *reader, struct gw_frame *out)
{
    size_t len = (size_t)reader->payload_len;
    *out = (struct gw_frame){
        .kind = GW_FRAME_CONTROL, .opcode = reader->opcode, .data = reader->control, .len = len, .code = 0};
    if (reader->opcode != GW_FRAME_CLOSE)
        return;
    out->code = GW_CLOSE_NO_STATUS;
    if (len == 0)
        return;
    out->code = len == 1 ? 0 : (unsigned)reader->control[0] << 8 | reader->control[1];
    if (!close_code_allowed(out->code) || !gw_utf8_valid(reader->control + 2, len - 2))
        broken(out, GW_CLOSE_PROTOCOL, "a close frame with a status or text that is not allowed");
}

static void finish_message(const uint8_t *data, size_t len, unsigned opcode, struct gw_frame *out)
{
    if (opcode == GW_FRAME_TEXT && !gw_utf8_valid(data, len))
        broken(out, GW_CLOSE_BAD_DATA, "text that is not UTF-8");
    else
        *out = (struct gw_frame){.kind = GW_FRAME_MESSAGE, .opcode = opcode, .data = data, .len = len};
}

static size_t read_control(struct gw_frame_reader *reader, const uint8_t *data, size_t len,
                           struct gw_frame *out)
{
    size_t left = (size_t)(reader->payload_len - reader->payload_have);
    size_t used = len < left ? len : left;
    memcpy(reader->control + reader->payload_have, data, used);
    unmask(reader->control + reader->payload_have, used, reader->mask, reader->payload_have);
    reader->payload_have += used;
    if (reader->payload_have == reader->payload_len) {
        finish_control(reader, out);
        reader->in_payload = false;
        reader->have = 0;
        reader->need = 2;
    }
    return used;
}

static size_t read_data(struct gw_frame_reader *reader, uint8_t *data, size_t len, struct gw_frame *out)
{
    size_t left = (size_t)(reader->payload_len - reader->payload_have);
    size_t used = len < left ? len : left;
    bool whole_frame = used == reader->payload_len;
    unmask(data, used, reader->mask, reader->payload_have);
    if (reader->payload_have == 0 && reader->opcode != GW_FRAME_CONTINUATION)
        reader->message_opcode = reader->opcode;
    reader->payload_have += used;
    bool frame_done = reader->payload_have == reader->payload_len;
    if (frame_done) {
        reader->in_payload = false;
        reader->have = 0;
        reader->need = 2;
    }
    if (whole_frame && reader->final && reader->opcode != GW_FRAME_CONTINUATION) {
        finish_message(data, used, reader->message_opcode, out); /* the common case: no copy, no memory */
        reader->message_opcode = 0;
        return used;
    }
    if (!make_room(reader, left)) {
        broken(out, GW_CLOSE_TRY_LATER, "out of memory");
        return used;
    }
    if (used > 0)
        memcpy(reader->message + reader->message_len, data, used);
    reader->message_len += used;
    if (frame_done && reader->final) {
        finish_message(reader->message, reader->message_len, reader->message_opcode, out);
        reader->message_opcode = 0; /* its memory is given back by the next read */
    }
    return used;
}

size_t gw_frame_read(struct gw_frame_reader *reader, uint8_t *data, size_t len, size_t limit,
                     struct gw_frame *out)
{
    if (reader->message_opcode == 0 && reader->message)
        drop_message(reader);
    size_t used = 0;
    *out = (struct gw_frame){.kind = GW_FRAME_MORE};
    while (out->kind == GW_FRAME_MORE) {
        if (!reader->in_payload) {
            used += read_header(reader, data + used, len - used, limit, out);
            if (out->kind != GW_FRAME_MORE || !reader->in_payload)
                return used;
        }
        if (used == len && reader->payload_have < reader->payload_len)
            return used;
        used += reader->opcode & 8 ? read_control(reader, data + used, len - used, out)
                                   : read_data(reader, data + used, len - used, out);
    }
    return used;
}

size_t gw_frame_header(unsigned opcode, size_t len, uint8_t out[GW_FRAME_HEADER_MAX])
{
    out[0] = (uint8_t)(0x80 | opcode);
    unsigned len_bytes = len < 126 ? 0 : len < 65536 ? 2 : 8;
    out[1] = (uint8_t)(len_bytes == 0 ? len : len_bytes == 2 ? 126 : 127);
    for (unsigned i = 0; i < len_bytes; i++)
        out[2 + i] = (uint8_t)((uint64_t)len >> 8 * (len_bytes - 1 - i));
    return 2 + len_bytes;
}
