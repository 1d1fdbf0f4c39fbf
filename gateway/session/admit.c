#include "session/admit.h"

#include <stdbool.h>
#include <string.h>

#include "schema/validate.h"
#include "session/rejected.h"

/* What an item's own head, deltas and context index take at most, with room to spare. */
#define ITEM_OVERHEAD 64
/* Entry head, batch head with all anchors, and the closing break. Pseudonyms are longer than most user ids: twice the
 * batch is seldom too little. */
#define ENTRY_OVERHEAD 1024
#define USERS_REMEMBERED 4

/* The last news of a lane: enough to compute the CRC of its row at the end. */
struct lane_state {
    uint64_t committed, last_seq;
    struct trib_wire_batch_item last; /* kind drop: CRC 0 */
    bool news;
};

/* A user id and its pseudonym. A household has few users, and a batch names them again and again. */
struct remembered {
    struct trib_text user;
    char text[GW_PSEUDONYM_TEXT_MAX];
    size_t text_len;
};

struct admission {
    const struct gw_admit_policy *policy;
    const struct gw_admit_input *input;
    struct gw_arena *arena;
    struct gw_admitted *out;
    struct gw_error *error;
    struct trib_wire_batch_reader reader;
    struct trib_wire_batch_writer writer;
    uint8_t *entry; /* the writer's buffer begins behind the entry head */
    size_t head_len;
    struct lane_state lanes[TRIB_LANE_COUNT];
    size_t item_at; /* where the item begins in the batch, and what the reader's state was there */
    struct {
        uint64_t mono_ms, ord;
        unsigned context;
    } before;
    struct trib_wire_context contexts[TRIB_WIRE_CONTEXTS_MAX + 1];
    uint32_t contexts_written; /* bit = index */
    struct remembered users[USERS_REMEMBERED];
    unsigned user_count, user_next;
    uint8_t *scratch; /* a fields map being written anew */
    size_t scratch_bytes;
    struct gw_journal_quarantine *quarantine;
    size_t quarantine_capacity;
};

static enum gw_admit_verdict malformed(struct admission *a, const char *what)
{
    gw_error_set(a->error, GW_EPROTOCOL, 0, "batch refused: %s, at byte %zu of %zu", what, a->reader.r.pos,
                 a->input->batch_len);
    return GW_ADMIT_MALFORMED;
}

/* Room for `bytes` more in the writer. The writer's errors are sticky, so it must never meet its end. */
static enum gw_admit_verdict make_room(struct admission *a, size_t bytes)
{
    struct trib_cbor_writer *w = &a->writer.w;
    if (w->cap - w->len >= bytes)
        return GW_ADMIT_OK;
    size_t capacity = a->head_len + 2 * w->cap + bytes;
    uint8_t *grown = gw_arena_alloc(a->arena, capacity);
    if (!grown)
        return GW_ADMIT_NO_MEMORY;
    memcpy(grown, a->entry, a->head_len + w->len);
    a->entry = grown;
    w->buf = grown + a->head_len;
    w->cap = capacity - a->head_len - 1; /* as trib_wire_batch_open does: close needs no room of its own */
    return GW_ADMIT_OK;
}

/* The pseudonym of a user id; NULL when it cannot be computed. Valid until USERS_REMEMBERED others were asked
 * for. */
static const struct remembered *pseudonym_of(struct admission *a, struct trib_text user)
{
    for (unsigned i = 0; a->input->pseudonyms && i < a->user_count; i++) {
        const struct remembered *known = &a->users[i];
        if (known->user.len == user.len && memcmp(known->user.ptr, user.ptr, user.len) == 0)
            return known;
    }
    struct remembered *slot = &a->users[a->user_next];
    a->user_next = (a->user_next + 1) % USERS_REMEMBERED;
    slot->text_len =
        gw_pseudonym_cached(a->input->pseudonyms, a->policy->pseudonym, user.ptr, user.len, slot->text);
    slot->user = user;
    if (slot->text_len == 0) {
        slot->user.len = SIZE_MAX; /* never found */
        return NULL;
    }
    if (a->user_count < USERS_REMEMBERED)
        a->user_count++;
    return slot;
}

/* Contexts are written masked, right before the first event that needs them; one that nothing uses is left
 * out. */
