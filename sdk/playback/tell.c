/* An event: those of its fields in the vocabulary that the tracker has a value for. */
#include "playback/tracker.h"
#include "playback/watched.h"
#include "wire/cbor.h"

#define MS_MAX TRIB_YEAR_MS
#define COUNT_MAX 1000000u
#define LEFT_OUT UINT64_MAX

static uint64_t fields_of(unsigned type)
{
    switch (type) {
#define TRIB_EVENT(id, NAME, json_name, LANE, required, optional, doc)                                       \
    case id:                                                                                                 \
        return (required) | (optional);
#include "wire/vocabulary.def"
    }
    return 0;
}

static uint64_t unless_0(uint64_t value)
{
    return value == 0 ? LEFT_OUT : value < MS_MAX ? value : MS_MAX;
}

static uint64_t capped(uint64_t value, uint64_t max)
{
    return value < max ? value : max;
}

/* Live streams may count from 1970: such a position is none in the vocabulary's sense. */
static uint64_t position(uint64_t ms)
{
    return ms <= MS_MAX ? ms : LEFT_OUT;
}

/* A ping has what came since the last one, others have totals. */
static uint64_t time_of(const struct trib_tracker *t, unsigned type, enum trib_time which)
{
    return type == TRIB_EVENT_PING ? t->delta[which] : t->total[which];
}

static uint64_t unique_watched(const struct trib_tracker *t)
{
    uint64_t sum = trib_watched_sum(&t->watched);
    return t->duration_ms > 0 ? capped(sum, t->duration_ms) : sum;
}

static uint64_t time_field(const struct trib_tracker *t, unsigned type, unsigned field)
{
    uint64_t played = time_of(t, type, TRIB_TIME_PLAYED);
    switch (field) {
    case TRIB_FIELD_PLAYED_MS: /* required but in pings */
        return type == TRIB_EVENT_PING ? unless_0(played) : capped(played, MS_MAX);
    case TRIB_FIELD_PAUSED_MS:
        return unless_0(time_of(t, type, TRIB_TIME_PAUSED));
    case TRIB_FIELD_BUFFERING_MS:
        return unless_0(time_of(t, type, TRIB_TIME_BUFFERING));
    case TRIB_FIELD_SEEKING_MS:
        return unless_0(time_of(t, type, TRIB_TIME_SEEKING));
    case TRIB_FIELD_UNKNOWN_MS:
        return unless_0(time_of(t, type, TRIB_TIME_UNKNOWN));
    case TRIB_FIELD_MUTED_MS:
        return unless_0(time_of(t, type, TRIB_TIME_MUTED));
    case TRIB_FIELD_STALLED_MS:
        return unless_0(time_of(t, type, TRIB_TIME_STALLED));
    case TRIB_FIELD_RATED_MS: {
        uint64_t rated = time_of(t, type, TRIB_TIME_RATED);
        return rated == played ? LEFT_OUT : capped(rated, MS_MAX);
    }
    case TRIB_FIELD_STARTUP_MS:
        if (type == TRIB_EVENT_PLAYING)
            return t->started ? LEFT_OUT : capped(t->total[TRIB_TIME_STARTUP], MS_MAX);
        return unless_0(t->total[TRIB_TIME_STARTUP]);
    case TRIB_FIELD_TOOK_MS:
        return capped(t->last_ms - (type == TRIB_EVENT_SEEK ? t->seek_began_ms : t->buffer_began_ms), MS_MAX);
    }
    return LEFT_OUT;
}

