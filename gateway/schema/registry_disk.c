#include "schema/registry_disk.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/registry_files.h"

struct gw_schema_disk {
    struct gw_schemas *schemas;
    char *store, *files; /* NULL: none */
    bool read_files_only;
    unsigned next; /* number of the next change */
    void (*on_trouble)(const char *text);
    pthread_mutex_t lock;
    char trouble[256];          /* under lock */
    pthread_mutex_t files_lock; /* one at a time writes the files */
};

static void set_trouble(struct gw_schema_disk *disk, const char *text)
{
    (void)pthread_mutex_lock(&disk->lock);
    const bool begins = *text && !*disk->trouble;
    (void)snprintf(disk->trouble, sizeof disk->trouble, "%.255s", text);
    (void)pthread_mutex_unlock(&disk->lock);
    if (begins && disk->on_trouble)
        disk->on_trouble(text);
}

const char *gw_schema_disk_trouble(struct gw_schema_disk *disk, char out[256])
{
    (void)pthread_mutex_lock(&disk->lock);
    memcpy(out, disk->trouble, sizeof disk->trouble);
    (void)pthread_mutex_unlock(&disk->lock);
    return out;
}

/* --- the store --- */

static int store_change(struct gw_schema_disk *disk, const struct gw_schemas_record *record,
                        struct gw_error *error)
{
    char name[16], *text = NULL;
    size_t len = 0;
    (void)snprintf(name, sizeof name, GW_RECORD_NAME, disk->next);
    int rc = gw_record_write(record, &text, &len);
    if (rc != 0)
        return gw_error_set(error, rc, 0, "schemas: out of memory");
    rc = gw_file_write(disk->store, name, text, len, GW_FILES_MODE);
    free(text);
    if (rc != 0)
        return gw_error_set(
            error, gw_error_of_errno(rc), rc,
            "%s/%s cannot be written: mend the disk or make space, and start the gateway again", disk->store,
            name);
    disk->next++;
    return 0;
}

/* Without a store the files are all there is, and must be written before anybody sees the schema. */
static int append(void *context, const struct gw_schemas_record *record, struct gw_error *error)
{
    struct gw_schema_disk *disk = context;
    if (disk->store)
        return store_change(disk, record, error);
    if (!disk->files || disk->read_files_only || record->event != GW_SCHEMAS_REGISTERED)
        return 0;
    return gw_schema_files_save_one(disk->files, record->subject, record->version, record->text,
                                    record->text_len, error);
}

/* The store decides; the files follow, and their trouble is told and is not the caller's. */
static void published(void *context)
{
    struct gw_schema_disk *disk = context;
    struct gw_error trouble = {.text = ""};
    if (!disk->files || disk->read_files_only)
        return;
    (void)pthread_mutex_lock(&disk->files_lock);
    int rc = gw_schema_files_save(disk->files, disk->schemas, &trouble);
    (void)pthread_mutex_unlock(&disk->files_lock);
    set_trouble(disk, rc == 0 ? "" : trouble.text);
}

static int is_record(const struct dirent *entry)
{
    return strspn(entry->d_name, "0123456789") == 8 && entry->d_name[8] == '\0';
}

static int replay_file(struct gw_schema_disk *disk, const char *name, struct gw_error *error)
{
    char path[PATH_MAX], expected[16], *text = NULL;
    size_t len = 0;
    struct gw_record_memory memory;
    struct gw_schemas_record record;
    struct gw_error inner = {.text = ""};
    (void)snprintf(path, sizeof path, "%s/%s", disk->store, name);
    (void)snprintf(expected, sizeof expected, GW_RECORD_NAME, disk->next);
    if (strcmp(name, expected) != 0)
        return gw_error_set(error, GW_EDAMAGED, 0,
                            "%s: the change before it, %s, is missing: bring it back from a backup", path,
                            expected);
    int rc = gw_files_read(path, GW_RECORD_BYTES_MAX, &text, &len);
    if (rc == 0)
        rc = gw_record_read(text, len, &memory, &record);
    if (rc == 0)
        rc = gw_schemas_replay(disk->schemas, &record, &inner);
    free(text);
    if (rc == 0) {
        disk->next++;
        return 0;
    }
    return gw_error_set(error, rc == GW_ELIMIT ? GW_EDAMAGED : rc, 0,
                        "%s is damaged or cannot be read (%.200s): bring it back from a backup", path,
                        *inner.text ? inner.text : gw_error_text(rc));
}

