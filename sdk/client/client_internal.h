/* What the files of the client share. The order of a call: record.c stages, drain.c journals, batch.c sends. */
#ifndef TRIB_CLIENT_INTERNAL_H
#define TRIB_CLIENT_INTERNAL_H

#include "lane/lane.h"
#include "tributary/tributary.h"
#include "uplink/uplink.h"

enum trib_staged_kind { TRIB_STAGED_CONTEXT = 0xC1, TRIB_STAGED_END = 0xC2 }; /* below: event types */

#define TRIB_STAGED_BOTH TRIB_LANE_COUNT

struct trib_staged {
    uint64_t mono_ms;
    uint32_t ref;
    uint32_t ord;
    uint16_t bytes; /* head and payload */
    uint8_t kind;
    uint8_t lane; /* or TRIB_STAGED_BOTH */
};

struct trib_part {
    const void *data;
    size_t bytes;
};

void trib_client_lock(const struct trib_client *client);
void trib_client_unlock(const struct trib_client *client);
uint64_t trib_client_now(const struct trib_client *client);
/* What of trib_client_now() goes into events and anchors: it counts from the boot's beginning. */
uint64_t trib_client_mono(const struct trib_client *client, uint64_t now_ms);
/* How much of a span is left; since_ms: the lower half of when it began. A moment that is later than now_ms, which another
 * thread may have read, counts as now. */
uint32_t trib_client_left(uint32_t since_ms, uint32_t span_ms, uint64_t now_ms);
void trib_client_write_log(const struct trib_config *config, enum trib_log_level level, const char *text);

/* With TRIB_WITHOUT_LOG the texts too are left out. */
static inline void trib_client_log(const struct trib_client *client, enum trib_log_level level,
                                   const char *text)
{
    if (TRIB_HAS_LOG)
        trib_client_write_log(client->config, level, text);
}

/* --- staging.c; the lock is held, except where it says so --- */

/* Takes an event: gives it ord and a time that does not go back. TRIB_EFULL, TRIB_ESTOPPED, TRIB_ESPACE: larger than
 * any sector or message can hold. */
int trib_stage_event(struct trib_client *client, unsigned type, enum trib_lane lane, uint32_t ref,
                     uint64_t now_ms, const struct trib_part *parts, size_t count);
/* Where the next event's fields may be written before trib_stage_event takes them from there, instead of being copied. */
uint8_t *trib_stage_room(const struct trib_client *client, size_t *out_capacity);
int trib_stage_context(struct trib_client *client, uint32_t ref, const struct trib_part *parts, size_t count);
/* Bytes that the next events need at most must be there, so that a session's start is taken whole or not at all. */
bool trib_stage_has_room(const struct trib_client *client, size_t vital_bytes, size_t records);
int trib_stage_end(struct trib_client *client, uint32_t ref);
/* The record at an offset and its payload. Without the lock, from poll. */
const uint8_t *trib_staged_at(const struct trib_staging *staging, uint32_t offset, struct trib_staged *out);
/* Moves what is not drained down. */
void trib_staging_release(struct trib_client *client);

/* --- drain.c --- */

/* Journals all that is staged now. TRIB_EIO. */
int trib_client_drain(struct trib_client *client);
/* Recomputes what the vital lane has room for. */
void trib_client_budget(struct trib_client *client);
/* A step of trib_ring_compact for the vital lane. 1: there is more to do; 0: not now. */
int trib_client_compact(struct trib_client *client);
/* Persists both ack cursors, where they moved. */
int trib_client_save_acks(struct trib_client *client);
/* To be called before the gateway hears of what is in a lane. TRIB_EIO. */
int trib_client_make_firm(struct trib_client *client, unsigned lane);

/* --- journaled.c: what the client keeps in the vital lane across boots --- */

#define TRIB_STATE_BYTES 232
/* brief: without what a boot can do without, for sectors too small for more. */
uint32_t trib_client_state_encode(const struct trib_client *client, uint32_t item_version, bool brief,
                                  uint8_t out[TRIB_STATE_BYTES]);
int trib_client_state_load(struct trib_client *client);
void trib_client_add_anchor(struct trib_client *client, const struct trib_anchor *anchor);

/* --- privacy.c --- */

/* SHA-256's first 16 bytes as base64url without padding. */
#define TRIB_USER_HASH_BYTES 22u
#define TRIB_USER_SALT_MAX 64u
/* What goes out for a user id: its hash, written to hashed, or with config.user_id_as_given the id itself. user may be
 * NULL. Not with the lock held. TRIB_EINVAL: longer than 128 bytes; the digest port's errors. */
TRIB_MUST_CHECK int trib_client_user(const struct trib_client *client, const char *user,
                                     char hashed[TRIB_USER_HASH_BYTES], struct trib_part *out);

/* --- power_loss.c --- */

/* Records session.end for each session that the power cut left open. client->ends_due: some wait for room; until then no
 * other vital event is taken, so that what is left is theirs. */
void trib_client_end_lost_sessions(struct trib_client *client);

/* Recording is off: shut down, without consent, or switched off by the gateway. Lock held. */
bool trib_client_stopped(const struct trib_client *client);
/* Whether the uplink may work now; *out_wait_ms: if not, when to look again. */
bool trib_client_may_send(const struct trib_client *client, uint64_t now_ms, uint32_t *out_wait_ms);
/* Completes an erasure that has begun, in both lanes. Before anything is recorded. out_wiped may be NULL; else it gets
 * TRIB_EIO if a sector could not be erased: nothing in it is ever sent, and the next start tries again. */
int trib_client_finish_erase(struct trib_client *client, int *out_wiped);
/* Sessions that stood still since recording was switched off go on from here. Lock held. */
void trib_client_resume_sessions(struct trib_client *client, uint64_t now_ms);

/* --- remote.c: what the gateway configures --- */

/* Takes a value into its bounds; false: it was outside. */
bool trib_client_set(struct trib_client *client, unsigned setting, uint64_t value);
void trib_client_settings_default(struct trib_client *client);
/* CONFIG. What is not in it goes back to its default. */
void trib_client_configure(struct trib_client *client, const struct trib_wire_config *config);
/* The gateway still says so: sending stays off for another interval. */
void trib_client_recheck_later(struct trib_client *client, uint32_t most_ms);
uint32_t trib_client_linger_ms(const struct trib_client *client);

/* --- source.c, batch.c --- */

/* The lane sent something, or (progress) heard of what it sent: keeps unacked_since_ms true. */
void trib_client_watch_acks(struct trib_client *client, unsigned lane, bool progress);
/* Its context is the client. */
extern const struct trib_uplink_source trib_client_source;
int trib_client_batch(void *context, uint8_t *buffer, size_t cap, uint64_t max_events, size_t *out_len,
                      uint64_t *out_events);
/* What WELCOME found to be rolled back moves to a new stream; in a poll of its own, for the stack's sake. */
int trib_client_roll_back(struct trib_client *client);
/* Tells the app the newest time known. */
void trib_client_tell_time(const struct trib_client *client);
/* New random stream id. */
int trib_client_new_stream(struct trib_client *client, enum trib_lane lane, enum trib_enum_value reason,
                           uint64_t first_pos, uint64_t lost_count);

/* --- session.c: called through client->playback, which trib_session_start sets, so that an app without sessions does not
 * carry the tracker. --- */
struct trib_client_playback {
    void (*tick)(struct trib_client *client, uint64_t now_ms, uint32_t *in_out_next_ms);
    /* Ends all open sessions with `quit`. */
    void (*quit)(struct trib_client *client);
};

#endif
