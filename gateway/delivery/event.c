#include "delivery/event.h"

#include <string.h>

#include "delivery/utc.h"

/* Clocks of consumer devices drift by up to 100 ppm: 1 ms in 10 s. */
#define DRIFT_MS_PER_MS 10000

int gw_event_reader_open(struct gw_event_reader *r, uint64_t offset, const uint8_t *entry, size_t len)
{
    const uint8_t *batch;
    size_t batch_len;
    memset(r->contexts, 0, sizeof r->contexts);
    int rc = gw_entry_decode(entry, len, &r->head, &batch, &batch_len);
    if (rc == TRIB_OK)
        rc = trib_wire_batch_read(&r->batch, batch, batch_len);
    r->offset = offset;
    r->index = 0;
    r->last_mono_ms = UINT64_MAX;
    return rc;
}

/* --- time --- */

static uint64_t add(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t subtract(uint64_t a, uint64_t b)
{
    return a < b ? 0 : a - b;
}

/* By how much a clock may be off after so long; rounded up. */
static uint64_t drift_ms(uint64_t distance_ms)
{
    return distance_ms / DRIFT_MS_PER_MS + (distance_ms % DRIFT_MS_PER_MS != 0);
}

/* From the anchor of this boot that leaves the least uncertainty. */
static bool time_from_own_boot(const struct trib_wire_batch_head *head, struct gw_event *out)
{
    bool found = false;
    for (size_t i = 0; i < head->anchor_count; i++) {
        const struct trib_wire_anchor *a = &head->anchors[i];
        if (a->boot != head->boot)
            continue;
        const bool later = out->mono_ms >= a->mono_ms;
        const uint64_t distance = later ? out->mono_ms - a->mono_ms : a->mono_ms - out->mono_ms;
        const uint64_t uncertainty = add(a->uncertainty_ms, drift_ms(distance));
        if (found && uncertainty >= out->uncertainty_ms)
            continue;
        found = true;
        out->utc_ms = later ? add(a->utc_ms, distance) : subtract(a->utc_ms, distance);
        out->uncertainty_ms = uncertainty;
        out->quality = TRIB_TIME_SYNCED;
    }
    return found;
}

/*
 * A boot without an anchor of its own lies between the last anchor of an earlier one and the first of a later
 * one. The middle of what is possible: it rises with mono_ms, so events keep their order, and does not depend
 * on how the boot was cut into batches.
 */
static bool time_from_other_boots(const struct trib_wire_batch_head *head, struct gw_event *out)
{
    const struct trib_wire_anchor *before = NULL, *after = NULL;
    for (size_t i = 0; i < head->anchor_count; i++) {
        const struct trib_wire_anchor *a = &head->anchors[i];
        if (a->boot < head->boot && (!before || a->utc_ms > before->utc_ms))
            before = a;
        if (a->boot > head->boot && (!after || a->utc_ms < after->utc_ms))
            after = a;
    }
    if (!before || !after)
        return false;
    const uint64_t latest = after->utc_ms;
    /* mono_ms counts from the boot, on a clock that may be fast. */
    uint64_t earliest = add(before->utc_ms, out->mono_ms - drift_ms(out->mono_ms));
    if (earliest > latest)
        earliest = before->utc_ms < latest ? before->utc_ms : latest;
    const uint64_t half = (latest - earliest + 1) / 2;
    const uint64_t anchors =
        before->uncertainty_ms > after->uncertainty_ms ? before->uncertainty_ms : after->uncertainty_ms;
    out->utc_ms = earliest + (latest - earliest) / 2;
    out->uncertainty_ms = add(half, anchors);
    out->quality = TRIB_TIME_ESTIMATED;
    return true;
}

/* The newest mono_ms of the batch: what its reception is the time of. */
static uint64_t last_mono_ms(struct gw_event_reader *r)
{
    if (r->last_mono_ms == UINT64_MAX) {
        struct trib_wire_batch_reader ahead = r->batch;
        struct trib_wire_batch_item item;
        while (trib_wire_batch_next(&ahead, &item) == 1)
            ;
        r->last_mono_ms = ahead.mono_ms;
    }
    return r->last_mono_ms;
}

static void resolve_time(struct gw_event_reader *r, struct gw_event *out)
{
    if (time_from_own_boot(&r->batch.head, out) || time_from_other_boots(&r->batch.head, out))
        return;
    const uint64_t newest = last_mono_ms(r);
    out->utc_ms = subtract(r->head.received_utc_ms, subtract(newest, out->mono_ms));
    out->uncertainty_ms = GW_UNCERTAINTY_UNKNOWN;
    out->quality = TRIB_TIME_RECEIVED;
}

/* --- events --- */

/* A user field of the event itself goes before the one of its context. */
static int find_texts(struct gw_event *event)
{
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, event->fields, event->fields_len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        const uint64_t id = trib_cbor_get_uint(&r);
        if (id == TRIB_FIELD_USER && r.error == 0)
            event->user.ptr = trib_cbor_get_text(&r, &event->user.len);
        else if (id == TRIB_FIELD_SCHEMA && r.error == 0)
            event->schema.ptr = trib_cbor_get_text(&r, &event->schema.len);
        else
            trib_cbor_skip(&r);
    }
    const char *at =
        r.error == 0 && event->schema.len ? memchr(event->schema.ptr, '@', event->schema.len) : NULL;
    if (at)
        event->schema.len = (size_t)(at - event->schema.ptr);
    return r.error;
}