static int replay(struct gw_schema_disk *disk, struct gw_error *error)
{
    struct dirent **entries = NULL;
    int made = gw_files_make_folder(disk->store);
    int count = made == 0 ? scandir(disk->store, &entries, is_record, alphasort) : -1, rc = 0;
    if (count < 0)
        return gw_error_set(
            error, gw_error_of_errno(made ? made : errno), made ? made : errno,
            "the registry's folder %s cannot be used: give it to the user that runs tributaryd", disk->store);
    for (int i = 0; i < count; i++) {
        if (rc == 0)
            rc = replay_file(disk, entries[i]->d_name, error);
        free(entries[i]);
    }
    free(entries);
    return rc;
}

/* --- files --- */

/* What is new is registered, and what is missing written. */
static int take_files(struct gw_schema_disk *disk, const struct gw_schema_files_load *how,
                      struct gw_error *error)
{
    int made = disk->read_files_only ? 0 : gw_files_make_folder(disk->files);
    if (made != 0)
        return gw_error_set(error, gw_error_of_errno(made), made, "schemas.folder %s cannot be made",
                            disk->files);
    int rc = gw_schema_files_load(disk->files, disk->schemas, how, error);
    if (rc == 0 || how->go_on)
        published(disk);
    return rc;
}

int gw_schema_disk_reload(struct gw_schema_disk *disk, int64_t now_ms, struct gw_error *error)
{
    struct gw_compat_report report = {.count = 0};
    const struct gw_schema_files_load how = {.now_ms = now_ms, .go_on = true, .report = &report};
    return disk->files ? take_files(disk, &how, error) : 0;
}

static struct gw_schema_disk *make(const struct gw_schema_disk_options *options, struct gw_schemas *schemas)
{
    struct gw_schema_disk *disk = calloc(1, sizeof *disk);
    if (!disk)
        return NULL;
    if (pthread_mutex_init(&disk->lock, NULL) != 0) {
        free(disk);
        return NULL;
    }
    if (pthread_mutex_init(&disk->files_lock, NULL) != 0) {
        (void)pthread_mutex_destroy(&disk->lock);
        free(disk);
        return NULL;
    }
    disk->schemas = schemas;
    disk->next = 1;
    disk->read_files_only = options->read_files_only;
    disk->on_trouble = options->on_trouble;
    disk->store = options->store ? strdup(options->store) : NULL;
    disk->files = options->files ? strdup(options->files) : NULL;
    if ((options->store && !disk->store) || (options->files && !disk->files)) {
        gw_schema_disk_close(disk);
        return NULL;
    }
    return disk;
}

int gw_schema_disk_open(const struct gw_schema_disk_options *options, struct gw_schemas *schemas,
                        struct gw_compat_report *report, struct gw_schema_disk **out, struct gw_error *error)
{
    struct gw_compat_report own = {.count = 0};
    const size_t longest = PATH_MAX - GW_SUBJECT_MAX - 64;
    if ((options->store && strlen(options->store) > longest) ||
        (options->files && strlen(options->files) > longest))
        return gw_error_set(error, GW_EINVALID, 0, "the registry's folders have paths of more than %zu bytes",
                            longest);
    struct gw_schema_disk *disk = make(options, schemas);
    if (!disk)
        return gw_error_set(error, GW_ENOMEM, 0, "schemas: out of memory");
    int rc = disk->store ? replay(disk, error) : 0;
    if (rc == 0) {
        gw_schemas_attach(
            schemas, &(struct gw_schemas_store){.context = disk, .append = append, .published = published});
        const struct gw_schema_files_load how = {.now_ms = options->now_ms, .report = report ? report : &own};
        rc = disk->files ? take_files(disk, &how, error) : 0;
    }
    if (rc != 0) {
        gw_schema_disk_close(disk);
        return rc;
    }
    *out = disk;
    return 0;
}

static int closed(void *context, const struct gw_schemas_record *record, struct gw_error *error)
{
    (void)context;
    (void)record;
    return gw_error_set(error, GW_EREADONLY, 0, "the registry's store was closed");
}

void gw_schema_disk_close(struct gw_schema_disk *disk)
{
    if (!disk)
        return;
    gw_schemas_attach(disk->schemas, &(struct gw_schemas_store){.append = closed});
    (void)pthread_mutex_destroy(&disk->lock);
    (void)pthread_mutex_destroy(&disk->files_lock);
    free(disk->store);
    free(disk->files);
    free(disk);
}
