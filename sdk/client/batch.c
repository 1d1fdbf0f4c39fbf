/* One BATCH out of both lanes, in the order of record(). Fields and contexts are read from the storage into the
 * message's own buffer, a little behind where they will be written, so no other buffer is needed. */
#include <string.h>

#include "client/client_internal.h"
#include "wire/cbor.h"

#define SLACK 48u         /* more than any item has before its fields */
#define CONTEXTS_MAX 8u   /* of TRIB_WIRE_CONTEXTS_MAX; one more closes the batch */
#define RETRIES 64u       /* of records that read differently each time */
#define COMPANY_COUNT 24u /* so many routine events need not wait for more */

struct known_context {
    uint64_t session;
    uint32_t address;
    uint8_t lane, index;
};

struct batch {
    struct trib_client *client;
    struct trib_wire_batch_writer w;
    uint64_t stream[TRIB_LANE_COUNT]; /* 0: the lane is not in the batch */
    uint32_t boot;
    struct trib_lane_item item[TRIB_LANE_COUNT];
    bool have[TRIB_LANE_COUNT];
    struct known_context contexts[CONTEXTS_MAX];
    unsigned context_count, index_count, retries;
    uint64_t events;
};

static int peek(struct batch *b, unsigned lane)
{
    int rc = trib_lane_peek(&b->client->lanes[lane], (enum trib_lane)lane, &b->item[lane]);
    b->have[lane] = rc > 0;
    return rc < 0 ? rc : 0;
}

static bool dated(const struct batch *b, unsigned lane)
{
    return b->have[lane] && b->item[lane].kind != TRIB_LANE_ITEM_DROP;
}

/* Lane of the next item: drops first, then by boot and ord. TRIB_LANE_COUNT: there is none. */
static unsigned next_lane(const struct batch *b)
{
    const struct trib_lane_item *v = &b->item[TRIB_LANE_VITAL], *r = &b->item[TRIB_LANE_ROUTINE];
    if (!b->have[TRIB_LANE_VITAL] || !b->have[TRIB_LANE_ROUTINE])
        return b->have[TRIB_LANE_VITAL]     ? TRIB_LANE_VITAL
               : b->have[TRIB_LANE_ROUTINE] ? TRIB_LANE_ROUTINE
                                            : TRIB_LANE_COUNT;
    if (!dated(b, TRIB_LANE_VITAL) || !dated(b, TRIB_LANE_ROUTINE))
        return dated(b, TRIB_LANE_VITAL) ? TRIB_LANE_ROUTINE : TRIB_LANE_VITAL;
    if (v->boot != r->boot)
        return v->boot < r->boot ? TRIB_LANE_VITAL : TRIB_LANE_ROUTINE;
    return v->ord < r->ord ? TRIB_LANE_VITAL : TRIB_LANE_ROUTINE;
}

TRIB_ONE_COPY static void put_anchor(struct trib_wire_batch_head *head, const struct trib_anchor *anchor)
{
    if (anchor)
        head->anchors[head->anchor_count++] =
            (struct trib_wire_anchor){anchor->boot, anchor->mono_ms, anchor->utc_ms, anchor->uncertainty_ms};
#ifdef TRIB_MUTANT_ANCHOR_WITHOUT_BOOT
    if (anchor)
        head->anchors[head->anchor_count - 1].boot = head->boot;
#endif
}

/* The anchors of a boot, or, if it has none, the nearest before and after: UTC is then bounded by them. */
static void choose_anchors(const struct trib_client *client, struct trib_wire_batch_head *head)
{
    const struct trib_anchor *before = NULL, *after = NULL;
    for (const struct trib_anchor *a = client->anchors; a < client->anchors + TRIB_ANCHORS; a++) {
        if (a->boot == 0)
            continue;
        if (a->boot <= head->boot)
            before = !before || a->boot > before->boot ? a : before;
        else
            after = !after || a->boot < after->boot ? a : after;
    }
    put_anchor(head, before);
    if (!before || before->boot != head->boot)
        put_anchor(head, after);
}

/* The head is large and needed here only, so it has a frame of its own. */
TRIB_OWN_FRAME static void open_batch(struct batch *b, unsigned first, uint8_t *buffer, size_t cap)
{
    struct trib_client *client = b->client;
    struct trib_wire_batch_head head;
    unsigned base = dated(b, first) ? first : dated(b, 1 - first) ? 1 - first : TRIB_LANE_COUNT;
    memset(&head, 0, sizeof head);
    if (base < TRIB_LANE_COUNT) {
        const struct trib_lane_item *item = &b->item[base];
        b->boot = item->boot;
        head.mono_ms = item->mono_ms;
        head.ord = item->ord > 0 ? item->ord - 1 : 0;
    } else {
        b->boot = client->boot;
        trib_client_lock(client);
        head.mono_ms = client->last_mono_ms;
        head.ord = client->ord;
        trib_client_unlock(client);
    }
    head.boot = b->boot;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        const struct trib_lane_item *item = &b->item[lane];
        b->have[lane] = b->have[lane] && (lane == first || (dated(b, lane) && item->boot == b->boot));
        if (b->have[lane]) {
            head.lanes[lane] = (struct trib_wire_position){item->stream, item->seq};
            b->stream[lane] = item->stream;
        }
    }
    choose_anchors(client, &head);
    trib_wire_batch_open(&b->w, &head, buffer, cap);
}

