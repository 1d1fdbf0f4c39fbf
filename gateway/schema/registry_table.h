/* The tables behind the registry: they only ever grow, and are read without a lock. */
#ifndef GW_SCHEMA_REGISTRY_TABLE_H
#define GW_SCHEMA_REGISTRY_TABLE_H

#include <pthread.h>
#include <stdatomic.h>

#include "schema/registry.h"

#define GW_SUBJECT_BUCKETS 1024u
#define GW_VERSION_CHUNK 16u
#define GW_ENTRY_CHUNK 256u

struct gw_schema_subject {
    struct gw_schema_subject *chain;          /* of its bucket, older; set before it is published */
    _Atomic(struct gw_schema_subject *) next; /* in the order they were made */
    _Atomic(const struct gw_schema_version **) chunks[GW_SCHEMA_VERSIONS_MAX / GW_VERSION_CHUNK];
    atomic_uint count; /* published after the version is in its chunk */
    atomic_uint level, mode;
    uint32_t name_len;
    char name[GW_SUBJECT_MAX + 1];
};

struct gw_schemas {
    pthread_mutex_t writer;
    struct gw_schema_options compile;
    size_t memory_max, memory_used;
    struct gw_schemas_store store;
    bool store_failed;
    bool undeclared_kept;
    /* readers: */
    _Atomic(struct gw_schema_subject *) buckets[GW_SUBJECT_BUCKETS];
    _Atomic(struct gw_schema_subject *) first;
    struct gw_schema_subject *last;
    uint32_t subject_count;
    _Atomic(const struct gw_schema_entry **) entries[GW_SCHEMA_IDS_MAX / GW_ENTRY_CHUNK];
    atomic_uint entry_count;
    atomic_uint level, mode;
};

/* --- for the writer, under its lock --- */

/* 0 or GW_EINVALID. */
GW_MUST_CHECK int gw_subject_check_name(const char *name, struct gw_error *error);
/* The subject of this name, made if need be (then not published, and count 0); NULL: no memory, or too many. */
struct gw_schema_subject *gw_subject_make(struct gw_schemas *schemas, const char *name);
/* Publishes one that was made; one that is there already is left alone. */
void gw_subject_publish(struct gw_schemas *schemas, struct gw_schema_subject *subject);
/* Frees one that was made and is not published. */
void gw_subject_drop(struct gw_schemas *schemas, struct gw_schema_subject *subject);
/* Room for one more version, entry. GW_ELIMIT, GW_ENOMEM. */
GW_MUST_CHECK int gw_subject_reserve(struct gw_schema_subject *subject);
GW_MUST_CHECK int gw_entries_reserve(struct gw_schemas *schemas);
/* Both take over. */
void gw_subject_append(struct gw_schema_subject *subject, struct gw_schema_version *version);
void gw_entries_append(struct gw_schemas *schemas, struct gw_schema_entry *entry);
const struct gw_schema_entry *gw_entries_by_hash(const struct gw_schemas *schemas,
                                                 const struct gw_schema_hash *hash);
/* NULL is allowed. */
void gw_entry_free(struct gw_schema_entry *entry);
void gw_tables_free(struct gw_schemas *schemas);

#endif
