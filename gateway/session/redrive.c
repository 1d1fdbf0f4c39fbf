#include "session/redrive.h"

#include <string.h>

/* A batch of one event, besides its texts and fields. */
#define BATCH_OVERHEAD (256 + TRIB_WIRE_ANCHORS_MAX * 40)
#define CONTEXT_INDEX 1

int gw_redrive_open(const struct gw_seal_key *key, const struct gw_journal_rejected *rejected, uint8_t *plain,
                    struct gw_rejected_event *out)
{
    uint8_t label[GW_REJECTED_LABEL_BYTES];
    gw_rejected_event_label(rejected->stream, rejected->seq, label);
    size_t len;
    int rc = gw_unseal(key, label, sizeof label, rejected->sealed, rejected->sealed_len, plain, &len);
    if (rc != GW_OK)
        return rc;
    rc = gw_rejected_event_decode(plain, len, out);
    if (rc != TRIB_OK || out->lane >= TRIB_LANE_COUNT || out->seq == 0 || out->ord == 0)
        return GW_EDAMAGED;
    return GW_OK;
}

/* The batch that the device would send if it had this event alone. */
static int make_batch(const struct gw_rejected_event *event, struct gw_arena *arena, const uint8_t **out,
                      size_t *out_len)
{
    struct trib_wire_batch_head head = {
        .boot = event->boot, .mono_ms = event->mono_ms, .ord = event->ord - 1};
    head.lanes[event->lane] = (struct trib_wire_position){.stream = event->stream, .seq = event->seq};
    head.anchor_count = event->anchor_count;
    memcpy(head.anchors, event->anchors, event->anchor_count * sizeof head.anchors[0]);
    const size_t capacity =
        BATCH_OVERHEAD + event->context.content.len + event->context.user.len + event->fields_len;
    uint8_t *bytes = gw_arena_alloc(arena, capacity);
    if (!bytes)
        return GW_ENOMEM;
    const bool has_context =
        event->context.session != 0 || event->context.content.len != 0 || event->context.user.len != 0;
    struct trib_wire_batch_writer writer;
    trib_wire_batch_open(&writer, &head, bytes, capacity);
    if (has_context)
        trib_wire_batch_context(&writer, CONTEXT_INDEX, &event->context);
    trib_wire_batch_event(&writer, (unsigned)event->lane, (unsigned)event->type, event->mono_ms, event->ord,
                          has_context ? CONTEXT_INDEX : 0, event->fields, event->fields_len);
    if (trib_wire_batch_close(&writer, out_len) != TRIB_OK)
        return GW_EDAMAGED;
    *out = bytes;
    return GW_OK;
}

static int error_of(enum gw_admit_verdict verdict)
{
    switch (verdict) {
    case GW_ADMIT_OK:
        return GW_OK;
    case GW_ADMIT_NO_MEMORY:
        return GW_ENOMEM;
    case GW_ADMIT_CRYPTO:
        return GW_ECRYPTO;
    default:
        return GW_EDAMAGED;
    }
}

int gw_redrive(const struct gw_admit_policy *policy, struct gw_schema_scratch *scratch,
               const struct gw_rejected_event *event, const struct gw_journal_place *place,
               struct gw_arena *arena, struct gw_redriven *out, struct gw_error *error)
{
    struct gw_admit_input input = {
        .head = {.device = event->device,
                 .tenant = event->tenant,
                 .received_utc_ms = event->received_utc_ms,
                 .received_uncertainty_ms = event->received_uncertainty_ms,
                 .flags = GW_ENTRY_REDRIVEN},
        .schema_scratch = scratch,
        .again = true,
    };
    input.lanes[event->lane] = (struct gw_admit_lane){.stream = event->stream, .committed = event->seq - 1};
    int rc = make_batch(event, arena, &input.batch, &input.batch_len);
    if (rc != GW_OK)
        return rc;
    unsigned lane;
    rc = error_of(gw_admit(policy, &input, arena, &out->admitted, &lane, error));
    if (rc != GW_OK)
        return rc;
    struct gw_journal_write *write = &out->admitted.write;
    out->reason = write->quarantine_count > 0 ? write->quarantine[0].code : 0;
    out->settled = (struct gw_journal_settled){.place = *place, .stream = event->stream, .seq = event->seq};
    memset(write->lanes, 0, sizeof write->lanes); /* its row has moved on long ago */
    write->quarantine = NULL;
    write->quarantine_count = 0;
    write->settles = &out->settled;
    write->settle_count = 1;
    return GW_OK;
}
