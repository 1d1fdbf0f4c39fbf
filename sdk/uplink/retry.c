/*
 * When and where to connect next. Full jitter: a wait is drawn evenly from 0 to a window that doubles with
 * each failure, so that a crowd cut off at one moment comes back spread over the window and not in waves.
 */
#include <string.h>

#include "uplink/internal.h"

#define BACKOFF_MIN_MS 1000u
#define BACKOFF_MAX_MS 60000u
#define REFUSED_MS 3600000u
#define REFUSED_JITTER_MS 1800000u
#define ATTEMPTS_MAX 31

/* Even over [0, window_ms]. Without entropy: all of it, which is the cautious end. */
static uint64_t draw(const struct trib_uplink *u, uint64_t window_ms)
{
    uint8_t bytes[4];
    if (u->config->entropy.fill(u->config->entropy.context, bytes, sizeof bytes) != 0)
        return window_ms;
    uint64_t random =
        (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];
    return random * (window_ms + 1) >> 32;
}

static uint64_t window(const struct trib_uplink *u)
{
    uint64_t min = u->config->backoff_min_ms != 0 ? u->config->backoff_min_ms : BACKOFF_MIN_MS;
    uint64_t max = u->config->backoff_max_ms != 0 ? u->config->backoff_max_ms : BACKOFF_MAX_MS;
    if (max < min)
        max = min;
    uint64_t doubled = u->patience == TRIB_UPLINK_LONGEST ? max : min << u->attempts;
    return doubled < max ? doubled : max;
}

static const char *alternate_host(const struct trib_uplink *u)
{
    return u->alternates + u->alternate;
}

const char *trib_uplink_host(const struct trib_uplink *u, uint16_t *out_port)
{
    if (!u->away) {
        *out_port = u->config->port;
        return u->config->host;
    }
    const char *host = alternate_host(u);
    const uint8_t *port = (const uint8_t *)host + strlen(host) + 1;
    *out_port = (uint16_t)(port[0] << 8 | port[1]);
    return host;
}

static void leave_alternates(struct trib_uplink *u)
{
    u->away = false;
    u->alternate = 0;
    u->alternates[0] = '\0';
}

/* This alternate failed: the next one, or home, but not before home wants us. */
static void next_alternate(struct trib_uplink *u)
{
    u->alternate = (uint8_t)(u->alternate + strlen(alternate_host(u)) + 3);
    if (alternate_host(u)[0] != '\0')
        return;
    leave_alternates(u);
    if (u->retry_at_ms < u->home_at_ms)
        u->retry_at_ms = u->home_at_ms;
}

void trib_uplink_schedule(struct trib_uplink *u)
{
    bool was_online = u->phase == TRIB_UPLINK_STREAM;
    if (was_online && u->now_ms - u->online_ms >= u->keepalive_ms)
        u->attempts = 0;
    if (u->patience == TRIB_UPLINK_HOURS && u->away)
        u->patience = TRIB_UPLINK_BACKOFF; /* the configured host has the last word */
    if (u->patience == TRIB_UPLINK_HOURS) {
        u->phase = TRIB_UPLINK_REFUSED;
        u->retry_at_ms = u->now_ms + REFUSED_MS + draw(u, REFUSED_JITTER_MS);
        leave_alternates(u);
        return;
    }
    uint64_t wait = draw(u, window(u));
    if (u->attempts < ATTEMPTS_MAX)
        u->attempts++;
    u->phase = TRIB_UPLINK_IDLE;
    u->retry_at_ms = u->now_ms + wait;
    if (u->away && u->retry_after_ms == 0 && !was_online) {
        next_alternate(u);
        return;
    }
    /* What a gateway tells all of its devices, it would get back from all of them at one moment. */
    uint64_t due = u->now_ms + u->retry_after_ms + draw(u, u->retry_after_ms / 2);
    bool sent_away = u->alternates[0] != '\0' && !u->away;
    if (sent_away) {
        u->away = true;
        u->home_at_ms = due;
        return;
    }
    leave_alternates(u);
    if (u->retry_after_ms != 0 && u->retry_at_ms < due)
        u->retry_at_ms = due;
}

/* "host:port", IPv6 in brackets. Returns the host's length, or 0 when it cannot be read. */
static size_t read_authority(struct trib_text text, const char **out_host, uint16_t *out_port)
{
    size_t colon = text.len;
    uint32_t port = 0;
    while (colon > 0 && text.ptr[colon - 1] != ':')
        colon--;
    if (colon < 2 || colon == text.len || text.len - colon > 5)
        return 0;
    for (size_t i = colon; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        port = port * 10 + (uint32_t)(text.ptr[i] - '0');
    }
    const char *host = text.ptr;
    size_t len = colon - 1;
    if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)host[i] <= ' ' || (unsigned char)host[i] >= 0x7F || host[i] == '[' ||
            host[i] == ']')
            return 0;
    }
    if (port == 0 || port > UINT16_MAX)
        return 0;
    *out_host = host;
    *out_port = (uint16_t)port;
    return len;
}

void trib_uplink_keep_alternates(struct trib_uplink *u, const struct trib_wire_bye *bye)
{
    size_t at = 0;
    leave_alternates(u);
    for (size_t i = 0; i < bye->alternate_count; i++) {
        const char *host;
        uint16_t port;
        size_t len = read_authority(bye->alternates[i], &host, &port);
        if (len == 0 || at + len + 3 >= sizeof u->alternates)
            continue;
        memcpy(u->alternates + at, host, len);
        at += len;
        u->alternates[at++] = '\0';
        u->alternates[at++] = (char)(port >> 8);
        u->alternates[at++] = (char)port;
        u->alternates[at] = '\0';
    }
}
