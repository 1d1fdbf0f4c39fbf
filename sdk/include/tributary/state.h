/*
 * The state behind the API, visible so that callers can own it. Nothing in here is for applications to touch: sizes
 * and fields change between versions.
 */
#ifndef TRIBUTARY_STATE_H
#define TRIBUTARY_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tributary/port.h"
#include "tributary/uplink_state.h"
#include "wire/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

struct trib_config;
struct trib_client;
struct trib_client_playback;

#define TRIB_RING_CONTEXTS 4
#define TRIB_ANCHORS 4
#define TRIB_WATCHED_MAX 7
#define TRIB_GATEWAY_BYTES_MAX 48

/* A place in a ring, and what the deltas of the record there add to. */
struct trib_ring_cursor {
    uint64_t pos;
    uint64_t mono_ms;
    uint32_t boot;
    uint32_t ord;
    uint32_t sector;
    uint32_t sector_seq;
    uint32_t offset;
    uint32_t seed;    /* CRC of the sector's header: where each record's CRC starts */
    uint32_t cap_at;  /* from this offset on, cap is to be found anew */
    uint64_t cap;     /* what lies below cap_at and has this position or a higher one does not count */
    uint64_t end_cap; /* the same for the whole sector: where the next one begins */
};

struct trib_ring {
    const struct trib_storage *storage;
    uint64_t stream;    /* current stream */
    uint64_t first_pos; /* its position of seq 2; seq 1 is stream.start, which lives in the sector headers */
    uint64_t head_pos;  /* next position; all below is programmed and was read back */
    uint64_t durable_pos; /* all below is synced too */
    uint64_t acked_pos;   /* all below is acked */
    uint64_t acked_saved; /* what of it is on the medium */
    uint64_t
        tail_end;     /* base position of the sector after the tail; UINT64_MAX: the tail is the active one */
    uint64_t mono_ms; /* of the newest record */
    uint32_t ord;
    uint32_t boot;
    uint32_t first_boot; /* of this run of the SDK: contexts of earlier ones are of no use */
    uint32_t acked_crc;  /* of the event before acked_saved; 0: not known */
    uint32_t generation;
    uint32_t sector; /* active */
    uint32_t sector_seq;
    uint32_t offset;
    uint32_t seed;
    uint32_t tail_seq;
    uint32_t live_count;       /* sectors from the tail to the active one */
    uint32_t erased_sector;    /* erased ahead; UINT32_MAX: none */
    uint32_t compacted_sector; /* the same by a compaction */
    uint32_t context_count;    /* open contexts */
    uint32_t dropped[3];       /* overflow, damaged, other; since the first format */
    struct {
        uint32_t ref;    /* 0: free */
        uint32_t offset; /* of the context record in the active sector */
    } context[TRIB_RING_CONTEXTS];
    bool open; /* there is an active sector */
    bool need_sync;
    bool
        seal_spent; /* a cut may have begun to program the active sector's seal, and left nothing to be seen */
    bool need_base;       /* the next record must be a base: after a boot, or after damage */
    bool start_acked;     /* stream.start of the stream at acked_pos */
    uint8_t wiped;        /* TRIB_FORMAT_WIPED: of a stream that starts with `erased` */
    uint8_t start_reason; /* of the current stream */
};

enum trib_compaction_phase { TRIB_COMPACTION_RESTS, TRIB_COMPACTION_MEASURES, TRIB_COMPACTION_MOVES };

/* A pass of sdk/journal/ring_compact.c. */
struct trib_compaction {
    uint32_t seq;    /* of the sector looked at */
    uint32_t offset; /* in it: all before was looked at */
    uint32_t cost;   /* what it keeps takes so many bytes; while moving: those still to come */
    uint32_t freed;  /* what it gives up took */
    uint32_t keep;   /* low half of a position: nothing below may be given up */
    uint32_t tried;  /* how far the ring was written when there was nothing to gain */
    uint8_t phase;
};

struct trib_lane_state {
    struct trib_ring ring;
    struct trib_ring_cursor cursor; /* next record to send */
    uint64_t send_pos;
    uint64_t acked_high;       /* all below was acked once */
    uint64_t unacked_since_ms; /* the oldest sent event waits for its ACK; UINT64_MAX: none does */
    uint64_t overflow_pos;     /* what is missing below was dropped by a full lane */
    uint64_t stream;           /* stream of send_pos: a copy, so that headers are not read for each event */
    uint64_t stream_first;
    uint64_t stream_end; /* UINT64_MAX: the current one */
    uint32_t moved_seq;  /* sector in which what a compaction moved is looked for first */
    uint8_t read_errors; /* in a row */
    bool start_sent;
    bool cursor_valid;
};

struct trib_anchor {
    uint64_t mono_ms;
    uint64_t utc_ms;
    uint32_t boot; /* 0: free */
    uint32_t uncertainty_ms;
};

/* Staging: records one after another. Producers append under the lock; poll reads what was there, then moves the
 * rest down under the lock. */
struct trib_staging {
    uint8_t *buffer;
    uint32_t capacity;
    uint32_t head;                  /* where the next record goes */
    uint32_t tail[TRIB_LANE_COUNT]; /* how far each lane has drained */
    uint32_t vital_cost;            /* what the staged vital events will take in their ring, at most */
};

struct trib_watched {
    uint64_t base_ms;
    uint32_t from[TRIB_WATCHED_MAX]; /* ms after base_ms */
    uint32_t to[TRIB_WATCHED_MAX];
    uint8_t count;
    bool capped; /* something did not fit: the sum is too low */
};

