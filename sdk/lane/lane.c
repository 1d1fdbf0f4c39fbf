#include "lane/lane.h"

#include <string.h>

#include "wire/cbor.h"
#include "wire/crc32c.h"

#define READ_ATTEMPTS 4u /* then what cannot be read counts as damaged, and sending goes on behind it */

/* Seq 2 is at first_pos; seq 1 has no position. */
static uint64_t seq_at(uint64_t first_pos, uint64_t pos)
{
    return pos - first_pos + 2;
}

static uint8_t start_fields(const struct trib_ring_header *h, uint8_t out[TRIB_LANE_START_BYTES])
{
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, out, TRIB_LANE_START_BYTES);
    trib_cbor_put_map(&w, h->previous ? 3 : 1);
    if (h->previous) {
        trib_cbor_put_uint(&w, TRIB_FIELD_PREVIOUS);
        trib_cbor_put_uint(&w, h->previous);
        trib_cbor_put_uint(&w, TRIB_FIELD_PREVIOUS_NEXT);
        trib_cbor_put_uint(&w, h->previous_next);
    }
    trib_cbor_put_uint(&w, TRIB_FIELD_START_REASON);
    trib_cbor_put_uint(&w, h->start_reason);
    return (uint8_t)w.len;
}

/* Puts sending at a position. start_sent: stream.start of the stream there is not to be sent (again). */
static int send_from(struct trib_lane_state *lane, uint64_t pos, bool start_sent)
{
    struct trib_ring *r = &lane->ring;
    uint64_t oldest;
    lane->cursor_valid = false;
    int rc = trib_ring_stream_at(r, pos, &lane->stream, &lane->stream_first, &lane->stream_end, NULL);
    if (rc == TRIB_EDAMAGED) {
        /* The sectors that knew the stream's name are gone, and its events with them: the gateway counts them as
         * unaccounted. The next stream that is known begins. */
        pos = r->first_pos;
        if (trib_ring_oldest(r, &oldest) == 0 &&
            trib_ring_stream_at(r, oldest, &lane->stream, &lane->stream_first, &lane->stream_end, NULL) == 0)
            pos = lane->stream_first;
        rc = trib_ring_stream_at(r, pos, &lane->stream, &lane->stream_first, &lane->stream_end, NULL);
        start_sent = false;
        if (rc == 0)
            rc = trib_ring_ack(r, pos, false);
    }
    lane->send_pos = pos;
    lane->start_sent = start_sent;
    return rc;
}

int trib_lane_mount(struct trib_lane_state *lane, enum trib_lane which, const struct trib_storage *storage,
                    struct trib_ring_found *out_found)
{
    memset(lane, 0, sizeof *lane);
    lane->unacked_since_ms = UINT64_MAX;
    int rc = trib_ring_mount(&lane->ring, storage, out_found);
    if (rc < 0 || !lane->ring.open)
        return rc;
    lane->acked_high = lane->ring.acked_pos;
    if (which == TRIB_LANE_ROUTINE && trib_ring_oldest(&lane->ring, &lane->overflow_pos) < 0)
        lane->overflow_pos = 0;
    return send_from(lane, lane->ring.acked_pos, lane->ring.start_acked);
}

int trib_lane_open(struct trib_lane_state *lane, const struct trib_ring_start *start,
                   enum trib_ring_room room)
{
    struct trib_ring *r = &lane->ring;
    uint64_t dropped_to;
    if (r->open && r->acked_saved != r->acked_pos) {
        r->acked_crc = trib_lane_acked_crc(lane);
        r->acked_saved = r->acked_pos;
    }
    int rc = trib_ring_open(r, start, room, &dropped_to);
    if (dropped_to > lane->overflow_pos)
        lane->overflow_pos = dropped_to;
    if (rc < 0)
        return rc;
    if (start)
        return send_from(lane, r->acked_pos, r->start_acked);
    return 0;
}

bool trib_lane_pending(const struct trib_lane_state *lane)
{
    return lane->ring.open && (lane->send_pos < lane->ring.durable_pos || !lane->start_sent);
}

bool trib_lane_unacked(const struct trib_lane_state *lane)
{
    return lane->ring.open &&
           (lane->send_pos > lane->ring.acked_pos || (lane->start_sent && !lane->ring.start_acked));
}

