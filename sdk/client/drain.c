/* From staging into the rings. */
#include <string.h>

#include "client/client_internal.h"

#define ATTEMPTS 4
#define START_RECORDS 64u   /* of a context without its texts and the session.start behind it, at most */
#define SECTOR_RESERVE 320u /* of a fresh sector, for what the journal itself writes */

void trib_client_budget(struct trib_client *client)
{
    const struct trib_ring *r = &client->lanes[TRIB_LANE_VITAL].ring;
    const struct trib_storage *s = r->storage;
    uint32_t end = trib_format_area_end(s), budget = 0;
    uint32_t base = r->need_base ? TRIB_FORMAT_BASE_MAX : 0;
    if (r->offset + base < end)
        budget = end - r->offset - base;
    /* One free sector stays spare. Of the others only half is promised: records do not fill them to the brim. */
    uint32_t area = trib_ring_body_max(s, 0);
    uint32_t each = area > 2 * SECTOR_RESERVE ? (area - SECTOR_RESERVE) / 2 : area / 4;
    uint32_t free_count = trib_ring_free_count(r);
    if (free_count == 0) /* on the spare already: nothing makes up for what is written besides the events */
        budget = budget > SECTOR_RESERVE ? budget - SECTOR_RESERVE : 0;
    for (uint32_t i = 1; i < free_count && budget < 65536; i++)
        budget += each;
    /* What is still to be moved has its place already. */
    if (client->compaction.phase == TRIB_COMPACTION_MOVES)
        budget = budget > client->compaction.cost ? budget - client->compaction.cost : 0;
    trib_client_lock(client);
    client->vital_budget = budget;
    trib_client_unlock(client);
}

/* Puts one staged record. TRIB_ESPACE, TRIB_EAGAIN: commit first. */
static int put_staged(struct trib_client *client, struct trib_ring_writer *w, const struct trib_staged *head,
                      const uint8_t *payload)
{
    uint32_t bytes = head->bytes - (uint32_t)sizeof *head;
    if (head->kind == TRIB_STAGED_CONTEXT) {
        const char *content = (const char *)payload + 1;
        uint32_t end = trib_format_area_end(w->ring->storage);
        /* A context and its session.start stay together, so that a power cut between them can be told: power_loss.c. */
        if (w->offset + bytes + START_RECORDS > end && w->ring->storage == &client->config->storage[0])
            return TRIB_ESPACE;
        return trib_ring_put_context(w, head->ref, client->session_seed + head->ref, content, payload[0],
                                     content + payload[0], bytes - 1 - payload[0]);
    }
    if (head->kind == TRIB_STAGED_END)
        return trib_ring_put_end(w, head->ref);
    return trib_ring_put_event(w, head->kind, head->ref, head->mono_ms, head->ord, payload, bytes);
}

/* Done already: an event by its ord; a context or end if something that came after it is in the ring. */
static bool was_done(const struct trib_ring_writer *w, const struct trib_staged *head)
{
    return head->kind >= TRIB_STAGED_CONTEXT ? w->ord > head->ord : w->ord >= head->ord;
}

/* The state stands before the events of its group: what they add to the item version is not in it yet. */
TRIB_OWN_FRAME static int put_state(struct trib_client *client, struct trib_ring_writer *w, bool fresh)
{
    const struct trib_staging *s = &client->staging;
    uint8_t state[TRIB_STATE_BYTES];
    uint32_t staged = 0;
    trib_client_lock(client);
    for (uint32_t at = s->tail[TRIB_LANE_VITAL]; at < s->head;) {
        struct trib_staged head;
        (void)trib_staged_at(s, at, &head);
        staged += head.ord > w->ord &&
                  (head.kind == TRIB_EVENT_FAVOURITE_ADD || head.kind == TRIB_EVENT_FAVOURITE_REMOVE);
        at += head.bytes;
    }
    uint32_t version = client->item_version - staged;
    trib_client_unlock(client);
    int rc = trib_ring_put_state(w, state, trib_client_state_encode(client, version, false, state));
    if (rc == TRIB_ESPACE && fresh) /* no sector has room for all of it */
        rc = trib_ring_put_state(w, state, trib_client_state_encode(client, version, true, state));
    return rc;
}

/* One group: as much as fits. TRIB_ESPACE: the sector is full; TRIB_EAGAIN: go on with another group. */
static int put_group(struct trib_client *client, enum trib_lane lane, uint32_t to, bool fresh,
                     bool *in_out_state, bool *out_empty)
{
    struct trib_ring_writer w;
    uint32_t from = client->staging.tail[lane], at = from;
    int rc = 0;
    trib_ring_begin(&w, &client->lanes[lane].ring);
    if (*in_out_state)
        rc = put_state(client, &w, fresh);
    if (rc == TRIB_ESPACE && fresh) {
        *in_out_state = false; /* sectors too small even for that: it then lasts until the next boot only */
        rc = 0;
    }
    bool with_state = *in_out_state && rc == 0;
    while (rc == 0 && at < to) {
        struct trib_staged head;
        const uint8_t *payload = trib_staged_at(&client->staging, at, &head);
        if ((head.lane == lane || head.lane == TRIB_STAGED_BOTH) && !was_done(&w, &head))
            rc = put_staged(client, &w, &head, payload);
        if (rc == 0)
            at += head.bytes;
    }
    *out_empty = at == from && !with_state;
    int committed = trib_ring_commit(&w);
    if (committed < 0 && committed != TRIB_ESPACE)
        return committed;
    if (with_state)
        *in_out_state = false;
    client->staging.tail[lane] = at;
    return rc;
}

