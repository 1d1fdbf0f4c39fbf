/* Registering: is it a schema, is it new, may it follow, is it durable; and only then is it seen. */
#include "schema/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/references.h"
#include "schema/registry_table.h"

#define MEMORY_DEFAULT ((size_t)256 << 20)

/* A registered schema refers to another by urn:tributary:schema:SUBJECT:VERSION. */
static int load_registered(void *context, const char *uri, char **out_text, size_t *out_len)
{
    const struct gw_schemas *schemas = context;
    const size_t prefix = sizeof GW_SCHEMA_URN - 1;
    const char *name = uri + prefix, *colon = strrchr(uri, ':');
    char *end;
    if (strncmp(uri, GW_SCHEMA_URN, prefix) != 0 || colon <= name)
        return GW_ENOTFOUND;
    unsigned long number = strtoul(colon + 1, &end, 10);
    if (*end || number == 0 || number > GW_SCHEMA_VERSIONS_MAX)
        return GW_ENOTFOUND;
    const struct gw_schema_version *found =
        gw_schemas_find(schemas, name, (size_t)(colon - name), (uint32_t)number);
    if (!found)
        return GW_ENOTFOUND;
    char *copy = malloc(found->schema->text_len + 1);
    if (!copy)
        return GW_ENOMEM;
    memcpy(copy, found->schema->text, found->schema->text_len + 1);
    *out_text = copy;
    *out_len = found->schema->text_len;
    return 0;
}

struct gw_schemas *gw_schemas_new(const struct gw_schemas_options *options)
{
    struct gw_schemas *schemas = calloc(1, sizeof *schemas);
    if (!schemas)
        return NULL;
    if (pthread_mutex_init(&schemas->writer, NULL) != 0) {
        free(schemas);
        return NULL;
    }
    if (options)
        schemas->compile = options->compile;
    schemas->undeclared_kept = options && options->undeclared_kept;
    schemas->compile.uri = NULL;
    schemas->compile.load = load_registered;
    schemas->compile.load_context = schemas;
    schemas->memory_max = options && options->memory_max ? options->memory_max : MEMORY_DEFAULT;
    return schemas;
}

void gw_schemas_close(struct gw_schemas *schemas)
{
    if (!schemas)
        return;
    gw_tables_free(schemas);
    (void)pthread_mutex_destroy(&schemas->writer);
    free(schemas);
}

void gw_schemas_attach(struct gw_schemas *schemas, const struct gw_schemas_store *store)
{
    schemas->store = *store;
}

static int append(struct gw_schemas *schemas, const struct gw_schemas_record *record, struct gw_error *error)
{
    if (!schemas->store.append)
        return 0;
    if (schemas->store_failed)
        return gw_error_set(
            error, GW_EIO, 0,
            "the registry could not be written before, and what its file holds is not known: mend the "
            "disk and start the gateway again");
    int rc = schemas->store.append(schemas->store.context, record, error);
    schemas->store_failed = rc != 0;
    return rc;
}

/* --- one schema --- */

static int check_text(const struct gw_schema_text *candidate, struct gw_schema_hash *out_hash,
                      struct gw_error *error)
{
    int rc = gw_subject_check_name(candidate->subject, error);
    if (rc != 0)
        return rc;
    if (candidate->len > GW_SCHEMA_TEXT_MAX)
        return gw_error_set(error, GW_ELIMIT, 0, "schema for %s: has %zu bytes, more than %d",
                            candidate->subject, candidate->len, GW_SCHEMA_TEXT_MAX);
    rc = gw_schema_hash(candidate->text, candidate->len, out_hash);
    return rc == 0 ? 0
                   : gw_error_set(error, rc, 0,
                                  "schema for %s: not JSON, a member stands twice, or nested too deep",
                                  candidate->subject);
}