static enum gw_admit_verdict write_context(struct admission *a, unsigned index)
{
    if (index == 0 || a->contexts_written >> index & 1)
        return GW_ADMIT_OK;
    struct trib_wire_context masked = a->contexts[index];
    if (masked.user.len != 0) {
        const struct remembered *pseudonym = pseudonym_of(a, masked.user);
        if (!pseudonym)
            return GW_ADMIT_CRYPTO;
        masked.user = (struct trib_text){pseudonym->text, pseudonym->text_len};
    }
    enum gw_admit_verdict verdict = make_room(a, ITEM_OVERHEAD + masked.content.len + masked.user.len);
    if (verdict != GW_ADMIT_OK)
        return verdict;
    trib_wire_batch_context(&a->writer, index, &masked);
    a->contexts_written |= 1u << index;
    return GW_ADMIT_OK;
}

static void take_context(struct admission *a, const struct trib_wire_batch_item *item)
{
    a->contexts[item->context] = item->context_value;
    a->contexts_written &= ~(1u << item->context);
}

/* --- rejected events --- */

/* The nearest anchor on either side is enough for the time, and bounds what a batch full of bad events can
 * take up. */
static void copy_anchors(const struct trib_wire_batch_head *head, uint64_t mono_ms,
                         struct gw_rejected_event *item)
{
    const struct trib_wire_anchor *before = NULL, *after = NULL;
    for (size_t i = 0; i < head->anchor_count; i++) {
        const struct trib_wire_anchor *anchor = &head->anchors[i];
        bool earlier =
            anchor->boot < head->boot || (anchor->boot == head->boot && anchor->mono_ms <= mono_ms);
        const struct trib_wire_anchor **best = earlier ? &before : &after;
        bool nearer = !*best || (anchor->boot == (*best)->boot ? anchor->mono_ms > (*best)->mono_ms
                                                               : anchor->boot > (*best)->boot) == earlier;
        if (nearer)
            *best = anchor;
    }
    if (before)
        item->anchors[item->anchor_count++] = *before;
    if (after)
        item->anchors[item->anchor_count++] = *after;
}

static struct gw_rejected_event describe(const struct admission *a, const struct trib_wire_batch_item *event,
                                         int code)
{
    const struct gw_entry_head *head = &a->input->head;
    struct gw_rejected_event item = {
        .code = (uint64_t)code,
        .device = head->device,
        .tenant = head->tenant,
        .stream = a->reader.head.lanes[event->lane].stream,
        .lane = event->lane,
        .seq = event->seq,
        .boot = a->reader.head.boot,
        .mono_ms = event->mono_ms,
        .ord = event->ord,
        .received_utc_ms = head->received_utc_ms,
        .received_uncertainty_ms = head->received_uncertainty_ms,
        .context = a->contexts[event->context],
        .type = event->kind,
        .fields = event->fields,
        .fields_len = event->fields_len,
    };
    copy_anchors(&a->reader.head, event->mono_ms, &item);
    return item;
}

static enum gw_admit_verdict grow_quarantine(struct admission *a)
{
    if (a->out->write.quarantine_count < a->quarantine_capacity)
        return GW_ADMIT_OK;
    size_t capacity = a->quarantine_capacity ? 2 * a->quarantine_capacity : 8;
    struct gw_journal_quarantine *grown = gw_arena_alloc(a->arena, capacity * sizeof *grown);
    if (!grown)
        return GW_ADMIT_NO_MEMORY;
    if (a->quarantine)
        memcpy(grown, a->quarantine, a->out->write.quarantine_count * sizeof *grown);
    a->quarantine = grown;
    a->quarantine_capacity = capacity;
    return GW_ADMIT_OK;
}

