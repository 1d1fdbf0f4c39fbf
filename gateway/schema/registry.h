/*
 * The registry of schemas: subjects, their versions, and rules for the next one. A schema that was registered is never
 * changed and never removed; a subject's name is the topic's.
 *
 * Readers (ingest threads) never lock and never wait: what a look-up returns is immutable, fully made, with its program
 * compiled, and stays valid until gw_schemas_close. Writers take turns inside; a registration compiles, checks, and syncs to
 * disk before anybody sees it, so it may take long: not on a thread that serves devices.
 *
 * The core does no I/O: what is durable goes through struct gw_schemas_store (registry_disk.h is the one on disk).
 * Identity is a hash of the content, so spaces and the order of members make no other schema; ids are small, dense, from 1.
 */
#ifndef GW_SCHEMA_REGISTRY_H
#define GW_SCHEMA_REGISTRY_H

#include "schema/attributes.h"
#include "schema/canonical.h"
#include "schema/compat.h"
#include "schema/schema.h"

#define GW_SUBJECT_MAX 128             /* bytes of a subject's name */
#define GW_SCHEMA_SUBJECTS_MAX 4096    /* subjects */
#define GW_SCHEMA_VERSIONS_MAX 1024    /* versions of a subject */
#define GW_SCHEMA_IDS_MAX 16384        /* different schemas */
#define GW_SCHEMA_TEXT_MAX (256 << 10) /* bytes of a schema */

struct gw_schemas;
struct gw_schema_subject;

/* One schema, whatever its subjects. */
struct gw_schema_entry {
    uint32_t id;                /* from 1, without gaps: an index for counters */
    struct gw_schema_hash hash; /* SHA-256 of the canonical text */
    const char *text;           /* as it was registered first; ends with NUL */
    size_t text_len;
    const struct gw_schema *program;        /* for gw_schema_validate, by any number of threads */
    const struct gw_attributes *attributes; /* what it declares, and its annotations */
};

struct gw_schema_version {
    const struct gw_schema_subject *subject;
    uint32_t version; /* from 1, without gaps */
    const struct gw_schema_entry *schema;
    int64_t registered_ms; /* UTC, milliseconds since 1970 */
};

enum gw_schemas_mode { GW_SCHEMAS_UNSET, GW_SCHEMAS_READWRITE, GW_SCHEMAS_READONLY };

/* --- for readers: lock-free, any thread; NULL where there is none --- */

/* Also of a name that does not end with NUL, such as one in an event. */
const struct gw_schema_subject *gw_schemas_subject(const struct gw_schemas *schemas, const char *name,
                                                   size_t len);
/* version 0: the latest. */
const struct gw_schema_version *gw_schemas_version(const struct gw_schema_subject *subject, uint32_t version);
/* Both at once. */
const struct gw_schema_version *gw_schemas_find(const struct gw_schemas *schemas, const char *name,
                                                size_t len, uint32_t version);
const struct gw_schema_entry *gw_schemas_by_id(const struct gw_schemas *schemas, uint32_t id);
/* Ids are 1 to this. */
uint32_t gw_schemas_count(const struct gw_schemas *schemas);
const char *gw_schema_subject_name(const struct gw_schema_subject *subject);
/* Versions are 1 to this; a subject that has settings only has 0. */
uint32_t gw_schema_subject_versions(const struct gw_schema_subject *subject);
/* Subjects in the order they were made: NULL gives the first, the last gives NULL. */
const struct gw_schema_subject *gw_schemas_next(const struct gw_schemas *schemas,
                                                const struct gw_schema_subject *after);
/* What a subject (NULL: the whole registry) was set to; GW_COMPAT_UNSET, GW_SCHEMAS_UNSET: nothing of its own. */
enum gw_compat_level gw_schemas_level(const struct gw_schemas *schemas,
                                      const struct gw_schema_subject *subject);
enum gw_schemas_mode gw_schemas_mode(const struct gw_schemas *schemas,
                                     const struct gw_schema_subject *subject);
/* What counts for it: its own, else the registry's, else the default (GW_COMPAT_BACKWARD_TRANSITIVE; read and write). */
enum gw_compat_level gw_schemas_level_of(const struct gw_schemas *schemas,
                                         const struct gw_schema_subject *subject);
enum gw_schemas_mode gw_schemas_mode_of(const struct gw_schemas *schemas,
                                        const struct gw_schema_subject *subject);

/* --- for writers: one at a time inside; may block on the store --- */

struct gw_schema_text {
    const char *subject; /* 1 to GW_SUBJECT_MAX of A-Z a-z 0-9 . _ -, not . first; ends with NUL */
    const char *text;
    size_t len;
};