/* Compiles; what comes of it belongs to the caller until it is in the table. */
static int make_entry(struct gw_schemas *schemas, const struct gw_schema_text *candidate,
                      const struct gw_schema_hash *hash, struct gw_schema_entry **out, struct gw_error *error)
{
    struct gw_schema *program = NULL;
    struct gw_attributes *attributes = NULL;
    struct gw_schema_size size;
    char *text = malloc(candidate->len + 1);
    struct gw_schema_entry *entry = calloc(1, sizeof *entry);
    int rc = !text || !entry ? gw_error_set(error, GW_ENOMEM, 0, "schema: out of memory") : 0;
    if (rc == 0)
        rc = gw_schema_compile(candidate->text, candidate->len, &schemas->compile, &program, error);
    if (rc == 0)
        rc = gw_attributes_read(candidate->text, candidate->len, &schemas->compile, &attributes, error);
    if (rc != 0) {
        gw_schema_free(program);
        free(text);
        free(entry);
        return rc;
    }
    memcpy(text, candidate->text, candidate->len);
    text[candidate->len] = '\0';
    *entry = (struct gw_schema_entry){.id = gw_schemas_count(schemas) + 1,
                                      .hash = *hash,
                                      .text = text,
                                      .text_len = candidate->len,
                                      .program = program,
                                      .attributes = attributes};
    gw_schema_get_size(program, &size);
    size.bytes += candidate->len + attributes->bytes;
    if (size.bytes > schemas->memory_max - schemas->memory_used) {
        gw_entry_free(entry);
        return gw_error_set(
            error, GW_ELIMIT, 0,
            "schema for %s: the registry's memory is used up (%zu bytes): nothing is ever removed, so "
            "give it more",
            candidate->subject, schemas->memory_max);
    }
    schemas->memory_used += size.bytes;
    *out = entry;
    return 0;
}

static const struct gw_schema_version *version_with(const struct gw_schema_subject *subject,
                                                    const struct gw_schema_hash *hash)
{
    const uint32_t count = subject ? gw_schema_subject_versions(subject) : 0;
    for (uint32_t i = 1; i <= count; i++) {
        const struct gw_schema_version *version = gw_schemas_version(subject, i);
        if (memcmp(version->schema->hash.bytes, hash->bytes, sizeof hash->bytes) == 0)
            return version;
    }
    return NULL;
}

/* Against one version, or (0) all that the level asks for. */
static int check_against(const struct gw_schemas *schemas, const struct gw_schema_subject *subject,
                         const struct gw_schema_text *candidate, uint32_t version,
                         struct gw_compat_report *report, struct gw_error *error)
{
    const enum gw_compat_level level = gw_schemas_level_of(schemas, subject);
    const unsigned questions =
        gw_compat_questions(level) | (schemas->undeclared_kept ? GW_COMPAT_UNDECLARED_KEPT : 0);
    const uint32_t count = subject ? gw_schema_subject_versions(subject) : 0;
    uint32_t last = version ? version : count;
    uint32_t first = version || !gw_compat_is_transitive(level) ? last : 1;
    struct gw_compat_report own = {.count = 0};
    struct gw_error problem = {.code = 0};
    int verdict = 0;
    const struct gw_compat_side new = {candidate->text, candidate->len};
    /* The latest first: its faults are those that people mend. */
    for (uint32_t i = last; i >= first && i > 0; i--) {
        const struct gw_schema_entry *entry = gw_schemas_version(subject, i)->schema;
        const struct gw_compat_side old = {entry->text, entry->text_len};
        int rc = gw_compat_check(&old, &new, questions, &schemas->compile, i, report ? report : &own,
                                 verdict == 0 ? error : &problem);
        if (rc != 0 && rc != GW_ECONFLICT) {
            if (verdict != 0 && error)
                *error = problem;
            return rc;
        }
        verdict = rc != 0 ? rc : verdict;
    }
    return verdict;
}

static int refuse_readonly(const struct gw_schemas *schemas, const struct gw_schema_subject *subject,
                           const char *name, struct gw_error *error)
{
    if (gw_schemas_mode_of(schemas, subject) == GW_SCHEMAS_READWRITE)
        return 0;
    return gw_error_set(error, GW_EREADONLY, 0,
                        "subject %s: the registry's mode is READONLY: set it to READWRITE",
                        *name ? name : "(all)");
}

