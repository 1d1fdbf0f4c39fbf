#include <string.h>

#include "client/client_internal.h"

#define ACK_SAVE_MS 60000u
#define NEXT_MAX_MS 60000u
#define RECHECK_BOOT_MS 60000u /* so that a device which is never on for long hears of it too */
#define DURABLE_WINDOW_MS 1000u
#define BIG_UNIT_BYTES 64u /* from here on a group a second is mostly padding */
#define BIG_UNIT_WINDOW_MS 10000u

void trib_client_lock(const struct trib_client *client)
{
    if (client->config->lock.lock)
        client->config->lock.lock(client->config->lock.context);
}

void trib_client_unlock(const struct trib_client *client)
{
    if (client->config->lock.unlock)
        client->config->lock.unlock(client->config->lock.context);
}

uint64_t trib_client_now(const struct trib_client *client)
{
    return client->config->clock.mono_ms(client->config->clock.context);
}

uint64_t trib_client_mono(const struct trib_client *client, uint64_t now_ms)
{
#ifdef TRIB_MUTANT_CLOCK_RUNS_ON
    return (void)client, now_ms;
#endif
    return now_ms > client->boot_began_ms ? now_ms - client->boot_began_ms : 0;
}

static uint32_t discontinuities(const struct trib_client *client)
{
    const struct trib_discontinuity *port = &client->config->discontinuity;
#ifdef TRIB_MUTANT_NO_DISCONTINUITY
    if (port->count)
        return 0;
#endif
    return port->count ? port->count(port->context) : 0;
}

void trib_client_write_log(const struct trib_config *config, enum trib_log_level level, const char *text)
{
    if (config->log.write)
        config->log.write(config->log.context, level, text);
}

/* Without a log, that something is wrong. */
#define TEXT(text) (TRIB_HAS_LOG ? (text) : "")

TRIB_ONE_COPY static const char *what_is_wrong(const struct trib_config *c)
{
    size_t device = c->device_id ? strlen(c->device_id) : 0;
    if (device == 0 || device > TRIB_WIRE_DEVICE_BYTES_MAX)
        return TEXT("config.device_id: 1 to 64 bytes");
    if (!c->host || c->host[0] == 0)
        return TEXT("config.host is missing");
    if (!c->net.connect || !c->net.send || !c->net.receive || !c->net.close)
        return TEXT("config.net: all four calls are needed");
    if (!c->clock.mono_ms)
        return TEXT("config.clock.mono_ms is missing");
    if (!c->entropy.fill)
        return TEXT("config.entropy.fill is missing");
    if (!c->digest.sha256 && !c->user_id_as_given)
        return TEXT("config.digest.sha256 is missing, and config.user_id_as_given is not set");
    if (c->user_salt && (c->user_salt[0] == 0 || strlen(c->user_salt) > TRIB_USER_SALT_MAX))
        return TEXT("config.user_salt: 1 to 64 bytes");
    if (!c->lock.lock != !c->lock.unlock)
        return TEXT("config.lock: both calls or none");
    if (!c->staging || c->staging_bytes < 512 || c->staging_bytes > UINT32_MAX)
        return TEXT("config.staging: at least 512 bytes");
    if (!c->transmit || c->transmit_bytes < 1024)
        return TEXT("config.transmit: at least 1024 bytes");
    if (!c->receive || c->receive_bytes < 1024)
        return TEXT("config.receive: at least 1024 bytes");
    return NULL;
}

static int mount(struct trib_client *client, struct trib_ring_found found[TRIB_LANE_COUNT])
{
    const struct trib_config *config = client->config;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        int rc =
            trib_lane_mount(&client->lanes[lane], (enum trib_lane)lane, &config->storage[lane], &found[lane]);
        if (rc == TRIB_EINVAL)
            trib_client_log(client, TRIB_LOG_ERROR,
                            lane == TRIB_LANE_VITAL
                                ? "config.storage[vital]: geometry or calls are not allowed"
                                : "config.storage[routine]: geometry or calls are not allowed");
        if (rc < 0)
            return rc;
        client->boot = found[lane].boot > client->boot ? found[lane].boot : client->boot;
        client->damaged += found[lane].damaged;
    }
    client->boot++;
    int rc = client->lanes[TRIB_LANE_VITAL].ring.open ? trib_client_state_load(client) : 0;
    if (!TRIB_HAS_REMOTE_CONFIG)
        client->config_version = 0; /* what another build has kept is not what holds here */
    return rc;
}

