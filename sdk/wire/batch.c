#include <string.h>

#include "wire/body.h"

/* A batch is [3, {1: lanes, 2: base, ? 3: anchors, 4: items}]. */
enum { KEY_LANES = 1, KEY_BASE = 2, KEY_ANCHORS = 3, KEY_ITEMS = 4 };
enum { CONTEXT_SESSION = 0, CONTEXT_CONTENT = 1, CONTEXT_USER = 2 };

#define REQUIRED ((uint64_t)1 << KEY_LANES | (uint64_t)1 << KEY_BASE)

/* --- writer --- */

static void refuse(struct trib_wire_batch_writer *b)
{
    if (!b->w.error)
        b->w.error = TRIB_EINVAL;
}

void trib_wire_batch_open(struct trib_wire_batch_writer *b, const struct trib_wire_batch_head *head,
                          uint8_t *buf, size_t cap)
{
    struct trib_cbor_writer *w = &b->w;

    /* One byte is kept for the break, so that close cannot fail once the items fitted. */
    trib_cbor_writer_init(w, buf, buf && cap > 0 ? cap - 1 : 0);
    b->mono_ms = head->mono_ms;
    b->ord = head->ord;
    b->item_count = 0;
    b->context = 0;
    if (head->anchor_count > TRIB_WIRE_ANCHORS_MAX || (buf && cap == 0)) {
        refuse(b);
        return;
    }
    trib_cbor_put_array(w, 2);
    trib_cbor_put_uint(w, TRIB_WIRE_BATCH);
    trib_cbor_put_map(w, head->anchor_count > 0 ? 4 : 3);
    trib_cbor_put_uint(w, KEY_LANES);
    size_t lanes = head->lanes[TRIB_LANE_ROUTINE].stream ? 2 : 1;
    trib_cbor_put_array(w, lanes);
    for (size_t i = 0; i < lanes; i++)
        trib_wire_put_tuple(w, 2, &head->lanes[i]);
    trib_cbor_put_uint(w, KEY_BASE);
    trib_wire_put_tuple(w, 3, (const uint64_t[]){head->boot, head->mono_ms, head->ord});
    if (head->anchor_count > 0) {
        trib_cbor_put_uint(w, KEY_ANCHORS);
        trib_cbor_put_array(w, head->anchor_count);
        for (size_t i = 0; i < head->anchor_count; i++)
            trib_wire_put_tuple(w, 4, &head->anchors[i]);
    }
    trib_cbor_put_uint(w, KEY_ITEMS);
    trib_cbor_put_array_open(w);
}

static void put_item(struct trib_wire_batch_writer *b, unsigned count, unsigned kind, unsigned lane)
{
    trib_cbor_put_array(&b->w, count);
    trib_cbor_put_uint(&b->w, kind * 2 + lane);
    b->item_count++;
}

void trib_wire_batch_event(struct trib_wire_batch_writer *b, unsigned lane, unsigned type, uint64_t mono_ms,
                           uint64_t ord, unsigned context, const uint8_t *fields, size_t fields_len)
{
    if (lane >= TRIB_LANE_COUNT || type < TRIB_ITEM_FIRST_EVENT || type > TRIB_WIRE_EVENT_TYPE_MAX ||
        mono_ms < b->mono_ms || ord <= b->ord || context > TRIB_WIRE_CONTEXTS_MAX) {
        refuse(b);
        return;
    }
    bool leap = ord - b->ord != 1, other = context != b->context;
    put_item(b, 3 + other + leap, type, lane);
    trib_cbor_put_uint(&b->w, mono_ms - b->mono_ms);
    if (other)
        trib_cbor_put_uint(&b->w, context);
    trib_cbor_put_raw(&b->w, fields, fields_len);
    if (leap)
        trib_cbor_put_uint(&b->w, ord - b->ord);
    b->mono_ms = mono_ms;
    b->ord = ord;
    b->context = context;
}

