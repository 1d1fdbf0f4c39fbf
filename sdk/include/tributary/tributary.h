/*
 * Tributary SDK: records playback and favourite events into a power-loss-safe ring and forwards them to a gateway.
 *
 * Five calls integrate it: trib_init, trib_session_start, trib_session_report, trib_session_end, trib_poll.
 *
 * Memory: every buffer is the caller's and must outlive the client, and so must the config, which is not copied;
 * nothing is allocated. Threads: the SDK has none.
 * trib_poll, trib_flush, trib_init and trib_shutdown belong to one thread. All recording calls never block, touch
 * no port but the clock and the lock, and may come from any thread if config.lock is given; not from an ISR.
 * Errors: 0 or a negative TRIB_E… of <wire/error.h>; trib_error_text() names it.
 */
#ifndef TRIBUTARY_H
#define TRIBUTARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tributary/port.h"
#include "wire/cbor.h"
#include "wire/error.h"
#include "wire/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Of these headers and of the library they came with. */
#define TRIBUTARY_VERSION "0.1.0"

/* Where the connection stands. */
enum trib_state {
    TRIB_STATE_OFFLINE,    /* waiting for the next attempt */
    TRIB_STATE_CONNECTING, /* network, TLS, upgrade, HELLO */
    TRIB_STATE_ONLINE,     /* WELCOME was received */
    TRIB_STATE_REFUSED,    /* fatal answer: recording goes on, next attempt in hours */
};

struct trib_client;

/* What the SDK tells the app: from trib_poll, trib_flush and trib_shutdown, never with the lock held. They
 * must not call those three; what they record during trib_shutdown is not kept. */
struct trib_callbacks {
    void *context;
    void (*state)(void *context, enum trib_state state, int error);                /* optional */
    void (*rejected)(void *context, uint64_t stream, uint64_t seq, unsigned code); /* optional */
    /* Optional: the newest time that a gateway whose clock is synchronised has told; from trib_init too, for what an earlier
     * boot heard. A device without a clock of its own gives it to trib_mbedtls_raise_time_floor. */
    void (*time)(void *context, uint64_t utc_ms);
};

/* All that trib_init needs. What is 0 or NULL has the default given here, or is mandatory. */
struct trib_config {
    const char *device_id; /* 1 to 64 bytes; the one in the credentials */
    const char *host;
    uint16_t port;
    const char *path;  /* NULL: "/v1" */
    const char *token; /* bearer JWT; NULL with a client certificate */

    struct trib_storage storage[TRIB_LANE_COUNT]; /* vital, routine */
    struct trib_net net;                          /* already secure: TLS is a layer in ports/mbedtls */
    struct trib_clock clock;
    struct trib_discontinuity discontinuity; /* optional: the clock may jump */
    struct trib_entropy entropy;
    struct trib_digest digest; /* hashes user ids */
    struct trib_lock lock;     /* optional */
    struct trib_log log;       /* optional */
    struct trib_wait wait;     /* optional: trib_flush sleeps */
    struct trib_callbacks callbacks;

    uint8_t *staging;     /* events between record and the next poll; 1 KiB holds about 25 */
    size_t staging_bytes; /* at least 512 */
    uint8_t *transmit;    /* one outgoing message; at least 1024 */
    size_t transmit_bytes;
    uint8_t *receive; /* one incoming message; at least 1024 */
    size_t receive_bytes;

    /* Routine events are durable within this. 0: 1000, and 10000 where a program unit of the routine lane is 64 bytes or
     * more: there each group takes a unit at least, so a group a second is mostly padding. */
    uint32_t durable_window_ms;
    uint32_t ping_ms;        /* heartbeat of a playback session; 0: 10000 */
    uint32_t linger_ms;      /* how long routine events may wait for company before they are sent; 0: 10000 */
    uint32_t backoff_min_ms; /* 0: 1000 */
    uint32_t backoff_max_ms; /* 0: 60000 */

    /* User ids are hashed before anything is kept of them (docs/privacy.md). */
    const char *user_salt; /* optional, 1 to 64 bytes, the same in all clients of one service */
    bool consent_required; /* true: nothing is recorded or sent before trib_set_consent(client, true) */
    bool user_id_as_given; /* true: user ids go out as the app gives them, and digest is not needed */
};

/* Counted since trib_init, modulo 2^32, but for dropped and what is of a lane. */
struct trib_stats {
    uint64_t recorded; /* events taken by record calls */
    uint64_t refused;  /* record calls that returned TRIB_EFULL */
    uint64_t dropped;  /* events lost from full lanes since these were formatted, declared to the gateway */
    uint64_t durable[TRIB_LANE_COUNT]; /* newest durable seq */
    uint64_t acked[TRIB_LANE_COUNT];   /* newest acked seq */
    uint64_t waiting;                  /* durable and not acked */
    uint64_t sent;                     /* events put into batches, resends included */
    uint64_t rejected;                 /* acked with a rejection code */
    uint64_t connects;                 /* WELCOMEs received */
    uint64_t damaged;                  /* damaged records found and skipped at start */
};