static bool room(const struct batch *b, uint32_t bytes)
{
    return b->w.w.error == 0 && b->w.w.len + SLACK + bytes + 16 <= b->w.w.cap;
}

/* The batch's index of an event's context, which is put first if it is new. TRIB_ESPACE. */
static int context_index(struct batch *b, unsigned lane, const struct trib_lane_item *item,
                         unsigned *out_index)
{
    const struct trib_ring *r = &b->client->lanes[lane].ring;
    struct trib_ring_context c;
    *out_index = 0;
    if (item->context == UINT32_MAX)
        return 0;
    for (unsigned i = 0; i < b->context_count; i++)
        if (b->contexts[i].lane == lane && b->contexts[i].address == item->context) {
            *out_index = b->contexts[i].index;
            return 0;
        }
    if (trib_ring_context(r, item->context, item->seed, &c) != 0)
        return 0; /* damaged: the event goes without */
    if (b->context_count == CONTEXTS_MAX)
        return TRIB_ESPACE;
    struct known_context *known = &b->contexts[b->context_count];
    for (unsigned i = 0; i < b->context_count; i++)
        if (b->contexts[i].session == c.session)
            *out_index = b->contexts[i].index; /* the other lane's copy, or the one in the sector before */
    if (*out_index == 0) {
        uint32_t bytes = c.content_len + c.user_len;
        if (!room(b, bytes))
            return TRIB_ESPACE;
        uint8_t *text = b->w.w.buf + b->w.w.len + SLACK;
        int rc = trib_ring_read_checked(r->storage, c.content, c.head, bytes, item->seed, text);
        if (rc < 0)
            return rc;
        if (!trib_cbor_utf8_valid((const char *)text, c.content_len) ||
            !trib_cbor_utf8_valid((const char *)text + c.content_len, c.user_len))
            return 0; /* as if damaged */
        struct trib_wire_context value = {.session = c.session,
                                          .content = {(const char *)text, c.content_len},
                                          .user = {(const char *)text + c.content_len, c.user_len}};
        *out_index = ++b->index_count;
        trib_wire_batch_context(&b->w, *out_index, &value);
    }
    known->session = c.session;
    known->address = item->context;
    known->lane = (uint8_t)lane;
    known->index = (uint8_t)*out_index;
    b->context_count++;
    return b->w.w.error;
}

/* Whether the bytes are one map and no more. Others, though their CRC is right, would spoil the message they are in. */
static bool is_map(const uint8_t *data, uint32_t len)
{
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, data, len);
    bool map = trib_cbor_peek(&r) == TRIB_CBOR_MAP;
    trib_cbor_skip(&r);
    return map && trib_cbor_at_end(&r);
}

/* Puts the item of a lane. TRIB_ESPACE: it does not fit any more; TRIB_EMALFORMED: it is no event. */
static int put_item(struct batch *b, unsigned lane)
{
    const struct trib_lane_item *item = &b->item[lane];
    const struct trib_storage *s = b->client->lanes[lane].ring.storage;
    unsigned context;
    if (item->kind == TRIB_LANE_ITEM_DROP) {
        if (!room(b, 0))
            return TRIB_ESPACE;
#ifndef TRIB_MUTANT_SILENT_DROP
        trib_wire_batch_drop(&b->w, lane, item->count, item->drop_class, item->drop_reason);
#endif
        return b->w.w.error;
    }
    int rc = context_index(b, lane, item, &context);
    if (rc < 0)
        return rc;
    uint32_t bytes = item->kind == TRIB_LANE_ITEM_START ? item->start_bytes : item->data_bytes;
    if (!room(b, bytes))
        return TRIB_ESPACE;
    const uint8_t *fields = item->start;
    if (item->kind == TRIB_LANE_ITEM_EVENT) {
        uint8_t *to = b->w.w.buf + b->w.w.len + SLACK;
        rc = trib_ring_read_checked(s, item->data, item->head, bytes, item->seed, to);
        if (rc < 0)
            return rc;
        if (!is_map(to, bytes))
            return TRIB_EMALFORMED;
        fields = to;
    }
    trib_wire_batch_event(&b->w, lane, item->type, item->mono_ms, item->ord, context, fields, bytes);
    b->events++;
    return b->w.w.error;
}

