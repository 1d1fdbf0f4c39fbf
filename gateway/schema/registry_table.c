#include "schema/registry_table.h"

#include <stdlib.h>
#include <string.h>

static uint32_t bucket_of(const char *name, size_t len)
{
    return gw_names_hash_whole(name, (uint32_t)len, 0) % GW_SUBJECT_BUCKETS;
}

/* --- readers --- */

const struct gw_schema_subject *gw_schemas_subject(const struct gw_schemas *schemas, const char *name,
                                                   size_t len)
{
    if (len == 0 || len > GW_SUBJECT_MAX)
        return NULL;
    const struct gw_schema_subject *subject =
        atomic_load_explicit(&schemas->buckets[bucket_of(name, len)], memory_order_acquire);
    while (subject && !(subject->name_len == len && memcmp(subject->name, name, len) == 0))
        subject = subject->chain;
    return subject;
}

uint32_t gw_schema_subject_versions(const struct gw_schema_subject *subject)
{
    return atomic_load_explicit(&subject->count, memory_order_acquire);
}

const struct gw_schema_version *gw_schemas_version(const struct gw_schema_subject *subject, uint32_t version)
{
    const uint32_t count = subject ? gw_schema_subject_versions(subject) : 0;
    if (version == 0)
        version = count;
    if (version == 0 || version > count)
        return NULL;
    const struct gw_schema_version **chunk =
        atomic_load_explicit(&subject->chunks[(version - 1) / GW_VERSION_CHUNK], memory_order_acquire);
    return chunk[(version - 1) % GW_VERSION_CHUNK];
}

const struct gw_schema_version *gw_schemas_find(const struct gw_schemas *schemas, const char *name,
                                                size_t len, uint32_t version)
{
    return gw_schemas_version(gw_schemas_subject(schemas, name, len), version);
}

uint32_t gw_schemas_count(const struct gw_schemas *schemas)
{
    return atomic_load_explicit(&schemas->entry_count, memory_order_acquire);
}

const struct gw_schema_entry *gw_schemas_by_id(const struct gw_schemas *schemas, uint32_t id)
{
    if (id == 0 || id > gw_schemas_count(schemas))
        return NULL;
    const struct gw_schema_entry **chunk =
        atomic_load_explicit(&schemas->entries[(id - 1) / GW_ENTRY_CHUNK], memory_order_acquire);
    return chunk[(id - 1) % GW_ENTRY_CHUNK];
}

const char *gw_schema_subject_name(const struct gw_schema_subject *subject)
{
    return subject->name;
}

const struct gw_schema_subject *gw_schemas_next(const struct gw_schemas *schemas,
                                                const struct gw_schema_subject *after)
{
    return after ? atomic_load_explicit(&after->next, memory_order_acquire)
                 : atomic_load_explicit(&schemas->first, memory_order_acquire);
}

enum gw_compat_level gw_schemas_level(const struct gw_schemas *schemas,
                                      const struct gw_schema_subject *subject)
{
    return (enum gw_compat_level)atomic_load(subject ? &subject->level : &schemas->level);
}

enum gw_schemas_mode gw_schemas_mode(const struct gw_schemas *schemas,
                                     const struct gw_schema_subject *subject)
{
    return (enum gw_schemas_mode)atomic_load(subject ? &subject->mode : &schemas->mode);
}

enum gw_compat_level gw_schemas_level_of(const struct gw_schemas *schemas,
                                         const struct gw_schema_subject *subject)
{
    enum gw_compat_level level = gw_schemas_level(schemas, subject);
    if (level == GW_COMPAT_UNSET)
        level = gw_schemas_level(schemas, NULL);
    return level == GW_COMPAT_UNSET ? GW_COMPAT_DEFAULT : level;
}

enum gw_schemas_mode gw_schemas_mode_of(const struct gw_schemas *schemas,
                                        const struct gw_schema_subject *subject)
{
    enum gw_schemas_mode mode = gw_schemas_mode(schemas, subject);
    if (mode == GW_SCHEMAS_UNSET)
        mode = gw_schemas_mode(schemas, NULL);
    return mode == GW_SCHEMAS_UNSET ? GW_SCHEMAS_READWRITE : mode;
}

/* --- the writer --- */

int gw_subject_check_name(const char *name, struct gw_error *error)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    const size_t len = strlen(name);
    if (len > 0 && len <= GW_SUBJECT_MAX && name[0] != '.' && strspn(name, allowed) == len)
        return 0;
    return gw_error_set(
        error, GW_EINVALID, 0,
        "subject \"%.140s\" is no name of a topic and a folder: 1 to %d of A-Z a-z 0-9 . _ -, with no . "
        "at its start",
        name, GW_SUBJECT_MAX);
}

struct gw_schema_subject *gw_subject_make(struct gw_schemas *schemas, const char *name)
{
    const size_t len = strlen(name);
    struct gw_schema_subject *there = atomic_load(&schemas->buckets[bucket_of(name, len)]);
    while (there && strcmp(there->name, name) != 0)
        there = there->chain;
    if (there || schemas->subject_count >= GW_SCHEMA_SUBJECTS_MAX)
        return there;
    struct gw_schema_subject *made = calloc(1, sizeof *made);
    if (!made)
        return NULL;
    memcpy(made->name, name, len + 1);
    made->name_len = (uint32_t)len;
    return made;
}

