/* Writing: groups of records, contexts. */
#include <string.h>

#include "journal/journal.h"
#include "wire/crc32c.h"

void trib_ring_begin(struct trib_ring_writer *w, struct trib_ring *r)
{
    w->ring = r;
    w->pos = r->head_pos;
    w->mono_ms = r->mono_ms;
    w->ord = r->ord;
    w->from = w->offset = r->offset;
    w->fill = 0;
    w->opened = 0;
    w->saved_acked = UINT64_MAX;
    w->error = 0;
    w->dry = false;
    w->based = !r->need_base;
#ifdef TRIB_MUTANT_NO_BASE
    w->based = true;
#endif
}

uint32_t trib_ring_body_max(const struct trib_storage *s, uint32_t contexts)
{
    uint32_t header = s->sector_bytes < 512 ? TRIB_FORMAT_HEADER_LIKELY : TRIB_FORMAT_HEADER_MAX;
    uint32_t taken = trib_format_align(s, header) + TRIB_FORMAT_BASE_MAX + contexts + 6;
    uint32_t end = trib_format_area_end(s);
    uint32_t room = taken < end ? end - taken : 0;
    return room < TRIB_FORMAT_BODY_MAX ? room : TRIB_FORMAT_BODY_MAX;
}

static void flush(struct trib_ring_writer *w)
{
    const struct trib_storage *s = w->ring->storage;
    uint32_t address = w->ring->sector * s->sector_bytes + w->offset - w->fill;
    if (w->fill > 0 && w->error == 0 && !w->dry && s->program(s->context, address, w->chunk, w->fill) < 0)
        w->error = TRIB_EIO;
    w->fill = 0;
}

static void put(struct trib_ring_writer *w, const void *data, uint32_t length)
{
    const uint8_t *from = data;
    w->crc = trib_crc32c(w->crc, data, length);
    while (length > 0) {
        uint32_t n = sizeof w->chunk - w->fill < length ? (uint32_t)sizeof w->chunk - w->fill : length;
        memcpy(w->chunk + w->fill, from, n);
        w->fill += n;
        w->offset += n;
        from += n;
        length -= n;
        if (w->fill == sizeof w->chunk)
            flush(w);
    }
}

static uint32_t prefix_bytes(uint32_t body)
{
    return body < 0xF0 ? 1 : 2;
}

static bool fits(const struct trib_ring_writer *w, uint32_t body)
{
    uint32_t end = trib_format_area_end(w->ring->storage);
    return body <= TRIB_FORMAT_BODY_MAX && w->offset <= end &&
           prefix_bytes(body) + body + 4 <= end - w->offset;
}

static void record_begin(struct trib_ring_writer *w, uint32_t body)
{
    uint8_t prefix[2] = {(uint8_t)body, 0};
    if (body >= 0xF0) {
        prefix[0] = (uint8_t)(0xF0 | body >> 8);
        prefix[1] = (uint8_t)body;
    }
    w->crc = w->ring->seed;
    w->first = w->offset == w->from;
    put(w, prefix, prefix_bytes(body));
}

static void record_end(struct trib_ring_writer *w)
{
    uint8_t crc[4];
    trib_put_u32(crc, w->first ? ~w->crc : w->crc);
    put(w, crc, sizeof crc);
}

static void put_small(struct trib_ring_writer *w, const uint8_t *body, uint32_t length)
{
    record_begin(w, length);
    put(w, body, length);
    record_end(w);
}

static uint8_t ack_flags(const struct trib_ring *r)
{
    return (uint8_t)(r->wiped | (r->start_acked ? TRIB_FORMAT_START_ACKED : 0));
}

/* The first record after a boot or after damage says where it stands. `with`: the body that follows it. */
static int prepare(struct trib_ring_writer *w, uint32_t with)
{
    const struct trib_ring *r = w->ring;
    uint8_t body[TRIB_FORMAT_BASE_MAX];
    uint32_t n = 0;
    if (w->error)
        return w->error;
    if (w->based)
        return fits(w, with) ? 0 : TRIB_ESPACE;
    if (!fits(w, TRIB_FORMAT_BASE_MAX + 2 + with))
        return TRIB_ESPACE;
    body[n++] = TRIB_RECORD_BASE;
    n += trib_put_varint(body + n, w->pos);
    n += trib_put_varint(body + n, r->boot);
    n += trib_put_varint(body + n, w->mono_ms);
    n += trib_put_varint(body + n, w->ord);
    n += trib_put_varint(body + n, r->acked_saved);
    trib_put_u32(body + n, r->acked_crc);
    n += 4;
    body[n++] = ack_flags(r);
    put_small(w, body, n);
    w->based = true;
    return 0;
}

