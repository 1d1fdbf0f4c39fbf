/*
 * What the gateway promised, as lines of text, each written with write(2) before anything else is done:
 *   DEVICE STREAM FIRST LAST POSITION      these seqs are acked
 *   rejected DEVICE STREAM SEQ CODE        but not this one
 *   rejected-more DEVICE COUNT             and so many whose seqs were not told
 * STREAM is 16 hex digits; POSITION is the harness's counter at that time, 0 without one.
 */
#ifndef LOAD_OBLIGATIONS_H
#define LOAD_OBLIGATIONS_H

#include <stdint.h>

struct load_obligations {
    int fd;                            /* -1: none are kept */
    const volatile uint64_t *position; /* NULL: none */
};

/* Either path may be NULL. 0, or -1 with a message on stderr. */
int load_obligations_open(struct load_obligations *o, const char *path, const char *position_path);
/* 0, or -1: the line is not on file, so the run cannot go on. */
int load_obligations_acked(struct load_obligations *o, const char *device, uint64_t stream, uint64_t first,
                           uint64_t last);
int load_obligations_rejected(struct load_obligations *o, const char *device, uint64_t stream, uint64_t seq,
                              uint64_t code);
int load_obligations_rejected_more(struct load_obligations *o, const char *device, uint64_t count);

/* The command `tributary-load check`. Returns the exit status. */
int load_check(int argc, char **argv);

#endif
