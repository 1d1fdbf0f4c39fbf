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

/* Takes an event: its type and fields (one CBOR map, valid during the call). 0 or a TRIB_E…, which the tracker's
 * functions hand on; times of a ping that was not taken go into the next one. */
struct trib_tracker_sink {
    void *context;
    int (*emit)(void *context, unsigned type, const uint8_t *fields, size_t length);
};

int trib_tracker_start(struct trib_tracker *t, uint64_t now_ms, const struct trib_content *content,
                       uint32_t ping_ms, const struct trib_tracker_sink *sink);
/* TRIB_EINVAL: no such report. */
int trib_tracker_report(struct trib_tracker *t, uint64_t now_ms, const struct trib_player *player,
                        const struct trib_tracker_sink *sink);
/* A sign of life from the app's loop; pings and checkpoints when due. *out_next_ms: time until the next ping. */
int trib_tracker_tick(struct trib_tracker *t, uint64_t now_ms, const struct trib_tracker_sink *sink,
                      uint32_t *out_next_ms);
int trib_tracker_end(struct trib_tracker *t, uint64_t now_ms, enum trib_enum_value reason,
                     const struct trib_tracker_sink *sink);

#endif