void trib_wire_batch_context(struct trib_wire_batch_writer *b, unsigned index,
                             const struct trib_wire_context *context)
{
    struct trib_cbor_writer *w = &b->w;

    if (index < 1 || index > TRIB_WIRE_CONTEXTS_MAX) {
        refuse(b);
        return;
    }
    put_item(b, 3, TRIB_ITEM_CONTEXT, 0);
    trib_cbor_put_uint(w, index);
    trib_cbor_put_map(w, (context->session != 0) + (context->content.len > 0) + (context->user.len > 0));
    if (context->session != 0) {
        trib_cbor_put_uint(w, CONTEXT_SESSION);
        trib_cbor_put_uint(w, context->session);
    }
    if (context->content.len > 0) {
        trib_cbor_put_uint(w, CONTEXT_CONTENT);
        trib_cbor_put_text(w, context->content.ptr, context->content.len);
    }
    if (context->user.len > 0) {
        trib_cbor_put_uint(w, CONTEXT_USER);
        trib_cbor_put_text(w, context->user.ptr, context->user.len);
    }
}

void trib_wire_batch_drop(struct trib_wire_batch_writer *b, unsigned lane, uint64_t count,
                          unsigned drop_class, unsigned reason)
{
    if (lane >= TRIB_LANE_COUNT || count == 0) {
        refuse(b);
        return;
    }
    put_item(b, 4, TRIB_ITEM_DROP, lane);
    trib_cbor_put_uint(&b->w, count);
    trib_cbor_put_uint(&b->w, drop_class);
    trib_cbor_put_uint(&b->w, reason);
}

void trib_wire_batch_tombstone(struct trib_wire_batch_writer *b, unsigned lane, uint64_t mono_ms)
{
    if (lane >= TRIB_LANE_COUNT || mono_ms < b->mono_ms || b->ord == UINT64_MAX) {
        refuse(b);
        return;
    }
    put_item(b, 2, TRIB_ITEM_TOMBSTONE, lane);
    trib_cbor_put_uint(&b->w, mono_ms - b->mono_ms);
    b->mono_ms = mono_ms;
    b->ord++;
}

int trib_wire_batch_close(struct trib_wire_batch_writer *b, size_t *out_len)
{
    if (b->w.error)
        return b->w.error;
    b->w.cap++;
    trib_cbor_put_break(&b->w);
    *out_len = b->w.len;
    return 0;
}

/* --- reader --- */

static void read_lanes(struct trib_wire_batch_reader *b)
{
    struct trib_cbor_reader *r = &b->r;
    struct trib_cbor_container lanes = trib_cbor_get_array(r);
    unsigned i = 0;

    while (trib_cbor_next(r, &lanes)) {
        if (i == TRIB_LANE_COUNT) {
            trib_wire_fail(r, TRIB_ERANGE);
            return;
        }
        struct trib_wire_position *p = &b->head.lanes[i];
        trib_wire_get_tuple(r, 2, p);
        if (p->stream != 0 && p->seq == 0)
            trib_wire_fail(r, TRIB_ERANGE); /* seqs start at 1: 0 means none */
        b->next_seq[i++] = p->seq;
    }
    if (i == 0)
        trib_wire_fail(r, TRIB_EMISSING);
    if (b->head.lanes[0].stream != 0 && b->head.lanes[0].stream == b->head.lanes[1].stream)
        trib_wire_fail(r, TRIB_ERANGE);
}

static void read_base(struct trib_wire_batch_reader *b)
{
    uint64_t base[3];

    trib_wire_get_tuple(&b->r, 3, base);
    b->head.boot = base[0];
    b->head.mono_ms = b->mono_ms = base[1];
    b->head.ord = b->ord = base[2];
}

static void read_anchors(struct trib_wire_batch_reader *b)
{
    struct trib_cbor_reader *r = &b->r;
    struct trib_cbor_container anchors = trib_cbor_get_array(r);

    while (trib_cbor_next(r, &anchors)) {
        if (b->head.anchor_count == TRIB_WIRE_ANCHORS_MAX) {
            trib_wire_fail(r, TRIB_ERANGE);
            return;
        }
        trib_wire_get_tuple(r, 4, &b->head.anchors[b->head.anchor_count++]);
    }
}

