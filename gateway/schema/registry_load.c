/* Schemas as files for people: SUBJECT/VERSION.json, and ids. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "schema/registry_files.h"

#define IDS_NAME "ids"
#define IDS_BYTES_MAX (GW_SCHEMA_IDS_MAX * 80)

/* A subject's folder: its versions are taken in turn. */
struct waiting {
    char *subject;
    uint32_t next, last; /* versions: that waits, the highest file */
    uint32_t id;         /* of the next version by `ids`; UINT32_MAX: not known; 0: there is no next */
    char *text;
    size_t len;
    struct gw_schema_hash hash;
};

struct loader {
    const char *folder;
    struct gw_schemas *schemas;
    char *ids;
    struct waiting *list;
    size_t count;
    const struct gw_schema_files_load *how;
    unsigned refused; /* subjects that something is wrong with, and are left; the first one's fault is told */
    struct gw_error *error;
};

static int is_subject(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static uint32_t id_of(const struct loader *l, const struct gw_schema_hash *hash)
{
    char text[GW_SCHEMA_HASH_TEXT];
    const char *found = l->ids ? strstr(l->ids, gw_schema_hash_text(hash, text)) : NULL;
    while (found && found > l->ids && found[-1] != '\n')
        found--;
    unsigned long id = found ? strtoul(found, NULL, 10) : 0;
    return id > 0 && id <= GW_SCHEMA_IDS_MAX ? (uint32_t)id : UINT32_MAX;
}

/* Reads the next version's file. One that is registered may be missing: it will be written again. */
static int read_next(struct loader *l, struct waiting *w)
{
    char path[PATH_MAX];
    int rc = GW_ENOTFOUND;
    free(w->text);
    w->text = NULL;
    w->id = 0;
    while (rc == GW_ENOTFOUND) {
        if (++w->next > w->last)
            return 0;
        int n = snprintf(path, sizeof path, "%s/%s/%u.json", l->folder, w->subject, w->next);
        if (n < 0 || (size_t)n >= sizeof path)
            return gw_error_set(l->error, GW_EINVALID, ENAMETOOLONG, "%s", l->folder);
        rc = gw_files_read(path, GW_SCHEMA_TEXT_MAX, &w->text, &w->len);
        if (rc == GW_ENOTFOUND && !gw_schemas_find(l->schemas, w->subject, strlen(w->subject), w->next))
            return gw_error_set(
                l->error, GW_EINVALID, 0,
                "%s is missing, and there are later ones: versions count from 1 without gaps; bring it "
                "back",
                path);
    }
    if (rc == 0)
        rc = gw_schema_hash(w->text, w->len, &w->hash);
    if (rc != 0)
        return gw_error_set(l->error, rc == GW_ELIMIT ? GW_EINVALID : rc, 0,
                            "%s: cannot be read, is too large, or is not JSON (%s): mend or remove it", path,
                            gw_error_text(rc));
    w->id = id_of(l, &w->hash);
    return 0;
}

/* Names in a subject's folder that would be stepped over in silence. */
static int check_names(struct loader *l, struct waiting *w)
{
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", l->folder, w->subject);
    DIR *folder = opendir(path);
    if (!folder)
        return gw_error_set(l->error, gw_error_of_errno(errno), errno, "%s cannot be read", path);
    int rc = 0;
    for (struct dirent *entry; rc == 0 && (entry = readdir(folder)) != NULL;) {
        char *end;
        const char *dot = strrchr(entry->d_name, '.');
        if (entry->d_name[0] == '.' || !dot || strcmp(dot, ".json") != 0)
            continue;
        unsigned long version = strtoul(entry->d_name, &end, 10);
        if (end != dot || entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
            version > GW_SCHEMA_VERSIONS_MAX)
            rc =
                gw_error_set(l->error, GW_EINVALID, 0,
                             "%s/%s: files of a subject are named VERSION.json, from 1", path, entry->d_name);
        w->last = version > w->last ? (uint32_t)version : w->last;
    }
    (void)closedir(folder);
    return rc;
}

/* Registered already: the file must be what was registered. */
static int compare(struct loader *l, const struct waiting *w, const struct gw_schema_version *there)
{
    char registered[GW_SCHEMA_HASH_TEXT], file[GW_SCHEMA_HASH_TEXT];
    if (memcmp(there->schema->hash.bytes, w->hash.bytes, sizeof w->hash.bytes) == 0)
        return 0;
    return gw_error_set(
        l->error, GW_ECONFLICT, 0,
        "%s/%s/%u.json was changed: registered is sha256 %s, the file has %s. A schema never changes: bring "
        "the file back, and make the change a new version",
        l->folder, w->subject, w->next, gw_schema_hash_text(&there->schema->hash, registered),
        gw_schema_hash_text(&w->hash, file));
}

static int take(struct loader *l, struct waiting *w)
{
    const struct gw_schema_version *there =
        gw_schemas_find(l->schemas, w->subject, strlen(w->subject), w->next);
    if (there) {
        int rc = compare(l, w, there);
        return rc == 0 ? read_next(l, w) : rc;
    }
    const struct gw_schema_text text = {w->subject, w->text, w->len};
    struct gw_error error;
    int rc =
        gw_schemas_register_file(l->schemas, &text, w->next, l->how->now_ms, l->how->report, &there, &error);
    if (rc != 0)
        return gw_error_set(l->error, rc, 0, "%.120s/%s/%u.json: %.300s", l->folder, w->subject, w->next,
                            error.text);
    if (there->version != w->next)
        return gw_error_set(l->error, GW_ECONFLICT, 0,
                            "%s/%s/%u.json is the same schema as version %u: remove it, or make it another",
                            l->folder, w->subject, w->next, there->version);
    if (w->id != UINT32_MAX && there->schema->id != w->id)
        return gw_error_set(
            l->error, GW_ECONFLICT, 0,
            "%s/%s/%u.json has id %u in %s/" IDS_NAME
            ", and this registry gives it %u: the folder is of another registry; remove its file " IDS_NAME
            " if the ids need not be the same",
            l->folder, w->subject, w->next, w->id, l->folder, there->schema->id);
    return read_next(l, w);
}

/* One subject's fault is none of the others', if they are to go on. */
static int leave(struct loader *l, struct waiting *w, int rc, struct gw_error *first)
{
    if (rc == 0 || !l->how->go_on)
        return rc;
    w->id = 0;
    if (l->refused++ == 0)
        *first = *l->error;
    return 0;
}

/* Lowest id first: that is the order in which they were registered. */
static int take_all(struct loader *l, struct gw_error *first)
{
    for (;;) {
        struct waiting *next = NULL;
        for (size_t i = 0; i < l->count; i++)
            if (l->list[i].id != 0 && (!next || l->list[i].id < next->id))
                next = &l->list[i];
        if (!next)
            return 0;
        int rc = leave(l, next, take(l, next), first);
        if (rc != 0)
            return rc;
    }
}

static int open_subject(struct loader *l, const char *name, struct gw_error *first)
{
    char path[PATH_MAX];
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s", l->folder, name);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return 0;
    struct waiting *w = &l->list[l->count];
    *w = (struct waiting){.subject = strdup(name)};
    if (!w->subject)
        return gw_error_set(l->error, GW_ENOMEM, 0, "schemas: out of memory");
    l->count++;
    int rc = check_names(l, w);
    if (rc == 0)
        rc = read_next(l, w);
    return leave(l, w, rc, first);
}

static int read_ids(struct loader *l)
{
    char path[PATH_MAX];
    size_t len;
    (void)snprintf(path, sizeof path, "%s/" IDS_NAME, l->folder);
    int rc = gw_files_read(path, IDS_BYTES_MAX, &l->ids, &len);
    if (rc == 0 || rc == GW_ENOTFOUND)
        return 0;
    return gw_error_set(l->error, rc, 0, "%s cannot be read: %s", path, gw_error_text(rc));
}

static void close_loader(struct loader *l)
{
    for (size_t i = 0; l->list && i < l->count; i++) {
        free(l->list[i].subject);
        free(l->list[i].text);
    }
    free(l->list);
    free(l->ids);
}

int gw_schema_files_load(const char *folder, struct gw_schemas *schemas,
                         const struct gw_schema_files_load *how, struct gw_error *error)
{
    struct gw_error first = {.code = 0}, own = {.code = 0};
    struct loader l = {.folder = folder, .schemas = schemas, .how = how, .error = error ? error : &own};
    struct dirent **entries = NULL;
    int count = scandir(folder, &entries, is_subject, alphasort);
    if (count < 0)
        return gw_error_set(error, gw_error_of_errno(errno), errno, "schemas.folder %s cannot be read",
                            folder);
    int rc = read_ids(&l);
    l.list = calloc((size_t)count + 1, sizeof *l.list);
    if (!l.list && rc == 0)
        rc = gw_error_set(l.error, GW_ENOMEM, 0, "schemas: out of memory");
    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = open_subject(&l, entries[i]->d_name, &first);
        free(entries[i]);
    }
    free(entries);
    if (rc == 0)
        rc = take_all(&l, &first);
    if (rc == 0 && l.refused > 0) {
        rc = first.code;
        *l.error = first;
    }
    close_loader(&l);
    return rc;
}