/* Seals the event; its plaintext lives in the arena only. */
static enum gw_admit_verdict seal_event(struct admission *a, const struct trib_wire_batch_item *event,
                                        int code)
{
    enum gw_admit_verdict verdict = grow_quarantine(a);
    if (verdict != GW_ADMIT_OK)
        return verdict;
    struct gw_rejected_event item = describe(a, event, code);
    size_t plain_len;
    if (gw_rejected_event_encode(&item, NULL, 0, &plain_len) != TRIB_OK)
        return GW_ADMIT_NO_MEMORY;
    if (a->scratch_bytes < plain_len) {
        a->scratch = gw_arena_alloc(a->arena, 2 * plain_len);
        a->scratch_bytes = a->scratch ? 2 * plain_len : 0;
    }
    uint8_t *sealed = gw_arena_alloc(a->arena, plain_len + GW_SEAL_OVERHEAD_MAX);
    if (!a->scratch || !sealed ||
        gw_rejected_event_encode(&item, a->scratch, a->scratch_bytes, &plain_len) != TRIB_OK)
        return GW_ADMIT_NO_MEMORY;
    uint8_t label[GW_REJECTED_LABEL_BYTES];
    gw_rejected_event_label(item.stream, item.seq, label);
    size_t sealed_len;
    if (gw_seal(a->policy->seal, label, sizeof label, a->scratch, plain_len, sealed, &sealed_len) != GW_OK)
        return GW_ADMIT_CRYPTO;
    a->quarantine[a->out->write.quarantine_count++] = (struct gw_journal_quarantine){.sealed = sealed,
                                                                                     .sealed_len = sealed_len,
                                                                                     .stream = item.stream,
                                                                                     .seq = item.seq,
                                                                                     .code = (uint32_t)code};
    return GW_ADMIT_OK;
}

static enum gw_admit_verdict reject_event(struct admission *a, const struct trib_wire_batch_item *event,
                                          int code)
{
    enum gw_admit_verdict verdict = seal_event(a, event, code);
    if (verdict == GW_ADMIT_OK)
        verdict = make_room(a, ITEM_OVERHEAD);
    if (verdict != GW_ADMIT_OK)
        return verdict;
    trib_wire_batch_tombstone(&a->writer, event->lane, event->mono_ms);
    struct gw_admitted *out = a->out;
    if (out->rejected_count < TRIB_WIRE_REJECTED_MAX)
        out->rejected[out->rejected_count++] = (struct trib_wire_rejection){
            a->reader.head.lanes[event->lane].stream, event->seq, (uint64_t)code};
    else
        out->rejected_more++;
    return GW_ADMIT_OK;
}

/* --- valid events --- */

/* Room for a fields map that is written anew, where it cannot go to the entry at once. */
static uint8_t *room_for_fields(struct admission *a, size_t fields_len)
{
    const size_t needed = fields_len + ITEM_OVERHEAD + GW_PSEUDONYM_TEXT_MAX;
    if (a->scratch_bytes < needed) {
        a->scratch = gw_arena_alloc(a->arena, 2 * needed);
        a->scratch_bytes = a->scratch ? 2 * needed : 0;
    }
    return a->scratch;
}

/* Bytes of the head of the text at `at`, which the validator has walked over. */
static size_t text_head_bytes(const uint8_t *at)
{
    unsigned info = *at & 31;
    return info < 24 ? 1 : 1 + ((size_t)1 << (info - 24));
}

/*
 * Writes the declared fields anew, in their order, with the user's pseudonym. What lies side by side is copied at once.
 * out has room for the fields, ITEM_OVERHEAD and GW_PSEUDONYM_TEXT_MAX. NULL: no pseudonym.
 */
static uint8_t *mask_fields(struct admission *a, const uint8_t *fields, const struct gw_validated *valid,
                            uint8_t *out)
{
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, out, ITEM_OVERHEAD);
    trib_cbor_put_map(&w, valid->field_count);
    out += w.len;
    size_t from = valid->field_count ? valid->fields[0].key_at : 0, to = from;
    for (uint32_t i = 0; i < valid->field_count; i++) {
        const struct gw_field_span *span = &valid->fields[i];
        bool masked = span->id == TRIB_FIELD_USER;
        if (span->key_at != to) { /* an undeclared one stands between */
            memcpy(out, fields + from, to - from);
            out += to - from;
            from = span->key_at;
        }
        to = span->end;
        if (!masked)
            continue;
        memcpy(out, fields + from, span->value_at - from);
        out += span->value_at - from;
        size_t head = text_head_bytes(fields + span->value_at);
        struct trib_text user = {(const char *)fields + span->value_at + head,
                                 span->end - span->value_at - head};
        const struct remembered *pseudonym = pseudonym_of(a, user);
        if (!pseudonym)
            return NULL;
        trib_cbor_writer_init(&w, out, ITEM_OVERHEAD + GW_PSEUDONYM_TEXT_MAX);
        trib_cbor_put_text(&w, pseudonym->text, pseudonym->text_len);
        out += w.len;
        from = to;
    }
    memcpy(out, fields + from, to - from);
    return out + (to - from);
}