int trib_wire_batch_read(struct trib_wire_batch_reader *b, const uint8_t *data, size_t len)
{
    struct trib_wire_body body;
    uint64_t key;

    memset(b, 0, sizeof *b);
    trib_wire_body_open(&body, data, len, TRIB_WIRE_BATCH);
    while (trib_wire_body_next(&body, &key)) {
        b->r = body.r;
        if (key == KEY_LANES) {
            read_lanes(b);
        } else if (key == KEY_BASE) {
            read_base(b);
        } else if (key == KEY_ANCHORS) {
            read_anchors(b);
        } else if (key == KEY_ITEMS) {
            b->items = trib_cbor_get_array(&b->r);
            b->message = body.message;
            b->body = body.map;
            if ((body.seen & REQUIRED) != REQUIRED)
                trib_wire_fail(&b->r, TRIB_EMISSING);
            return b->r.error;
        } else {
            trib_cbor_skip(&b->r);
        }
        body.r = b->r;
    }
    return body.r.error ? body.r.error : TRIB_EMISSING;
}

/* Takes `count` seqs of the lane. */
static void take_seq(struct trib_wire_batch_reader *b, unsigned lane, uint64_t count,
                     struct trib_wire_batch_item *out)
{
    if (b->head.lanes[lane].stream == 0)
        trib_wire_fail(&b->r, TRIB_EMALFORMED);
    else if (count > UINT64_MAX - b->next_seq[lane])
        trib_wire_fail(&b->r, TRIB_ERANGE);
    out->seq = b->next_seq[lane];
    out->count = count;
    if (!b->r.error)
        b->next_seq[lane] += count;
}

static void advance(struct trib_wire_batch_reader *b, uint64_t dt_ms, uint64_t d_ord,
                    struct trib_wire_batch_item *out)
{
    if (dt_ms > UINT64_MAX - b->mono_ms || d_ord == 0 || d_ord > UINT64_MAX - b->ord) {
        trib_wire_fail(&b->r, TRIB_ERANGE);
        return;
    }
    out->mono_ms = b->mono_ms += dt_ms;
    out->ord = b->ord += d_ord;
}

static void read_context_index(struct trib_wire_batch_reader *b)
{
    uint64_t context = trib_cbor_get_uint(&b->r);

    if (context > TRIB_WIRE_CONTEXTS_MAX)
        trib_wire_fail(&b->r, TRIB_ERANGE);
    else if (context != 0 && !(b->contexts >> context & 1))
        trib_wire_fail(&b->r, TRIB_EMALFORMED); /* a batch explains itself */
    else
        b->context = (unsigned)context;
}

static void skip_fields(struct trib_wire_batch_reader *b, unsigned type)
{
    struct trib_cbor_reader *r = &b->r;
    size_t len = 0;

    if (b->measure && !r->error)
        len = b->measure(b->measure_context, type, r->buf + r->pos, r->len - r->pos);
    if (len > 0)
        r->pos += len;
    else
        trib_cbor_skip(r);
}

static void read_event(struct trib_wire_batch_reader *b, struct trib_cbor_container *item,
                       struct trib_wire_batch_item *out)
{
    struct trib_cbor_reader *r = &b->r;
    uint64_t dt_ms = trib_wire_tuple_uint(r, item);
    bool more = trib_cbor_next(r, item);

    if (more && trib_cbor_peek(r) == TRIB_CBOR_UINT) {
        read_context_index(b);
        more = trib_cbor_next(r, item);
    }
    if (!more)
        trib_wire_fail(r, TRIB_EMISSING);
    else if (trib_cbor_peek(r) != TRIB_CBOR_MAP)
        trib_wire_fail(r, r->pos < r->len ? TRIB_ETYPE : TRIB_ETRUNCATED);
    out->fields = r->buf + r->pos;
    skip_fields(b, out->kind);
    out->fields_len = (size_t)(r->buf + r->pos - out->fields);
    out->context = b->context;
    uint64_t d_ord = trib_cbor_next(r, item) ? trib_cbor_get_uint(r) : 1;
    take_seq(b, out->lane, 1, out);
    advance(b, dt_ms, d_ord, out);
}

