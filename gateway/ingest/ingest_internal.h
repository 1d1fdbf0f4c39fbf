/* The parts of ingest: the whole (ingest.c), a thread (thread.c), a connection (connection.c). */
#ifndef GW_INGEST_INGEST_INTERNAL_H
#define GW_INGEST_INGEST_INTERNAL_H

#include <libwebsockets.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "ingest/committer.h"
#include "ingest/frame.h"
#include "ingest/ingest.h"
#include "ingest/peer.h"
#include "ingest/proof.h"
#include "ingest/rates.h"
#include "ingest/settings.h"
#include "ingest/tally.h"
#include "ingest/tickets.h"
#include "ingest/tls.h"
#include "session/session.h"

struct gw_ingest_thread;

enum gw_connection_phase {
    GW_CONNECTION_HEAD,      /* collecting the HTTP request */
    GW_CONNECTION_WEBSOCKET, /* frames and a session */
    GW_CONNECTION_CLOSING,   /* our last word is said; waits for the peer to go, so that it can read it */
};

/*
 * A connection belongs to its thread. It is named by an id of thread, generation and slot: what comes late for one
 * that is gone finds nothing (libwebsockets would crash on a freed wsi).
 */
struct gw_connection {
    struct gw_ingest_thread *thread;
    struct lws *wsi; /* NULL once libwebsockets said it is closed */
    uint64_t id;
    uint64_t number; /* in the order of its thread's accepts: a flood fits into one tick of the clock */
    enum gw_connection_phase phase;
    bool draining;        /* new messages are ignored */
    bool has_seat;        /* in the registry */
    bool waiting;         /* counted in its thread's `waiting` */
    bool counted;         /* counted in the gateway's `open_total` */
    bool deaf;            /* its frames cannot be read any more */
    bool peer_closed;     /* the peer sent a close frame */
    bool told_end;        /* TLS close_notify is sent */
    bool cut;             /* it does not read: nothing is sent any more */
    uint64_t deadline_ms; /* then the socket is closed */
    uint64_t reserved_bytes;
    struct gw_proof proof; /* of who it is */
    struct gw_peer peer;
    struct gw_session session;
    struct gw_frame_reader frames;
    uint8_t *head;
    size_t head_len;
    uint8_t *out; /* LWS_PRE bytes of room before the first */
    size_t out_len, out_capacity;
};

struct gw_connection_slot {
    struct gw_connection *connection;
    struct gw_connection_slot *next_free;
    uint32_t generation;
};

struct gw_ingest_thread {
    struct gw_ingest *ingest;
    unsigned index;
    pthread_t thread;
    bool started;
    int listen_fd;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t tick;
    uv_poll_t listener;
    uv_prepare_t turn;
    struct gw_pace pace; /* of those who are not served yet */
    bool listening, draining, loop_ready;
    bool sends_at_once;   /* while outcomes are settled: gw_connection_send_now follows */
    atomic_bool settling; /* a session waits for older batches of its device; read by the committer */
    uint64_t drain_until_ms;
    struct lws_context *context;
    struct lws_vhost *vhost;
    SSL_CTX *client_tls; /* never used: see make_context */
    SSL_CTX *tls;        /* the vhost's */
    struct gw_tls_view tls_view;
    struct gw_settings *settings; /* held */
    struct gw_peer accepting;     /* of the connection that libwebsockets is being given */
    uint64_t accepting_deadline_ms;
    bool accepting_tallied;      /* its handshake is counted, and not its own yet */
    bool crl_old;                /* the revocation lists are out of date, and that was said */
    struct gw_arrival *arrivals; /* from proxies, see accept.c */
    struct gw_connection_slot *slots, *free_slot;
    size_t slot_count, slot_limit, open_count;
    uint64_t accepted;
    _Atomic size_t waiting;         /* connections in TLS handshake or HTTP request; read by all */
    struct gw_session_batch *spare; /* pool */
    size_t spare_bytes;             /* what their arenas keep */
    uint8_t *spare_out;             /* a buffer for output, see connection_out.c */
    size_t spare_out_capacity;
    struct gw_pseudonym_cache *pseudonyms; /* NULL: none wanted */
    struct gw_schema_scratch schema_scratch;
    void *schema_memory;
    struct gw_session_time clock; /* whether the clock is synchronised, as of the last tick */
    struct gw_session_batch *done_head, *done_tail; /* committer's thread only: outcomes of this commit */

