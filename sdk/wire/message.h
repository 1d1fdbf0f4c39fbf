/*
 * The messages of wire protocol v1. Grammar: tributary.cddl; prose: docs/protocol.md.
 *
 * A message is a CBOR array [type, body]; body is a map with integer keys. Unknown types and unknown keys are
 * ignored. Decoders borrow: texts and byte strings point into the input. Encoders return through out_len; with
 * buf NULL they only count. Every function here is pure: no clock, no I/O, no allocation.
 *
 * BATCH in detail. Body: 1 lanes, 2 base, 3 anchors, 4 items (always the last key, an indefinite or definite array).
 *   lanes   [+ [stream, first_seq]]       lane index = position, 0 vital, 1 routine; stream 0 = lane not used
 *   base    [boot, mono_ms, ord]          what the first event's deltas add to; a batch holds one boot only
 *   anchors [* [boot, mono_ms, utc_ms, uncertainty_ms]]
 *   items   [* item], item = array whose first element is head = kind * 2 + lane:
 *     kind 0  tombstone [head, dt_ms]                  a rejected event's place (in the gateway's journal only)
 *     kind 1  context   [head, index, {? 0: session, ? 1: content, ? 2: user}]  index 1..15, for events after it
 *     kind 2  drop      [head, count, class, reason]   `count` seqs of this lane are declared lost here
 *     kind 3+ event     [head, dt_ms, ? context, {fields}, ? d_ord]
 *                       context 0 = none, default: that of the event before (0 at first); d_ord default 1
 * seq is implicit: a lane's counter starts at first_seq; each event and tombstone takes one, a drop takes count.
 * mono_ms = previous + dt_ms, ord = previous + d_ord (a tombstone has d_ord 1).
 */
#ifndef TRIB_WIRE_MESSAGE_H
#define TRIB_WIRE_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/cbor.h"
#include "wire/error.h"
#include "wire/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TRIB_WIRE_VERSION 1
#define TRIB_WIRE_SUBPROTOCOL_CBOR "tributary.v1.cbor"
#define TRIB_WIRE_SUBPROTOCOL_JSON "tributary.v1.json"
#define TRIB_WIRE_STREAMS_MAX 8
#define TRIB_WIRE_REJECTED_MAX 32
#define TRIB_WIRE_ALTERNATES_MAX 4
#define TRIB_WIRE_ANCHORS_MAX 8
#define TRIB_WIRE_CONTEXTS_MAX 15
#define TRIB_WIRE_HELLO_BYTES_MAX 4096
#define TRIB_WIRE_DEVICE_BYTES_MAX 64 /* device and gateway ids, SDK name */
#define TRIB_WIRE_CONTENT_BYTES_MAX 128
#define TRIB_WIRE_USER_BYTES_MAX 128
#define TRIB_WIRE_EVENT_TYPE_MAX 255
#define TRIB_WIRE_EVENT_TYPE_NEVER                                                                           \
    255 /* never assigned: an event of a type that has no number (text subprotocol) */

enum trib_wire_type {
    TRIB_WIRE_HELLO = 1,
    TRIB_WIRE_WELCOME = 2,
    TRIB_WIRE_BATCH = 3,
    TRIB_WIRE_ACK = 4,
    TRIB_WIRE_NACK = 5,
    TRIB_WIRE_CONFIG = 6,
    TRIB_WIRE_CREDIT = 7,
    TRIB_WIRE_BYE = 8,
};

enum trib_wire_item {
    TRIB_ITEM_TOMBSTONE = 0,
    TRIB_ITEM_CONTEXT = 1,
    TRIB_ITEM_DROP = 2,
    TRIB_ITEM_FIRST_EVENT = 3
};

/* Why events were dropped, and what was dropped. */
enum trib_drop_class { TRIB_DROP_VITAL = 0, TRIB_DROP_ROUTINE = 1, TRIB_DROP_UNKNOWN = 2 };
enum trib_drop_reason {
    TRIB_DROP_OVERFLOW = 0,   /* the lane was full */
    TRIB_DROP_SUPERSEDED = 1, /* compaction kept a later operation on the same item */
    TRIB_DROP_DAMAGED = 2,    /* stored data could not be read back */
    TRIB_DROP_ERASED = 3,     /* the user asked for erasure */
    TRIB_DROP_NOT_KNOWN = 4,
};

