/* A run: what all devices share, and what is counted. One thread. */
#ifndef LOAD_RUN_H
#define LOAD_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "connection.h"
#include "histogram.h"
#include "obligations.h"
#include "options.h"

#define LOAD_FRAME_BYTES (4u << 20) /* largest message that is made */

/* Promises of the gateway that were broken; each is described on stderr (the first few). */
enum load_violation {
    LOAD_LOST_ACK,    /* WELCOME knows less than was acked */
    LOAD_WRONG_CRC,   /* WELCOME has another event under our seq */
    LOAD_AHEAD,       /* more is acked or committed than was sent */
    LOAD_BACKWARDS,   /* an ACK or a credit went back */
    LOAD_WRONG_NACK,  /* a NACK that nothing explains, or that names another seq */
    LOAD_BAD_MESSAGE, /* cannot be read */
    LOAD_BAD_BYE,     /* protocol, credit, too large: one of us counts wrong */
    LOAD_VIOLATIONS
};

struct load_run {
    const struct load_options *options;
    struct load_target target;
    struct load_obligations obligations;
    uint64_t start_us, now_us;
    uint64_t anchor_utc_ms; /* UTC at the devices' monotonic 0 */
    bool stopping;          /* nothing new is sent */
    uint64_t connecting;    /* handshakes under way */
    uint8_t *frame;         /* one frame being made, head room included */
    /* counts */
    uint64_t events_acked, events_sent, batches_sent, message_bytes, socket_bytes;
    uint64_t events_before; /* committed by an earlier run with this seed */
    uint64_t connections_lost, reconnects, nacks, expected_nacks, rejected, duplicates_sent, refused;
    uint64_t byes[16];
    uint64_t violations[LOAD_VIOLATIONS];
    uint64_t first_send_us, last_ack_us;
    struct load_histogram latency;
    const char *trouble; /* the latest connection's */
    bool fatal;          /* the run cannot go on */
};

void load_violation(struct load_run *run, enum load_violation kind, const char *device, const char *format,
                    ...) __attribute__((format(printf, 4, 5)));
const char *load_violation_name(enum load_violation kind);

/* The summary on stdout. acked_all: every event of every device. */
void load_report(const struct load_run *run, uint64_t online, bool acked_all);
/* One line of progress on stderr. */
void load_progress(const struct load_run *run, uint64_t online, uint64_t done);

/* Microseconds of a clock. */
static inline uint64_t load_now_us(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

#endif