static void describe_gap(const struct trib_lane_state *lane, enum trib_lane which, uint64_t end,
                         struct trib_lane_item *out)
{
    out->kind = TRIB_LANE_ITEM_DROP;
    out->drop_class = which == TRIB_LANE_VITAL ? TRIB_DROP_VITAL : TRIB_DROP_ROUTINE;
    out->drop_reason = TRIB_DROP_DAMAGED;
    if (lane->send_pos < lane->acked_high) {
        /* It was acked once, so this device no longer has it: the gateway lost it, or is another one. */
        out->drop_class = TRIB_DROP_UNKNOWN;
        out->drop_reason = TRIB_DROP_NOT_KNOWN;
        end = end < lane->acked_high ? end : lane->acked_high;
    } else if (lane->send_pos < lane->overflow_pos) {
        out->drop_reason = TRIB_DROP_OVERFLOW;
        end = end < lane->overflow_pos ? end : lane->overflow_pos;
    }
    out->count = end - lane->send_pos;
    out->after_pos = end;
}

static int peek_start(struct trib_lane_state *lane, struct trib_lane_item *out)
{
    struct trib_ring_header h;
    uint64_t stream, first, end;
    int rc = trib_ring_stream_at(&lane->ring, lane->stream_first, &stream, &first, &end, &h);
    if (rc < 0)
        return rc;
    out->kind = TRIB_LANE_ITEM_START;
    out->seq = 1;
    out->type = TRIB_EVENT_STREAM_START;
    out->mono_ms = h.start_mono_ms;
    out->boot = h.start_boot;
    out->ord = h.start_ord;
    out->context = UINT32_MAX;
    out->start_bytes = start_fields(&h, out->start);
    out->after_pos = lane->send_pos;
    return 1;
}

static void take_event(const struct trib_ring_record *record, unsigned type, struct trib_lane_item *out)
{
    out->kind = TRIB_LANE_ITEM_EVENT;
    out->type = (uint8_t)type;
    out->mono_ms = record->mono_ms;
    out->boot = record->boot;
    out->ord = record->ord;
    out->data = record->data;
    out->data_bytes = record->data_bytes;
    out->head = (uint8_t)record->head;
    out->context = record->context;
    out->seed = record->seed;
    out->after_pos = record->pos + 1;
}

/* What a declared drop says from send_pos on, but not beyond `end`. */
static void take_drop(const struct trib_lane_state *lane, const struct trib_ring_record *record, uint64_t end,
                      struct trib_lane_item *out)
{
    uint64_t to = record->pos + record->count;
    to = to < end ? to : end;
    out->kind = TRIB_LANE_ITEM_DROP;
    out->drop_class = record->drop_class;
    out->drop_reason = record->drop_reason;
    out->count = to - lane->send_pos;
    out->after_pos = to;
}

/* What lies between send_pos and the next record, at `end` in the sector of a cursor: something that was moved, or a gap. */
TRIB_OWN_FRAME static int peek_gap(struct trib_lane_state *lane, enum trib_lane which,
                                   const struct trib_ring_cursor *c, uint64_t end, struct trib_lane_item *out)
{
    struct trib_ring_record moved;
    struct trib_ring_header h;
    int rc = 0;
    end = end < lane->stream_end ? end : lane->stream_end;
    out->after = lane->cursor;
    /* Only before a sector whose predecessor went can it be more than damage. */
    if (c->sector_seq != lane->cursor.sector_seq + 1 &&
        trib_format_header_read(lane->ring.storage, c->sector, &h) == 0 && lane->send_pos < h.base_pos) {
        end = end < h.base_pos ? end : h.base_pos;
        rc = trib_ring_find_moved(&lane->ring, lane->send_pos, &lane->moved_seq, &moved, &end);
    }
    if (rc <= 0)
        describe_gap(lane, which, end, out);
    else if (moved.moved == TRIB_RECORD_DROP)
        take_drop(lane, &moved, end, out);
    else
        take_event(&moved, moved.moved, out);
    return 1;
}

/* Reads on to the record at send_pos. 1: it is in *out, or the gap before the next one is; 0: nothing. */
static int peek_record(struct trib_lane_state *lane, enum trib_lane which, struct trib_lane_item *out)
{
    for (;;) {
        struct trib_ring_cursor c = lane->cursor;
        struct trib_ring_record record;
        int rc = trib_ring_next(&lane->ring, &c, &record);
        if (rc < 0 && ++lane->read_errors < READ_ATTEMPTS)
            return rc;
        if (rc < 0 && trib_ring_skip_sector(&lane->ring, &lane->cursor, true) > 0)
            continue;
        lane->read_errors = 0;
        if (rc <= 0)
            return peek_gap(lane, which, &c, lane->ring.durable_pos, out);
        uint64_t count = record.kind < TRIB_RECORD_BASE    ? 1
                         : record.kind == TRIB_RECORD_DROP ? record.count
                                                           : 0;
        if (count == 0 || record.pos + count <= lane->send_pos) {
            lane->cursor = c;
            continue;
        }
        if (record.pos > lane->send_pos)
            return peek_gap(lane, which, &c, record.pos, out);
        out->after = lane->cursor;
        if (record.kind == TRIB_RECORD_DROP) {
            take_drop(lane, &record, lane->stream_end, out);
            return 1;
        }
        take_event(&record, record.kind, out);
        out->after = c;
        return 1;
    }
}

