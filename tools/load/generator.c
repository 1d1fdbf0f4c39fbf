#include "generator.h"

#include <stdio.h>
#include <string.h>

#define STARTS 2 /* events before the first session */

/* One session of a player. */
static const uint8_t row[] = {
    TRIB_EVENT_SESSION_START, TRIB_EVENT_PLAY,          TRIB_EVENT_PLAYING,      TRIB_EVENT_PING,
    TRIB_EVENT_PING,          TRIB_EVENT_PING,          TRIB_EVENT_PAUSE,        TRIB_EVENT_PING,
    TRIB_EVENT_PLAY,          TRIB_EVENT_PLAYING,       TRIB_EVENT_PING,         TRIB_EVENT_SEEK,
    TRIB_EVENT_PING,          TRIB_EVENT_FAVOURITE_ADD, TRIB_EVENT_BUFFER_START, TRIB_EVENT_BUFFER_END,
    TRIB_EVENT_PING,          TRIB_EVENT_PROGRESS,      TRIB_EVENT_QUALITY,      TRIB_EVENT_PING,
    TRIB_EVENT_RATE,          TRIB_EVENT_PING,          TRIB_EVENT_COMPLETE,     TRIB_EVENT_SESSION_END,
};

#define ROW (sizeof row)

static unsigned lane_of(unsigned type)
{
    return type == TRIB_EVENT_SESSION_START || type == TRIB_EVENT_FAVOURITE_ADD ||
                   type == TRIB_EVENT_SESSION_END
               ? TRIB_LANE_VITAL
               : TRIB_LANE_ROUTINE;
}

/* Events of the lane among the first k of a session. */
static uint64_t in_row(size_t k, unsigned lane)
{
    uint64_t count = 0;

    for (size_t i = 0; i < k; i++)
        count += lane_of(row[i]) == lane;
    return count;
}