/* Tables first, so that nothing can fail once the store has it. */
static int publish(struct gw_schemas *schemas, struct gw_schema_subject *subject,
                   const struct gw_schema_entry *entry, struct gw_schema_entry *made,
                   const struct gw_schemas_record *record, bool store, struct gw_error *error)
{
    struct gw_schema_version *version = malloc(sizeof *version);
    int rc = version ? gw_subject_reserve(subject) : GW_ENOMEM;
    if (rc == 0 && made)
        rc = gw_entries_reserve(schemas);
    if (rc != 0)
        (void)gw_error_set(error, rc, 0, "schema for %s: too many versions or schemas, or out of memory",
                           subject->name);
    if (rc == 0 && store)
        rc = append(schemas, record, error);
    if (rc != 0) {
        free(version);
        return rc;
    }
    *version = (struct gw_schema_version){.subject = subject,
                                          .version = record->version,
                                          .schema = entry,
                                          .registered_ms = record->registered_ms};
    if (made)
        gw_entries_append(schemas, made);
    gw_subject_append(subject, version);
    gw_subject_publish(schemas, subject);
    if (store && schemas->store.published)
        schemas->store.published(schemas->store.context);
    return 0;
}

/* The entry with this content, made if there is none. */
static int take_entry(struct gw_schemas *schemas, const struct gw_schema_text *candidate,
                      const struct gw_schema_hash *hash, const struct gw_schema_entry **out_entry,
                      struct gw_schema_entry **out_made, struct gw_error *error)
{
    *out_made = NULL;
    *out_entry = gw_entries_by_hash(schemas, hash);
    if (*out_entry)
        return 0;
    int rc = make_entry(schemas, candidate, hash, out_made, error);
    *out_entry = *out_made;
    return rc;
}

static void give_back(struct gw_schemas *schemas, struct gw_schema_entry *made)
{
    struct gw_schema_size size;
    if (!made)
        return;
    gw_schema_get_size(made->program, &size);
    schemas->memory_used -= size.bytes + made->text_len + made->attributes->bytes;
    gw_entry_free(made);
}

/* Who registers: a client, or a file that stands for a version (0: for any). */
struct origin {
    bool client;
    uint32_t version;
};

/* Files are read while clients register: what a file stands for may have become another's in between. */
static int refuse_version(const struct gw_schema_subject *subject, const struct gw_schema_text *candidate,
                          uint32_t version, struct gw_error *error)
{
    const uint32_t next = subject ? gw_schema_subject_versions(subject) + 1 : 1;
    if (version == 0 || version == next)
        return 0;
    return gw_error_set(error, GW_ECONFLICT, 0, "the next version of %s is %u: name it so",
                        candidate->subject, next);
}

static int register_locked(struct gw_schemas *schemas, const struct gw_schema_text *candidate,
                           const struct gw_schema_hash *hash, int64_t now_ms, const struct origin *origin,
                           struct gw_compat_report *report, const struct gw_schema_version **out,
                           struct gw_error *error)
{
    const struct gw_schema_subject *there =
        gw_schemas_subject(schemas, candidate->subject, strlen(candidate->subject));
    *out = version_with(there, hash);
    if (*out)
        return 0;
    int rc = origin->client ? refuse_readonly(schemas, there, candidate->subject, error)
                            : refuse_version(there, candidate, origin->version, error);
    const struct gw_schema_entry *entry = NULL;
    struct gw_schema_entry *made = NULL;
    if (rc == 0)
        rc = take_entry(schemas, candidate, hash, &entry, &made, error);
    if (rc == 0)
        rc = check_against(schemas, there, candidate, 0, report, error);
    struct gw_schema_subject *subject = rc == 0 ? gw_subject_make(schemas, candidate->subject) : NULL;
    if (rc == 0 && !subject)
        rc = gw_error_set(error, GW_ELIMIT, 0, "subject %s: too many subjects, or out of memory",
                          candidate->subject);
    if (rc == 0) {
        const struct gw_schemas_record record = {.event = GW_SCHEMAS_REGISTERED,
                                                 .subject = candidate->subject,
                                                 .version = gw_schema_subject_versions(subject) + 1,
                                                 .id = entry->id,
                                                 .registered_ms = now_ms,
                                                 .hash = *hash,
                                                 .text = candidate->text,
                                                 .text_len = candidate->len};
        rc = publish(schemas, subject, entry, made, &record, true, error);
    }
    if (rc != 0) {
        gw_subject_drop(schemas, subject);
        give_back(schemas, made);
        return rc;
    }
    *out = gw_schemas_version(subject, 0);
    return 0;
}

