/*
 * A delivered event: one event of a journal entry with everything resolved (context, identity, time), and its JSON.
 */
#ifndef GW_DELIVERY_EVENT_H
#define GW_DELIVERY_EVENT_H

#include <stdbool.h>

#include "journal/entry.h"
#include "wire/message.h"

/* Nothing bounds how long an event waited on a device that had no time. */
#define GW_UNCERTAINTY_UNKNOWN UINT64_MAX

struct gw_event {
    struct trib_text device;
    uint64_t stream, seq, boot, ord, mono_ms;
    uint64_t utc_ms, uncertainty_ms; /* GW_UNCERTAINTY_UNKNOWN with quality received */
    uint8_t quality;                 /* enum trib_time_quality: synced, estimated or received */
    uint64_t received_utc_ms;
    uint64_t tenant;
    uint64_t offset;                /* of the journal entry */
    uint32_t index;                 /* of the event in it */
    unsigned type;                  /* enum trib_event_type */
    uint64_t session;               /* 0: none */
    struct trib_text content, user; /* user: a pseudonym */
    struct trib_text schema;        /* of a custom event: its name, without the version; else empty */
    bool redriven;                  /* from quarantine, after a re-drive */
    const uint8_t *fields;
    size_t fields_len;
};

struct gw_event_reader {
    struct gw_entry_head head;
    struct trib_wire_batch_reader batch;
    struct trib_wire_context contexts[TRIB_WIRE_CONTEXTS_MAX + 1];
    uint64_t offset;
    uint32_t index;
    uint64_t last_mono_ms; /* of the newest item in the batch; UINT64_MAX: not looked up yet */
};

/* The folder or topic that it belongs to: the name of its type, or of a custom event's schema if no type has that name.
 * Letters, digits, `.`, `_` and `-`; out is terminated. */
#define GW_EVENT_TOPIC_MAX 130
void gw_event_topic(const struct gw_event *event, char out[GW_EVENT_TOPIC_MAX]);

TRIB_MUST_CHECK int gw_event_reader_open(struct gw_event_reader *r, uint64_t offset, const uint8_t *entry,
                                         size_t len);
/* 1 event, 0 end, negative error. Tombstones and drops are stepped over. */
TRIB_MUST_CHECK int gw_event_next(struct gw_event_reader *r, struct gw_event *out);

/*
 * One JSON object without line end: {"id":"<device>/<stream hex>/<seq>","type":...,"device":...,
 * "stream":"<16 hex>","seq":n,"boot":n,"ord":n,"time":"RFC 3339 ms Z","time_quality":...,
 * "time_uncertainty_ms":n or null,"received":...,"session":"<16 hex>","content":...,"user":...,
 * "gateway":...,"redriven":true (if it was in quarantine),"<field>":...}. A custom event's "schema" is the name and
 * "schema_version" the version that judged it. Enumerations as their names (a value without a name: its number as text),
 * the field `previous` as 16 hex digits like `stream`. session, content and user only where there are any.
 * Returns the length as snprintf does; the buffer is not terminated.
 */
size_t gw_event_json(const struct gw_event *event, const char *gateway_id, char *buffer, size_t capacity);

#endif
