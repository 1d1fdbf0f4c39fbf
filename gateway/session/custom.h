/*
 * Custom events: the attributes (`data`) judged by the schema that the event names (`schema`).
 *
 * The name is that of a subject in the registry: alone it means the newest version, `NAME@N` means version N. An event whose
 * schema is not there is not let in: it waits in quarantine for the registration.
 *
 * What the schema does not declare, at any depth (schema/declared.h), is taken out before it judges, or makes the event
 * invalid, or stays, as it says itself (x-tributary undeclared) or else the configuration. A schema with personal data keeps none.
 * One walk to copy what is declared, one to judge; no tree, no allocation.
 */
#ifndef GW_SESSION_CUSTOM_H
#define GW_SESSION_CUSTOM_H

#include "privacy/pseudonym.h"
#include "schema/registry.h"
#include "wire/message.h"

#define GW_CUSTOM_MEMBERS_MAX 16 /* as the vocabulary bounds `data` */
/* What the pin `@N` and masked attributes may add to an event. */
#define GW_CUSTOM_ROOM (16 + GW_CUSTOM_MEMBERS_MAX * GW_PSEUDONYM_TEXT_MAX)
/* Steps of one validation on a thread that serves devices: some milliseconds at most. */
#define GW_CUSTOM_FUEL 1000000

struct gw_custom_rules {
    const struct gw_schemas *schemas; /* NULL: no schema is known */
    enum gw_undeclared undeclared;    /* where a schema says nothing else than drop */
};

struct gw_custom_member {
    uint32_t key_at, value_at, end;
    uint8_t privacy; /* enum gw_privacy_class */
};

struct gw_custom {
    const struct gw_schema_version *version; /* that judged it */
    const uint8_t *data; /* the map that was judged, and is stored: what the members point into */
    size_t data_len;
    struct gw_custom_member members[GW_CUSTOM_MEMBERS_MAX];
    uint32_t member_count;
    uint32_t undeclared; /* at any depth */
    unsigned keyword;    /* that refused it: enum gw_keyword; GW_KW_COUNT: none or a schema `false` */
};

/*
 * 0, or why not (enum trib_reject). data is a well-formed CBOR map, NULL: none. room: for the map without what is undeclared,
 * data_len + 9 bytes, the caller's; *out may point into it. report: NULL, or where all faults go. *out is filled as far as the
 * verdict got.
 */
int gw_custom_judge(const struct gw_custom_rules *rules, struct gw_schema_scratch *scratch,
                    struct trib_text schema, const uint8_t *data, size_t data_len, uint8_t *room,
                    struct gw_schema_report *report, struct gw_custom *out);

/* A reason for quarantine: the code with the keyword, and each of them again. */
#define GW_REJECT_REASON(code, keyword) ((uint32_t)(code) | ((uint32_t)(keyword) + 1) << 8)
#define GW_REJECT_CODE(reason) ((reason)&0xff)
/* The keyword's name, or NULL. */
const char *gw_reject_keyword(uint32_t reason);

/*
 * Counters of each schema: valid, invalid, undeclared attributes, and which keyword refused. For the whole process; the first
 * GW_CUSTOM_COUNTED ids have their own, the others share one. Any thread.
 */
#define GW_CUSTOM_COUNTED 256
void gw_custom_count(const struct gw_custom *custom, int code);
/* Prometheus text; returns its length as snprintf does. The schemas counted must still be there. */
size_t gw_custom_render(char *buffer, size_t capacity);
/* Before the registry is closed. */
void gw_custom_forget(void);

#endif