/* Why an event was rejected (ACK key 2). It is acked and lies sealed in quarantine. */
enum trib_reject {
    TRIB_REJECT_UNKNOWN_TYPE = 1,
    TRIB_REJECT_WRONG_TYPE = 2,
    TRIB_REJECT_MISSING_FIELD = 3,
    TRIB_REJECT_OUT_OF_RANGE = 4,
    TRIB_REJECT_UNKNOWN_SCHEMA = 5,
    TRIB_REJECT_TOO_LARGE = 6,
    TRIB_REJECT_MALFORMED = 7,
};

enum trib_bye {
    TRIB_BYE_DRAINING = 1,    /* come back after retry_after_ms, or to an alternate */
    TRIB_BYE_REPLACED = 2,    /* another connection of this device took over */
    TRIB_BYE_CREDIT = 3,      /* a batch went beyond its credit */
    TRIB_BYE_PROTOCOL = 4,    /* something that the protocol does not allow */
    TRIB_BYE_TOO_LARGE = 5,   /* a message above the limit of WELCOME */
    TRIB_BYE_VERSION = 6,     /* fatal: no common version */
    TRIB_BYE_BLOCKED = 7,     /* fatal: this device is not wanted */
    TRIB_BYE_UNAVAILABLE = 8, /* the gateway cannot store now (full, error) */
    TRIB_BYE_TIMEOUT = 9,     /* no HELLO in time, or silence */
    TRIB_BYE_AUTH = 10,       /* fatal: HELLO's device is not the one of the credentials */
    TRIB_BYE_ERASED = 11,     /* fatal: this journal is from before the device's erasure; erase it */
};

enum trib_time_quality {
    TRIB_TIME_NONE = 0,
    TRIB_TIME_SYNCED = 1,
    TRIB_TIME_ESTIMATED = 2,
    TRIB_TIME_RECEIVED = 3
};

struct trib_text {
    const char *ptr; /* borrowed, not terminated */
    size_t len;
};

/* The structs of the messages stand as they are on the wire: message.c moves whole lists and tuples of uint64_t. */

struct trib_wire_hello_stream {
    uint64_t stream;
    uint64_t lane;
    uint64_t next_seq;  /* one beyond the newest durable event */
    uint64_t acked_seq; /* 0: none */
};

struct trib_wire_hello {
    struct trib_text device; /* key 1 */
    uint64_t version;        /* key 2: TRIB_WIRE_VERSION */
    struct trib_text sdk;    /* key 3: name and version */
    uint64_t generation;     /* key 4: journal generation, raised by erasure */
    uint64_t boot;           /* key 5 */
    uint64_t mono_ms;        /* key 6 */
    struct trib_wire_hello_stream
        streams[TRIB_WIRE_STREAMS_MAX]; /* key 7: [stream, lane, next_seq, acked_seq] */
    size_t stream_count;
    struct trib_text acked_gateway; /* key 8: [gateway id, journal epoch]; empty: none yet */
    uint64_t acked_epoch;
    uint64_t config_version; /* key 9 */
};

struct trib_wire_stream_state {
    uint64_t stream;
    uint64_t committed; /* 0: none */
    uint64_t crc;       /* trib_wire_event_crc of the event `committed`; 0 where that seq was a drop */
};

struct trib_wire_credit {
    uint64_t events; /* cumulative since WELCOME */
    uint64_t bytes;  /* of BATCH messages, cumulative since WELCOME */
};

struct trib_wire_welcome {
    struct trib_text gateway;                                     /* key 1 */
    uint64_t epoch;                                               /* key 2: journal epoch */
    struct trib_wire_stream_state streams[TRIB_WIRE_STREAMS_MAX]; /* key 3, for each stream of HELLO */
    size_t stream_count;
    uint64_t utc_ms;      /* key 4: [utc_ms, quality, uncertainty_ms] */
    uint64_t utc_quality; /* TRIB_TIME_NONE: no time given */
    uint64_t utc_uncertainty_ms;
    struct trib_wire_credit credit; /* key 5 */
    uint64_t max_message_bytes;     /* key 6 */
    uint64_t max_event_bytes;       /* key 7 */
    uint64_t keepalive_ms;          /* key 8 */
    uint64_t config_version;        /* key 9 */
};

struct trib_wire_position {
    uint64_t stream;
    uint64_t seq;
};

struct trib_wire_rejection {
    uint64_t stream;
    uint64_t seq;
    uint64_t code; /* enum trib_reject */
};