static bool is_topic(const struct trib_text *name)
{
    if (name->len == 0 || name->len >= GW_EVENT_TOPIC_MAX || name->ptr[0] == '.')
        return false;
    for (size_t i = 0; i < name->len; i++) {
        const char c = name->ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '.' && c != '_' && c != '-')
            return false;
    }
    for (unsigned type = 0; type < TRIB_EVENT_COUNT; type++) {
        const char *taken = trib_events[type].name;
        if (taken && strlen(taken) == name->len && memcmp(taken, name->ptr, name->len) == 0)
            return false;
    }
    return true;
}

void gw_event_topic(const struct gw_event *event, char out[GW_EVENT_TOPIC_MAX])
{
    struct trib_text name = {"unknown", 7};
    if (event->type < TRIB_EVENT_COUNT && trib_events[event->type].name)
        name = (struct trib_text){trib_events[event->type].name, strlen(trib_events[event->type].name)};
    if (event->type == TRIB_EVENT_CUSTOM && is_topic(&event->schema))
        name = event->schema;
    memcpy(out, name.ptr, name.len);
    out[name.len] = 0;
}

static int fill(struct gw_event_reader *r, const struct trib_wire_batch_item *item, struct gw_event *out)
{
    const struct trib_wire_context *context = &r->contexts[item->context];
    *out = (struct gw_event){
        .device = r->head.device,
        .stream = r->batch.head.lanes[item->lane].stream,
        .seq = item->seq,
        .boot = r->batch.head.boot,
        .ord = item->ord,
        .mono_ms = item->mono_ms,
        .received_utc_ms = r->head.received_utc_ms,
        .tenant = r->head.tenant,
        .offset = r->offset,
        .index = r->index++,
        .type = item->kind,
        .session = context->session,
        .content = context->content,
        .user = context->user,
        .redriven = (r->head.flags & GW_ENTRY_REDRIVEN) != 0,
        .fields = item->fields,
        .fields_len = item->fields_len,
    };
    resolve_time(r, out);
    int rc = find_texts(out);
    return rc == TRIB_OK ? 1 : rc;
}

int gw_event_next(struct gw_event_reader *r, struct gw_event *out)
{
    struct trib_wire_batch_item item;
    int rc;
    while ((rc = trib_wire_batch_next(&r->batch, &item)) == 1) {
        if (item.kind == TRIB_ITEM_CONTEXT)
            r->contexts[item.context] = item.context_value;
        else if (item.kind >= TRIB_ITEM_FIRST_EVENT)
            return fill(r, &item, out);
    }
    return rc;
}