/* The sector is full: open the next. Accepted events may use the spare one; the routine lane drops its oldest. */
static int next_sector(struct trib_client *client, enum trib_lane lane, bool *out_state)
{
    struct trib_lane_state *state = &client->lanes[lane];
    int rc =
        trib_lane_open(state, NULL, lane == TRIB_LANE_ROUTINE ? TRIB_RING_DROP_OLDEST : TRIB_RING_USE_SPARE);
    if (rc == 0 && lane == TRIB_LANE_VITAL)
        *out_state = true;
    return rc;
}

/* An event that was taken and has no place after all (bad sectors): its loss is declared where there is room. */
static int skip_event(struct trib_client *client, enum trib_lane lane, uint32_t *in_out_at)
{
    struct trib_ring_writer w;
    struct trib_staged head;
    (void)trib_staged_at(&client->staging, *in_out_at, &head);
    *in_out_at += head.bytes;
    if (head.kind >= TRIB_STAGED_CONTEXT || (head.lane != lane && head.lane != TRIB_STAGED_BOTH))
        return 0;
    trib_client_log(client, TRIB_LOG_ERROR, "a lane has no room left for an accepted event");
    trib_ring_begin(&w, &client->lanes[lane].ring);
    int rc = trib_ring_put_drop(&w, 1, lane == TRIB_LANE_VITAL ? TRIB_DROP_VITAL : TRIB_DROP_ROUTINE,
                                TRIB_DROP_OVERFLOW);
    int committed = trib_ring_commit(&w);
    return rc == TRIB_ESPACE ? 0 : committed;
}

static int drain_lane(struct trib_client *client, enum trib_lane lane, uint32_t to)
{
    struct trib_staging *s = &client->staging;
    bool state = lane == TRIB_LANE_VITAL && client->state_due, fresh = false;
    int attempts = 0;
    for (;;) {
        bool empty = false;
        int rc = put_group(client, lane, to, fresh, &state, &empty);
        if (rc == 0)
            break;
        if (rc == TRIB_EAGAIN)
            continue;
        if (rc == TRIB_EDAMAGED && ++attempts < ATTEMPTS / 2) {
            fresh = false;
            continue;
        }
        if (rc == TRIB_EDAMAGED && attempts == ATTEMPTS)
            return TRIB_EIO;
        if (rc != TRIB_ESPACE &&
            rc != TRIB_EDAMAGED) /* a sector that keeps nothing is left like a full one */
            return rc;
        if (rc == TRIB_ESPACE && empty && fresh) {
            rc = skip_event(client, lane, &s->tail[lane]);
        } else {
            rc = next_sector(client, lane, &state);
            fresh = rc == 0;
            if (rc == TRIB_EFULL && s->tail[lane] == to)
                break; /* only the state had no place */
            if (rc == TRIB_EFULL)
                rc = skip_event(client, lane, &s->tail[lane]);
        }
        if (rc < 0)
            return rc;
    }
    if (lane == TRIB_LANE_VITAL)
        client->state_due = state;
    return 0;
}

int trib_client_drain(struct trib_client *client)
{
    int result = 0;
    trib_client_lock(client);
    uint32_t to = client->staging.head;
    trib_client_unlock(client);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        int rc = drain_lane(client, (enum trib_lane)lane, to);
        result = result ? result : rc;
    }
    trib_client_lock(client);
    trib_staging_release(client);
    trib_client_unlock(client);
    trib_client_budget(client);
    return result;
}

/* The sector has no room for an ack: the next one's header says it, if the acks made a sector free. Without that a full
 * lane would be full again after a boot. */
static int note_by_header(struct trib_client *client, unsigned lane)
{
    int rc = trib_lane_open(&client->lanes[lane], NULL, TRIB_RING_USE_SPARE);
    if (rc == 0 && lane == TRIB_LANE_VITAL)
        client->state_due = true;
    return rc == TRIB_EFULL ? 0 : rc;
}

/* A group of one record: an ack with its CRC, or a base. */
TRIB_OWN_FRAME static int note_in_group(struct trib_ring *r, const uint32_t *ack_crc)
{
    struct trib_ring_writer w;
    trib_ring_begin(&w, r);
    int rc = ack_crc ? trib_ring_put_ack(&w, *ack_crc) : trib_ring_put_base(&w);
    int committed = trib_ring_commit(&w);
    return rc == TRIB_ESPACE ? rc : committed;
}

/*
 * The newest group that was found at the mount may be one that the power has torn, and that only seems whole. Before the
 * gateway hears of its positions a base behind it makes them firm: else the next boot could use them for other events,
 * and the gateway would have a declared loss in their place, which no CRC tells apart.
 */
int trib_client_make_firm(struct trib_client *client, unsigned lane)
{
    struct trib_ring *r = &client->lanes[lane].ring;
    if (!r->need_base || r->acked_pos >= r->head_pos)
        return 0;
    int rc = note_in_group(r, NULL);
    rc = rc == TRIB_ESPACE ? note_by_header(client, lane) : rc;
    return rc == TRIB_EDAMAGED ? 0 : rc;
}

int trib_client_save_acks(struct trib_client *client)
{
    int result = 0;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        struct trib_ring *r = &client->lanes[lane].ring;
        if (r->acked_saved == r->acked_pos)
            continue;
        uint32_t crc = trib_lane_acked_crc(&client->lanes[lane]);
        int rc = note_in_group(r, &crc);
        rc = rc == TRIB_ESPACE ? note_by_header(client, lane) : rc;
        if (rc < 0)
            result = rc;
    }
    return result == TRIB_EDAMAGED ? 0 : result;
}