struct trib_wire_ack {
    struct trib_wire_position acked[TRIB_WIRE_STREAMS_MAX]; /* key 1: cumulative */
    size_t acked_count;
    struct trib_wire_rejection rejected[TRIB_WIRE_REJECTED_MAX]; /* key 2 */
    size_t rejected_count;
    uint64_t rejected_more;         /* key 3: rejected ones that are not listed */
    struct trib_wire_credit credit; /* key 4 */
};

struct trib_wire_nack {
    uint64_t stream;   /* key 1 */
    uint64_t expected; /* key 2 */
};

struct trib_wire_bye {
    uint64_t reason;                                       /* key 1: enum trib_bye */
    uint64_t retry_after_ms;                               /* key 2 */
    struct trib_text alternates[TRIB_WIRE_ALTERNATES_MAX]; /* key 3 */
    size_t alternate_count;
    struct trib_text text; /* key 4: for people */
};

struct trib_wire_config {
    uint64_t version;   /* key 1 */
    const uint8_t *map; /* key 2: the raw CBOR map, borrowed */
    size_t map_len;
};

/* Type of a message and where its body starts. TRIB_EMALFORMED, TRIB_ETRUNCATED. */
TRIB_MUST_CHECK int trib_wire_open(const uint8_t *data, size_t len, uint64_t *out_type, size_t *out_body);

/*
 * Encoders write the whole message. TRIB_ESPACE; TRIB_EINVAL: a count above its limit. Optional keys are left
 * out where their value is 0 or empty. Decoders take the whole message and leave *out undefined on failure:
 * TRIB_EMALFORMED (a key twice, bytes behind the end, bad UTF-8), TRIB_ETRUNCATED, TRIB_ETYPE, TRIB_EMISSING,
 * TRIB_ERANGE (a list or a value beyond its limit), TRIB_EVERSION (HELLO only). Keys and trailing array
 * elements that are not known are ignored.
 */
TRIB_MUST_CHECK int trib_wire_hello_encode(const struct trib_wire_hello *m, uint8_t *buf, size_t cap,
                                           size_t *out_len);
TRIB_MUST_CHECK int trib_wire_hello_decode(const uint8_t *data, size_t len, struct trib_wire_hello *out);
TRIB_MUST_CHECK int trib_wire_welcome_encode(const struct trib_wire_welcome *m, uint8_t *buf, size_t cap,
                                             size_t *out_len);
TRIB_MUST_CHECK int trib_wire_welcome_decode(const uint8_t *data, size_t len, struct trib_wire_welcome *out);
TRIB_MUST_CHECK int trib_wire_ack_encode(const struct trib_wire_ack *m, uint8_t *buf, size_t cap,
                                         size_t *out_len);
TRIB_MUST_CHECK int trib_wire_ack_decode(const uint8_t *data, size_t len, struct trib_wire_ack *out);
TRIB_MUST_CHECK int trib_wire_nack_encode(const struct trib_wire_nack *m, uint8_t *buf, size_t cap,
                                          size_t *out_len);
TRIB_MUST_CHECK int trib_wire_nack_decode(const uint8_t *data, size_t len, struct trib_wire_nack *out);
TRIB_MUST_CHECK int trib_wire_credit_encode(const struct trib_wire_credit *m, uint8_t *buf, size_t cap,
                                            size_t *out_len);
TRIB_MUST_CHECK int trib_wire_credit_decode(const uint8_t *data, size_t len, struct trib_wire_credit *out);
TRIB_MUST_CHECK int trib_wire_bye_encode(const struct trib_wire_bye *m, uint8_t *buf, size_t cap,
                                         size_t *out_len);
TRIB_MUST_CHECK int trib_wire_bye_decode(const uint8_t *data, size_t len, struct trib_wire_bye *out);
TRIB_MUST_CHECK int trib_wire_config_encode(const struct trib_wire_config *m, uint8_t *buf, size_t cap,
                                            size_t *out_len);
TRIB_MUST_CHECK int trib_wire_config_decode(const uint8_t *data, size_t len, struct trib_wire_config *out);

/* --- BATCH --- */

struct trib_wire_anchor {
    uint64_t boot;
    uint64_t mono_ms;
    uint64_t utc_ms;
    uint64_t uncertainty_ms;
};

struct trib_wire_batch_head {
    struct trib_wire_position lanes[TRIB_LANE_COUNT]; /* stream and first seq; stream 0: not used */
    uint64_t boot, mono_ms, ord;                      /* base */
    struct trib_wire_anchor anchors[TRIB_WIRE_ANCHORS_MAX];
    size_t anchor_count;
};