/* Times of a session, in ms. The sum of the first six is the session's time. */
enum trib_time {
    TRIB_TIME_STARTUP,
    TRIB_TIME_PLAYED,
    TRIB_TIME_PAUSED,
    TRIB_TIME_BUFFERING,
    TRIB_TIME_SEEKING,
    TRIB_TIME_UNKNOWN,
    TRIB_TIME_MUTED,   /* part of played */
    TRIB_TIME_STALLED, /* part of buffering */
    TRIB_TIME_RATED,   /* played × rate */
    TRIB_TIME_COUNT
};

struct trib_tracker {
    uint64_t total[TRIB_TIME_COUNT];
    uint32_t delta[TRIB_TIME_COUNT]; /* since the last ping */
    uint64_t last_ms;                /* newest sign of life */
    uint64_t position_ms;            /* UINT64_MAX: not known */
    uint64_t seek_from_ms;
    uint64_t seek_to_ms;
    uint64_t duration_ms;
    uint64_t seek_began_ms;
    uint64_t buffer_began_ms;
    uint32_t advance_ms; /* content time that playing should have covered since position_ms */
    uint32_t credit_ms;  /* what it covered in all and has not counted as watched */
    uint32_t ping_ms;
    uint32_t ping_left_ms;
    uint32_t checkpoint_left_ms;
    uint32_t stall_count;
    uint32_t seek_count;
    uint32_t dropped_frames;
    uint32_t dropped_pinged;
    uint32_t kbps;
    int32_t error_code;
    uint16_t rate_milli;
    uint16_t rate_rest; /* of a division by 1000 */
    uint16_t sampling_milli;
    uint8_t buffer_cause;
    uint8_t seek_cause;
    uint8_t progress; /* quarters told */
    bool live : 1;
    bool started : 1;
    bool paused : 1;
    bool buffering : 1;
    bool seeking : 1;
    bool muted : 1;
    bool play_asked : 1;
    bool error_held : 1;
    bool sampled : 1; /* routine events are recorded */
    struct trib_watched watched;
};

struct trib_session {
    struct trib_client *client; /* NULL: not open */
    struct trib_session *next;
    uint32_t ref;
    uint32_t context_bytes;
    struct trib_tracker tracker;
};

/* What a gateway may set; its key in CONFIG is one more. In 0 the app's own stands, but for the last four. */
enum trib_setting {
    TRIB_SETTING_HEARTBEAT_MS,
    TRIB_SETTING_SAMPLING_MILLI, /* of 1,000 sessions, how many are recorded with all their routine events */
    TRIB_SETTING_LINGER_MS,
    TRIB_SETTING_DURABLE_WINDOW_MS,
    TRIB_SETTING_VITAL_SHARE, /* of 100 batches, how many are for the vital lane alone while it has a backlog */
    TRIB_SETTING_RECORDING,   /* 0: nothing is recorded */
    TRIB_SETTING_SENDING,     /* 0: nothing is sent ... */
    TRIB_SETTING_RECHECK_MS, /* ... and the gateway asked so often whether that still holds */
    TRIB_SETTING_COUNT
};

enum trib_consent { TRIB_CONSENT_NOT_ASKED, TRIB_CONSENT_GIVEN, TRIB_CONSENT_WITHDRAWN };

struct trib_client {
    const struct trib_config *config;
    struct trib_uplink uplink;
    struct trib_lane_state lanes[TRIB_LANE_COUNT];
    int (*compact)(struct trib_client *client); /* set with the first favourite; NULL: none was recorded */
    struct trib_compaction compaction;          /* of the vital lane */
    struct trib_staging staging;
    struct trib_session *sessions;
    const struct trib_client_playback *playback; /* NULL: no session was ever started */
    uint64_t session_seed;                       /* session id = seed + ref */
    uint64_t boot_began_ms; /* on the clock: events' mono_ms counts from here, as the gateway assumes */
    uint64_t last_mono_ms;  /* of the newest staged record */
    uint64_t hello_ms;
    uint64_t anchor_saved_ms;
    uint64_t acked_epoch;
    struct trib_anchor anchors[TRIB_ANCHORS];
    /* Of three moments on the clock the lower half: what counts is how long ago, bounded by minutes. */
    uint32_t staged_at_ms; /* when the oldest staged record was recorded */
    uint32_t unsent_at_ms; /* when the oldest durable routine event began to wait for company */
    uint32_t ack_saved_ms;
    uint32_t boot;
    uint32_t ord;
    uint32_t next_ref;
    uint32_t discontinuities; /* of the clock, as last read */
    uint32_t item_version;
    uint32_t vital_budget;  /* bytes the vital lane surely has room for */
    uint32_t context_bytes; /* of open sessions */
    uint32_t session_count; /* open ones */
    uint32_t recorded, refused, sent, rejected, connects, damaged; /* since trib_init */
    uint32_t config_version;
    uint32_t settings[TRIB_SETTING_COUNT]; /* the gateway's configuration */
    uint64_t recheck_at_ms;                /* sending is off: when to ask whether it still is */
    uint8_t gateway_len;
    char gateway[TRIB_GATEWAY_BYTES_MAX];
    uint8_t consent;   /* enum trib_consent */
    uint8_t roll_back; /* lanes that must go on in a new stream, a bit each */
    uint8_t hint;      /* enum trib_hint */
    uint8_t share;     /* how much of its next batch the vital lane has earned, in hundredths */
    uint8_t state;     /* enum trib_state, as last told */
    bool state_due;    /* anchors, gateway or item version are to be journaled */
    bool retry_drain;
    bool unsent;   /* unsent_at_ms holds */
    bool ends_due; /* sessions that a power cut left open wait for room for their end */
    bool hurry;    /* a flush is under way: nothing lingers */
    bool shut;
};

#ifdef __cplusplus
}
#endif
#endif
