/* Reading: records, damage, sectors in order, streams. */
#include <string.h>

#include "journal/journal.h"
#include "wire/message.h"

bool trib_seq_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

int trib_ring_find_sector(const struct trib_ring *r, uint32_t seq, uint32_t hint, uint32_t *out_sector,
                          struct trib_ring_header *out)
{
    struct trib_ring_header h;
    bool unreadable = false;
    *out_sector = UINT32_MAX;
    if (hint < r->storage->sector_count && trib_format_header_read(r->storage, hint, &h) == 0 &&
        h.sector_seq == seq) {
        *out_sector = hint;
        *out = h;
        return 0;
    }
    for (uint32_t i = 0; i < r->storage->sector_count; i++) {
        int rc = trib_format_header_read(r->storage, i, &h);
        unreadable = unreadable || rc == TRIB_EIO;
        if (rc != 0 || trib_seq_before(h.sector_seq, seq))
            continue;
        if (*out_sector != UINT32_MAX && !trib_seq_before(h.sector_seq, out->sector_seq))
            continue;
        *out_sector = i;
        *out = h;
    }
    if (unreadable && (*out_sector == UINT32_MAX || out->sector_seq != seq))
        return TRIB_EIO;
    return *out_sector != UINT32_MAX ? 0 : TRIB_EAGAIN;
}

void trib_ring_cursor_at(struct trib_ring_cursor *c, const struct trib_ring *r, uint32_t sector,
                         const struct trib_ring_header *h)
{
    const struct trib_storage *s = r->storage;
    struct trib_ring_header next;
    uint32_t at;
    c->pos = h->base_pos;
    c->mono_ms = h->mono_ms;
    c->boot = h->boot;
    c->ord = h->ord;
    c->sector = sector;
    c->sector_seq = h->sector_seq;
    c->offset = c->cap_at = trib_format_align(s, h->bytes);
    c->seed = h->crc;
    c->end_cap = UINT64_MAX;
    if (h->sector_seq != r->sector_seq &&
        trib_ring_find_sector(r, h->sector_seq + 1, (sector + 1) % s->sector_count, &at, &next) == 0)
        c->end_cap = next.base_pos;
}

int trib_ring_cursor_from(const struct trib_ring *r, uint32_t seq, struct trib_ring_cursor *out)
{
    struct trib_ring_header h;
    uint32_t sector;
    int rc = trib_ring_find_sector(r, seq, UINT32_MAX, &sector, &h);
    if (sector == UINT32_MAX || trib_seq_before(r->sector_seq, h.sector_seq))
        return rc < 0 ? rc : TRIB_EAGAIN;
    trib_ring_cursor_at(out, r, sector, &h);
    return 0;
}

/* BASE is the only kind that stands at a unit's start and needs nothing before it. */
uint32_t trib_ring_find_base(const struct trib_storage *s, const struct trib_ring_cursor *c, uint32_t from,
                             uint32_t limit, uint64_t *out_pos)
{
    uint8_t piece[64];
    struct trib_raw_record raw;
    uint32_t at = trib_format_align(s, from);
    while (at + 6 <= limit) {
        uint32_t n = limit - at < sizeof piece ? limit - at : (uint32_t)sizeof piece;
        if (s->read(s->context, c->sector * s->sector_bytes + at, piece, n) < 0)
            memset(piece, 0xFF, n); /* there may be one behind it */
        uint32_t i = 0;
        for (; i + 2 <= n; i += s->program_bytes)
            if (piece[i + 1] == TRIB_RECORD_BASE &&
                trib_format_record_read(s, c->sector, at + i, limit, c->seed, &raw) == 0) {
                struct trib_bytes b = {raw.head, sizeof raw.head, 1, false};
                *out_pos = trib_bytes_varint(&b);
                return at + i;
            }
        at += i;
    }
    return limit;
}

/* What a BASE further on says about what lies before it. The last one decides: earlier ones may be torn themselves. */
static void look_ahead(const struct trib_storage *s, struct trib_ring_cursor *c, uint32_t limit)
{
    uint64_t pos;
    c->cap = c->end_cap;
    c->cap_at = limit;
#ifdef TRIB_MUTANT_NO_VOID
    c->cap = UINT64_MAX;
    limit = c->offset;
#endif
    for (uint32_t at = c->offset; (at = trib_ring_find_base(s, c, at + 1, limit, &pos)) < limit;)
        if (pos <= c->cap) {
            c->cap = pos;
            c->cap_at = at;
        }
}

