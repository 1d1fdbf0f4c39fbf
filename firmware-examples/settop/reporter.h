/*
 * Between player and SDK: turns what libmpv reports into playback reports. One file played is one session,
 * from start-file to end-file.
 */
#ifndef SETTOP_REPORTER_H
#define SETTOP_REPORTER_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "player.h"

enum reporter_phase {
    REPORTER_STARTING,
    REPORTER_PLAYING,
    REPORTER_PAUSED,
    REPORTER_BUFFERING,
    REPORTER_SEEKING
};

struct reporter {
    struct device *device;
    char content[129], user[129]; /* of the file that starts next, and then of the one that plays */
    enum reporter_phase phase;
    bool pause_known; /* the last `pause` told to the SDK */
    int64_t speed_milli, dropped_frames;
    bool mute;
    uint64_t duration_ms;
    uint64_t position_at_ms, fault_at_ms; /* monotonic: when position and fault were last reported */
};

void reporter_init(struct reporter *reporter, struct device *device);

/* Content and user of the file that is going to be loaded; user may be NULL. */
void reporter_expect(struct reporter *reporter, const char *content, const char *user);

/* A player_observer. */
void reporter_changed(void *context, enum player_change change, const struct player_status *status,
                      enum player_end end, int error);

/* What libmpv's status means; the phase so far where it means nothing yet. */
enum reporter_phase reporter_phase_of(const struct player_status *status, enum reporter_phase so_far);

#endif