/* Mounts or formats both lanes and reads what waits in them. No network yet. config must stay as it is.
 * TRIB_EINVAL (the log says which field), TRIB_EIO, TRIB_EBUSY. */
TRIB_MUST_CHECK int trib_init(struct trib_client *client, const struct trib_config *config);

/* Does all work in bounded steps: journals, connects, sends, receives. out_next_ms: call again within that time,
 * or sooner when the network is readable. 0 or TRIB_EIO when the storage fails (the client goes on). */
int trib_poll(struct trib_client *client, uint32_t *out_next_ms);

/* Makes all that was recorded before the call durable, and then tries to have it acked within budget_ms
 * (0: durable only). 0 when all is acked (or budget_ms was 0), TRIB_ETIMEOUT when some waits, TRIB_EIO.
 * With a budget it polls, and sleeps in config.wait between two polls; without that port it takes the processor. */
int trib_flush(struct trib_client *client, uint32_t budget_ms);

/* trib_flush(budget_ms), then persists the ack cursor and closes the connection. Open sessions are ended with `quit`; one for
 * whose end a full lane has no room is ended by the next trib_init, with `power_loss`. */
int trib_shutdown(struct trib_client *client, uint32_t budget_ms);

/* What the app knows of its network and of power. */
enum trib_hint {
    TRIB_HINT_NORMAL,
    TRIB_HINT_METERED, /* bytes cost: routine events wait a minute for company at least; vital ones do not */
    TRIB_HINT_SUSPEND, /* the device is about to stop: nothing lingers, until the next hint */
};

/* Holds until the next hint. SUSPEND makes durable what was recorded and notes what was acked; what waits is then sent
 * by trib_poll as fast as the network takes it (trib_get_stats: waiting). From the thread that polls. 0 or TRIB_EIO. */
int trib_hint(struct trib_client *client, enum trib_hint hint);

/* Both belong to the thread that polls. */
void trib_get_stats(const struct trib_client *client, struct trib_stats *out);
enum trib_state trib_get_state(const struct trib_client *client);

/* --- Privacy (docs/privacy.md). Both belong to the thread that polls. --- */

/*
 * Whether the user agrees to be recorded. It is kept across boots; before the first call the answer is yes, or no with
 * config.consent_required. Without it recording calls return TRIB_ESTOPPED, open sessions go on and count nothing, and
 * nothing is sent: what waits stays until consent returns, or trib_erase. It holds at once, whatever is returned:
 * 0: and after a power cut; TRIB_EIO, TRIB_EFULL: the storage did not take it yet; trib_poll tries again.
 */
TRIB_MUST_CHECK int trib_set_consent(struct trib_client *client, bool given);

/*
 * Forgets all that was recorded and not yet sent, on the medium too, and tells the gateway that what it has of this
 * device is to be forgotten. Closes the connection; ends all open sessions without a record (their calls return
 * TRIB_ESTOPPED; start new ones). Consent, counters and the gateway's configuration stay. A power cut in it leaves
 * either everything, or an erasure that the next trib_init completes. 0: no byte of an old record is left;
 * TRIB_EIO: the storage failed, call again (the next trib_init completes what was begun).
 */
TRIB_MUST_CHECK int trib_erase(struct trib_client *client);

/* The newest seq of a lane that survives a power cut now. */
uint64_t trib_durable_seq(const struct trib_client *client, enum trib_lane lane);

/* --- Playback: report what the player does; the tracker makes the events and measures the times. --- */

/* What a playback session plays, and for whom. */
struct trib_content {
    const char *content_id; /* 1 to 128 bytes */
    const char *user_id;    /* optional, 1 to 128 bytes; hashed into the session's context */
    uint64_t duration_ms;   /* 0: not known */
    bool live;
};

/*
 * What the player does, and the event each leads to. A report that says what is known already leads to none. Times
 * are measured from PLAYING, PAUSED, BUFFERING, SEEKING and SEEKED; without POSITION they are right all the same, but
 * unique watched time, progress and seeks need it. Pings, checkpoints and progress come by themselves.
 */