/* What an event ends with. context: offset in the sector, 0: none. */
static void take_fields(const struct trib_raw_record *raw, const struct trib_bytes *b,
                        const struct trib_ring_cursor *c, uint32_t context, struct trib_ring_record *out)
{
    out->context = context ? out->address - raw->body + context : UINT32_MAX;
    out->data = out->address + b->pos;
    out->data_bytes = raw->body_bytes - b->pos;
    out->head = raw->body + b->pos - c->offset;
}

static bool parse_event(const struct trib_raw_record *raw, struct trib_bytes *b, struct trib_ring_cursor *c,
                        struct trib_ring_record *out)
{
    uint64_t context = trib_bytes_varint(b);
    c->mono_ms += trib_bytes_varint(b);
    c->ord += context & 1 ? (uint32_t)trib_bytes_varint(b) : 1;
    out->pos = c->pos++;
    out->mono_ms = c->mono_ms;
    out->ord = c->ord;
    take_fields(raw, b, c, (uint32_t)(context >> 1), out);
    return !b->error;
}

static bool parse_drop(struct trib_bytes *b, struct trib_ring_record *out)
{
    out->count = trib_bytes_varint(b);
    out->drop_class = trib_bytes_u8(b);
    out->drop_reason = trib_bytes_u8(b);
    return !b->error && out->count > 0 && out->count <= UINT64_MAX / 2;
}

static bool parse_moved(const struct trib_raw_record *raw, struct trib_bytes *b,
                        const struct trib_ring_cursor *c, struct trib_ring_record *out)
{
    out->pos = trib_bytes_varint(b);
    out->moved = trib_bytes_u8(b);
    if (out->moved == TRIB_RECORD_DROP)
        return parse_drop(b, out) && out->pos <= UINT64_MAX / 2;
    out->count = 1;
    out->boot = (uint32_t)trib_bytes_varint(b);
    out->mono_ms = trib_bytes_varint(b);
    out->ord = (uint32_t)trib_bytes_varint(b);
    take_fields(raw, b, c, (uint32_t)trib_bytes_varint(b), out);
    return !b->error && out->moved < TRIB_RECORD_BASE && out->pos <= UINT64_MAX / 2;
}

static void parse_ack(struct trib_bytes *b, struct trib_ring_record *out)
{
    out->acked = trib_bytes_varint(b);
    out->acked_crc = trib_bytes_u32(b);
    out->flags = trib_bytes_u8(b);
}

/* False: the record is well-formed for its CRC, and yet makes no sense. */
static bool parse(const struct trib_storage *s, const struct trib_raw_record *raw, struct trib_ring_cursor *c,
                  struct trib_ring_record *out)
{
    uint32_t base = c->sector * s->sector_bytes;
    struct trib_bytes b = {raw->head, raw->body_bytes < sizeof raw->head ? raw->body_bytes : sizeof raw->head,
                           1, false};
    uint64_t pos;

    memset(out, 0, sizeof *out);
    out->kind = raw->head[0];
    out->address = base + raw->body;
    out->bytes = raw->body_bytes;
    out->seed = c->seed;
    out->first = raw->first;
    out->pos = c->pos;
    out->boot = c->boot;
    switch (out->kind) {
    case TRIB_RECORD_BASE:
        pos = trib_bytes_varint(&b);
        if (b.error || pos < c->pos)
            return false;
        c->pos = out->pos = pos;
        c->boot = out->boot = (uint32_t)trib_bytes_varint(&b);
        c->mono_ms = out->mono_ms = trib_bytes_varint(&b);
        c->ord = out->ord = (uint32_t)trib_bytes_varint(&b);
        parse_ack(&b, out);
        break;
    case TRIB_RECORD_CONTEXT:
    case TRIB_RECORD_MOVED_CONTEXT:
        out->ref = (uint32_t)trib_bytes_varint(&b);
        out->session = trib_bytes_u64(&b);
        break;
    case TRIB_RECORD_GONE:
        out->ref = (uint32_t)trib_bytes_varint(&b);
        break;
    case TRIB_RECORD_END:
        out->context = base + (uint32_t)trib_bytes_varint(&b);
        break;
    case TRIB_RECORD_DROP:
        if (!parse_drop(&b, out))
            return false;
        c->pos += out->count;
        break;
    case TRIB_RECORD_STATE:
        out->data = base + raw->body + 1;
        out->data_bytes = raw->body_bytes - 1;
        out->head = raw->body + 1 - c->offset;
        break;
    case TRIB_RECORD_ACK:
        parse_ack(&b, out);
        break;
    case TRIB_RECORD_MOVED:
        return parse_moved(raw, &b, c, out);
    default:
        return out->kind >= TRIB_RECORD_BASE || parse_event(raw, &b, c, out);
    }
    return !b.error;
}