static bool has_user(const struct gw_validated *valid)
{
    for (uint32_t i = 0; i < valid->field_count; i++) {
        if (valid->fields[i].id == TRIB_FIELD_USER)
            return true;
    }
    return false;
}

/* A stream that ends in an erasure lacks nothing: what it still had was to be forgotten. */
static void note_start(struct admission *a, const struct trib_wire_batch_item *event,
                       const struct gw_validated *valid)
{
    struct gw_admitted_start start = {0};
    uint64_t reason = 0;
    for (uint32_t i = 0; i < valid->field_count; i++) {
        const struct gw_field_span *span = &valid->fields[i];
        struct trib_cbor_reader r;
        trib_cbor_reader_init(&r, event->fields + span->value_at, span->end - span->value_at);
        uint64_t value = trib_cbor_get_uint(&r);
        if (r.error)
            continue;
        if (span->id == TRIB_FIELD_PREVIOUS)
            start.previous = value;
        else if (span->id == TRIB_FIELD_PREVIOUS_NEXT)
            start.previous_next = value;
        else if (span->id == TRIB_FIELD_START_REASON)
            reason = value;
    }
    if (reason != TRIB_START_REASON_ERASED)
        a->out->starts[event->lane] = start;
}

/*
 * The head of an item that the entry may hold as it came: three elements, so that nothing hides behind the fields, and
 * times and context that count from where the entry's writer stands. 0: it is to be written anew.
 */
static size_t head_as_it_came(const struct admission *a, const struct trib_wire_batch_item *event)
{
    const uint8_t *item = a->reader.r.buf + a->item_at;
    bool follows = a->writer.mono_ms == a->before.mono_ms && a->writer.ord == a->before.ord &&
                   a->writer.context == a->before.context;
    bool plain = item[0] == 0x83 && event->context == a->before.context && event->ord == a->before.ord + 1 &&
                 event->fields + event->fields_len == a->reader.r.buf + a->reader.r.pos;
    return follows && plain ? (size_t)(event->fields - item) : 0;
}

static enum gw_admit_verdict write_event(struct admission *a, const struct trib_wire_batch_item *event,
                                         const struct gw_validated *valid)
{
    enum gw_admit_verdict verdict =
        make_room(a, 2 * ITEM_OVERHEAD + event->fields_len + GW_PSEUDONYM_TEXT_MAX);
    if (verdict != GW_ADMIT_OK)
        return verdict;
    struct trib_wire_batch_writer *writer = &a->writer;
    bool masked = valid->undeclared != 0 || has_user(valid);
    size_t head = head_as_it_came(a, event);
    if (head == 0 || head > ITEM_OVERHEAD) {
        uint8_t *fields = masked ? room_for_fields(a, event->fields_len) : NULL, *end = NULL;
        if (masked && !fields)
            return GW_ADMIT_NO_MEMORY;
        if (masked && !(end = mask_fields(a, event->fields, valid, fields)))
            return GW_ADMIT_CRYPTO;
        trib_wire_batch_event(writer, event->lane, event->kind, event->mono_ms, event->ord, event->context,
                              masked ? fields : event->fields,
                              masked ? (size_t)(end - fields) : event->fields_len);
        return GW_ADMIT_OK;
    }
    uint8_t *out = writer->w.buf + writer->w.len, *end = out + head;
    memcpy(out, event->fields - head, head);
    if (masked)
        end = mask_fields(a, event->fields, valid, end);
    else
        end = (uint8_t *)memcpy(end, event->fields, event->fields_len) + event->fields_len;
    if (!end)
        return GW_ADMIT_CRYPTO;
    writer->w.len += (size_t)(end - out);
    writer->mono_ms = event->mono_ms;
    writer->ord = event->ord;
    writer->item_count++;
    return GW_ADMIT_OK;
}