/* A stream where there is none, or none that may be trusted. A lane that was lost knows nothing of erasures: the other
 * does, and a wiping that was under way goes on. */
static int begin_streams(struct trib_client *client, const struct trib_ring_found found[TRIB_LANE_COUNT])
{
    bool first = found[0].verdict == TRIB_RING_BLANK && found[1].verdict == TRIB_RING_BLANK;
    struct trib_ring *vital = &client->lanes[TRIB_LANE_VITAL].ring;
    if (vital->generation < client->lanes[TRIB_LANE_ROUTINE].ring.generation)
        vital->generation = client->lanes[TRIB_LANE_ROUTINE].ring.generation;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        struct trib_ring *r = &client->lanes[lane].ring;
        trib_ring_boot(r, client->boot);
        bool erasing = r->start_reason == TRIB_START_REASON_ERASED && !r->wiped;
        if (found[lane].verdict == TRIB_RING_GOOD || r->generation < vital->generation)
            continue; /* one that is behind is erased, which begins a stream too */
        if (!first)
            trib_client_log(client, TRIB_LOG_WARNING,
                            "a lane's journal is lost or damaged: a new stream begins");
        int rc = trib_client_new_stream(client, (enum trib_lane)lane,
                                        first     ? TRIB_START_REASON_FIRST
                                        : erasing ? TRIB_START_REASON_ERASED
                                                  : TRIB_START_REASON_LOST,
                                        UINT64_MAX, found[lane].lost_count);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int trib_init(struct trib_client *client, const struct trib_config *config)
{
    struct trib_ring_found found[TRIB_LANE_COUNT];
    uint8_t random[8];
    const char *wrong = what_is_wrong(config);
    memset(client, 0, sizeof *client);
    client->config = config;
    if (wrong) {
        trib_client_log(client, TRIB_LOG_ERROR, wrong);
        return TRIB_EINVAL;
    }
    client->boot_began_ms = trib_client_now(client);
    client->discontinuities = discontinuities(client);
    client->staging.buffer = config->staging;
    client->staging.capacity = (uint32_t)config->staging_bytes;
    trib_client_settings_default(client);
    client->ack_saved_ms = (uint32_t)client->boot_began_ms;
    if (config->entropy.fill(config->entropy.context, random, sizeof random) < 0)
        return TRIB_EIO;
    /* The upper half stays below 2^63, so that seed + ref never comes to 0. */
    client->session_seed = trib_get_u64(random) >> 1 | 1;
    int rc = mount(client, found);
    if (rc == 0)
        rc = begin_streams(client, found);
    if (rc < 0)
        return rc;
#ifndef TRIB_MUTANT_NO_ERASE_AT_START
    rc = trib_client_finish_erase(client, NULL);
#endif
    if (rc < 0)
        return rc;
    if (TRIB_HAS_PLAYBACK && !trib_client_stopped(client))
        trib_client_end_lost_sessions(client);
    else
        trib_client_budget(client); /* without consent they stay open */
    trib_client_recheck_later(client, RECHECK_BOOT_MS);
    trib_client_tell_time(client);
    trib_uplink_init(&client->uplink, config, &trib_client_source, client);
    return 0;
}

static enum trib_state state_of(enum trib_uplink_phase phase)
{
    switch (phase) {
    case TRIB_UPLINK_CONNECT:
    case TRIB_UPLINK_UPGRADE:
    case TRIB_UPLINK_HELLO:
        return TRIB_STATE_CONNECTING;
    case TRIB_UPLINK_STREAM:
        return TRIB_STATE_ONLINE;
    case TRIB_UPLINK_REFUSED:
        return TRIB_STATE_REFUSED;
    case TRIB_UPLINK_IDLE:
        break;
    }
    return TRIB_STATE_OFFLINE;
}

static void tell_state(struct trib_client *client, int error)
{
    const struct trib_callbacks *callbacks = &client->config->callbacks;
    enum trib_state state = state_of(trib_uplink_get_phase(&client->uplink));
    if (state == (enum trib_state)client->state)
        return;
    client->state = (uint8_t)state;
    if (callbacks->state)
        callbacks->state(callbacks->context, state, error);
}

uint32_t trib_client_left(uint32_t since_ms, uint32_t span_ms, uint64_t now_ms)
{
    uint32_t gone = (uint32_t)now_ms - since_ms;
    gone = gone > INT32_MAX ? 0 : gone;
    return gone < span_ms ? span_ms - gone : 0;
}

/* Journals if something is due; else *in_out_next_ms says when. */
static int journal(struct trib_client *client, uint64_t now, uint32_t *in_out_next_ms)
{
    const struct trib_config *config = client->config;
    bool big = config->storage[TRIB_LANE_ROUTINE].program_bytes >= BIG_UNIT_BYTES;
    uint32_t set = client->settings[TRIB_SETTING_DURABLE_WINDOW_MS];
    uint32_t window = set                         ? set
                      : config->durable_window_ms ? config->durable_window_ms
                      : big                       ? BIG_UNIT_WINDOW_MS
                                                  : DURABLE_WINDOW_MS;
    int rc = 0;
    trib_client_lock(client);
    bool staged = client->staging.head > 0;
    bool due = client->staging.vital_cost > 0 || client->staging.head > client->staging.capacity / 2;
    uint32_t wait = trib_client_left(client->staged_at_ms, window, now);
    bool compacts = client->compact != NULL; /* then it is not written any more */
    trib_client_unlock(client);
    if (client->state_due || due || (staged && wait == 0) || client->retry_drain)
        rc = trib_client_drain(client);
    else if (staged && wait < *in_out_next_ms)
        *in_out_next_ms = wait;
    client->retry_drain = rc < 0;
    bool erase = trib_ring_wants_erase(&client->lanes[TRIB_LANE_VITAL].ring) ||
                 trib_ring_wants_erase(&client->lanes[TRIB_LANE_ROUTINE].ring);
    if (erase || trib_client_left(client->ack_saved_ms, ACK_SAVE_MS, now) == 0) {
        int saved = trib_client_save_acks(client);
        rc = rc ? rc : saved;
        client->ack_saved_ms = (uint32_t)now;
    }
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        int ahead = trib_ring_erase_ahead(&client->lanes[lane].ring);
        rc = rc ? rc : ahead;
    }
    if (rc == 0 && compacts && client->compact(client) > 0)
        *in_out_next_ms = 0;
    return rc;
}

