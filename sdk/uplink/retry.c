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
#define ALTERNATES_BYTES TRIB_WS_CONTROL_BYTES_MAX /* where the decoder keeps no message */

/* Even over [0, window_ms]. Without entropy: all of it, which is the cautious end. */
static uint32_t draw(const struct trib_uplink *u, uint32_t window_ms)
{
    uint8_t bytes[4];
    if (u->config->entropy.fill(u->config->entropy.context, bytes, sizeof bytes) != 0)
        return window_ms;
    uint32_t random;
    memcpy(&random, bytes, sizeof random);
    return (uint32_t)(((uint64_t)random * window_ms + random) >> 32);
}

static uint32_t window(const struct trib_uplink *u)
{
    uint32_t min = u->config->backoff_min_ms != 0 ? u->config->backoff_min_ms : BACKOFF_MIN_MS;
    uint32_t max = u->config->backoff_max_ms != 0 ? u->config->backoff_max_ms : BACKOFF_MAX_MS;
    if (max < min)
        max = min;
    return u->patience == TRIB_UPLINK_LONGEST || min > max >> u->attempts ? max : min << u->attempts;
}

/* BYE's alternates while they are tried: each a host, its terminator, and the port in two bytes; an empty host ends the list.
 * They lie at the end of the receive buffer, where no part of that BYE is. */
static char *alternates(const struct trib_uplink *u)
{
    return (char *)u->config->receive + u->config->receive_bytes - ALTERNATES_BYTES;
}

static bool is_away(const struct trib_uplink *u)
{
    return TRIB_HAS_ALTERNATES && u->away;
}

size_t trib_uplink_receive_room(const struct trib_uplink *u)
{
    return u->config->receive_bytes - (is_away(u) ? ALTERNATES_BYTES : 0);
}

static const char *alternate_host(const struct trib_uplink *u)
{
    return alternates(u) + u->alternate - 1;
}

const char *trib_uplink_host(const struct trib_uplink *u, uint16_t *out_port)
{
    if (!is_away(u)) {
        *out_port = u->config->port;
        return u->config->host;
    }
    const char *host = alternate_host(u);
    const uint8_t *port = (const uint8_t *)host + strlen(host) + 1;
    *out_port = (uint16_t)(port[0] << 8 | port[1]);
    return host;
}

void trib_uplink_go_home(struct trib_uplink *u)
{
    u->away = false;
    u->alternate = 0;
}

/* This alternate failed: the next one, or home, but not before home wants us. */
static void next_alternate(struct trib_uplink *u)
{
    u->alternate = (uint8_t)(u->alternate + strlen(alternate_host(u)) + 3);
    if (alternate_host(u)[0] != '\0')
        return;
    trib_uplink_go_home(u);
    if (u->at_ms < u->home_at_ms)
        u->at_ms = u->home_at_ms;
}

void trib_uplink_schedule(struct trib_uplink *u)
{
    bool was_online = u->phase == TRIB_UPLINK_STREAM;
    if (was_online && u->now_ms - u->at_ms >= u->keepalive_ms)
        u->attempts = 0;
    if (u->patience == TRIB_UPLINK_HOURS && is_away(u))
        u->patience = TRIB_UPLINK_BACKOFF; /* the configured host has the last word */
    if (u->patience == TRIB_UPLINK_HOURS) {
        u->phase = TRIB_UPLINK_REFUSED;
        u->at_ms = u->now_ms + REFUSED_MS + draw(u, REFUSED_JITTER_MS);
        trib_uplink_go_home(u);
        return;
    }
    uint32_t wait = draw(u, window(u));
    if (u->attempts < ATTEMPTS_MAX)
        u->attempts++;
    u->phase = TRIB_UPLINK_IDLE;
    u->at_ms = u->now_ms + wait;
    if (is_away(u) && u->retry_after_ms == 0 && !was_online) {
        next_alternate(u);
        return;
    }
    /* What a gateway tells all of its devices, it would get back from all of them at one moment. */
    uint64_t due = u->now_ms + u->retry_after_ms + draw(u, u->retry_after_ms / 2);
    if (TRIB_HAS_ALTERNATES && u->alternate != 0 && !u->away) {
        u->away = true;
        u->home_at_ms = due;
        return;
    }
    trib_uplink_go_home(u);
    if (u->retry_after_ms != 0 && u->at_ms < due)
        u->at_ms = due;
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
    char *list = alternates(u);
    size_t at = 0;
    trib_uplink_go_home(u);
    for (size_t i = 0; i < bye->alternate_count; i++) {
        const char *host;
        uint16_t port;
        size_t len = read_authority(bye->alternates[i], &host, &port);
        if (len == 0 || at + len + 3 >= ALTERNATES_BYTES)
            continue;
        memcpy(list + at, host, len);
        at += len;
        list[at++] = '\0';
        list[at++] = (char)(port >> 8);
        list[at++] = (char)port;
        list[at] = '\0';
        u->alternate = 1;
    }
}