/* splitmix64's finaliser over both */
uint64_t load_mix(uint64_t a, uint64_t b)
{
    uint64_t z = a + 0x9e3779b97f4a7c15u * (b + 1);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void load_generator_init(struct load_generator *g, uint64_t seed, uint64_t device, uint64_t users)
{
    g->seed = load_mix(seed, device);
    g->users = users;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        g->stream[lane] = load_mix(g->seed, UINT64_MAX - 1 - lane) | 1; /* never 0 */
}

uint64_t load_generator_before(uint64_t n, unsigned lane)
{
    if (n < STARTS)
        return n > lane; /* event 0 is the vital lane's, event 1 the routine lane's */
    return 1 + (n - STARTS) / ROW * in_row(ROW, lane) + in_row((n - STARTS) % ROW, lane);
}

uint64_t load_generator_locate(unsigned lane, uint64_t seq)
{
    if (seq <= 1)
        return lane;
    uint64_t each = in_row(ROW, lane), place = (seq - 2) % each;
    size_t k = 0;
    while (lane_of(row[k]) != lane || in_row(k, lane) != place)
        k++;
    return STARTS + (seq - 2) / each * ROW + k;
}

uint64_t load_generator_resume(const uint64_t committed[TRIB_LANE_COUNT])
{
    uint64_t vital = load_generator_locate(TRIB_LANE_VITAL, committed[TRIB_LANE_VITAL] + 1);
    uint64_t routine = load_generator_locate(TRIB_LANE_ROUTINE, committed[TRIB_LANE_ROUTINE] + 1);

    return vital < routine ? vital : routine;
}

void load_generator_context(const struct load_generator *g, uint64_t session, char *buf, size_t cap,
                            struct trib_wire_context *out)
{
    uint64_t random = load_mix(g->seed, session ^ 0xc0ffee);

    memset(out, 0, sizeof *out);
    out->session = random | 1;
    out->content.ptr = buf;
    out->content.len = (size_t)snprintf(buf, cap, "film-%u", (unsigned)(random >> 32) % 500);
}

static void put(struct trib_cbor_writer *w, unsigned field, uint64_t value)
{
    trib_cbor_put_uint(w, field);
    trib_cbor_put_uint(w, value);
}

/* The fields of one event but for the user; returns how many. With a counting writer it only counts. */
static unsigned put_fields(struct trib_cbor_writer *w, unsigned type, uint64_t random)
{
    uint64_t position = random % 7200000, small = random >> 32 & 0x3ff;

    switch (type) {
    case TRIB_EVENT_STREAM_START:
        put(w, TRIB_FIELD_START_REASON, TRIB_START_REASON_FIRST);
        return 1;
    case TRIB_EVENT_SESSION_START:
        put(w, TRIB_FIELD_STREAM_TYPE, TRIB_STREAM_TYPE_ON_DEMAND);
        put(w, TRIB_FIELD_DURATION_MS, 7200000);
        return 2;
    case TRIB_EVENT_PLAYING:
        put(w, TRIB_FIELD_STARTUP_MS, 200 + small);
        return 1;
    case TRIB_EVENT_PLAY:
    case TRIB_EVENT_PAUSE:
        put(w, TRIB_FIELD_CAUSE, TRIB_CAUSE_USER);
        put(w, TRIB_FIELD_POSITION_MS, position);
        return 2;
    case TRIB_EVENT_PING:
        put(w, TRIB_FIELD_PLAYED_MS, 10000 - small);
        put(w, TRIB_FIELD_PAUSED_MS, small);
        put(w, TRIB_FIELD_POSITION_MS, position);
        return 3;
    case TRIB_EVENT_SEEK:
        put(w, TRIB_FIELD_FROM_MS, position);
        put(w, TRIB_FIELD_TO_MS, position / 2);
        put(w, TRIB_FIELD_TOOK_MS, 50 + small);
        return 3;
    case TRIB_EVENT_FAVOURITE_ADD:
        trib_cbor_put_uint(w, TRIB_FIELD_ITEM);
        trib_cbor_put_text(w, random & 1 ? "film-171" : "film-42", random & 1 ? 8 : 7);
        put(w, TRIB_FIELD_ITEM_VERSION, small);
        return 2;
    case TRIB_EVENT_BUFFER_START:
        put(w, TRIB_FIELD_CAUSE, TRIB_CAUSE_STALL);
        put(w, TRIB_FIELD_POSITION_MS, position);
        return 2;
    case TRIB_EVENT_BUFFER_END:
        put(w, TRIB_FIELD_TOOK_MS, small);
        put(w, TRIB_FIELD_CAUSE, TRIB_CAUSE_STALL);
        return 2;
    case TRIB_EVENT_PROGRESS:
        put(w, TRIB_FIELD_PERCENT, 25);
        return 1;
    case TRIB_EVENT_QUALITY:
        put(w, TRIB_FIELD_BITRATE_KBPS, 800 + small);
        put(w, TRIB_FIELD_DROPPED_FRAMES, small / 100);
        return 2;
    case TRIB_EVENT_RATE:
        put(w, TRIB_FIELD_RATE_MILLI, 1500);
        return 1;
    case TRIB_EVENT_SESSION_END:
        put(w, TRIB_FIELD_REASON, TRIB_REASON_ENDED);
        put(w, TRIB_FIELD_PLAYED_MS, position);
        put(w, TRIB_FIELD_PAUSED_MS, small);
        put(w, TRIB_FIELD_STARTUP_MS, 200 + small);
        put(w, TRIB_FIELD_WATCHED_MS, position);
        return 5;
    default:
        put(w, TRIB_FIELD_POSITION_MS, position);
        return 1;
    }
}

void load_generator_event(const struct load_generator *g, uint64_t n, struct load_event *out)
{
    uint64_t random = load_mix(g->seed, n);
    struct trib_cbor_writer w;

    out->ord = n + 1;
    out->mono_ms = 1000 + n * LOAD_INTERVAL_MS + (random >> 48) % LOAD_INTERVAL_MS;
    if (n < STARTS) {
        out->type = TRIB_EVENT_STREAM_START;
        out->lane = (unsigned)n;
        out->session = 0;
    } else {
        out->type = row[(n - STARTS) % ROW];
        out->lane = lane_of(out->type);
        out->session = (n - STARTS) / ROW + 1;
    }
    out->seq = load_generator_before(n, out->lane) + 1;
    trib_cbor_writer_init(&w, out->fields + 1, sizeof out->fields - 1);
    unsigned pairs = put_fields(&w, out->type, random);
    if (g->users > 0) {
        char user[32];
        int len = snprintf(user, sizeof user, "user-%06llu", (unsigned long long)(random % g->users));
        trib_cbor_put_uint(&w, TRIB_FIELD_USER);
        trib_cbor_put_text(&w, user, (size_t)len);
        pairs++;
    }
    out->fields[0] = (uint8_t)(0xa0 | pairs); /* a map of fewer than 24 pairs */
    out->fields_len = w.len + 1;
}