    pthread_mutex_t inbox_lock; /* guards what is below */
    struct gw_session_batch *outcome_head, *outcome_tail;
    uint64_t *replaced;
    size_t replaced_count, replaced_capacity;
    bool drain_wanted;
    size_t evict_wanted;
    struct gw_settings *next_settings; /* held; NULL: none wait */
};

struct gw_ingest {
    struct gw_ingest_deps deps;
    struct gw_session_rules rules; /* what no reload changes */
    pthread_mutex_t reload_lock;   /* guards settings */
    struct gw_settings *settings;  /* the newest; held */
    struct gw_tickets *tickets;    /* NULL: sessions are not resumed */
    struct gw_registry *registry;
    struct gw_committer *committer;
    uint16_t port;
    _Atomic uint64_t budget_left_bytes;
    uint32_t guaranteed_bytes; /* first window of each connection: a quarter of the budget is for them */
    _Atomic uint64_t unavailable_until_ms;
    atomic_bool held;           /* the journal is nearly full: no credit is given */
    _Atomic size_t drain_order; /* of those who were sent away: each has its own time to come back */
    size_t drain_count;         /* who is there when draining begins */
    uint32_t pause_ms;          /* committer's thread only; 0: the last commit went well */
    _Atomic uint32_t websockets;
    _Atomic uint32_t windows;       /* of these, those that have their first window */
    _Atomic size_t open_total;      /* sockets of all threads, without those that are being closed */
    size_t open_limit, evict_below; /* of open_total; beyond open_limit - evict_below silent ones go */
    struct gw_peer_ranges proxies;
    struct gw_tally *address_handshakes;                         /* NULL: no limit */
    struct gw_rates *address_rates, *device_rates, *event_rates; /* NULL: no limit */
    int accepts_per_wake;
    unsigned thread_count;
    struct gw_ingest_thread *threads;
};

/* --- ingest.c --- */
/* Looks whether the journal has room, so that credit may be given. After each commit, and now and then. */
void gw_ingest_look_at_room(struct gw_ingest *ingest);

/* --- thread.c --- */
GW_MUST_CHECK int gw_ingest_thread_init(struct gw_ingest *ingest, unsigned index, struct gw_error *error);
GW_MUST_CHECK int gw_ingest_thread_start(struct gw_ingest_thread *thread, struct gw_error *error);
void gw_ingest_thread_free(struct gw_ingest_thread *thread);
/* From any thread. */
/* first to last, linked by next: one lock and one wake for all. */
void gw_ingest_thread_outcomes(struct gw_ingest_thread *thread, struct gw_session_batch *first,
                               struct gw_session_batch *last);
void gw_ingest_thread_replaced(struct gw_ingest_thread *thread, uint64_t connection);
/* Has it close the connection that has said nothing for longest. */
void gw_ingest_thread_evict(struct gw_ingest_thread *thread);
void gw_ingest_thread_drain(struct gw_ingest_thread *thread);
/* Has it work with other settings, and cut those whom they do not let in. */
void gw_ingest_thread_settings(struct gw_ingest_thread *thread, struct gw_settings *settings);
void gw_ingest_thread_wake(struct gw_ingest_thread *thread);

/* --- connection.c: all from the connection's thread --- */
extern const struct gw_session_edge gw_connection_edge;
struct gw_connection *gw_connection_new(struct gw_ingest_thread *thread, struct lws *wsi);
struct gw_connection *gw_connection_find(struct gw_ingest_thread *thread, uint64_t id);
/* Bytes from the peer; may unmask them in place. Non-zero: close now. */
int gw_connection_received(struct gw_connection *connection, uint8_t *data, size_t len);
int gw_connection_writable(struct gw_connection *connection);
/* Sends what waits, without the loop. Not from within a libwebsockets call about this connection. */
void gw_connection_send_now(struct gw_connection *connection);
/* libwebsockets is done with it: frees it; what is in flight for it comes back to nobody. */
void gw_connection_closed(struct gw_connection *connection);
/* Closes the one that has waited longest in TLS handshake or HTTP request. False: none waits for so long. */
bool gw_connection_evict(struct gw_ingest_thread *thread, uint64_t least_ms);
void gw_connection_tick(struct gw_connection *connection, uint64_t now_ms);
void gw_connection_drain(struct gw_connection *connection);
/* Its thread has new settings: goes on under them, or ends when they do not let it in. */
void gw_connection_settings(struct gw_connection *connection);
/* The pool of batches. */
void gw_connection_batch_give(struct gw_ingest_thread *thread, struct gw_session_batch *batch);

#endif
