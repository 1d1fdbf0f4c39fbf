#include <string.h>

#include "client/client_internal.h"

/* An event's record in a ring costs at most this much more than its fields: see journal/format.h. */
#define RECORD_COST 24u
/* What the end of a session takes of its lane, but for rare totals. */
#define END_COST 96u
/* A batch with one event and nothing else: heads, base, context, anchors. */
#define BATCH_COST 560u

/* keep: bytes that stay free behind it. */
static int append(struct trib_staging *staging, struct trib_staged *head, const struct trib_part *parts,
                  size_t count, size_t keep)
{
    size_t bytes = sizeof *head;
    for (size_t i = 0; i < count; i++)
        bytes += parts[i].bytes;
    if (bytes > UINT16_MAX || bytes + keep > staging->capacity - staging->head)
        return TRIB_EFULL;
    head->bytes = (uint16_t)bytes;
    uint8_t *to = staging->buffer + staging->head;
    memcpy(to, head, sizeof *head);
    to += sizeof *head;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].bytes > 0 && parts[i].data != to)
            memcpy(to, parts[i].data, parts[i].bytes);
        to += parts[i].bytes;
    }
    staging->head += (uint32_t)bytes;
    return 0;
}

/* Room for the end of each open session's context, so that ending one never fails for want of it. */
static size_t ends(const struct trib_client *client)
{
    return client->session_count * sizeof(struct trib_staged);
}

static uint32_t vital_cost(const struct trib_client *client, uint32_t payload)
{
    return payload + RECORD_COST + client->config->storage[TRIB_LANE_VITAL].program_bytes - 1;
}

bool trib_stage_has_room(const struct trib_client *client, size_t vital_bytes, size_t records)
{
    const struct trib_staging *s = &client->staging;
    size_t bytes = vital_bytes + (records + 1) * sizeof(struct trib_staged) + ends(client);
    size_t cost = s->vital_cost + records * vital_cost(client, 0) + vital_bytes;
    return s->capacity - s->head >= bytes && !client->ends_due &&
           cost + (client->session_count + 1) * END_COST <= client->vital_budget;
}

uint8_t *trib_stage_room(const struct trib_client *client, size_t *out_capacity)
{
    const struct trib_staging *s = &client->staging;
    uint32_t at = s->head + (uint32_t)sizeof(struct trib_staged);
    *out_capacity = at < s->capacity ? s->capacity - at : 0;
    return s->buffer + at;
}

int trib_stage_event(struct trib_client *client, unsigned type, enum trib_lane lane, uint32_t ref,
                     uint64_t now_ms, const struct trib_part *parts, size_t count)
{
    struct trib_staging *s = &client->staging;
    const struct trib_storage *storage = &client->config->storage[lane];
    size_t payload = 0;
    if (trib_client_stopped(client))
        return TRIB_ESTOPPED;
    for (size_t i = 0; i < count; i++)
        payload += parts[i].bytes;
    if (payload + TRIB_FORMAT_EVENT_MAX > trib_ring_body_max(storage, storage->sector_bytes / 4) ||
        payload + BATCH_COST > client->config->transmit_bytes)
        return TRIB_ESPACE;
    uint32_t cost = lane == TRIB_LANE_VITAL ? vital_cost(client, (uint32_t)payload) : 0;
    /* What is left of the lane belongs to the ends of open sessions, also of those of the boot before. */
    uint32_t kept = type == TRIB_EVENT_SESSION_END ? 0 : client->session_count * END_COST;
    if (cost > 0 && (client->ends_due || s->vital_cost + cost + kept > client->vital_budget)) {
        client->refused++;
        return TRIB_EFULL;
    }
    uint64_t mono_ms = trib_client_mono(client, now_ms);
    if (mono_ms < client->last_mono_ms)
        mono_ms = client->last_mono_ms; /* another thread read the clock later and came first */
    struct trib_staged head = {
        .mono_ms = mono_ms, .ref = ref, .ord = client->ord + 1, .kind = (uint8_t)type, .lane = (uint8_t)lane};
    bool first = s->head == 0;
    int rc = append(s, &head, parts, count, ends(client));
    if (rc < 0) {
        client->refused++;
        return rc;
    }
    if (first)
        client->staged_at_ms = (uint32_t)now_ms;
    client->ord++;
    client->last_mono_ms = mono_ms;
    client->recorded++;
    s->vital_cost += cost;
    return 0;
}

/* Its ord is that of the event before it, so that a drain that is repeated knows whether it was done. */
int trib_stage_context(struct trib_client *client, uint32_t ref, const struct trib_part *parts, size_t count)
{
    struct trib_staged head = {
        .ref = ref, .ord = client->ord, .kind = TRIB_STAGED_CONTEXT, .lane = TRIB_STAGED_BOTH};
    uint32_t before = client->staging.head;
    int rc = append(&client->staging, &head, parts, count, ends(client));
    if (rc == 0)
        client->staging.vital_cost +=
            vital_cost(client, client->staging.head - before - (uint32_t)sizeof head);
    return rc;
}

int trib_stage_end(struct trib_client *client, uint32_t ref)
{
    struct trib_staged head = {
        .ref = ref, .ord = client->ord, .kind = TRIB_STAGED_END, .lane = TRIB_STAGED_BOTH};
    int rc = append(&client->staging, &head, NULL, 0, 0);
    if (rc == 0)
        client->staging.vital_cost += vital_cost(client, 0);
    return rc;
}

const uint8_t *trib_staged_at(const struct trib_staging *staging, uint32_t offset, struct trib_staged *out)
{
    memcpy(out, staging->buffer + offset, sizeof *out);
    return staging->buffer + offset + sizeof *out;
}

void trib_staging_release(struct trib_client *client)
{
    struct trib_staging *s = &client->staging;
    uint32_t done = s->tail[0] < s->tail[1] ? s->tail[0] : s->tail[1];
    if (done > 0) {
        memmove(s->buffer, s->buffer + done, s->head - done);
        s->head -= done;
        s->tail[0] -= done;
        s->tail[1] -= done;
    }
    s->vital_cost = 0;
    for (uint32_t at = s->tail[TRIB_LANE_VITAL]; at < s->head;) {
        struct trib_staged head;
        (void)trib_staged_at(s, at, &head);
        if (head.lane != TRIB_LANE_ROUTINE)
            s->vital_cost += vital_cost(client, head.bytes - (uint32_t)sizeof head);
        at += head.bytes;
    }
    if (s->head > 0) {
        struct trib_staged head;
        (void)trib_staged_at(s, 0, &head);
        uint32_t at = (uint32_t)(client->boot_began_ms + head.mono_ms);
        if ((int32_t)(at - client->staged_at_ms) > 0)
            client->staged_at_ms = at;
    }
}
