/* What protects the user: ids are hashed before anything is kept of them; consent; erasure. */
#include <string.h>

#include "client/client_internal.h"
#include "wire/base64.h"
#include "wire/cbor.h"

#define HASH_BYTES 16u

/* What is hashed: the domain, the salt, the id, each but the last followed by a zero byte. None of them holds one. */
static const char domain[] = "tributary user id v1";

static size_t append(uint8_t *to, const char *text)
{
    size_t bytes = text ? strlen(text) : 0;
    if (bytes > 0)
        memcpy(to, text, bytes);
    return bytes;
}

TRIB_OWN_FRAME int trib_client_user(const struct trib_client *client, const char *user,
                                    char hashed[TRIB_USER_HASH_BYTES], struct trib_part *out)
{
    const struct trib_config *config = client->config;
    uint8_t digest[32], text[sizeof domain + TRIB_USER_SALT_MAX + 1 + TRIB_WIRE_USER_BYTES_MAX];
    size_t bytes = user ? strlen(user) : 0, n = sizeof domain;
    if (bytes > TRIB_WIRE_USER_BYTES_MAX)
        return TRIB_EINVAL;
    out->data = user;
    out->bytes = bytes;
    if (bytes == 0 || config->user_id_as_given)
        return trib_cbor_utf8_valid(user, bytes) ? 0 : TRIB_EINVAL;
    memcpy(text, domain, sizeof domain);
    n += append(text + n, config->user_salt);
    text[n++] = 0;
    n += append(text + n, user);
    int rc = config->digest.sha256(config->digest.context, text, n, digest);
    if (rc < 0)
        return rc;
    (void)trib_base64(digest, HASH_BYTES, true, hashed);
    out->data = hashed;
    out->bytes = TRIB_USER_HASH_BYTES;
    return 0;
}

/* --- consent --- */

static bool consented(const struct trib_client *client)
{
    return client->consent == TRIB_CONSENT_GIVEN ||
           (client->consent == TRIB_CONSENT_NOT_ASKED && !client->config->consent_required);
}

bool trib_client_stopped(const struct trib_client *client)
{
    return client->shut || !consented(client) || !client->settings[TRIB_SETTING_RECORDING];
}

bool trib_client_may_send(const struct trib_client *client, uint64_t now_ms, uint32_t *out_wait_ms)
{
    if (!consented(client))
        return false;
    if (client->settings[TRIB_SETTING_SENDING] || now_ms >= client->recheck_at_ms)
        return true;
    if (client->recheck_at_ms - now_ms < *out_wait_ms)
        *out_wait_ms = (uint32_t)(client->recheck_at_ms - now_ms);
    return false;
}

void trib_client_resume_sessions(struct trib_client *client, uint64_t now_ms)
{
    for (struct trib_session *s = client->sessions; s; s = s->next) {
        struct trib_tracker *t = &s->tracker;
        uint64_t gap = now_ms > t->last_ms ? now_ms - t->last_ms : 0;
        t->last_ms += gap;
        t->seek_began_ms += gap;
        t->buffer_began_ms += gap;
    }
}

int trib_set_consent(struct trib_client *client, bool given)
{
    uint64_t now = trib_client_now(client);
    trib_client_lock(client);
    bool stopped = trib_client_stopped(client);
    client->consent = given ? TRIB_CONSENT_GIVEN : TRIB_CONSENT_WITHDRAWN;
    if (stopped && !trib_client_stopped(client))
        trib_client_resume_sessions(client, now);
    trib_client_unlock(client);
    if (!given)
        trib_uplink_close(&client->uplink, now);
    client->state_due = true;
    int rc = trib_client_drain(client);
    return rc ? rc : client->state_due ? TRIB_EFULL : 0;
}

/* --- erasure --- */

/* All that is in memory, of both sides of the journal. */
static void forget(struct trib_client *client)
{
    const struct trib_config *config = client->config;
    trib_client_lock(client);
    while (client->sessions) {
        struct trib_session *s = client->sessions;
        client->sessions = s->next;
        s->client = NULL;
    }
    client->session_count = client->context_bytes = 0;
    client->ends_due = false;
    client->roll_back = 0;
    memset(client->staging.buffer, 0, client->staging.capacity);
    client->staging.head = client->staging.vital_cost = 0;
    memset(client->staging.tail, 0, sizeof client->staging.tail);
    trib_client_unlock(client);
    trib_uplink_restart(&client->uplink, trib_client_now(client));
    memset(config->transmit, 0, config->transmit_bytes);
    memset(config->receive, 0, config->receive_bytes);
}

/*
 * The vital lane's new stream is the intent. What is to survive stands in its sector before any other is erased. The
 * routine lane follows: one whose generation is behind has yet to be erased.
 */
int trib_client_finish_erase(struct trib_client *client, int *out_wiped)
{
    struct trib_ring *vital = &client->lanes[TRIB_LANE_VITAL].ring;
    struct trib_ring *routine = &client->lanes[TRIB_LANE_ROUTINE].ring;
    int rc = 0;
    if (vital->start_reason == TRIB_START_REASON_ERASED && !vital->wiped) {
        client->state_due = true;
        rc = trib_client_drain(client);
    }
    if (rc == 0 && routine->generation < vital->generation) {
        routine->generation = vital->generation - 1; /* its start takes the next one */
        rc = trib_client_new_stream(client, TRIB_LANE_ROUTINE, TRIB_START_REASON_ERASED, UINT64_MAX, 0);
    }
    if (rc < 0)
        return rc;
    int first = trib_ring_erase_others(vital), second = trib_ring_erase_others(routine);
    if (first || second)
        trib_client_log(client, TRIB_LOG_ERROR,
                        "erasure: a sector cannot be erased; it is tried again at each start");
    if (out_wiped)
        *out_wiped = first ? first : second;
    return 0;
}

int trib_erase(struct trib_client *client)
{
    struct trib_ring *vital = &client->lanes[TRIB_LANE_VITAL].ring;
    int wiped = 0;
    uint32_t other = client->lanes[TRIB_LANE_ROUTINE].ring.generation;
    forget(client);
    if (vital->generation < other)
        vital->generation = other;
    int rc = trib_client_new_stream(client, TRIB_LANE_VITAL, TRIB_START_REASON_ERASED, UINT64_MAX, 0);
    rc = rc ? rc : trib_client_finish_erase(client, &wiped);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        trib_client_watch_acks(client, lane, true);
    client->unsent = false;
    trib_client_budget(client);
    return rc ? rc : wiped;
}