struct trib_wire_context {
    uint64_t session; /* 0: none */
    struct trib_text content;
    struct trib_text user; /* text; in the gateway's journal a pseudonym */
};

/*
 * Batch writer: open, then items in device order, then close. State is in *b; errors are sticky in
 * b->w.error: TRIB_ESPACE, TRIB_EINVAL (an argument is out of range, or time or ord goes back). A copy of *b
 * is a savepoint: to undo an item that did not fit, assign it back. close cannot fail on space.
 */
struct trib_wire_batch_writer {
    struct trib_cbor_writer w;
    uint64_t mono_ms, ord;
    unsigned context; /* of the event before */
    uint64_t item_count;
};
void trib_wire_batch_open(struct trib_wire_batch_writer *b, const struct trib_wire_batch_head *head,
                          uint8_t *buf, size_t cap);
/* fields: one whole encoded CBOR map. mono_ms is absolute and not below that of the item before; ord is
 * absolute and above it (so ord counts from 1 in a boot: a head has ord 0 at the lowest). */
void trib_wire_batch_event(struct trib_wire_batch_writer *b, unsigned lane, unsigned type, uint64_t mono_ms,
                           uint64_t ord, unsigned context, const uint8_t *fields, size_t fields_len);
void trib_wire_batch_context(struct trib_wire_batch_writer *b, unsigned index,
                             const struct trib_wire_context *context);
void trib_wire_batch_drop(struct trib_wire_batch_writer *b, unsigned lane, uint64_t count,
                          unsigned drop_class, unsigned reason);
void trib_wire_batch_tombstone(struct trib_wire_batch_writer *b, unsigned lane, uint64_t mono_ms);
TRIB_MUST_CHECK int trib_wire_batch_close(struct trib_wire_batch_writer *b, size_t *out_len);

/*
 * Batch reader: open, then next until it returns 0. It checks all that a walk can: counts, overflow of seq,
 * time and ord (TRIB_ERANGE), events on a lane without a stream or with a context not defined before
 * (TRIB_EMALFORMED).
 */
struct trib_wire_batch_reader {
    struct trib_cbor_reader r;
    struct trib_cbor_container message, body, items; /* what is left of each */
    uint16_t contexts;                               /* bit per index defined so far */
    struct trib_wire_batch_head head;
    uint64_t next_seq[TRIB_LANE_COUNT];
    uint64_t mono_ms, ord;
    unsigned context; /* of the event before */
    /*
     * For a reader that looks through each event's fields anyway, set after trib_wire_batch_read: returns how many bytes the
     * well-formed map at `fields` has, of which there are at most `most`, or 0: step over it. NULL: each is stepped over.
     */
    size_t (*measure)(void *context, unsigned type, const uint8_t *fields, size_t most);
    void *measure_context;
};

struct trib_wire_batch_item {
    unsigned kind; /* enum trib_wire_item, or an event type */
    unsigned lane;
    uint64_t seq;   /* event, tombstone: its seq; drop: the first seq dropped */
    uint64_t count; /* drop: how many */
    unsigned drop_class, drop_reason;
    uint64_t mono_ms, ord;                  /* absolute */
    unsigned context;                       /* event: index or 0; context: the index being defined */
    struct trib_wire_context context_value; /* kind context only */
    const uint8_t *fields;                  /* event: raw CBOR map, borrowed, well-formed */
    size_t fields_len;
};

TRIB_MUST_CHECK int trib_wire_batch_read(struct trib_wire_batch_reader *b, const uint8_t *data, size_t len);
/* 1: *out_item is filled; 0: no more; negative: TRIB_EMALFORMED, TRIB_ETRUNCATED, TRIB_ETYPE,
 * TRIB_ERANGE, TRIB_EMISSING. */
TRIB_MUST_CHECK int trib_wire_batch_next(struct trib_wire_batch_reader *b,
                                         struct trib_wire_batch_item *out_item);

/*
 * What identifies an event's content on both ends (roll-back detection): CRC-32C over big-endian stream (8),
 * seq (8), boot (8), mono_ms (8), ord (8), type (1), then the raw fields map.
 */
uint32_t trib_wire_event_crc(uint64_t stream, uint64_t seq, uint64_t boot, uint64_t mono_ms, uint64_t ord,
                             unsigned type, const uint8_t *fields, size_t fields_len);

#ifdef __cplusplus
}
#endif
#endif
