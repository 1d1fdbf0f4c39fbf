/*
 * What delivery asks of a sink. A sink is driven by one thread and needs no locks of its own.
 *
 * Life: open, then write and flush in turn, close; and again from open after any failure. So there is one way
 * to recover, from a failed write as from a crash: look at what is durable and go on from there. A sink that
 * can look at its own last whole record (the embedded ones) holds each event exactly once for that reason.
 */
#ifndef GW_DELIVERY_SINK_H
#define GW_DELIVERY_SINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "observe/metrics.h"

/* Where a sink is: it holds everything of the journal `epoch` before the entry `next`. */
struct gw_sink_position {
    bool known; /* false: it holds nothing yet */
    uint64_t epoch, next;
    uint32_t index; /* of the entry `next`, it holds this many events already */
};

enum gw_sink_flush {
    GW_FLUSH_DUE, /* what the sink's own policy (age, size) says */
    GW_FLUSH_ALL, /* everything: the gateway stops */
};

struct gw_sink {
    const char *name; /* of its journal cursor: [a-z0-9_]; terminated, lives as long as the sink */
    enum gw_metric offset_metric, events_metric;
    uint64_t detach_after_ms; /* gw_journal_detach_after; 0: the journal waits for it without an end */
    void *self;

    /* Finds its position in what is durable. It changes nothing there yet: delivery may refuse the position. */
    int (*open)(void *self, struct gw_sink_position *out, struct gw_error *error);
    /* Takes one entry; offsets rise. May only buffer it. Entries at or before its position are stepped over. */
    int (*write)(void *self, uint64_t offset, const uint8_t *entry, size_t len, struct gw_error *error);
    /* Makes durable what is due. *out_next: every entry before it is durable. *out_events: events since last time. */
    int (*flush)(void *self, enum gw_sink_flush how, uint64_t *out_next, uint64_t *out_events,
                 struct gw_error *error);
    /* Lets go of files and of what was not flushed. It may be opened again. */
    void (*close)(void *self);
    void (*free)(void *self);
};

#endif
