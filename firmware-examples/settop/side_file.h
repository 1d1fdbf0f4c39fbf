/*
 * The side file: JSON lines, written by the app and not by the SDK, that later tell what really happened.
 * Each line goes out in one write, so that a killed player leaves whole lines:
 *   {"t":<monotonic ms>,"k":"<kind>","name":"<name>",...}
 * kind: mpv (property change), event (libmpv event), get (property read), action (script), sdk (call into the
 * SDK), state (of the uplink), stats, run (begin and end of a run).
 */
#ifndef SETTOP_SIDE_FILE_H
#define SETTOP_SIDE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct side_file {
    int fd; /* -1: no side file was asked for */
    bool failed;
    size_t length;
    char line[2048];
};

/* Appends to path; NULL: lines go nowhere. 0, or -1 with errno. */
int side_open(struct side_file *side, const char *path);
/* 0, or -1 when any line was not written. */
int side_close(struct side_file *side);

/* Monotonic ms that count suspend: the clock of all lines, and the one the SDK is given. */
uint64_t side_now_ms(void);

void side_begin(struct side_file *side, const char *kind, const char *name);
void side_int(struct side_file *side, const char *key, int64_t value);
void side_uint(struct side_file *side, const char *key, uint64_t value);
void side_real(struct side_file *side, const char *key, double value);
void side_flag(struct side_file *side, const char *key, bool value);
void side_text(struct side_file *side, const char *key, const char *value); /* NULL: null */
void side_end(struct side_file *side);

#endif
