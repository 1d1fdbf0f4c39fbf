/* Playback sessions: the tracker's events into staging, under the lock. */
#include <string.h>

#include "client/client_internal.h"
#include "playback/tracker.h"
#include "wire/cbor.h"

#define TEXT_MAX 128u
#define CONTEXT_COST 24u      /* a context record without its texts */
#define FIRST_EVENT_BYTES 24u /* fields of session.start */
#define PING_MS 10000u

struct emission {
    struct trib_client *client;
    uint64_t now_ms;
    uint32_t ref;
};

static uint8_t *room(void *context, size_t *out_capacity)
{
    struct emission *e = context;
    return trib_stage_room(e->client, out_capacity);
}

static int emit(void *context, unsigned type, bool vital, const uint8_t *fields, size_t length)
{
    struct emission *e = context;
    struct trib_part part = {fields, length};
    return trib_stage_event(e->client, type, vital ? TRIB_LANE_VITAL : TRIB_LANE_ROUTINE, e->ref, e->now_ms,
                            &part, 1);
}

/* A number from a session's id that is the same whenever it is asked for, and even over all of them. */
static uint16_t draw_milli(uint64_t session)
{
    uint32_t x = (uint32_t)(session ^ session >> 32);
    x = (x ^ x >> 16) * 0x45D9F3Bu;
    x = (x ^ x >> 16) * 0x45D9F3Bu;
    return (uint16_t)((x >> 16) * 1000u >> 16);
}

/* Contexts go along into each new sector, so those of all open sessions may take a part of one only. */
static uint32_t contexts_max(const struct trib_client *client)
{
    uint32_t least = UINT32_MAX;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        uint32_t room = trib_ring_body_max(&client->config->storage[lane], 0);
        uint32_t area = client->config->storage[lane].sector_bytes / 4;
        room = room > area ? room - area : room / 2;
        least = room < least ? room : least;
    }
    return least;
}

static void tick_sessions(struct trib_client *client, uint64_t now_ms, uint32_t *in_out_next_ms)
{
    trib_client_lock(client);
    for (struct trib_session *s = trib_client_stopped(client) ? NULL : client->sessions; s; s = s->next) {
        struct emission e = {client, now_ms, s->ref};
        struct trib_tracker_sink sink = {&e, room, emit};
        uint32_t next;
        /* What is refused for want of room is counted there; a ping's times go into the next one. */
        (void)trib_tracker_tick(&s->tracker, now_ms, &sink, &next);
        *in_out_next_ms = next < *in_out_next_ms ? next : *in_out_next_ms;
    }
    trib_client_unlock(client);
}

static void quit_sessions(struct trib_client *client);
static const struct trib_client_playback playback = {tick_sessions, quit_sessions};

static int start(struct trib_client *client, struct trib_session *session, const struct trib_content *content,
                 size_t content_len, const struct trib_part *user, uint64_t now)
{
    uint8_t len = (uint8_t)content_len;
    struct trib_part parts[3] = {{&len, 1}, {content->content_id, content_len}, *user};
    uint32_t bytes = (uint32_t)(1 + content_len + user->bytes);
    if (trib_client_stopped(client))
        return TRIB_ESTOPPED;
    for (const struct trib_session *s = client->sessions; s; s = s->next)
        if (s == session)
            return TRIB_EINVAL; /* it is open: its end was refused, or never asked for */
    if (bytes + CONTEXT_COST > contexts_max(client) - client->context_bytes ||
        !trib_stage_has_room(client, bytes + FIRST_EVENT_BYTES, 2)) {
        client->refused++;
        return TRIB_EFULL;
    }
    memset(session, 0, sizeof *session);
    session->ref = ++client->next_ref;
    session->context_bytes = bytes + CONTEXT_COST;
    int rc = trib_stage_context(client, session->ref, parts, 3);
    if (rc < 0)
        return rc;
    const uint32_t *settings = client->settings;
    struct emission e = {client, now, session->ref};
    struct trib_tracker_sink sink = {&e, room, emit};
    struct trib_tracker_setup setup = {
        .ping_ms = settings[TRIB_SETTING_HEARTBEAT_MS] ? settings[TRIB_SETTING_HEARTBEAT_MS]
                   : client->config->ping_ms           ? client->config->ping_ms
                                                       : PING_MS,
        .sampling_milli = (uint16_t)settings[TRIB_SETTING_SAMPLING_MILLI],
        .sampled = draw_milli(client->session_seed + session->ref) < settings[TRIB_SETTING_SAMPLING_MILLI],
    };
    rc = trib_tracker_start(&session->tracker, now, content, &setup, &sink);
    if (rc < 0) {
        (void)trib_stage_end(client, session->ref);
        return rc;
    }
    client->context_bytes += session->context_bytes;
    client->session_count++;
    session->client = client;
    session->next = client->sessions;
    client->sessions = session;
    client->playback = &playback;
    return 0;
}

