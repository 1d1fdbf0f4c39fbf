/*
 * The playback tracker: from what a player reports to events and times. Pure: no clock, no I/O; the time comes in.
 *
 * Each ms of a session goes to exactly one of startup, played, paused, buffering, seeking, unknown; so their sum is
 * the session's time. Between two signs of life (a report, a tick) at most 2.5 pings count for the state; the rest
 * goes to unknown, so that a device that slept cannot inflate watch time. Ticks come from trib_poll: they show that
 * the app runs, as a sleeping device cannot poll.
 */
#ifndef TRIB_PLAYBACK_TRACKER_H
#define TRIB_PLAYBACK_TRACKER_H

#include "tributary/tributary.h"

/*
 * Takes events. room: where the next one's fields are to be written, and how much may be (no more is; 0 is allowed).
 * emit: type, lane, and fields: one CBOR map that lies there; a length beyond the capacity means that it did not fit. 0
 * or a TRIB_E…, which the tracker's functions hand on; times of a ping that was not taken go into the next one.
 */
struct trib_tracker_sink {
    void *context;
    uint8_t *(*room)(void *context, size_t *out_capacity);
    int (*emit)(void *context, unsigned type, bool vital, const uint8_t *fields, size_t length);
};

/* What a session begins with. Of one that is not sampled only the vital events are told. */
struct trib_tracker_setup {
    uint32_t ping_ms;
    uint16_t sampling_milli; /* the rate that `sampled` was drawn with */
    bool sampled;
};

int trib_tracker_start(struct trib_tracker *t, uint64_t now_ms, const struct trib_content *content,
                       const struct trib_tracker_setup *setup, const struct trib_tracker_sink *sink);
/* TRIB_EINVAL: no such report. */
int trib_tracker_report(struct trib_tracker *t, uint64_t now_ms, const struct trib_player *player,
                        const struct trib_tracker_sink *sink);
/* A sign of life from the app's loop; pings and checkpoints when due. *out_next_ms: time until the next ping. */
int trib_tracker_tick(struct trib_tracker *t, uint64_t now_ms, const struct trib_tracker_sink *sink,
                      uint32_t *out_next_ms);
/* The answer of session.end alone: what came before it and could not be recorded matters less than the totals. After
 * TRIB_EFULL it may be called again. */
int trib_tracker_end(struct trib_tracker *t, uint64_t now_ms, enum trib_enum_value reason,
                     const struct trib_tracker_sink *sink);

/* --- for the tracker's own files --- */

/* Tells an event. argument: of its own, the cause, percent, reason or whether it is fatal. */
int trib_tracker_tell(const struct trib_tracker *t, unsigned type, uint32_t argument,
                      const struct trib_tracker_sink *sink);

#endif
