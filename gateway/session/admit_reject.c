/* Rejected events: sealed for quarantine; a tombstone takes their place in the entry. */
#include <string.h>

#include "session/admit_internal.h"
#include "session/rejected.h"

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

static struct gw_rejected_event describe(const struct gw_admission *a,
                                         const struct trib_wire_batch_item *event, int code)
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

static enum gw_admit_verdict grow_quarantine(struct gw_admission *a)
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

/* For people: the code, and the keyword that a schema refused by. */
static uint32_t reason_of(const struct gw_admission *a, const struct trib_wire_batch_item *event, int code)
{
    if (event->kind != TRIB_EVENT_CUSTOM || !a->custom.version)
        return (uint32_t)code;
    return GW_REJECT_REASON(code, a->custom.keyword);
}

/* Seals the event; its plaintext lives in the arena only. */
static enum gw_admit_verdict seal_event(struct gw_admission *a, const struct trib_wire_batch_item *event,
                                        int code)
{
    enum gw_admit_verdict verdict = grow_quarantine(a);
    if (verdict != GW_ADMIT_OK)
        return verdict;
    struct gw_rejected_event item = describe(a, event, code);
    size_t plain_len;
    if (gw_rejected_event_encode(&item, NULL, 0, &plain_len) != TRIB_OK)
        return GW_ADMIT_NO_MEMORY;
    uint8_t *plain = gw_admit_scratch(a, &a->scratch, plain_len);
    uint8_t *sealed = gw_arena_alloc(a->arena, plain_len + GW_SEAL_OVERHEAD_MAX);
    if (!plain || !sealed || gw_rejected_event_encode(&item, plain, plain_len, &plain_len) != TRIB_OK)
        return GW_ADMIT_NO_MEMORY;
    uint8_t label[GW_REJECTED_LABEL_BYTES];
    gw_rejected_event_label(item.stream, item.seq, label);
    size_t sealed_len;
    if (gw_seal(a->policy->seal, label, sizeof label, plain, plain_len, sealed, &sealed_len) != GW_OK)
        return GW_ADMIT_CRYPTO;
    a->quarantine[a->out->write.quarantine_count++] =
        (struct gw_journal_quarantine){.sealed = sealed,
                                       .sealed_len = sealed_len,
                                       .stream = item.stream,
                                       .seq = item.seq,
                                       .code = reason_of(a, event, code)};
    return GW_ADMIT_OK;
}

enum gw_admit_verdict gw_admit_reject(struct gw_admission *a, const struct trib_wire_batch_item *event,
                                      int code)
{
    enum gw_admit_verdict verdict = seal_event(a, event, code);
    if (verdict == GW_ADMIT_OK)
        verdict = gw_admit_room(a, GW_ADMIT_ITEM_OVERHEAD);
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