/* Offset in the active sector of an open context of this run. 0: there is none. */
static int find_context(const struct trib_ring_writer *w, uint32_t ref, uint32_t *out_offset)
{
    struct trib_ring *r = w->ring;
    for (unsigned i = 0; i < TRIB_RING_CONTEXTS; i++)
        if (r->context[i].ref == ref) {
            *out_offset = r->context[i].offset;
            return 0;
        }
    if (w->opened != 0)
        return TRIB_EAGAIN; /* it may be in the group itself, which cannot be read yet */
    struct trib_ring_header h;
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    int rc = trib_format_header_read(r->storage, r->sector, &h);
    if (rc != 0)
        return rc;
    *out_offset = 0;
    trib_ring_cursor_at(&c, r, r->sector, &h);
    while ((rc = trib_ring_next_in_sector(r->storage, &c, r->offset, &record)) > 0)
        if (record.kind == TRIB_RECORD_CONTEXT && record.ref == ref && c.boot >= r->first_boot)
            *out_offset = record.address % r->storage->sector_bytes - prefix_bytes(record.bytes);
    if (*out_offset) {
        unsigned slot = ref % TRIB_RING_CONTEXTS;
        r->context[slot].ref = ref;
        r->context[slot].offset = *out_offset;
    }
    return rc;
}

int trib_ring_put_event(struct trib_ring_writer *w, unsigned type, uint32_t ref, uint64_t mono_ms,
                        uint32_t ord, const uint8_t *fields, uint32_t length)
{
    uint8_t head[TRIB_FORMAT_EVENT_MAX];
    uint32_t n = 0, context = 0;
    if (ref != 0) {
        int rc = find_context(w, ref, &context);
        if (rc < 0)
            return rc;
    }
    uint64_t before = w->mono_ms < mono_ms ? w->mono_ms : mono_ms;
    uint32_t leap = ord - w->ord;
    head[n++] = (uint8_t)type;
    n += trib_put_varint(head + n, (uint64_t)context << 1 | (leap != 1));
    n += trib_put_varint(head + n, mono_ms - before);
    if (leap != 1)
        n += trib_put_varint(head + n, leap);
    int rc = prepare(w, n + length);
    if (rc < 0)
        return rc;
    record_begin(w, n + length);
    put(w, head, n);
    put(w, fields, length);
    record_end(w);
    w->mono_ms = mono_ms;
    w->ord = ord;
    w->pos++;
    return w->error;
}

static void remember_context(struct trib_ring *r, uint32_t ref, uint32_t offset)
{
    unsigned slot = ref % TRIB_RING_CONTEXTS;
    for (unsigned i = 0; i < TRIB_RING_CONTEXTS; i++)
        if (r->context[i].ref == 0)
            slot = i;
    r->context[slot].ref = ref;
    r->context[slot].offset = offset;
}

int trib_ring_put_context(struct trib_ring_writer *w, uint32_t ref, uint64_t session, const char *content,
                          uint32_t content_len, const char *user, uint32_t user_len)
{
    uint8_t head[16];
    uint32_t n = 0;
    head[n++] = TRIB_RECORD_CONTEXT;
    n += trib_put_varint(head + n, ref);
    trib_put_u64(head + n, session);
    n += 8;
    head[n++] = (uint8_t)content_len;
    int rc = prepare(w, n + content_len + user_len);
    if (rc < 0)
        return rc;
    uint32_t at = w->offset;
    record_begin(w, n + content_len + user_len);
    put(w, head, n);
    put(w, content, content_len);
    put(w, user, user_len);
    record_end(w);
    remember_context(w->ring, ref, at);
    w->opened++;
    return w->error;
}

/* A record of one number. */
static int put_number(struct trib_ring_writer *w, unsigned kind, uint32_t number)
{
    uint8_t body[6] = {(uint8_t)kind};
    uint32_t n = 1 + trib_put_varint(body + 1, number);
    int rc = prepare(w, n);
    if (rc == 0)
        put_small(w, body, n);
    return rc;
}

int trib_ring_put_gone(struct trib_ring_writer *w, uint32_t sector_seq)
{
    return put_number(w, TRIB_RECORD_GONE, sector_seq);
}

int trib_ring_put_end(struct trib_ring_writer *w, uint32_t ref)
{
    uint32_t at;
    int rc = find_context(w, ref, &at);
    if (rc < 0 || at == 0)
        return rc;
    rc = put_number(w, TRIB_RECORD_END, at);
    if (rc < 0)
        return rc;
    for (unsigned i = 0; i < TRIB_RING_CONTEXTS; i++)
        if (w->ring->context[i].ref == ref)
            w->ring->context[i].ref = 0;
    w->opened--;
    return w->error;
}