/* argument: of the event's own, its cause, percent, reason or whether it is fatal. */
static uint64_t value_of(const struct trib_tracker *t, unsigned type, unsigned field, uint32_t argument)
{
    /* Both ends of a seek are required: where the player does not know one, the other stands for it. */
    uint64_t to = t->seek_to_ms <= MS_MAX ? t->seek_to_ms : 0;
    switch (field) {
    case TRIB_FIELD_CAUSE:
    case TRIB_FIELD_PERCENT:
    case TRIB_FIELD_REASON:
    case TRIB_FIELD_FATAL:
        return argument;
    case TRIB_FIELD_POSITION_MS:
        return position(t->position_ms);
    case TRIB_FIELD_FROM_MS:
        return t->seek_from_ms <= MS_MAX ? t->seek_from_ms : to;
    case TRIB_FIELD_TO_MS:
        return to;
    case TRIB_FIELD_RATE_MILLI:
        return t->rate_milli;
    case TRIB_FIELD_BITRATE_KBPS:
        return t->kbps;
    case TRIB_FIELD_STREAM_TYPE:
        return t->live ? TRIB_STREAM_TYPE_LIVE : TRIB_STREAM_TYPE_ON_DEMAND;
    case TRIB_FIELD_DURATION_MS:
        return unless_0(t->duration_ms);
    case TRIB_FIELD_WATCHED_MS:
        return unless_0(unique_watched(t));
    case TRIB_FIELD_STALL_COUNT:
        return unless_0(capped(t->stall_count, COUNT_MAX));
    case TRIB_FIELD_SEEK_COUNT:
        return unless_0(capped(t->seek_count, COUNT_MAX));
    case TRIB_FIELD_DROPPED_FRAMES:
        return type == TRIB_EVENT_QUALITY
                   ? LEFT_OUT
                   : unless_0(t->dropped_frames - (type == TRIB_EVENT_PING ? t->dropped_pinged : 0));
    case TRIB_FIELD_WATCHED_CAPPED:
        return t->watched.capped ? 1 : LEFT_OUT;
    case TRIB_FIELD_NEVER_STARTED:
        return t->started ? LEFT_OUT : 1;
    case TRIB_FIELD_SAMPLED:
        return t->sampled ? LEFT_OUT : 0;
    case TRIB_FIELD_SAMPLING_MILLI:
        return t->sampling_milli < 1000 ? t->sampling_milli : LEFT_OUT;
    }
    return time_field(t, type, field);
}

static void put_field(struct trib_cbor_writer *w, const struct trib_tracker *t, unsigned field,
                      uint64_t value)
{
    trib_cbor_put_uint(w, field);
    if (field == TRIB_FIELD_CODE)
        trib_cbor_put_int(w, t->error_code);
    else if (field == TRIB_FIELD_FATAL || field == TRIB_FIELD_WATCHED_CAPPED ||
             field == TRIB_FIELD_NEVER_STARTED || field == TRIB_FIELD_SAMPLED)
        trib_cbor_put_bool(w, value != 0);
    else
        trib_cbor_put_uint(w, value);
}

static bool vital(unsigned type)
{
    return type == TRIB_EVENT_SESSION_START || type == TRIB_EVENT_SESSION_END || type == TRIB_EVENT_ERROR;
}

/* At most 20 fields of 158 bytes: the count fits into the map's first byte, and is put there in the end. */
int trib_tracker_tell(const struct trib_tracker *t, unsigned type, uint32_t argument,
                      const struct trib_tracker_sink *sink)
{
    struct trib_cbor_writer w;
    size_t capacity;
    if (!t->sampled && !vital(type))
        return 0;
    uint8_t *fields = sink->room(sink->context, &capacity), count = 0;
    uint64_t mask = fields_of(type);
    trib_cbor_writer_init(&w, fields, capacity);
    trib_cbor_put_map(&w, 0);
    for (unsigned field = 0; mask != 0; field++, mask >>= 1) {
        if (!(mask & 1))
            continue;
        uint64_t value = field == TRIB_FIELD_CODE ? 0 : value_of(t, type, field, argument);
        if (value == LEFT_OUT)
            continue;
        put_field(&w, t, field, value);
        count++;
    }
    if (capacity > 0)
        fields[0] = (uint8_t)(0xA0 | count);
    return sink->emit(sink->context, type, vital(type), fields, w.len);
}
