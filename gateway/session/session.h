/*
 * Session: the gateway's side of one device connection as a pure state machine. Whole messages, the clock and
 * commit outcomes go in; messages, batches to commit and the wish to close come out through struct
 * gw_session_edge. It does no I/O, holds no lock and never waits. One thread at a time.
 *
 *   HELLO ──claim──> settling ──older batches done──> open ──BYE or peer gone──> closed
 *
 * An ACK is only ever made from gw_session_committed() with status 0, or for what was committed before
 * (duplicates).
 */
#ifndef GW_SESSION_SESSION_H
#define GW_SESSION_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "session/admit.h"
#include "session/device_config.h"
#include "session/registry.h"
#include "wire/message.h"

/* Shared by all sessions of a gateway; immutable while they live. */
struct gw_session_rules {
    const char *gateway_id;
    uint64_t journal_epoch;
    const struct gw_admit_policy *policy;
    uint32_t hello_timeout_ms;
    uint32_t keepalive_ms;
    uint32_t message_bytes; /* largest message after HELLO */
    uint32_t event_bytes;
    uint32_t credit_events, credit_bytes;             /* window of a connection */
    struct gw_device_config devices;                  /* sent to devices that have another version */
    const char *alternates[TRIB_WIRE_ALTERNATES_MAX]; /* with BYE draining */
    size_t alternate_count;
    uint32_t drain_retry_ms;
    uint32_t drain_window_ms; /* the edge's: over which it spreads those */
    uint32_t hold_ms;    /* how long a device waits for credit that is held back before BYE; 0: for ever */
    uint64_t item_bytes; /* most that one batch may take in the journal; 0: no bound */
};

/* One admitted batch on its way to the journal and back. The arena holds everything `admitted` points to. */
struct gw_session_batch {
    struct gw_session_batch *next; /* of whatever list it is in */
    struct gw_arena arena;
    struct gw_admitted admitted;
    struct gw_registry_seat seat;
    uint64_t connection;                      /* the edge's own id of the connection */
    struct gw_pseudonym_cache *pseudonyms;    /* the edge's, of the thread that admits it; may be NULL */
    struct gw_schema_scratch *schema_scratch; /* likewise */
    int status;                               /* its outcome: see gw_session_committed */
    uint32_t bytes;                           /* of the BATCH message, as credit counts them */
    unsigned thread;                          /* the edge's: which ingest thread made it */
};

struct gw_session_time {
    uint64_t utc_ms;
    uint64_t uncertainty_ms;
    bool synchronised; /* false: the gateway gives devices no time */
};

/* What a session may ask of the world. Every call returns at once. */
struct gw_session_edge {
    /* A whole message to the device: CBOR, or JSON text on the text protocol. Copied. */
    void (*send)(void *context, const uint8_t *message, size_t len);
    void (*ping)(void *context);
    /* Close when all that was sent is out. reason: enum trib_bye. */
    void (*close)(void *context, unsigned reason);
    void (*get_time)(void *context, struct gw_session_time *out);
    /* As gw_journal_stream_get. */
    int (*stream_get)(void *context, const char *device, uint64_t stream, struct gw_journal_stream *out);
    /* Takes the device's seat; has an older connection told. GW_ENOMEM; GW_EAGAIN: the gateway cannot store
     * now. */
    int (*claim)(void *context, const char *device, struct gw_registry_seat *out_seat);
    bool (*settled)(void *context, const struct gw_registry_seat *seat);
    /* A first window: sets aside up to `want` bytes of the memory budget; 0 if not even `least` are free. What a session has
     * of the budget is returned by the edge. */
    uint32_t (*reserve)(void *context, uint32_t want, uint32_t least);
    /* Up to `want` bytes more, of what no first window needs; 0: there are none to spare. NULL: never. */
    uint32_t (*widen)(void *context, uint32_t want);
    /* Takes so many bytes back if others need them; false: the session may keep them. With widen. */
    bool (*narrow)(void *context, uint32_t bytes);
    /* A batch with an empty arena; NULL: out of memory. */
    struct gw_session_batch *(*batch_take)(void *context);
    void (*batch_give)(void *context, struct gw_session_batch *batch);
    /*
     * Takes up to `want` events of what the device may send now, by limits on its rate; the rest it may have later. NULL:
     * there are none.
     */
    uint64_t (*allow)(void *context, uint64_t want);
    /* The gateway gives no credit now: what it has goes out too slowly. NULL: never. */
    bool (*held)(void *context);
    /* On to the committer; comes back through gw_session_committed, in the order queued. */
    void (*batch_queue)(void *context, struct gw_session_batch *batch);
};

