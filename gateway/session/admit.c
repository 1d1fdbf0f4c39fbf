#include "session/admit.h"

#include <string.h>

#include "session/admit_internal.h"

/* Entry head, batch head with all anchors, and the closing break. Pseudonyms are longer than most user ids: twice the
 * batch is seldom too little. */
#define ENTRY_OVERHEAD 1024

static enum gw_admit_verdict malformed(struct gw_admission *a, const char *what)
{
    gw_error_set(a->error, GW_EPROTOCOL, 0, "batch refused: %s, at byte %zu of %zu", what, a->reader.r.pos,
                 a->input->batch_len);
    return GW_ADMIT_MALFORMED;
}

enum gw_admit_verdict gw_admit_room(struct gw_admission *a, size_t bytes)
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

uint8_t *gw_admit_scratch(struct gw_admission *a, struct gw_admit_memory *memory, size_t bytes)
{
    if (memory->size < bytes) {
        memory->bytes = gw_arena_alloc(a->arena, 2 * bytes);
        memory->size = memory->bytes ? 2 * bytes : 0;
    }
    return memory->bytes;
}

static enum gw_admit_verdict take_event(struct gw_admission *a, const struct trib_wire_batch_item *event)
{
    a->out->credit_events++;

    struct gw_admit_lane_state *lane = &a->lanes[event->lane];
    if (event->seq <= lane->committed) {
        a->out->duplicate_count++;
        return GW_ADMIT_OK;
    }
    lane->last_seq = event->seq;
    lane->last = *event;
    lane->news = true;

    a->custom.version = NULL;
    int code = event->fields_len > a->policy->max_event_bytes ? TRIB_REJECT_TOO_LARGE : 0;
    if (code == 0 && event->fields != a->valid_fields)
        code = gw_validate_event(event->kind, event->fields, event->fields_len, &a->valid);
    if (code == 0 && event->kind == TRIB_EVENT_CUSTOM)
        code = gw_admit_judge(a, event, &a->valid);
    return code == 0 ? gw_admit_accept(a, event, &a->valid) : gw_admit_reject(a, event, code);
}

static enum gw_admit_verdict take_drop(struct gw_admission *a, const struct trib_wire_batch_item *drop)
{
    struct gw_admit_lane_state *lane = &a->lanes[drop->lane];
    const uint64_t last = drop->seq + drop->count - 1;
    if (last <= lane->committed)
        return GW_ADMIT_OK;
    const uint64_t before = drop->seq > lane->committed ? drop->seq - 1 : lane->committed;
    enum gw_admit_verdict verdict = gw_admit_room(a, GW_ADMIT_ITEM_OVERHEAD);
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

static enum gw_admit_verdict take_item(struct gw_admission *a, const struct trib_wire_batch_item *item)
{
    if (item->kind == TRIB_ITEM_CONTEXT) {
        gw_admit_context(a, item);
        return GW_ADMIT_OK;
    }
    if (item->kind == TRIB_ITEM_DROP)
        return take_drop(a, item);
    if (item->kind == TRIB_ITEM_TOMBSTONE) /* would be a loss that nobody declared */
        return malformed(a, "a device cannot send a tombstone");
    return take_event(a, item);
}

/* Most events are valid and flat: one walk over their fields finds that out and where they end. */
static size_t measure(void *context, unsigned type, const uint8_t *fields, size_t most)
{
    struct gw_admission *a = context;
    size_t len = gw_validate_flat(type, fields, most, &a->valid);
    a->valid_fields = len > 0 ? fields : NULL;
    return len;
}

static int next_item(struct gw_admission *a, struct trib_wire_batch_item *out)
{
    const struct trib_wire_batch_reader *reader = &a->reader;
    a->item_at = reader->r.pos;
    a->before.mono_ms = reader->mono_ms;
    a->before.ord = reader->ord;
    a->before.context = reader->context;
    return trib_wire_batch_next(&a->reader, out);
}

/* What the batch says of its lanes against what the session knows of them. */
static enum gw_admit_verdict check_lanes(struct gw_admission *a, unsigned *out_lane)
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
static enum gw_admit_verdict open_entry(struct gw_admission *a)
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

static enum gw_admit_verdict close_entry(struct gw_admission *a)
{
    struct gw_admitted *out = a->out;
    for (unsigned i = 0; i < TRIB_LANE_COUNT; i++) {
        const struct gw_admit_lane_state *lane = &a->lanes[i];
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
    struct gw_admission a;
    memset(&a, 0, offsetof(struct gw_admission, users));
    a.scratch = a.declared = (struct gw_admit_memory){.bytes = NULL};
    a.valid_fields = NULL;
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
    a.reader.measure = measure;
    a.reader.measure_context = &a;
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