static enum gw_admit_verdict accept_event(struct admission *a, const struct trib_wire_batch_item *event,
                                          const struct gw_validated *valid)
{
    enum gw_admit_verdict verdict = write_context(a, event->context);
    if (verdict == GW_ADMIT_OK)
        verdict = write_event(a, event, valid);
    if (verdict != GW_ADMIT_OK)
        return verdict;
    a->out->event_count++;
    a->out->undeclared_count += valid->undeclared;
    if (event->kind == TRIB_EVENT_STREAM_START)
        note_start(a, event, valid);
    return GW_ADMIT_OK;
}

/* --- the pass --- */

static enum gw_admit_verdict take_event(struct admission *a, const struct trib_wire_batch_item *event)
{
    a->out->credit_events++;

    struct lane_state *lane = &a->lanes[event->lane];
    if (event->seq <= lane->committed) {
        a->out->duplicate_count++;
        return GW_ADMIT_OK;
    }
    lane->last_seq = event->seq;
    lane->last = *event;
    lane->news = true;

    struct gw_validated valid;
    int code = event->fields_len > a->policy->max_event_bytes ? TRIB_REJECT_TOO_LARGE : 0;
    if (code == 0)
        code = gw_validate_event(event->kind, event->fields, event->fields_len, &valid);
    return code == 0 ? accept_event(a, event, &valid) : reject_event(a, event, code);
}

static enum gw_admit_verdict take_drop(struct admission *a, const struct trib_wire_batch_item *drop)
{
    struct lane_state *lane = &a->lanes[drop->lane];
    const uint64_t last = drop->seq + drop->count - 1;
    if (last <= lane->committed)
        return GW_ADMIT_OK;
    const uint64_t before = drop->seq > lane->committed ? drop->seq - 1 : lane->committed;
    enum gw_admit_verdict verdict = make_room(a, ITEM_OVERHEAD);
    if (verdict != GW_ADMIT_OK)
        return verdict;
    trib_wire_batch_drop(&a->writer, drop->lane, last - before, drop->drop_class, drop->drop_reason);
    a->out->dropped_count += last - before;
    if (drop->drop_class == TRIB_DROP_UNKNOWN || drop->drop_reason == TRIB_DROP_NOT_KNOWN)
        a->out->unaccounted_count += last - before;
    lane->last_seq = last;
    lane->last = *drop;
    lane->news = true;
    return GW_ADMIT_OK;
}

static enum gw_admit_verdict take_item(struct admission *a, const struct trib_wire_batch_item *item)
{
    if (item->kind == TRIB_ITEM_CONTEXT) {
        take_context(a, item);
        return GW_ADMIT_OK;
    }
    if (item->kind == TRIB_ITEM_DROP)
        return take_drop(a, item);
    if (item->kind == TRIB_ITEM_TOMBSTONE) /* would be a loss that nobody declared */
        return malformed(a, "a device cannot send a tombstone");
    return take_event(a, item);
}

static int next_item(struct admission *a, struct trib_wire_batch_item *out)
{
    const struct trib_wire_batch_reader *reader = &a->reader;
    a->item_at = reader->r.pos;
    a->before.mono_ms = reader->mono_ms;
    a->before.ord = reader->ord;
    a->before.context = reader->context;
    return trib_wire_batch_next(&a->reader, out);
}

/* What the batch says of its lanes against what the session knows of them. */
static enum gw_admit_verdict check_lanes(struct admission *a, unsigned *out_lane)
{
    const struct trib_wire_position *lanes = a->reader.head.lanes;
    for (unsigned i = 0; i < TRIB_LANE_COUNT; i++) {
        if (lanes[i].stream == 0)
            continue;
        if (lanes[i].stream != a->input->lanes[i].stream)
            return malformed(a, "a lane's stream is not one of this session");
        a->lanes[i].committed = a->lanes[i].last_seq = a->input->lanes[i].committed;
#ifndef GW_MUTANT_NO_CONTIGUITY
        if (lanes[i].seq > a->lanes[i].committed && lanes[i].seq - a->lanes[i].committed > 1) {
            *out_lane = i;
            return GW_ADMIT_HOLE;
        }
#else
        (void)out_lane;
#endif
    }
    return GW_ADMIT_OK;
}