enum trib_player_report {
    TRIB_PLAYER_PLAY,      /* playback was asked for (user or app): play */
    TRIB_PLAYER_PLAYING,   /* frames move now: playing, if it was not; ends a seek and buffering */
    TRIB_PLAYER_PAUSED,    /* pause; ends buffering */
    TRIB_PLAYER_BUFFERING, /* waits for data: buffer.start, and buffer.end when it plays or pauses */
    TRIB_PLAYER_SEEKING,   /* a seek began; position_ms is where to. Several before it ends are one */
    TRIB_PLAYER_SEEKED,    /* a seek ended; position_ms is where: seek */
    TRIB_PLAYER_POSITION,  /* position only, as often as convenient: once a second is plenty */
    TRIB_PLAYER_RATE,      /* value = rate × 1000: rate */
    TRIB_PLAYER_MUTED,     /* value = 0 or 1; counted, no event */
    TRIB_PLAYER_QUALITY,   /* value = kbit/s: quality */
    TRIB_PLAYER_DROPPED,   /* value = frames dropped since the session began; goes into pings and totals */
    TRIB_PLAYER_DURATION,  /* value = content duration in ms; goes into session.end */
    TRIB_PLAYER_ERROR, /* value = code: error, with the next report or poll; fatal if the session is then ended
                            * with TRIB_REASON_ERROR */
    TRIB_PLAYER_COMPLETE, /* the end of the content was reached: complete. What follows counts as paused */
};

/* One report. */
struct trib_player {
    enum trib_player_report report;
    uint64_t position_ms;       /* where the player is; UINT64_MAX: not known */
    int64_t value;              /* see the report */
    enum trib_enum_value cause; /* TRIB_CAUSE_USER or TRIB_CAUSE_SYSTEM */
};

struct trib_session;

/* The session is the caller's and must stay until trib_session_end closed it. TRIB_EFULL; TRIB_EINVAL, also for one that is
 * open, and for texts that are not UTF-8; TRIB_ESTOPPED. */
TRIB_MUST_CHECK int trib_session_start(struct trib_client *client, struct trib_session *session,
                                       const struct trib_content *content);
int trib_session_report(struct trib_session *session, const struct trib_player *player);
/* reason: TRIB_REASON_ENDED, _QUIT or _ERROR. Records the totals and closes the session. TRIB_EFULL: there is no room for
 * them now, and the session is still open: call again after trib_poll or trib_flush. TRIB_EINVAL: no such reason, still open.
 * Closed without a record: TRIB_ESTOPPED, and TRIB_ESPACE where no sector or message is large enough. */
int trib_session_end(struct trib_session *session, enum trib_enum_value reason);

/* --- Favourites. list may be NULL (the default list). TRIB_EINVAL: too long, or not UTF-8; TRIB_EFULL; TRIB_ESTOPPED. --- */

int trib_favourite_add(struct trib_client *client, const char *list, const char *item, const char *user_id);
int trib_favourite_remove(struct trib_client *client, const char *list, const char *item,
                          const char *user_id);

/*
 * --- Custom events: a schema name and up to 16 attributes, into the caller's buffer. ---
 *
 * Errors are sticky: after the first one the setters do nothing, and trib_custom_record returns it. TRIB_EINVAL: a name
 * that is empty or longer than 128 bytes, a text that is not UTF-8, or a 17th attribute; TRIB_ESPACE: the buffer is too small.
 * The wire has no floating point: send a scaled integer (7.25 as 725 in `percent_hundredths`).
 */

/* Bytes that a buffer must have at most, also as a constant expression: for a schema name, so many attributes, the sum
 * of the lengths of their names, and that of their texts and bytes (each below 64 KiB). Any number takes its worst. */
#define TRIB_CUSTOM_BYTES_MAX(schema_bytes, attribute_count, names_bytes, texts_bytes)                       \
    (8u + (schema_bytes) + 11u * (attribute_count) + (names_bytes) + (texts_bytes))

/* An event in the making. The fields are private. */
struct trib_custom {
    struct trib_cbor_writer w;
    unsigned count;
};
void trib_custom_begin(struct trib_custom *event, uint8_t *buffer, size_t capacity, const char *schema);
/* NULL is the empty text. */
void trib_custom_text(struct trib_custom *event, const char *name, const char *value);
void trib_custom_bytes(struct trib_custom *event, const char *name, const void *value, size_t length);
void trib_custom_int(struct trib_custom *event, const char *name, int64_t value);
void trib_custom_uint(struct trib_custom *event, const char *name, uint64_t value);
void trib_custom_bool(struct trib_custom *event, const char *name, bool value);
/* TRIB_EFULL: staging has no room now; TRIB_ESPACE also: no sector or message can hold it; TRIB_ESTOPPED. The event may be
 * recorded again, or the buffer be used for another one. */
int trib_custom_record(struct trib_client *client, struct trib_custom *event);

#include "tributary/state.h" /* struct trib_client and struct trib_session, visible so that callers can own them */

#ifdef __cplusplus
}
#endif
#endif