int trib_lane_peek(struct trib_lane_state *lane, enum trib_lane which, struct trib_lane_item *out)
{
    if (!lane->ring.open)
        return 0;
    memset(out, 0, sizeof *out);
    if (lane->send_pos >= lane->stream_end) {
        int rc = send_from(lane, lane->send_pos, false);
        if (rc < 0)
            return rc;
    }
    out->stream = lane->stream;
    if (!lane->start_sent)
        return peek_start(lane, out);
    if (lane->send_pos >= lane->ring.durable_pos)
        return 0;
    out->seq = seq_at(lane->stream_first, lane->send_pos);
    if (!lane->cursor_valid) {
        int rc = trib_ring_seek(&lane->ring, lane->send_pos, &lane->cursor);
        if (rc < 0)
            return rc;
        lane->cursor_valid = true;
    }
    return peek_record(lane, which, out);
}

void trib_lane_advance(struct trib_lane_state *lane, const struct trib_lane_item *item)
{
    if (item->kind == TRIB_LANE_ITEM_START) {
        lane->start_sent = true;
        return;
    }
    lane->send_pos = item->after_pos;
    lane->cursor = item->after;
}

size_t trib_lane_streams(const struct trib_lane_state *lane, enum trib_lane which,
                         struct trib_wire_hello_stream out[TRIB_LANE_STREAMS_MAX])
{
    const struct trib_ring *r = &lane->ring;
    uint64_t pos = r->acked_pos, first, end;
    bool start_acked = r->start_acked;
    size_t n = 0;
    if (!r->open)
        return 0;
    for (bool newest = false; !newest; n++) {
        if (pos >= r->first_pos || n == TRIB_LANE_STREAMS_MAX - 1 ||
            trib_ring_stream_at(r, pos, &out[n].stream, &first, &end, NULL) != 0) {
            newest = true;
            out[n].stream = r->stream;
            first = r->first_pos;
            end = r->durable_pos;
            start_acked = start_acked && pos >= first;
        }
        out[n].lane = (uint8_t)which;
        out[n].next_seq = seq_at(first, end);
        out[n].acked_seq = start_acked ? seq_at(first, pos) - 1 : 0;
        pos = end; /* where the next one begins */
        start_acked = false;
    }
    return n;
}

/* trib_wire_event_crc of a seq. 1: known; 0: not known. A drop has 0. */
static int event_crc(const struct trib_lane_state *lane, uint64_t stream, uint64_t first, uint64_t seq,
                     uint32_t *out_crc)
{
    const struct trib_ring *r = &lane->ring;
    const struct trib_storage *s = r->storage;
    if (seq == 1) {
        struct trib_ring_header h;
        uint8_t fields[TRIB_LANE_START_BYTES];
        uint64_t id, at, end;
        if (trib_ring_stream_at(r, first, &id, &at, &end, &h) != 0 || id != stream)
            return 0;
        uint8_t length = start_fields(&h, fields);
        *out_crc = trib_wire_event_crc(stream, 1, h.start_boot, h.start_mono_ms, h.start_ord,
                                       TRIB_EVENT_STREAM_START, fields, length);
        return 1;
    }
    uint64_t pos = first + seq - 2;
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    if (trib_ring_seek(r, pos, &c) == 0)
        while (trib_ring_next(r, &c, &record) > 0 && record.pos <= pos) {
            if (record.pos != pos || record.kind >= TRIB_RECORD_BASE)
                continue;
            uint32_t crc = trib_wire_event_crc(stream, seq, record.boot, record.mono_ms, record.ord,
                                               record.kind, NULL, 0);
            uint8_t piece[32];
            for (uint32_t done = 0; done < record.data_bytes;) {
                uint32_t n = record.data_bytes - done;
                n = n < sizeof piece ? n : (uint32_t)sizeof piece;
                if (s->read(s->context, record.data + done, piece, n) < 0)
                    return 0;
                crc = trib_crc32c(crc, piece, n);
                done += n;
            }
            *out_crc = crc;
            return 1;
        }
    if (pos + 1 == r->acked_saved && r->acked_crc != 0) {
        *out_crc = r->acked_crc;
        return 1;
    }
    return 0;
}

uint32_t trib_lane_acked_crc(const struct trib_lane_state *lane)
{
    const struct trib_ring *r = &lane->ring;
    uint64_t stream, first, end;
    uint32_t crc;
    if (!r->start_acked || trib_ring_stream_at(r, r->acked_pos, &stream, &first, &end, NULL) != 0)
        return 0;
    return event_crc(lane, stream, first, seq_at(first, r->acked_pos) - 1, &crc) ? crc : 0;
}