static bool is_published(const struct gw_schemas *schemas, const struct gw_schema_subject *subject)
{
    return gw_schemas_subject(schemas, subject->name, subject->name_len) == subject;
}

void gw_subject_publish(struct gw_schemas *schemas, struct gw_schema_subject *subject)
{
    if (is_published(schemas, subject))
        return;
    _Atomic(struct gw_schema_subject *) *bucket =
        &schemas->buckets[bucket_of(subject->name, subject->name_len)];
    subject->chain = atomic_load(bucket);
    atomic_store_explicit(bucket, subject, memory_order_release);
    atomic_store_explicit(schemas->last ? &schemas->last->next : &schemas->first, subject,
                          memory_order_release);
    schemas->last = subject;
    schemas->subject_count++;
}

static void free_subject(struct gw_schema_subject *subject)
{
    for (uint32_t i = 0; i < gw_schema_subject_versions(subject); i++)
        free((void *)(uintptr_t)gw_schemas_version(subject, i + 1));
    for (size_t i = 0; i < GW_SCHEMA_VERSIONS_MAX / GW_VERSION_CHUNK; i++)
        free(atomic_load(&subject->chunks[i]));
    free(subject);
}

void gw_subject_drop(struct gw_schemas *schemas, struct gw_schema_subject *subject)
{
    if (subject && !is_published(schemas, subject))
        free_subject(subject);
}

int gw_subject_reserve(struct gw_schema_subject *subject)
{
    const uint32_t count = atomic_load(&subject->count);
    if (count >= GW_SCHEMA_VERSIONS_MAX)
        return GW_ELIMIT;
    if (atomic_load(&subject->chunks[count / GW_VERSION_CHUNK]))
        return 0;
    const struct gw_schema_version **chunk =
        calloc(GW_VERSION_CHUNK, sizeof(const struct gw_schema_version *));
    if (!chunk)
        return GW_ENOMEM;
    atomic_store_explicit(&subject->chunks[count / GW_VERSION_CHUNK], chunk, memory_order_release);
    return 0;
}

int gw_entries_reserve(struct gw_schemas *schemas)
{
    const uint32_t count = atomic_load(&schemas->entry_count);
    if (count >= GW_SCHEMA_IDS_MAX)
        return GW_ELIMIT;
    if (atomic_load(&schemas->entries[count / GW_ENTRY_CHUNK]))
        return 0;
    const struct gw_schema_entry **chunk = calloc(GW_ENTRY_CHUNK, sizeof(const struct gw_schema_entry *));
    if (!chunk)
        return GW_ENOMEM;
    atomic_store_explicit(&schemas->entries[count / GW_ENTRY_CHUNK], chunk, memory_order_release);
    return 0;
}

/* The count is stored last: who sees it sees what it counts. */
void gw_subject_append(struct gw_schema_subject *subject, struct gw_schema_version *version)
{
    const uint32_t count = atomic_load(&subject->count);
    atomic_load(&subject->chunks[count / GW_VERSION_CHUNK])[count % GW_VERSION_CHUNK] = version;
    atomic_store_explicit(&subject->count, count + 1, memory_order_release);
}

void gw_entries_append(struct gw_schemas *schemas, struct gw_schema_entry *entry)
{
    const uint32_t count = atomic_load(&schemas->entry_count);
    atomic_load(&schemas->entries[count / GW_ENTRY_CHUNK])[count % GW_ENTRY_CHUNK] = entry;
    atomic_store_explicit(&schemas->entry_count, count + 1, memory_order_release);
}

const struct gw_schema_entry *gw_entries_by_hash(const struct gw_schemas *schemas,
                                                 const struct gw_schema_hash *hash)
{
    for (uint32_t id = 1; id <= gw_schemas_count(schemas); id++) {
        const struct gw_schema_entry *entry = gw_schemas_by_id(schemas, id);
        if (entry && memcmp(entry->hash.bytes, hash->bytes, sizeof hash->bytes) == 0)
            return entry;
    }
    return NULL;
}

void gw_entry_free(struct gw_schema_entry *entry)
{
    if (!entry)
        return;
    gw_schema_free((struct gw_schema *)(uintptr_t)entry->program);
    gw_attributes_free((struct gw_attributes *)(uintptr_t)entry->attributes);
    free((void *)(uintptr_t)entry->text);
    free(entry);
}

void gw_tables_free(struct gw_schemas *schemas)
{
    struct gw_schema_subject *subject = atomic_load(&schemas->first);
    while (subject) {
        struct gw_schema_subject *next = atomic_load(&subject->next);
        free_subject(subject);
        subject = next;
    }
    for (uint32_t id = 1; id <= gw_schemas_count(schemas); id++)
        gw_entry_free((struct gw_schema_entry *)(uintptr_t)gw_schemas_by_id(schemas, id));
    for (size_t i = 0; i < GW_SCHEMA_IDS_MAX / GW_ENTRY_CHUNK; i++)
        free(atomic_load(&schemas->entries[i]));
}