static void read_context(struct trib_wire_batch_reader *b, struct trib_cbor_container *item,
                         struct trib_wire_batch_item *out)
{
    struct trib_cbor_reader *r = &b->r;
    uint64_t index = trib_wire_tuple_uint(r, item);

    if (index < 1 || index > TRIB_WIRE_CONTEXTS_MAX) {
        trib_wire_fail(r, TRIB_ERANGE);
        return;
    }
    if (!trib_cbor_next(r, item))
        trib_wire_fail(r, TRIB_EMISSING);
    struct trib_wire_body map = {.r = *r, .seen = 0};
    map.map = trib_cbor_get_map(&map.r);
    uint64_t key;
    while (trib_wire_body_next(&map, &key)) {
        if (key == CONTEXT_SESSION)
            out->context_value.session = trib_cbor_get_uint(&map.r);
        else if (key == CONTEXT_CONTENT)
            out->context_value.content = trib_wire_get_text(&map.r, TRIB_WIRE_CONTENT_BYTES_MAX);
        else if (key == CONTEXT_USER)
            out->context_value.user = trib_wire_get_text(&map.r, TRIB_WIRE_USER_BYTES_MAX);
        else
            trib_cbor_skip(&map.r);
    }
    *r = map.r;
    out->context = (unsigned)index;
    b->contexts |= (uint16_t)(1u << index);
}

static void read_drop(struct trib_wire_batch_reader *b, struct trib_cbor_container *item,
                      struct trib_wire_batch_item *out)
{
    struct trib_cbor_reader *r = &b->r;
    uint64_t count = trib_wire_tuple_uint(r, item);
    uint64_t drop_class = trib_wire_tuple_uint(r, item);
    uint64_t reason = trib_wire_tuple_uint(r, item);

    if (count == 0 || drop_class > UINT8_MAX || reason > UINT8_MAX)
        trib_wire_fail(r, TRIB_ERANGE);
    out->drop_class = (unsigned)drop_class;
    out->drop_reason = (unsigned)reason;
    take_seq(b, out->lane, count, out);
}

/* The items are the last key: nothing may follow them. */
static int finish(struct trib_wire_batch_reader *b)
{
    if (!b->r.error && trib_cbor_next(&b->r, &b->body))
        trib_wire_fail(&b->r, TRIB_EMALFORMED);
    trib_wire_tuple_close(&b->r, &b->message);
    if (!b->r.error && b->r.pos != b->r.len)
        trib_wire_fail(&b->r, TRIB_EMALFORMED);
    return b->r.error;
}

int trib_wire_batch_next(struct trib_wire_batch_reader *b, struct trib_wire_batch_item *out_item)
{
    struct trib_cbor_reader *r = &b->r;

    if (!trib_cbor_next(r, &b->items))
        return finish(b);
    struct trib_cbor_container item = trib_cbor_get_array(r);
    uint64_t head = trib_wire_tuple_uint(r, &item);
    if (head / 2 > TRIB_WIRE_EVENT_TYPE_MAX)
        trib_wire_fail(r, TRIB_ERANGE);
    if (r->error)
        return r->error;
    memset(out_item, 0, sizeof *out_item);
    out_item->kind = (unsigned)(head / 2);
    out_item->lane = (unsigned)(head & 1);
    switch (out_item->kind) {
    case TRIB_ITEM_TOMBSTONE: {
        uint64_t dt_ms = trib_wire_tuple_uint(r, &item);
        take_seq(b, out_item->lane, 1, out_item);
        advance(b, dt_ms, 1, out_item);
        break;
    }
    case TRIB_ITEM_CONTEXT:
        read_context(b, &item, out_item);
        break;
    case TRIB_ITEM_DROP:
        read_drop(b, &item, out_item);
        break;
    default:
        read_event(b, &item, out_item);
        break;
    }
    trib_wire_tuple_close(r, &item);
    return r->error ? r->error : 1;
}