int trib_ring_put_drop(struct trib_ring_writer *w, uint64_t count, unsigned drop_class, unsigned reason)
{
    uint8_t body[14];
    uint32_t n = 0;
    body[n++] = TRIB_RECORD_DROP;
    n += trib_put_varint(body + n, count);
    body[n++] = (uint8_t)drop_class;
    body[n++] = (uint8_t)reason;
    int rc = prepare(w, n);
    if (rc < 0)
        return rc;
    put_small(w, body, n);
    w->pos += count;
    return w->error;
}

int trib_ring_put_state(struct trib_ring_writer *w, const uint8_t *data, uint32_t length)
{
    uint8_t kind = TRIB_RECORD_STATE;
    int rc = prepare(w, 1 + length);
    if (rc < 0)
        return rc;
    record_begin(w, 1 + length);
    put(w, &kind, 1);
    put(w, data, length);
    record_end(w);
    return w->error;
}

int trib_ring_put_base(struct trib_ring_writer *w)
{
    w->based = false;
    return prepare(w, 0);
}

int trib_ring_put_ack(struct trib_ring_writer *w, uint32_t crc)
{
    uint8_t body[16];
    uint32_t n = 0;
    body[n++] = TRIB_RECORD_ACK;
    n += trib_put_varint(body + n, w->ring->acked_pos);
    trib_put_u32(body + n, crc);
    n += 4;
    body[n++] = ack_flags(w->ring);
    int rc = prepare(w, n);
    if (rc < 0)
        return rc;
    put_small(w, body, n);
    w->saved_acked = w->ring->acked_pos;
    w->saved_crc = crc;
    return w->error;
}

/* The medium is believed only after it was read back. False: it kept the group up to *c only. */
static bool kept(const struct trib_ring_writer *w, struct trib_ring_cursor *c)
{
    const struct trib_ring *r = w->ring;
    struct trib_ring_record record;
    c->pos = r->head_pos;
    c->mono_ms = r->mono_ms;
    c->boot = r->boot;
    c->ord = r->ord;
    c->sector = r->sector;
    c->sector_seq = r->sector_seq;
    c->offset = w->from;
    c->seed = r->seed;
    c->cap = UINT64_MAX;
    c->cap_at = UINT32_MAX;
    while (trib_ring_next_in_sector(r->storage, c, w->offset, &record) > 0)
        ;
    return w->error == 0 && c->pos == w->pos && trib_format_align(r->storage, c->offset) == w->offset;
}

static int make_durable(struct trib_ring *r)
{
    if (r->durable_pos == r->head_pos && !r->need_sync)
        return 0;
    if (r->storage->sync(r->storage->context) < 0)
        return TRIB_EIO;
    r->durable_pos = r->head_pos;
    r->need_sync = false;
    return 0;
}

int trib_ring_commit(struct trib_ring_writer *w)
{
    struct trib_ring *r = w->ring;
    struct trib_ring_cursor c;
    if (w->offset == w->from)
        return w->error ? w->error : make_durable(r);
    uint32_t end = trib_format_align(r->storage, w->offset);
    while (w->offset < end) {
        w->chunk[w->fill++] = 0;
        w->offset++;
    }
    flush(w);
#ifdef TRIB_MUTANT_DURABLE_EARLY
    r->durable_pos = r->head_pos = w->pos; /* before it was read back and synced */
    r->offset = end;
    r->mono_ms = w->mono_ms;
    r->ord = w->ord;
    r->need_base = false;
    return 0;
#endif
    bool whole = kept(w, &c);
    r->offset = end;
    r->head_pos = c.pos;
    r->mono_ms = c.mono_ms;
    r->ord = c.ord;
    r->need_sync = true;
    r->need_base = !whole;
    r->context_count = (uint32_t)((int32_t)r->context_count + w->opened);
    if (!whole)
        /* What was touched is never programmed again: the next group begins behind it, with a base. */
        memset(r->context, 0, sizeof r->context);
    int rc = make_durable(r);
    if (rc < 0 || !whole)
        return rc < 0 ? rc : TRIB_EDAMAGED;
    if (w->saved_acked != UINT64_MAX) {
        r->acked_saved = w->saved_acked;
        r->acked_crc = w->saved_crc;
    }
    return 0;
}

/* True if the context at `c`, just read, is closed later in its sector. */
TRIB_OWN_FRAME static bool closed_later(const struct trib_storage *s, struct trib_ring_cursor c,
                                        uint32_t address)
{
    struct trib_ring_record record;
    while (trib_ring_next_in_sector(s, &c, trib_format_area_end(s), &record) > 0)
        if (record.kind == TRIB_RECORD_END && record.context == address)
            return true;
    return false;
}