enum gw_session_state { GW_SESSION_HELLO, GW_SESSION_SETTLING, GW_SESSION_OPEN, GW_SESSION_CLOSED };

struct gw_session_stream {
    uint64_t stream;
    uint64_t committed;           /* durable: what an ACK says */
    uint64_t queued;              /* committed, or on its way: what the next batch must follow */
    uint64_t next_seq, acked_seq; /* from HELLO */
    bool closed;                  /* named, and closed before: the device is to move on from it */
    bool adopt; /* another gateway acked up to `committed`; told to the journal with the first batch */
    bool ack_due;
};

struct gw_session {
    const struct gw_session_rules *rules;
    const struct gw_session_edge *edge;
    void *context;
    enum gw_session_state state;
    bool text; /* tributary.v1.json */
    bool ack_due;
    bool named_due;       /* the next batch tells the journal which streams live */
    bool acked_elsewhere; /* HELLO names another gateway or epoch as the one that acked */
    char device[TRIB_WIRE_DEVICE_BYTES_MAX + 1];
    struct gw_registry_seat seat; /* entry NULL until HELLO */
    uint64_t device_generation;
    uint64_t config_version; /* that the device has */
    uint64_t opened_ms, heard_ms, pinged_ms;
    struct gw_session_stream streams[TRIB_WIRE_STREAMS_MAX];
    size_t stream_count;
    struct trib_wire_credit granted, used; /* cumulative since WELCOME */
    struct trib_wire_credit owed;          /* released, but not granted yet */
    uint64_t held_since_ms;                /* 0: nothing is owed, or it comes */
    uint32_t first_bytes, reserved_bytes;  /* of the memory budget: at WELCOME, now */
    uint64_t in_flight_bytes;
};

/* device: the id that the credentials carry. text: speak JSON. */
void gw_session_open(struct gw_session *session, const struct gw_session_rules *rules,
                     const struct gw_session_edge *edge, void *context, const char *device, bool text,
                     uint64_t now_ms);

/* Largest message that may come now; a bigger one ends in gw_session_bye(TOO_LARGE). */
uint32_t gw_session_message_limit(const struct gw_session *session);

/* A whole message came. After the session closed it is ignored. */
void gw_session_receive(struct gw_session *session, const uint8_t *message, size_t len, uint64_t now_ms);
/*
 * Other rules from now on; those before are used no more. An open device is told a configuration that it does not have.
 * Limits and identity of the gateway must be the same.
 */
void gw_session_reload(struct gw_session *session, const struct gw_session_rules *rules);
/* Any sign of life: a frame, a pong. */
void gw_session_heard(struct gw_session *session, uint64_t now_ms);
/* Time passes: HELLO in time, pings, silence, settling. Call at least every quarter of a second. */
void gw_session_tick(struct gw_session *session, uint64_t now_ms);

/*
 * The outcome of a batch: 0 durable; GW_ESTALE the row was not as expected; else the journal could not store
 * it. The batch stays the edge's. Plain ACKs wait for gw_session_flush, so that many batches of one commit
 * get one.
 */
void gw_session_committed(struct gw_session *session, const struct gw_session_batch *batch, int status);
void gw_session_flush(struct gw_session *session);
/* Counts a batch in the metrics once it is durable. Any thread: also for connections that are gone by then.
 */
void gw_session_count(const struct gw_admitted *admitted);

/* Ends the session with BYE. text: for people, no personal data. Nothing happens if it is closed already. */
void gw_session_bye(struct gw_session *session, enum trib_bye reason, uint64_t retry_after_ms,
                    const char *text);
/* The peer is gone: nothing more is sent. */
void gw_session_lost(struct gw_session *session);

#endif