static void note_pending(struct trib_client *client, uint64_t now, uint32_t *in_out_next_ms)
{
    uint32_t linger = trib_client_linger_ms(client);
    if (trib_lane_pending(&client->lanes[TRIB_LANE_ROUTINE])) {
        if (!client->unsent)
            client->unsent_at_ms = (uint32_t)now;
        client->unsent = true;
        uint32_t wait = trib_client_left(client->unsent_at_ms, linger, now);
        if (wait > 0 && wait < *in_out_next_ms)
            *in_out_next_ms = wait;
    }
    if (trib_lane_pending(&client->lanes[TRIB_LANE_ROUTINE]) ||
        trib_lane_pending(&client->lanes[TRIB_LANE_VITAL]))
        trib_uplink_wake(&client->uplink);
}

/*
 * The clock does not tell how long it was away: what follows is dated like another boot's, and anchors of before do not hold
 * for it. All that was recorded before is journaled first. TRIB_EIO: then it is tried again.
 */
static int watch_clock(struct trib_client *client)
{
    uint32_t count = discontinuities(client);
    while (count != client->discontinuities) {
        int rc = trib_client_drain(client);
        if (rc < 0)
            return rc;
        uint64_t now = trib_client_now(client);
        trib_client_lock(client);
        if (client->staging.head == 0) {
            client->discontinuities = count;
            client->boot++;
            client->boot_began_ms = now;
            client->last_mono_ms = 0;
            client->hello_ms = UINT64_MAX; /* a WELCOME on its way gives no anchor */
        }
        trib_client_unlock(client);
    }
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        struct trib_ring *r = &client->lanes[lane].ring;
        uint32_t first = r->first_boot;
        if (r->boot == client->boot)
            continue;
        trib_ring_boot(r, client->boot);
        r->first_boot = first; /* sessions go on */
    }
    return 0;
}