/* An event that no message can carry would stop its lane for ever: its loss is declared instead. */
static int give_up(struct batch *b, unsigned lane)
{
    struct trib_lane_item *item = &b->item[lane];
    if (item->kind == TRIB_LANE_ITEM_DROP)
        return TRIB_ESPACE;
    trib_client_log(b->client, TRIB_LOG_ERROR, "an event that no message can carry is dropped");
    item->kind = TRIB_LANE_ITEM_DROP;
    item->count = 1;
    item->drop_class = lane == TRIB_LANE_VITAL ? TRIB_DROP_VITAL : TRIB_DROP_ROUTINE;
    item->drop_reason = TRIB_DROP_NOT_KNOWN;
    return put_item(b, lane);
}

static bool follows(const struct batch *b, unsigned lane)
{
    const struct trib_lane_item *item = &b->item[lane];
    if (item->stream != b->stream[lane])
        return false;
    return item->kind == TRIB_LANE_ITEM_DROP ||
           (item->boot == b->boot && item->ord > b->w.ord && item->mono_ms >= b->w.mono_ms);
}

static int fill(struct batch *b, uint64_t max_events)
{
    for (;;) {
        unsigned lane = next_lane(b);
        if (lane == TRIB_LANE_COUNT)
            return 0;
        if (!follows(b, lane)) {
            b->have[lane] = false;
            continue;
        }
        if (b->events >= max_events && dated(b, lane))
            return 0;
        bool was_start = b->item[lane].kind == TRIB_LANE_ITEM_START;
        int rc = put_item(b, lane);
        if (rc == TRIB_EMALFORMED || (rc == TRIB_ESPACE && b->w.item_count == b->index_count && !was_start))
            rc = give_up(b, lane);
        if (rc == TRIB_ESPACE)
            return 0;
        if (rc == TRIB_EDAMAGED && b->retries++ < RETRIES) { /* not what peek saw: look again */
            rc = peek(b, lane);
            if (rc < 0)
                return rc;
            continue;
        }
        if (rc < 0)
            return rc == TRIB_EDAMAGED ? 0 : rc;
        trib_lane_advance(&b->client->lanes[lane], &b->item[lane]);
        rc = peek(b, lane);
        if (rc < 0)
            return rc;
    }
}

/* Routine events wait a while for company: a radio that wakes for each ping costs more than it carries. */
static bool lingers(const struct batch *b)
{
    const struct trib_client *client = b->client;
    const struct trib_lane_state *lane = &client->lanes[TRIB_LANE_ROUTINE];
    uint32_t linger = trib_client_linger_ms(client);
    if (b->have[TRIB_LANE_VITAL] || client->hurry)
        return false;
    return lane->ring.durable_pos - lane->send_pos < COMPANY_COUNT && client->unsent &&
           trib_client_left(client->unsent_at_ms, linger, trib_client_now(client)) > 0;
}

/* While both lanes wait, the vital one may get batches of its own; the rest is in the order of record(). */
static void share(struct batch *b)
{
    struct trib_client *client = b->client;
    if (!b->have[TRIB_LANE_VITAL] || !b->have[TRIB_LANE_ROUTINE])
        return;
    client->share = (uint8_t)(client->share + client->settings[TRIB_SETTING_VITAL_SHARE]);
    if (client->share < 100)
        return;
    client->share = (uint8_t)(client->share - 100);
    b->have[TRIB_LANE_ROUTINE] = false;
}

TRIB_OWN_FRAME static int build(struct trib_client *client, uint8_t *buffer, size_t cap, uint64_t max_events,
                                size_t *out_len, uint64_t *out_events)
{
    struct batch b;
    memset(&b, 0, sizeof b);
    b.client = client;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        int rc = peek(&b, lane);
        if (rc < 0)
            return rc;
    }
    share(&b);
    unsigned first = next_lane(&b);
    if (first == TRIB_LANE_COUNT || lingers(&b) || max_events == 0)
        return 0;
    open_batch(&b, first, buffer, cap);
    int rc = fill(&b, max_events);
    if (rc < 0)
        return rc;
    if (b.w.item_count == 0)
        return 0;
    rc = trib_wire_batch_close(&b.w, out_len);
    if (rc == 0) {
        *out_events = b.events;
        client->sent += (uint32_t)b.events;
        for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
            trib_client_watch_acks(client, lane, false);
        if (!trib_lane_pending(&client->lanes[TRIB_LANE_ROUTINE]))
            client->unsent = false;
    }
    return rc;
}

int trib_client_batch(void *context, uint8_t *buffer, size_t cap, uint64_t max_events, size_t *out_len,
                      uint64_t *out_events)
{
    struct trib_client *client = context;
    *out_len = 0;
    *out_events = 0;
    if (!client->settings[TRIB_SETTING_SENDING])
        return 0;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        int rc = client->lanes[lane].ring.open ? trib_client_make_firm(client, lane) : 0;
        if (rc < 0)
            return rc;
    }
    return build(client, buffer, cap, max_events, out_len, out_events);
}