/* The entry's head and the batch's, with each lane beginning behind what is committed. */
static enum gw_admit_verdict open_entry(struct admission *a)
{
    struct trib_wire_batch_head head = a->reader.head;
    for (unsigned i = 0; i < TRIB_LANE_COUNT; i++) {
        if (head.lanes[i].stream != 0 && head.lanes[i].seq <= a->lanes[i].committed)
            head.lanes[i].seq = a->lanes[i].committed + 1;
    }
    const size_t capacity = a->input->head.device.len + 2 * a->input->batch_len + ENTRY_OVERHEAD;
    a->entry = gw_arena_alloc(a->arena, capacity);
    if (!a->entry || gw_entry_head_encode(&a->input->head, a->entry, capacity, &a->head_len) != TRIB_OK)
        return GW_ADMIT_NO_MEMORY;
    trib_wire_batch_open(&a->writer, &head, a->entry + a->head_len, capacity - a->head_len);
    return a->writer.w.error ? GW_ADMIT_NO_MEMORY : GW_ADMIT_OK;
}

static enum gw_admit_verdict close_entry(struct admission *a)
{
    struct gw_admitted *out = a->out;
    for (unsigned i = 0; i < TRIB_LANE_COUNT; i++) {
        const struct lane_state *lane = &a->lanes[i];
        const uint64_t stream = a->reader.head.lanes[i].stream;
        uint32_t crc = 0;
        if (lane->news && lane->last.kind != TRIB_ITEM_DROP)
            crc = trib_wire_event_crc(stream, lane->last_seq, a->reader.head.boot, lane->last.mono_ms,
                                      lane->last.ord, lane->last.kind, lane->last.fields,
                                      lane->last.fields_len);
        out->write.lanes[i] = (struct gw_journal_lane){
            .stream = stream, .expected = lane->committed, .last_seq = lane->last_seq, .last_crc = crc};
    }
    out->write.quarantine = a->quarantine;
    if (out->event_count == 0 && out->dropped_count == 0)
        return GW_ADMIT_OK;
    size_t batch_len;
    int rc = trib_wire_batch_close(&a->writer, &batch_len);
    if (rc != TRIB_OK)
        return malformed(a, trib_error_text(rc));
    out->write.entry = a->entry;
    out->write.entry_len = a->head_len + batch_len;
    return GW_ADMIT_OK;
}

int gw_admit_peek(const uint8_t *batch, size_t len, struct trib_wire_position lanes[TRIB_LANE_COUNT])
{
    struct trib_wire_batch_reader reader;
    int rc = trib_wire_batch_read(&reader, batch, len);
    if (rc == TRIB_OK)
        memcpy(lanes, reader.head.lanes, sizeof reader.head.lanes);
    return rc;
}

enum gw_admit_verdict gw_admit(const struct gw_admit_policy *policy, const struct gw_admit_input *input,
                               struct gw_arena *arena, struct gw_admitted *out, unsigned *out_lane,
                               struct gw_error *out_error)
{
    struct admission a;
    memset(&a, 0, offsetof(struct admission, users));
    a.user_count = a.user_next = 0;
    a.scratch = NULL;
    a.scratch_bytes = 0;
    a.quarantine = NULL;
    a.quarantine_capacity = 0;
    a.policy = policy;
    a.input = input;
    a.arena = arena;
    a.error = out_error;
    struct gw_admitted admitted = {0};
    a.out = &admitted;

    int rc = trib_wire_batch_read(&a.reader, input->batch, input->batch_len);
    if (rc != TRIB_OK)
        return malformed(&a, trib_error_text(rc));
    enum gw_admit_verdict verdict = check_lanes(&a, out_lane);
    if (verdict == GW_ADMIT_OK)
        verdict = open_entry(&a);
    struct trib_wire_batch_item item;
    while (verdict == GW_ADMIT_OK && (rc = next_item(&a, &item)) == 1)
        verdict = take_item(&a, &item);
    if (verdict == GW_ADMIT_OK && rc < 0)
        verdict = malformed(&a, trib_error_text(rc));
    if (verdict == GW_ADMIT_OK)
        verdict = close_entry(&a);
    if (verdict == GW_ADMIT_OK)
        *out = admitted;
    return verdict;
}