/* Other threads may start the first session meanwhile. */
static const struct trib_client_playback *playback_of(struct trib_client *client)
{
    trib_client_lock(client);
    const struct trib_client_playback *playback = client->playback;
    trib_client_unlock(client);
    return playback;
}

int trib_poll(struct trib_client *client, uint32_t *out_next_ms)
{
    uint64_t now = trib_client_now(client);
    uint32_t next = NEXT_MAX_MS, uplink_next = NEXT_MAX_MS;
    if (client->shut) {
        *out_next_ms = next;
        return 0;
    }
    int rc = watch_clock(client);
    if (TRIB_HAS_PLAYBACK && client->ends_due)
        trib_client_end_lost_sessions(client);
    const struct trib_client_playback *playback = playback_of(client);
    if (playback)
        playback->tick(client, now, &next);
    int moved = trib_client_roll_back(client);
    rc = rc ? rc : moved;
    int journaled = journal(client, now, &next);
    rc = rc ? rc : journaled;
    note_pending(client, now, &next);
    int error = 0;
    if (trib_client_may_send(client, now, &uplink_next))
        error = trib_uplink_poll(&client->uplink, now, &uplink_next);
    else
        trib_uplink_close(&client->uplink, now);
    tell_state(client, error);
    *out_next_ms = uplink_next < next ? uplink_next : next;
    return rc;
}

static bool all_acked(const struct trib_client *client)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        if (trib_lane_waiting(&client->lanes[lane]) > 0 || !client->lanes[lane].ring.start_acked)
            return false;
    return true;
}

int trib_flush(struct trib_client *client, uint32_t budget_ms)
{
    const struct trib_wait *wait = &client->config->wait;
    uint64_t began = trib_client_now(client);
    uint32_t next;
    int rc = trib_client_drain(client);
    if (rc < 0 || budget_ms == 0)
        return rc;
    client->hurry = true;
    for (;;) {
        rc = trib_poll(client, &next);
        if (rc < 0 || all_acked(client))
            break;
        uint64_t gone = trib_client_now(client) - began;
        if (gone >= budget_ms) {
            rc = TRIB_ETIMEOUT;
            break;
        }
        uint32_t rest = budget_ms - (uint32_t)gone;
        if (wait->wait)
            wait->wait(wait->context, next < rest ? next : rest);
    }
    client->hurry = false;
    return rc;
}

int trib_hint(struct trib_client *client, enum trib_hint hint)
{
    client->hint = (uint8_t)hint;
    if (hint != TRIB_HINT_SUSPEND || client->shut)
        return 0;
    int rc = trib_client_drain(client);
    int saved = trib_client_save_acks(client);
    return rc ? rc : saved;
}

int trib_shutdown(struct trib_client *client, uint32_t budget_ms)
{
    if (client->shut)
        return 0;
    const struct trib_client_playback *playback = playback_of(client);
    if (playback)
        playback->quit(client);
    int rc = trib_flush(client, budget_ms);
    int saved = trib_client_save_acks(client);
    trib_uplink_close(&client->uplink, trib_client_now(client));
    tell_state(client, 0);
    trib_client_lock(client);
    client->shut = true;
    trib_client_unlock(client);
    return rc ? rc : saved;
}

void trib_get_stats(const struct trib_client *client, struct trib_stats *out)
{
    memset(out, 0, sizeof *out);
    trib_client_lock(client);
    out->recorded = client->recorded;
    out->refused = client->refused;
    trib_client_unlock(client);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        const struct trib_lane_state *state = &client->lanes[lane];
        out->durable[lane] = trib_lane_durable_seq(state);
        out->acked[lane] = trib_lane_acked_seq(state);
        out->waiting += trib_lane_waiting(state);
        out->dropped += state->ring.dropped[0];
    }
    out->sent = client->sent;
    out->rejected = client->rejected;
    out->connects = client->connects;
    out->damaged = client->damaged;
}

enum trib_state trib_get_state(const struct trib_client *client)
{
    return state_of(trib_uplink_get_phase(&client->uplink));
}

uint64_t trib_durable_seq(const struct trib_client *client, enum trib_lane lane)
{
    return (unsigned)lane < TRIB_LANE_COUNT ? trib_lane_durable_seq(&client->lanes[lane]) : 0;
}
