/*
 * Delivery: carries the journal's entries to the sinks, one thread each, from each sink's own cursor, for ever.
 *
 * A failure of a sink is its own: it is closed, and opened again after a pause of full jitter (a random time up
 * to a bound that doubles), without an end. A sink that is ahead of the journal or belongs to another epoch stops
 * and says so: writing to it could double or lose events, and only an operator can know which journal is right.
 */
#ifndef GW_DELIVERY_DELIVERY_H
#define GW_DELIVERY_DELIVERY_H

#include "delivery/sink.h"
#include "journal/journal.h"

#define GW_DELIVERY_SINKS_MAX 8

struct gw_delivery;

struct gw_delivery_config {
    uint32_t backoff_min_ms; /* first bound of the pause; 0: 100 */
    uint32_t backoff_max_ms; /* last bound; 0: 30000 */
    uint32_t idle_ms;        /* a look at the journal without being woken; 0: 200 */
};

/*
 * Starts a thread for each sink. The sinks are delivery's from here on, also on failure (it calls their free).
 * The journal must outlive delivery. GW_ENOMEM, GW_EINVALID (too many).
 */
GW_MUST_CHECK int gw_delivery_start(struct gw_journal *journal, const struct gw_delivery_config *config,
                                    const struct gw_sink *sinks, size_t sink_count, struct gw_delivery **out,
                                    struct gw_error *error);
/* There is something new in the journal. Any thread, any time, cheap. NULL is allowed. */
void gw_delivery_wake(struct gw_delivery *delivery);
/* Delivers no more, flushes what was taken, closes the sinks, frees all. Blocks for one flush. NULL is allowed. */
void gw_delivery_stop(struct gw_delivery *delivery);

enum gw_delivery_state {
    GW_DELIVERY_RUNNING,
    GW_DELIVERY_RETRYING, /* the last try failed; error says why */
    GW_DELIVERY_STOPPED,  /* needs an operator; error says why */
};

struct gw_delivery_status {
    const char *sink;
    enum gw_delivery_state state;
    uint64_t next; /* everything before it is durable in the sink */
    uint64_t lost; /* entries that the journal had no more when the sink came for them */
    struct gw_error error;
};

/* How the sinks do. Returns how many there are; fills at most `count`. Any thread. */
size_t gw_delivery_get_status(struct gw_delivery *delivery, struct gw_delivery_status *out, size_t count);

/* The names of all sinks, for gw_journal_reclaim; valid until stop. */
size_t gw_delivery_sink_names(const struct gw_delivery *delivery, const char *out[GW_DELIVERY_SINKS_MAX]);

#endif