int trib_ring_next_in_sector(const struct trib_storage *s, struct trib_ring_cursor *c, uint32_t limit,
                             struct trib_ring_record *out)
{
    struct trib_raw_record raw;
    uint64_t pos;
    while (c->offset < limit) {
        if (c->offset >= c->cap_at)
            look_ahead(s, c, limit);
        int rc = trib_format_record_read(s, c->sector, c->offset, limit, c->seed, &raw);
        if (rc == 0) {
            struct trib_ring_cursor next = *c;
            bool sense = parse(s, &raw, &next, out);
            if (sense && next.pos > c->cap) {
                c->offset = raw.end;
                continue;
            }
            if (sense) {
                *c = next;
                c->offset = raw.end;
                return 1;
            }
        }
        if (rc == TRIB_EIO)
            return rc;
        if (rc == TRIB_EAGAIN && raw.head[0] == 0 && c->offset != trib_format_align(s, c->offset)) {
            c->offset = trib_format_align(s, c->offset);
            continue;
        }
        uint32_t base = trib_ring_find_base(s, c, c->offset + 1, limit, &pos);
        if (base >= limit)
            return 0;
        c->offset = base;
    }
    return 0;
}

int trib_ring_skip_sector(const struct trib_ring *r, struct trib_ring_cursor *c, bool force)
{
    struct trib_ring_header h;
    uint32_t sector;
    if (c->sector_seq == r->sector_seq)
        return 0;
    int rc =
        trib_ring_find_sector(r, c->sector_seq + 1, (c->sector + 1) % r->storage->sector_count, &sector, &h);
    if (rc == TRIB_EIO && !force)
        return rc;
    if (sector == UINT32_MAX || trib_seq_before(r->sector_seq, h.sector_seq))
        return 0;
    trib_ring_cursor_at(c, r, sector, &h);
    return 1;
}

int trib_ring_next(const struct trib_ring *r, struct trib_ring_cursor *c, struct trib_ring_record *out)
{
    for (;;) {
        bool active = c->sector_seq == r->sector_seq;
        uint32_t limit = active ? r->offset : trib_format_area_end(r->storage);
        int rc = trib_ring_next_in_sector(r->storage, c, limit, out);
        if (rc == 0 && !active)
            rc = trib_ring_skip_sector(r, c, false);
        else
            return rc;
        if (rc <= 0)
            return rc;
    }
}

int trib_ring_find_moved(const struct trib_ring *r, uint64_t pos, uint32_t *in_out_seq,
                         struct trib_ring_record *out, uint64_t *in_out_end)
{
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    uint32_t start = *in_out_seq;
    int found = 0;
    for (unsigned pass = 0; pass < 2; pass++, start = r->tail_seq) {
        int rc = trib_ring_cursor_from(r, start, &c);
        while (rc >= 0 && (rc = trib_ring_next(r, &c, &record)) > 0) {
            if (record.kind != TRIB_RECORD_MOVED || record.pos + record.count <= pos)
                continue;
            bool weak = record.drop_reason == TRIB_DROP_SUPERSEDED;
            if (record.pos > pos) {
                *in_out_end = record.pos < *in_out_end ? record.pos : *in_out_end;
            } else if (!weak || pass > 0) {
                found = 1;
                *out = record;
                *in_out_seq = c.sector_seq;
                if (!weak)
                    return 1;
            }
        }
        if (rc < 0)
            return rc;
    }
    return found;
}

/* The sector whose base is the highest not above pos, or the oldest one. */
static int sector_of(const struct trib_ring *r, uint64_t pos, uint32_t *out_sector,
                     struct trib_ring_header *out)
{
    struct trib_ring_header h;
    bool found = false;
    for (uint32_t i = 0; i < r->storage->sector_count; i++) {
        if (trib_format_header_read(r->storage, i, &h) != 0 || trib_seq_before(r->sector_seq, h.sector_seq))
            continue;
        bool better = !found;
        if (found && h.base_pos <= pos)
            better = out->base_pos > pos || trib_seq_before(out->sector_seq, h.sector_seq);
        else if (found)
            better = out->base_pos > pos && trib_seq_before(h.sector_seq, out->sector_seq);
        if (better) {
            found = true;
            *out_sector = i;
            *out = h;
        }
    }
    return found ? 0 : TRIB_EIO;
}