/* The last `rest` bytes of a record's body, from the storage. All of the record is read, and must be whole. */
TRIB_OWN_FRAME static void put_from(struct trib_ring_writer *w, const struct trib_ring_record *from,
                                    uint32_t rest)
{
    const struct trib_storage *s = w->ring->storage;
    uint8_t piece[32];
    uint32_t at = from->address - prefix_bytes(from->bytes), end = from->address + from->bytes, n;
    uint32_t crc = from->seed;
    bool whole = true;
    for (; at < end; at += n) {
        uint32_t border = at < end - rest ? end - rest : end;
        n = border - at < sizeof piece ? border - at : (uint32_t)sizeof piece;
        whole = s->read(s->context, at, piece, n) == 0 && whole;
        crc = trib_crc32c(crc, piece, n);
        if (at >= end - rest)
            put(w, piece, n);
    }
    whole = s->read(s->context, end, piece, 4) == 0 && whole;
    if (!whole || trib_get_u32(piece) != (from->first ? ~crc : crc))
        w->crc ^= 1; /* what is not sure must not be vouched for */
}

/* *out_at: where the record begins. */
static int put_again(struct trib_ring_writer *w, const uint8_t *head, uint32_t length,
                     const struct trib_ring_record *from, uint32_t rest, uint32_t *out_at)
{
    int rc = prepare(w, length + rest);
    if (rc < 0)
        return rc;
    *out_at = w->offset;
    record_begin(w, length + rest);
    put(w, head, length);
    if (from->bytes > 0)
        put_from(w, from, rest);
    record_end(w);
    return w->error;
}

int trib_ring_put_copy(struct trib_ring_writer *w, const struct trib_ring_record *from, unsigned kind,
                       uint32_t *out_offset)
{
    uint8_t head = (uint8_t)kind;
    int rc = put_again(w, &head, 1, from, from->bytes - 1, out_offset);
    if (rc < 0 || kind != TRIB_RECORD_CONTEXT)
        return rc;
    remember_context(w->ring, from->ref, *out_offset);
    w->opened++;
    return 0;
}

int trib_ring_put_moved(struct trib_ring_writer *w, const struct trib_ring_record *from, uint32_t context)
{
    uint8_t head[TRIB_RING_HEAD_MAX];
    uint32_t n = 0, at;
    head[n++] = TRIB_RECORD_MOVED;
    n += trib_put_varint(head + n, from->pos);
    head[n++] = from->kind == TRIB_RECORD_MOVED ? from->moved : from->kind;
    if (head[n - 1] == TRIB_RECORD_DROP) {
        n += trib_put_varint(head + n, from->count);
        head[n++] = from->drop_class;
        head[n++] = from->drop_reason;
    } else {
        n += trib_put_varint(head + n, from->boot);
        n += trib_put_varint(head + n, from->mono_ms);
        n += trib_put_varint(head + n, from->ord);
        n += trib_put_varint(head + n, context);
    }
    return put_again(w, head, n, from, from->data_bytes, &at);
}

/* False: that sector is not there any more. */
TRIB_OWN_FRAME static bool cursor_into(const struct trib_ring *r, uint32_t sector, uint32_t seed,
                                       struct trib_ring_cursor *out)
{
    struct trib_ring_header h;
    if (trib_format_header_read(r->storage, sector, &h) != 0 || h.crc != seed)
        return false;
    trib_ring_cursor_at(out, r, sector, &h);
    return true;
}

/* Every sector explains itself: contexts that are still open go along into a new one. */
int trib_ring_copy_contexts(struct trib_ring *r, uint32_t sector, uint32_t seed)
{
    const struct trib_storage *s = r->storage;
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    struct trib_ring_writer w;
    uint32_t at;
    memset(r->context, 0, sizeof r->context);
    r->context_count = 0;
    if (!cursor_into(r, sector, seed, &c))
        return 0;
    trib_ring_begin(&w, r);
    while (trib_ring_next_in_sector(s, &c, trib_format_area_end(s), &record) > 0) {
        if (record.kind != TRIB_RECORD_CONTEXT || c.boot < r->first_boot)
            continue;
        uint32_t address = record.address - prefix_bytes(record.bytes);
        if (!closed_later(s, c, address) && trib_ring_put_copy(&w, &record, TRIB_RECORD_CONTEXT, &at) != 0)
            break;
    }
    int rc = trib_ring_commit(&w);
    return rc == TRIB_EDAMAGED ? 0 : rc;
}