/*
 * Registers a schema under a subject, made if need be. 0 and *out; also if that subject has the schema already, at whatever
 * version (nothing is stored then). Else nothing changed, and *error says what, where and how to mend it:
 *   GW_EINVALID   not a schema, or no name for a subject
 *   GW_ECONFLICT  not compatible with an earlier version: *report (may be NULL) has each fault with path and rule
 *   GW_EREADONLY  mode
 *   GW_ELIMIT, GW_ENOMEM, or what the store returned (then nobody sees the schema; on disk it may be there or not)
 */
GW_MUST_CHECK int gw_schemas_register(struct gw_schemas *schemas, const struct gw_schema_text *candidate,
                                      int64_t now_ms, struct gw_compat_report *report,
                                      const struct gw_schema_version **out, struct gw_error *error);

/*
 * The same, from the operator's own files: READONLY, which is about clients, does not refuse it. version: what it is to become;
 * GW_ECONFLICT if that is not the subject's next. 0: the next.
 */
GW_MUST_CHECK int gw_schemas_register_file(struct gw_schemas *schemas, const struct gw_schema_text *candidate,
                                           uint32_t version, int64_t now_ms, struct gw_compat_report *report,
                                           const struct gw_schema_version **out, struct gw_error *error);

/*
 * What gw_schemas_register would say of compatibility. version 0: against all versions that the subject's level asks for;
 * else against that one, by the rules of the level. 0, GW_ECONFLICT, GW_EINVALID, GW_ENOTFOUND (version), ...
 * A subject that is not there has nothing to contradict: 0.
 */
GW_MUST_CHECK int gw_schemas_check(struct gw_schemas *schemas, const struct gw_schema_text *candidate,
                                   uint32_t version, struct gw_compat_report *report, struct gw_error *error);

/* The subject's version with this content (its earliest), and *out; GW_ENOTFOUND; GW_EINVALID: not a schema. */
GW_MUST_CHECK int gw_schemas_find_text(struct gw_schemas *schemas, const struct gw_schema_text *candidate,
                                       const struct gw_schema_version **out, struct gw_error *error);

/*
 * Settings of a subject (which need not have versions yet) or, with NULL, of the whole registry. UNSET removes a subject's own.
 * A level says what is asked of later versions; it never makes what is registered wrong. Levels need READWRITE, modes do not.
 * GW_EINVALID, GW_EREADONLY, GW_ELIMIT, GW_ENOMEM, or what the store returned.
 */
GW_MUST_CHECK int gw_schemas_set_level(struct gw_schemas *schemas, const char *subject,
                                       enum gw_compat_level level, struct gw_error *error);
GW_MUST_CHECK int gw_schemas_set_mode(struct gw_schemas *schemas, const char *subject,
                                      enum gw_schemas_mode mode, struct gw_error *error);

/* --- making one, and what is durable --- */

enum gw_schemas_event { GW_SCHEMAS_REGISTERED = 1, GW_SCHEMAS_LEVEL_SET = 2, GW_SCHEMAS_MODE_SET = 3 };

/* One change. Texts are borrowed for the call. */
struct gw_schemas_record {
    enum gw_schemas_event event;
    const char *subject; /* "": the whole registry */
    uint32_t version, id;
    int64_t registered_ms;
    struct gw_schema_hash hash;
    const char *text;
    size_t text_len;
    unsigned value; /* level or mode */
};

struct gw_schemas_store {
    void *context;
    /* Durable on return (synced). An error means: not seen by anybody; the store is then refused to be written to again. */
    int (*append)(void *context, const struct gw_schemas_record *record, struct gw_error *error);
    void (*published)(void *context); /* the last one is seen by all now; may be NULL */
};

struct gw_schemas_options {
    struct gw_schema_options compile; /* load and uri are the registry's own */
    size_t memory_max;                /* bytes of texts and programs; 0: 256 MiB */
    bool undeclared_kept; /* of schemas that do not say: compatibility must reckon with such members */
};

/* An empty registry in memory. NULL: out of memory. */
struct gw_schemas *gw_schemas_new(const struct gw_schemas_options *options);
/* Nobody may use anything of it any more. NULL is allowed. */
void gw_schemas_close(struct gw_schemas *schemas);
/*
 * A change that was stored before, in the order of storing; nothing is stored or checked for compatibility, but ids, versions
 * and hash must be what they were: else GW_EDAMAGED. Before gw_schemas_attach.
 */
GW_MUST_CHECK int gw_schemas_replay(struct gw_schemas *schemas, const struct gw_schemas_record *record,
                                    struct gw_error *error);
/* From now on each change is stored. Without a store the registry is of this process only. */
void gw_schemas_attach(struct gw_schemas *schemas, const struct gw_schemas_store *store);

#endif