int trib_ring_seek(const struct trib_ring *r, uint64_t pos, struct trib_ring_cursor *out)
{
    struct trib_ring_header h;
    uint32_t sector;
    int rc = sector_of(r, pos, &sector, &h);
    if (rc < 0)
        return rc;
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    trib_ring_cursor_at(&c, r, sector, &h);
    do {
        *out = c;
        rc = trib_ring_next(r, &c, &record);
    } while (rc > 0 && c.pos <= pos);
    return rc < 0 ? rc : 0;
}

int trib_ring_oldest(const struct trib_ring *r, uint64_t *out_pos)
{
    struct trib_ring_header h;
    uint32_t sector;
    int rc = sector_of(r, 0, &sector, &h);
    if (rc == 0)
        *out_pos = h.base_pos;
    return rc;
}

int trib_ring_read_checked(const struct trib_storage *s, uint32_t address, uint32_t head, uint32_t length,
                           uint32_t seed, uint8_t *out)
{
    if (s->read(s->context, address - head, out - head, head + length + TRIB_RING_TAIL_BYTES) < 0)
        return TRIB_EIO;
    return trib_format_record_whole(out - head, head + length, seed) ? 0 : TRIB_EDAMAGED;
}

int trib_ring_context(const struct trib_ring *r, uint32_t address, uint32_t seed,
                      struct trib_ring_context *out)
{
    const struct trib_storage *s = r->storage;
    uint32_t sector = address / s->sector_bytes, offset = address % s->sector_bytes;
    struct trib_raw_record raw;
    if (sector >= s->sector_count ||
        trib_format_record_read(s, sector, offset, trib_format_area_end(s), seed, &raw) != 0 ||
        (raw.head[0] != TRIB_RECORD_CONTEXT && raw.head[0] != TRIB_RECORD_MOVED_CONTEXT))
        return TRIB_EDAMAGED;
    struct trib_bytes b = {raw.head, raw.body_bytes < sizeof raw.head ? raw.body_bytes : sizeof raw.head, 1,
                           false};
    (void)trib_bytes_varint(&b);
    out->session = trib_bytes_u64(&b);
    out->content_len = trib_bytes_u8(&b);
    if (b.error || b.pos + out->content_len > raw.body_bytes)
        return TRIB_EDAMAGED;
    out->content = sector * s->sector_bytes + raw.body + b.pos;
    out->head = raw.body + b.pos - offset;
    out->user = out->content + out->content_len;
    out->user_len = raw.body_bytes - b.pos - out->content_len;
    return 0;
}

/* Which header speaks for pos: the newest whose stream begins at or below it. The end is where the next one begins. */
int trib_ring_stream_at(const struct trib_ring *r, uint64_t pos, uint64_t *out_stream,
                        uint64_t *out_first_pos, uint64_t *in_out_end, struct trib_ring_header *out_header)
{
    struct trib_ring_header h;
    bool current = pos >= r->first_pos, found = false, unreadable = false;
    uint32_t best_seq = 0;
    uint64_t end = UINT64_MAX;
    if (current && !out_header) {
        *out_stream = r->stream;
        *out_first_pos = r->first_pos;
        *in_out_end = UINT64_MAX;
        return 0;
    }
    for (uint32_t i = 0; i < r->storage->sector_count; i++) {
        int rc = trib_format_header_read(r->storage, i, &h);
        unreadable = unreadable || rc == TRIB_EIO;
        if (rc != 0 || trib_seq_before(r->sector_seq, h.sector_seq))
            continue;
        if (h.first_pos > pos) {
            end = h.first_pos < end ? h.first_pos : end;
            continue;
        }
        if (found && trib_seq_before(h.sector_seq, best_seq))
            continue;
        found = true;
        best_seq = h.sector_seq;
        *out_stream = h.stream;
        *out_first_pos = h.first_pos;
        if (out_header)
            *out_header = h;
    }
    if (!found)
        return unreadable ? TRIB_EIO : TRIB_EDAMAGED;
    *in_out_end = *out_stream == r->stream ? UINT64_MAX : end;
    return 0;
}