static const struct trib_wire_stream_state *state_of(const struct trib_wire_welcome *w, uint64_t stream)
{
    for (size_t i = 0; i < w->stream_count; i++)
        if (w->streams[i].stream == stream)
            return &w->streams[i];
    return NULL;
}

/* Moves the ack cursor forward, or back to what the ring still holds. */
static int settle(struct trib_lane_state *lane, uint64_t pos, bool start_acked)
{
    struct trib_ring *r = &lane->ring;
    uint64_t oldest;
    if (pos < r->acked_pos) {
        if (trib_ring_oldest(r, &oldest) == 0 && oldest > pos)
            pos = oldest < r->acked_pos ? oldest : r->acked_pos;
        if (pos == r->acked_pos)
            return 0;
        start_acked = true;
    }
    int rc = trib_ring_ack(r, pos, start_acked);
    if (r->acked_pos > lane->acked_high)
        lane->acked_high = r->acked_pos;
    return rc;
}

int trib_lane_welcome(struct trib_lane_state *lane, const struct trib_wire_welcome *welcome)
{
    struct trib_ring *r = &lane->ring;
    uint64_t stream, first, end;
    uint32_t crc;
    int rc = send_from(lane, r->acked_pos, r->start_acked);
    if (rc < 0)
        return rc;
    rc = trib_ring_stream_at(r, r->acked_pos, &stream, &first, &end, NULL);
    if (rc < 0)
        return rc;
    const struct trib_wire_stream_state *state = state_of(welcome, stream);
    uint64_t committed = state ? state->committed : 0;
    uint64_t last = seq_at(first, end < r->durable_pos ? end : r->durable_pos) - 1;
    if (committed > last)
        return TRIB_ERANGE;
    if (committed > 0 && state->crc != 0 && event_crc(lane, stream, first, committed, &crc) &&
        crc != state->crc)
        return TRIB_ERANGE;
    uint64_t pos = committed > 0 ? first + committed - 1 : first;
    bool at_end = pos == end; /* all of an old stream: the next one's start was not sent */
    rc = settle(lane, pos, committed > 0 && !at_end);
    if (rc < 0)
        return rc;
    return send_from(lane, pos, committed > 0 && !at_end);
}

/* The stream's first position and end, if it is one of those that are being sent. */
static bool known_stream(const struct trib_lane_state *lane, uint64_t stream, uint64_t *out_first,
                         uint64_t *out_end)
{
    const struct trib_ring *r = &lane->ring;
    uint64_t id;
    if (!r->open)
        return false;
    if (stream == r->stream) {
        *out_first = r->first_pos;
        *out_end = UINT64_MAX;
        return true;
    }
    return r->acked_pos < r->first_pos &&
           trib_ring_stream_at(r, r->acked_pos, &id, out_first, out_end, NULL) == 0 && id == stream;
}

bool trib_lane_ack(struct trib_lane_state *lane, uint64_t stream, uint64_t seq)
{
    struct trib_ring *r = &lane->ring;
    uint64_t first, end;
    if (!known_stream(lane, stream, &first, &end))
        return false;
    uint64_t limit = lane->send_pos < end ? lane->send_pos : end;
    uint64_t pos = seq > 0 ? first + seq - 1 : 0;
    if (seq == 0 || pos > limit || pos < r->acked_pos)
        return true; /* nothing new, or never sent: a gateway that acks that is not to be believed */
    if (pos == r->acked_pos && (r->start_acked || (seq == 1 && !lane->start_sent)))
        return true;
    (void)settle(lane, pos, pos != end);
    return true;
}

bool trib_lane_nack(struct trib_lane_state *lane, uint64_t stream, uint64_t expected)
{
    uint64_t first, end;
    if (!known_stream(lane, stream, &first, &end))
        return false;
    if (expected <= 1)
        (void)send_from(lane, first, false);
    else if (first + expected - 2 <= lane->ring.durable_pos)
        (void)send_from(lane, first + expected - 2, true);
    return true;
}

uint64_t trib_lane_waiting(const struct trib_lane_state *lane)
{
    return lane->ring.durable_pos - lane->ring.acked_pos;
}

uint64_t trib_lane_durable_seq(const struct trib_lane_state *lane)
{
    return lane->ring.open ? seq_at(lane->ring.first_pos, lane->ring.durable_pos) - 1 : 0;
}

uint64_t trib_lane_acked_seq(const struct trib_lane_state *lane)
{
    const struct trib_ring *r = &lane->ring;
    return r->open && r->start_acked && r->acked_pos >= r->first_pos ? seq_at(r->first_pos, r->acked_pos) - 1
                                                                     : 0;
}
