/* An event: those of its fields in the vocabulary that the tracker has a value for. */
#include "playback/tracker.h"
#include "playback/watched.h"
#include "wire/cbor.h"

#define MS_MAX TRIB_YEAR_MS
#define BOOLEANS                                                                                             \
    (TRIB_F(FATAL) | TRIB_F(WATCHED_CAPPED) | TRIB_F(NEVER_STARTED) | TRIB_F(TOTALS_MISSING) |               \
     TRIB_F(SAMPLED))
#define LEFT_OUT UINT64_MAX

static uint64_t fields_of(unsigned type)
{
#define TRIB_EVENT(id, NAME, json_name, LANE, required, optional, doc)                                       \
    if (type == (id))                                                                                        \
        return (required) | (optional);
#include "wire/vocabulary.def"
    return 0;
}

static const uint8_t time_fields[TRIB_TIME_COUNT] = {
    [TRIB_TIME_STARTUP] = TRIB_FIELD_STARTUP_MS, [TRIB_TIME_PLAYED] = TRIB_FIELD_PLAYED_MS,
    [TRIB_TIME_PAUSED] = TRIB_FIELD_PAUSED_MS,   [TRIB_TIME_BUFFERING] = TRIB_FIELD_BUFFERING_MS,
    [TRIB_TIME_SEEKING] = TRIB_FIELD_SEEKING_MS, [TRIB_TIME_UNKNOWN] = TRIB_FIELD_UNKNOWN_MS,
    [TRIB_TIME_MUTED] = TRIB_FIELD_MUTED_MS,     [TRIB_TIME_STALLED] = TRIB_FIELD_STALLED_MS,
    [TRIB_TIME_RATED] = TRIB_FIELD_RATED_MS,
};

static uint64_t or_left_out(bool there, uint64_t value)
{
    return there ? value : LEFT_OUT;
}

/* A ping has what came since the last one, others have totals. */
static uint64_t time_of(const struct trib_tracker *t, bool ping, unsigned which)
{
    return ping ? t->delta[which] : t->total[which];
}

TRIB_ONE_COPY static uint64_t time_field(const struct trib_tracker *t, unsigned type, unsigned which)
{
    bool ping = type == TRIB_EVENT_PING;
    uint64_t value = time_of(t, ping, which);
    bool there = value != 0;
    if (which == TRIB_TIME_PLAYED)
        there |= !ping; /* required there */
    else if (which == TRIB_TIME_RATED)
        there = value != time_of(t, ping, TRIB_TIME_PLAYED);
    else if (type == TRIB_EVENT_PLAYING) /* startup_ms */
        there = !t->started;
    return or_left_out(there, value);
}

/* argument: of the event's own, its cause, percent, reason or whether it is fatal. */
TRIB_ONE_COPY static uint64_t value_of(const struct trib_tracker *t, unsigned type, unsigned field,
                                       uint32_t argument)
{
    /* Both ends of a seek are required: where the player does not know one, the other stands for it. */
    uint64_t to = t->seek_to_ms <= MS_MAX ? t->seek_to_ms : 0;
    uint32_t count;
    for (unsigned which = 0; which < TRIB_TIME_COUNT; which++)
        if (time_fields[which] == field)
            return time_field(t, type, which);
    switch (field) {
    case TRIB_FIELD_POSITION_MS: /* live streams may count from 1970: that is none in the vocabulary's sense */
        return or_left_out(t->position_ms <= MS_MAX, t->position_ms);
    case TRIB_FIELD_FROM_MS:
        return t->seek_from_ms <= MS_MAX ? t->seek_from_ms : to;
    case TRIB_FIELD_TO_MS:
        return to;
    case TRIB_FIELD_TOOK_MS:
        return t->last_ms - (type == TRIB_EVENT_SEEK ? t->seek_began_ms : t->buffer_began_ms);
    case TRIB_FIELD_RATE_MILLI:
        return t->rate_milli;
    case TRIB_FIELD_BITRATE_KBPS:
        return t->kbps;
    case TRIB_FIELD_STREAM_TYPE:
        return t->live ? TRIB_STREAM_TYPE_LIVE : TRIB_STREAM_TYPE_ON_DEMAND;
    case TRIB_FIELD_DURATION_MS:
        return or_left_out(t->duration_ms != 0, t->duration_ms);
    case TRIB_FIELD_WATCHED_MS:
        count = trib_watched_sum(&t->watched);
        if (t->duration_ms != 0 && t->duration_ms < count)
            count = (uint32_t)t->duration_ms;
        break;
    case TRIB_FIELD_STALL_COUNT:
        count = t->stall_count;
        break;
    case TRIB_FIELD_SEEK_COUNT:
        count = t->seek_count;
        break;
    case TRIB_FIELD_DROPPED_FRAMES:
        count = type == TRIB_EVENT_QUALITY ? 0 : t->dropped_frames;
        count -= type == TRIB_EVENT_PING ? t->dropped_pinged : 0;
        break;
    case TRIB_FIELD_WATCHED_CAPPED:
        count = t->watched.capped;
        break;
    case TRIB_FIELD_NEVER_STARTED:
        count = !t->started;
        break;
    case TRIB_FIELD_SAMPLED:
        return or_left_out(!t->sampled, 0);
    case TRIB_FIELD_SAMPLING_MILLI:
        return or_left_out(t->sampling_milli < 1000, t->sampling_milli);
    case TRIB_FIELD_TOTALS_MISSING:
        return LEFT_OUT;
    default:
        return argument;
    }
    return or_left_out(count != 0, count);
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
        uint64_t value = value_of(t, type, field, argument);
        if (value == LEFT_OUT)
            continue;
        trib_cbor_put_uint(&w, field);
        if (field == TRIB_FIELD_CODE)
            trib_cbor_put_int(&w, t->error_code);
        else if (BOOLEANS >> field & 1)
            trib_cbor_put_bool(&w, value != 0);
        else
            trib_cbor_put_uint(&w, value < MS_MAX ? value : MS_MAX);
        count++;
    }
    if (capacity > 0)
        fields[0] = (uint8_t)(0xA0 | count);
    return sink->emit(sink->context, type, vital(type), fields, w.len);
}
