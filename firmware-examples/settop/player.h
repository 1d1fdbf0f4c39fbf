/*
 * A headless player on libmpv: no picture, no sound, real time. Commands go in; what libmpv reports comes
 * out, as changes of one status, each also written to the side file as it was reported.
 */
#ifndef SETTOP_PLAYER_H
#define SETTOP_PLAYER_H

#include <stdbool.h>
#include <stdint.h>

#include "side_file.h"

#define PLAYER_POSITION_UNKNOWN UINT64_MAX

/* The last that libmpv said. */
struct player_status {
    bool loaded;    /* between start-file and end-file */
    bool restarted; /* playback-restart came since the start of the file or of the last seek */
    bool seeking;   /* between the event `seek` and playback-restart */
    bool pause;
    bool core_idle;
    bool paused_for_cache;
    bool mute;
    uint64_t position_ms; /* PLAYER_POSITION_UNKNOWN before the first time-pos */
    uint64_t left_ms;     /* with PLAYER_SEEK: the position before the seek */
    uint64_t duration_ms; /* 0: not known */
    int64_t speed_milli;
    int64_t dropped_frames;
};

enum player_change {
    PLAYER_STARTED,   /* a file begins: start-file */
    PLAYER_ENDED,     /* end-file: see player_end */
    PLAYER_SEEK,      /* position_ms: where to */
    PLAYER_RESTARTED, /* position_ms: where playback goes on */
    PLAYER_PAUSE,     /* one of these properties changed */
    PLAYER_STATUS,
    PLAYER_TIME,
    PLAYER_FAULT, /* a demuxer or decoder complains of what it is fed */
};

enum player_end { PLAYER_END_COMPLETE, PLAYER_END_STOPPED, PLAYER_END_ERROR };

struct player_observer {
    void *context;
    /* end and error are of PLAYER_ENDED; error is libmpv's number, 0 for none */
    void (*changed)(void *context, enum player_change change, const struct player_status *status,
                    enum player_end end, int error);
};

struct player {
    struct mpv_handle *mpv;
    int wake_fd; /* readable when libmpv has something to say; player_poll empties it */
    struct side_file *side;
    struct player_observer observer;
    struct player_status status;
};

/* 0, or -1 after a line on stderr. */
int player_open(struct player *player, struct side_file *side, const struct player_observer *observer);
void player_close(struct player *player);

/* Handles all that libmpv has said; never waits. Handlers run inside. */
void player_poll(struct player *player);

/* Commands return at once; what comes of them is seen in the status. */
void player_load(struct player *player, const char *path);
void player_pause(struct player *player, bool pause);
void player_seek(struct player *player, double seconds, bool relative);
void player_speed(struct player *player, double speed);
void player_mute(struct player *player, bool mute);
void player_stop(struct player *player);

#endif