static int register_from(struct gw_schemas *schemas, const struct gw_schema_text *candidate, int64_t now_ms,
                         const struct origin *origin, struct gw_compat_report *report,
                         const struct gw_schema_version **out, struct gw_error *error)
{
    struct gw_schema_hash hash;
    const struct gw_schema_version *found = NULL;
    int rc = check_text(candidate, &hash, error);
    if (rc != 0)
        return rc;
    (void)pthread_mutex_lock(&schemas->writer);
    rc = register_locked(schemas, candidate, &hash, now_ms, origin, report, &found, error);
    (void)pthread_mutex_unlock(&schemas->writer);
    if (rc == 0)
        *out = found;
    return rc;
}

int gw_schemas_register(struct gw_schemas *schemas, const struct gw_schema_text *candidate, int64_t now_ms,
                        struct gw_compat_report *report, const struct gw_schema_version **out,
                        struct gw_error *error)
{
    return register_from(schemas, candidate, now_ms, &(struct origin){.client = true}, report, out, error);
}

int gw_schemas_register_file(struct gw_schemas *schemas, const struct gw_schema_text *candidate,
                             uint32_t version, int64_t now_ms, struct gw_compat_report *report,
                             const struct gw_schema_version **out, struct gw_error *error)
{
    return register_from(schemas, candidate, now_ms, &(struct origin){.version = version}, report, out,
                         error);
}

int gw_schemas_check(struct gw_schemas *schemas, const struct gw_schema_text *candidate, uint32_t version,
                     struct gw_compat_report *report, struct gw_error *error)
{
    struct gw_schema_hash hash;
    struct gw_schema *program = NULL;
    int rc = check_text(candidate, &hash, error);
    if (rc == 0)
        rc = gw_schema_compile(candidate->text, candidate->len, &schemas->compile, &program, error);
    gw_schema_free(program);
    if (rc != 0)
        return rc;
    const struct gw_schema_subject *subject =
        gw_schemas_subject(schemas, candidate->subject, strlen(candidate->subject));
    if (version && !gw_schemas_version(subject, version))
        return gw_error_set(error, GW_ENOTFOUND, 0, "subject %s has no version %u", candidate->subject,
                            version);
    return check_against(schemas, subject, candidate, version, report, error);
}

int gw_schemas_find_text(struct gw_schemas *schemas, const struct gw_schema_text *candidate,
                         const struct gw_schema_version **out, struct gw_error *error)
{
    struct gw_schema_hash hash;
    int rc = check_text(candidate, &hash, error);
    if (rc != 0)
        return rc;
    const struct gw_schema_version *found =
        version_with(gw_schemas_subject(schemas, candidate->subject, strlen(candidate->subject)), &hash);
    if (!found)
        return gw_error_set(error, GW_ENOTFOUND, 0, "subject %s has no version with this schema",
                            candidate->subject);
    *out = found;
    return 0;
}

/* --- settings --- */

static int set_locked(struct gw_schemas *schemas, const struct gw_schemas_record *record, bool store,
                      struct gw_error *error)
{
    const bool is_level = record->event == GW_SCHEMAS_LEVEL_SET;
    struct gw_schema_subject *subject = NULL;
    if (*record->subject) {
        subject = gw_subject_make(schemas, record->subject);
        if (!subject)
            return gw_error_set(error, GW_ELIMIT, 0, "subject %s: too many subjects, or out of memory",
                                record->subject);
    }
    int rc = store && is_level ? refuse_readonly(schemas, subject, record->subject, error) : 0;
    if (rc == 0 && store)
        rc = append(schemas, record, error);
    if (rc != 0) {
        gw_subject_drop(schemas, subject);
        return rc;
    }
    if (subject)
        atomic_store(is_level ? &subject->level : &subject->mode, record->value);
    else
        atomic_store(is_level ? &schemas->level : &schemas->mode, record->value);
    if (subject)
        gw_subject_publish(schemas, subject);
    return 0;
}

