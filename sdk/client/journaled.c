/* What the client keeps across boots: item version, who acked last, time anchors, consent, the gateway's configuration.
 * One STATE record in the vital lane, written anew into each sector and whenever it changed. */
#include <string.h>

#include "client/client_internal.h"

#define ANCHOR_SAVE_MS 3600000u

uint32_t trib_client_state_encode(const struct trib_client *client, uint32_t item_version, bool brief,
                                  uint8_t out[TRIB_STATE_BYTES])
{
    uint32_t n = 0;
    uint8_t gateway_len = brief ? 0 : client->gateway_len;
    n += trib_put_varint(out + n, item_version);
    n += trib_put_varint(out + n, client->config_version);
    n += trib_put_varint(out + n, client->acked_epoch);
    out[n++] = gateway_len;
    memcpy(out + n, client->gateway, gateway_len);
    n += gateway_len;
    for (unsigned i = 0; i < TRIB_ANCHORS && !brief; i++) {
        const struct trib_anchor *a = &client->anchors[i];
        if (a->boot == 0)
            continue;
        n += trib_put_varint(out + n, a->boot);
        n += trib_put_varint(out + n, a->mono_ms);
        n += trib_put_varint(out + n, a->utc_ms);
        n += trib_put_varint(out + n, a->uncertainty_ms);
    }
    out[n++] = 0; /* no boot: behind it are no anchors */
    out[n++] = client->consent;
    for (unsigned i = 0; i < TRIB_SETTING_COUNT; i++)
        n += trib_put_varint(out + n, client->settings[i]);
    return n;
}

static void decode_settings(struct trib_client *client, struct trib_bytes *b)
{
    uint8_t consent = trib_bytes_u8(b);
    client->consent = consent <= TRIB_CONSENT_WITHDRAWN ? consent : TRIB_CONSENT_WITHDRAWN;
    for (unsigned i = 0; i < TRIB_SETTING_COUNT; i++) {
        uint64_t value = trib_bytes_varint(b);
        if (!b->error)
            (void)trib_client_set(client, i, value);
    }
}

static void decode(struct trib_client *client, const uint8_t *data, uint32_t length)
{
    struct trib_bytes b = {data, length, 0, false};
    uint32_t version = (uint32_t)trib_bytes_varint(&b);
    uint32_t config = (uint32_t)trib_bytes_varint(&b);
    uint64_t epoch = trib_bytes_varint(&b);
    uint8_t len = trib_bytes_u8(&b);
    if (b.error || len > TRIB_GATEWAY_BYTES_MAX || len > length - b.pos)
        return;
    client->item_version = version;
    client->config_version = config;
    client->acked_epoch = epoch;
    client->gateway_len = len;
    memcpy(client->gateway, data + b.pos, len);
    b.pos += len;
    memset(client->anchors, 0, sizeof client->anchors);
    for (unsigned i = 0; i <= TRIB_ANCHORS && b.pos < length; i++) {
        struct trib_anchor a;
        a.boot = (uint32_t)trib_bytes_varint(&b);
        if (a.boot == 0) {
            decode_settings(client, &b);
            return;
        }
        a.mono_ms = trib_bytes_varint(&b);
        a.utc_ms = trib_bytes_varint(&b);
        a.uncertainty_ms = (uint32_t)trib_bytes_varint(&b);
        if (!b.error && i < TRIB_ANCHORS)
            client->anchors[i] = a;
    }
}

TRIB_OWN_FRAME static int load_record(struct trib_client *client, const struct trib_ring_record *record,
                                      uint32_t seed)
{
    const struct trib_storage *s = client->lanes[TRIB_LANE_VITAL].ring.storage;
    uint8_t state[TRIB_RING_HEAD_MAX + TRIB_STATE_BYTES + TRIB_RING_TAIL_BYTES];
    uint8_t *data = state + TRIB_RING_HEAD_MAX;
    int rc = trib_ring_read_checked(s, record->data, record->head, record->data_bytes, seed, data);
    if (rc == 0)
        decode(client, data, record->data_bytes);
    return rc == TRIB_EIO ? rc : 0;
}

/* The newest state lies in the newest sector, or, if the power went while that was opened, in the one before. */
int trib_client_state_load(struct trib_client *client)
{
    const struct trib_ring *r = &client->lanes[TRIB_LANE_VITAL].ring;
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    int rc;
    if (trib_ring_cursor_from(r, r->sector_seq - 1, &c) < 0)
        return 0;
    while ((rc = trib_ring_next(r, &c, &record)) > 0) {
        if (record.kind == TRIB_EVENT_FAVOURITE_ADD || record.kind == TRIB_EVENT_FAVOURITE_REMOVE)
            client->item_version++;
        if (record.kind != TRIB_RECORD_STATE || record.data_bytes > TRIB_STATE_BYTES)
            continue;
        if (load_record(client, &record, c.seed) < 0)
            return TRIB_EIO;
        client->state_due = c.sector_seq != r->sector_seq; /* nothing may hold on to an older sector */
    }
    (void)rc; /* what cannot be read is not remembered */
    return 0;
}

void trib_client_tell_time(const struct trib_client *client)
{
    const struct trib_callbacks *callbacks = &client->config->callbacks;
    uint64_t newest = 0;
    for (unsigned i = 0; i < TRIB_ANCHORS; i++)
        if (client->anchors[i].boot != 0 && client->anchors[i].utc_ms > newest)
            newest = client->anchors[i].utc_ms;
    if (newest > 0 && callbacks->time)
        callbacks->time(callbacks->context, newest);
}

/*
 * One anchor a boot; when there is no place, the oldest boot's goes. It is journaled when it is the boot's first, much
 * better than the one before, or an hour old: a connection that flaps must not fill the vital lane with anchors.
 */
void trib_client_add_anchor(struct trib_client *client, const struct trib_anchor *anchor)
{
    unsigned slot = 0;
    for (unsigned i = 0; i < TRIB_ANCHORS; i++) {
        if (client->anchors[i].boot == anchor->boot) {
            slot = i;
            break;
        }
        if (client->anchors[i].boot < client->anchors[slot].boot)
            slot = i;
    }
    const struct trib_anchor *old = &client->anchors[slot];
    if (old->boot != anchor->boot || anchor->uncertainty_ms < old->uncertainty_ms / 2 ||
        anchor->mono_ms - client->anchor_saved_ms >= ANCHOR_SAVE_MS) {
        client->state_due = true;
        client->anchor_saved_ms = anchor->mono_ms;
    }
    client->anchors[slot] = *anchor;
}