/* --- writing --- */

static int save_ids(const char *folder, const struct gw_schemas *schemas, struct gw_error *error)
{
    const uint32_t count = gw_schemas_count(schemas);
    char *text = malloc((size_t)count * 80 + 1), hash[GW_SCHEMA_HASH_TEXT], *there = NULL;
    size_t len = 0, there_len = 0;
    if (!text)
        return gw_error_set(error, GW_ENOMEM, 0, "schemas: out of memory");
    for (uint32_t id = 1; id <= count; id++) {
        int n = snprintf(text + len, 80, "%u %s\n", id,
                         gw_schema_hash_text(&gw_schemas_by_id(schemas, id)->hash, hash));
        len += n > 0 ? (size_t)n : 0;
    }
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/" IDS_NAME, folder);
    const bool same = gw_files_read(path, IDS_BYTES_MAX, &there, &there_len) == 0 && there_len == len &&
                      memcmp(there, text, len) == 0;
    int rc = same || count == 0 ? 0 : gw_file_write(folder, IDS_NAME, text, len, GW_FILES_MODE);
    free(text);
    free(there);
    return rc == 0 ? 0 : gw_error_set(error, gw_error_of_errno(rc), rc, "%s cannot be written", path);
}

int gw_schema_files_save_one(const char *folder, const char *subject, uint32_t version, const char *text,
                             size_t len, struct gw_error *error)
{
    char path[PATH_MAX], name[32], *pretty = NULL;
    size_t pretty_len = 0;
    struct stat st;
    (void)snprintf(path, sizeof path, "%s/%s/%u.json", folder, subject, version);
    if (stat(path, &st) == 0)
        return 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, subject);
    (void)snprintf(name, sizeof name, "%u.json", version);
    int rc = gw_schema_rewrite(text, len, GW_JSON_PRETTY, &pretty, &pretty_len);
    if (rc != 0)
        return gw_error_set(error, rc, 0, "%s/%s cannot be written", path, name);
    rc = gw_files_make_folder(path);
    if (rc == 0)
        rc = gw_file_write(path, name, pretty, pretty_len, GW_FILES_MODE);
    free(pretty);
    return rc == 0 ? 0
                   : gw_error_set(error, gw_error_of_errno(rc), rc, "%s/%s cannot be written", path, name);
}

int gw_schema_files_save(const char *folder, const struct gw_schemas *schemas, struct gw_error *error)
{
    int rc = 0;
    for (const struct gw_schema_subject *s = NULL; rc == 0 && (s = gw_schemas_next(schemas, s)) != NULL;)
        for (uint32_t v = 1; rc == 0 && v <= gw_schema_subject_versions(s); v++) {
            const struct gw_schema_entry *entry = gw_schemas_version(s, v)->schema;
            rc = gw_schema_files_save_one(folder, gw_schema_subject_name(s), v, entry->text, entry->text_len,
                                          error);
        }
    return rc == 0 ? save_ids(folder, schemas, error) : rc;
}