int trib_session_start(struct trib_client *client, struct trib_session *session,
                       const struct trib_content *content)
{
    size_t content_len = content->content_id ? strlen(content->content_id) : 0;
    char hashed[TRIB_USER_HASH_BYTES];
    struct trib_part user;
    if (!TRIB_HAS_PLAYBACK || content_len == 0 || content_len > TEXT_MAX ||
        !trib_cbor_utf8_valid(content->content_id, content_len))
        return TRIB_EINVAL;
    int rc = trib_client_user(client, content->user_id, hashed, &user);
    if (rc < 0)
        return rc;
    uint64_t now = trib_client_now(client);
    trib_client_lock(client);
    rc = start(client, session, content, content_len, &user, now);
    trib_client_unlock(client);
    return rc;
}

int trib_session_report(struct trib_session *session, const struct trib_player *player)
{
    struct trib_client *client = session->client;
    if (!client)
        return TRIB_ESTOPPED;
    struct emission e = {client, trib_client_now(client), session->ref};
    struct trib_tracker_sink sink = {&e, room, emit};
    trib_client_lock(client);
    int rc = session->client && !trib_client_stopped(client)
                 ? trib_tracker_report(&session->tracker, e.now_ms, player, &sink)
                 : TRIB_ESTOPPED;
    trib_client_unlock(client);
    return rc;
}

/* Lock held. Nothing is written: to the next start it is a session that was open. */
static void detach_session(struct trib_client *client, struct trib_session *session)
{
    client->session_count--;
    client->context_bytes -= session->context_bytes;
    struct trib_session **at = &client->sessions;
    while (*at != session)
        at = &(*at)->next;
    *at = session->next;
    session->client = NULL;
    session->next = NULL;
}

int trib_session_end(struct trib_session *session, enum trib_enum_value reason)
{
    struct trib_client *client = session->client;
    if (!client)
        return TRIB_ESTOPPED;
    if (reason != TRIB_REASON_ENDED && reason != TRIB_REASON_QUIT && reason != TRIB_REASON_ERROR)
        return TRIB_EINVAL;
    struct emission e = {client, trib_client_now(client), session->ref};
    struct trib_tracker_sink sink = {&e, room, emit};
    trib_client_lock(client);
    if (!session->client) { /* erased meanwhile */
        trib_client_unlock(client);
        return TRIB_ESTOPPED;
    }
    int rc = trib_tracker_end(&session->tracker, e.now_ms, reason, &sink);
    if (rc != TRIB_EFULL) { /* else its end would be lost: it stays open until there is room */
        (void)trib_stage_end(client, session->ref); /* its room was kept */
        detach_session(client, session);
    }
    trib_client_unlock(client);
    return rc;
}

static void quit_sessions(struct trib_client *client)
{
    while (client->sessions) {
        struct trib_session *session = client->sessions;
        (void)trib_client_drain(client); /* so that each end finds room in staging */
        (void)trib_session_end(session, TRIB_REASON_QUIT);
        trib_client_lock(client);
        if (client->sessions == session) /* no room, or the storage fails: the next start ends it */
            detach_session(client, session);
        trib_client_unlock(client);
    }
}