static int set(struct gw_schemas *schemas, enum gw_schemas_event event, const char *subject, unsigned value,
               struct gw_error *error)
{
    const struct gw_schemas_record record = {
        .event = event, .subject = subject ? subject : "", .value = value, .text = ""};
    int rc = subject ? gw_subject_check_name(subject, error) : 0;
    if (rc != 0)
        return rc;
    (void)pthread_mutex_lock(&schemas->writer);
    rc = set_locked(schemas, &record, true, error);
    (void)pthread_mutex_unlock(&schemas->writer);
    return rc;
}

int gw_schemas_set_level(struct gw_schemas *schemas, const char *subject, enum gw_compat_level level,
                         struct gw_error *error)
{
    if (level != GW_COMPAT_UNSET && !gw_compat_level_name(level))
        return gw_error_set(error, GW_EINVALID, 0, "there is no compatibility level %d", (int)level);
    return set(schemas, GW_SCHEMAS_LEVEL_SET, subject, level, error);
}

int gw_schemas_set_mode(struct gw_schemas *schemas, const char *subject, enum gw_schemas_mode mode,
                        struct gw_error *error)
{
    if ((unsigned)mode > GW_SCHEMAS_READONLY)
        return gw_error_set(error, GW_EINVALID, 0, "there is no mode %d", (int)mode);
    return set(schemas, GW_SCHEMAS_MODE_SET, subject, mode, error);
}

/* --- what was stored before --- */

static int damaged(const struct gw_schemas_record *record, const char *what, struct gw_error *error)
{
    return gw_error_set(error, GW_EDAMAGED, 0, "stored schema %.128s version %u: %s", record->subject,
                        record->version, what);
}

static int replay_schema(struct gw_schemas *schemas, const struct gw_schemas_record *record,
                         struct gw_error *error)
{
    const struct gw_schema_text candidate = {record->subject, record->text, record->text_len};
    const struct gw_schema_entry *entry;
    struct gw_schema_entry *made;
    struct gw_schema_hash hash;
    int rc = check_text(&candidate, &hash, error);
    if (rc != 0)
        return rc;
    if (memcmp(hash.bytes, record->hash.bytes, sizeof hash.bytes) != 0)
        return damaged(record, "its text is not what was registered (the hash differs)", error);
    rc = take_entry(schemas, &candidate, &hash, &entry, &made, error);
    if (rc != 0)
        return rc;
    struct gw_schema_subject *subject = gw_subject_make(schemas, record->subject);
    if (!subject)
        rc = gw_error_set(error, GW_ELIMIT, 0, "subject %s: too many subjects, or out of memory",
                          record->subject);
    else if (entry->id != record->id || gw_schema_subject_versions(subject) + 1 != record->version)
        rc = damaged(record, "its id or version does not follow the one before", error);
    if (rc == 0)
        rc = publish(schemas, subject, entry, made, record, false, error);
    if (rc != 0) {
        gw_subject_drop(schemas, subject);
        give_back(schemas, made);
    }
    return rc;
}

int gw_schemas_replay(struct gw_schemas *schemas, const struct gw_schemas_record *record,
                      struct gw_error *error)
{
    const bool level = record->event == GW_SCHEMAS_LEVEL_SET, mode = record->event == GW_SCHEMAS_MODE_SET;
    int rc = GW_EDAMAGED;
    (void)pthread_mutex_lock(&schemas->writer);
    if (record->event == GW_SCHEMAS_REGISTERED)
        rc = replay_schema(schemas, record, error);
    else if ((level && (record->value == GW_COMPAT_UNSET ||
                        gw_compat_level_name((enum gw_compat_level)record->value))) ||
             (mode && record->value <= GW_SCHEMAS_READONLY))
        rc = set_locked(schemas, record, false, error);
    else
        (void)damaged(record, "a change that this version does not know", error);
    (void)pthread_mutex_unlock(&schemas->writer);
    return rc;
}
