#include "lake/ndjson.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "delivery/event.h"
#include "delivery/utc.h"
#include "lake/commit_log.h"
#include "observe/log.h"

#define FLUSH_MS_DEFAULT 10000
#define FLUSH_BYTES_DEFAULT (8ull << 20)
#define PARTITIONS_MAX 256 /* a flush is due beyond it: each costs a file and two syncs */
#define JSON_BYTES_GUESS 1024

/* The lines of one partition that wait for the flush. */
struct partition {
    char topic[GW_EVENT_TOPIC_MAX];
    char date[GW_UTC_DATE_BYTES];
    char *data;
    size_t len, capacity;
};

struct lake {
    char *folder, *gateway_id;
    uint32_t flush_ms;
    uint64_t flush_bytes, epoch;
    struct gw_lake_log log;
    bool ready; /* folders are there, the last intent is carried out, nothing stray lies about */
    struct gw_sink_position position; /* with what waits */
    uint64_t durable_next;
    bool waiting; /* entries came since the last intent: from `from` to position.next - 1 */
    uint64_t from, since_ms;
    uint64_t bytes, new_events, durable_events;
    struct partition *partitions;
    size_t partition_count, partition_capacity;
};

static uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int path_in(const struct lake *l, const char *name, char out[PATH_MAX], struct gw_error *error)
{
    if (snprintf(out, PATH_MAX, "%s/%s", l->folder, name) >= PATH_MAX)
        return gw_error_set(error, GW_EINVALID, 0, "lake: the path %.128s... is too long", l->folder);
    return GW_OK;
}

static int make_folder(const char *path, const char *parent, struct gw_error *error)
{
    if (mkdir(path, 0750) == 0)
        return gw_lake_sync_folder(parent, error);
    if (errno == EEXIST)
        return GW_OK;
    return gw_error_set(error, errno == ENOSPC ? GW_EFULL : GW_EIO, errno, "lake: folder %s cannot be made",
                        path);
}

static void forget_waiting(struct lake *l)
{
    for (size_t i = 0; i < l->partition_count; i++)
        free(l->partitions[i].data);
    l->partition_count = 0;
    l->bytes = l->new_events = 0;
    l->waiting = false;
}

/* --- carrying out an intent --- */

/* The folders of a file's path, each made and synced into its parent. */
static int make_partition(const struct lake *l, const char *final, struct gw_error *error)
{
    char path[PATH_MAX], parent[PATH_MAX];
    int rc = path_in(l, final, path, error);
    const size_t root = strlen(l->folder) + 1;
    for (char *slash = path + root; rc == GW_OK && (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        snprintf(parent, sizeof parent, "%s", path);
        *strrchr(parent, '/') = '\0';
        rc = make_folder(path, parent, error);
        *slash = '/';
    }
    return rc;
}

/* Idempotent: a file that is at its place already is left there. */
static int move_file(const struct lake *l, const struct gw_lake_file *file, struct gw_error *error)
{
    char from[PATH_MAX], to[PATH_MAX];
    int rc = path_in(l, file->temporary, from, error);
    if (rc == GW_OK)
        rc = path_in(l, file->final, to, error);
    if (rc != GW_OK)
        return rc;
    if (access(from, F_OK) == 0) {
        rc = make_partition(l, file->final, error);
        if (rc == GW_OK && rename(from, to) != 0)
            rc = gw_error_set(error, errno == ENOSPC ? GW_EFULL : GW_EIO, errno, "lake: %s cannot be renamed",
                              from);
        if (rc != GW_OK)
            return rc;
    } else if (access(to, F_OK) != 0) {
        gw_log(GW_LOG_ERROR, "lake.file_missing",
               "a file of the last flush is gone: if nobody removed it, its events are in the stream",
               GW_TEXT("file", to));
        return GW_OK;
    }
    *strrchr(to, '/') = '\0';
    return gw_lake_sync_folder(to, error);
}

static int carry_out(const struct lake *l, struct gw_error *error)
{
    int rc = GW_OK;
    for (size_t i = 0; rc == GW_OK && i < l->log.last.file_count; i++)
        rc = move_file(l, &l->log.last.files[i], error);
    return rc;
}

/* After the last intent is carried out, whatever is left under a temporary name belongs to no intent. */
static int remove_stray(const struct lake *l, struct gw_error *error)
{
    char path[PATH_MAX];
    int rc = path_in(l, "_tmp", path, error);
    DIR *dir = rc == GW_OK ? opendir(path) : NULL;
    if (rc == GW_OK && !dir)
        rc = gw_error_set(error, GW_EIO, errno, "lake: folder %s cannot be listed", path);
    const struct dirent *entry;
    while (dir && rc == GW_OK && (entry = readdir(dir))) {
        if (entry->d_name[0] != '.' && unlinkat(dirfd(dir), entry->d_name, 0) != 0)
            rc = gw_error_set(error, GW_EIO, errno, "lake: %s/%s cannot be removed", path, entry->d_name);
    }
    if (dir)
        closedir(dir);
    return rc;
}

static int make_ready(struct lake *l, struct gw_error *error)
{
    if (l->ready)
        return GW_OK;
    char parent[PATH_MAX], events[PATH_MAX], temporary[PATH_MAX];
    int rc = path_in(l, "..", parent, error);
    if (rc == GW_OK)
        rc = path_in(l, "events", events, error);
    if (rc == GW_OK)
        rc = path_in(l, "_tmp", temporary, error);
    if (rc == GW_OK && access(l->folder, F_OK) != 0) { /* its parent is only named by way of itself */
        if (mkdir(l->folder, 0750) != 0)
            rc = gw_error_set(error, GW_EIO, errno, "lake: folder %s cannot be made", l->folder);
        else
            rc = gw_lake_sync_folder(parent, error);
    }
    if (rc == GW_OK)
        rc = make_folder(events, l->folder, error);
    if (rc == GW_OK)
        rc = make_folder(temporary, l->folder, error);
    if (rc == GW_OK)
        rc = gw_lake_log_settle(&l->log, error);
    if (rc == GW_OK)
        rc = carry_out(l, error);
    if (rc == GW_OK)
        rc = remove_stray(l, error);
    l->ready = rc == GW_OK;
    return rc;
}

/* --- the sink --- */

static int lake_open(void *self, struct gw_sink_position *out, struct gw_error *error)
{
    struct lake *l = self;
    struct gw_lake_log log;
    int rc = gw_lake_log_read(l->folder, &log, error);
    if (rc != GW_OK)
        return rc;
    gw_lake_log_free(&l->log);
    l->log = log;
    l->ready = false;
    forget_waiting(l);
    l->position = (struct gw_sink_position){0};
    if (log.any)
        l->position =
            (struct gw_sink_position){.known = true, .epoch = log.last.epoch, .next = log.last.to + 1};
    l->durable_next = l->position.next;
    *out = l->position;
    return GW_OK;
}

static struct partition *find_partition(struct lake *l, const struct gw_event *event, struct gw_error *error)
{
    char date[GW_UTC_DATE_BYTES];
    gw_utc_date(event->utc_ms, date);
    char topic[GW_EVENT_TOPIC_MAX];
    gw_event_topic(event, topic);
    for (size_t i = l->partition_count; i-- > 0;) {
        struct partition *p = &l->partitions[i];
        if (strcmp(p->topic, topic) == 0 && memcmp(p->date, date, sizeof date) == 0)
            return p;
    }
    if (l->partition_count == l->partition_capacity) {
        const size_t capacity = l->partition_capacity ? 2 * l->partition_capacity : 32;
        struct partition *grown = realloc(l->partitions, capacity * sizeof *grown);
        if (!grown) {
            gw_error_set(error, GW_ENOMEM, 0, "no memory for the lake's partitions");
            return NULL;
        }
        l->partitions = grown;
        l->partition_capacity = capacity;
    }
    struct partition *p = &l->partitions[l->partition_count++];
    *p = (struct partition){.len = 0};
    strcpy(p->topic, topic);
    memcpy(p->date, date, sizeof date);
    return p;
}

static int add_event(struct lake *l, const struct gw_event *event, struct gw_error *error)
{
    struct partition *p = find_partition(l, event, error);
    if (!p)
        return GW_ENOMEM;
    size_t wanted = JSON_BYTES_GUESS, len;
    for (;;) {
        if (p->capacity - p->len < wanted + 1) {
            const size_t capacity = 2 * p->capacity + wanted + 1;
            char *grown = realloc(p->data, capacity);
            if (!grown)
                return gw_error_set(error, GW_ENOMEM, 0, "no memory for the lake's partitions");
            p->data = grown;
            p->capacity = capacity;
        }
        len = gw_event_json(event, l->gateway_id, p->data + p->len, p->capacity - p->len - 1);
        if (len <= p->capacity - p->len - 1)
            break;
        wanted = len;
    }
    p->data[p->len + len] = '\n';
    p->len += len + 1;
    l->bytes += len + 1;
    l->new_events++;
    return GW_OK;
}

static int lake_write(void *self, uint64_t offset, const uint8_t *entry, size_t len, struct gw_error *error)
{
    struct lake *l = self;
    if (l->position.known && offset < l->position.next)
        return GW_OK;
    struct gw_event_reader reader;
    struct gw_event event;
    int more = gw_event_reader_open(&reader, offset, entry, len);
    while (more >= 0 && (more = gw_event_next(&reader, &event)) == 1) {
        int rc = add_event(l, &event, error);
        if (rc != GW_OK)
            return rc;
    }
    if (more < 0)
        gw_log(GW_LOG_ERROR, "lake.entry_unreadable",
               "a journal entry cannot be decoded and is passed over; run tributaryctl journal inspect",
               GW_UINT("offset", offset));
    if (!l->waiting) {
        l->waiting = true;
        l->from = offset;
        l->since_ms = monotonic_ms();
    }
    l->position = (struct gw_sink_position){.known = true, .epoch = l->epoch, .next = offset + 1};
    return GW_OK;
}

/* --- the flush --- */

static int name_files(const struct lake *l, const struct partition *p, struct gw_lake_file *out)
{
    char temporary[320], final[320];
    const uint64_t to = l->position.next - 1;
    snprintf(temporary, sizeof temporary, "_tmp/%s.%.10s.%016" PRIx64 "-%020" PRIu64 "-%020" PRIu64 ".jsonl",
             p->topic, p->date, l->epoch, l->from, to);
    snprintf(final, sizeof final,
             "events/schema=%s/date=%.10s/part-%016" PRIx64 "-%020" PRIu64 "-%020" PRIu64 ".jsonl", p->topic,
             p->date, l->epoch, l->from, to);
    out->temporary = strdup(temporary);
    out->final = strdup(final);
    return out->temporary && out->final ? GW_OK : GW_ENOMEM;
}

/* Each partition's file, whole and synced under its temporary name. */
static int write_files(const struct lake *l, struct gw_lake_intent *intent, struct gw_error *error)
{
    intent->files = calloc(l->partition_count + 1, sizeof *intent->files);
    if (!intent->files)
        return gw_error_set(error, GW_ENOMEM, 0, "no memory for the lake's flush");
    char path[PATH_MAX];
    for (size_t i = 0; i < l->partition_count; i++) {
        const struct partition *p = &l->partitions[i];
        struct gw_lake_file *file = &intent->files[intent->file_count++];
        if (name_files(l, p, file) != GW_OK)
            return gw_error_set(error, GW_ENOMEM, 0, "no memory for the lake's flush");
        int rc = path_in(l, file->temporary, path, error);
        if (rc == GW_OK)
            rc = gw_lake_write_file(path, O_TRUNC, p->data, p->len, error);
        if (rc != GW_OK)
            return rc;
    }
    if (intent->file_count == 0)
        return GW_OK;
    int rc = path_in(l, "_tmp", path, error);
    return rc == GW_OK ? gw_lake_sync_folder(path, error) : rc;
}

static int commit(struct lake *l, struct gw_error *error)
{
    struct gw_lake_intent intent = {.epoch = l->epoch, .from = l->from, .to = l->position.next - 1};
    int rc = write_files(l, &intent, error);
    if (rc == GW_OK)
        rc = gw_lake_log_append(&l->log, &intent, error);
    gw_lake_intent_free(&intent);
    if (rc != GW_OK)
        return rc;
    l->durable_next = l->position.next;
    l->durable_events += l->new_events;
    forget_waiting(l);
    return carry_out(l, error);
}

static bool is_due(const struct lake *l)
{
    return l->bytes >= l->flush_bytes || l->partition_count >= PARTITIONS_MAX ||
           monotonic_ms() - l->since_ms >= l->flush_ms;
}

static int lake_flush(void *self, enum gw_sink_flush how, uint64_t *out_next, uint64_t *out_events,
                      struct gw_error *error)
{
    struct lake *l = self;
    int rc = make_ready(l, error);
    if (rc == GW_OK && l->waiting && (how == GW_FLUSH_ALL || is_due(l)))
        rc = commit(l, error);
    if (rc != GW_OK)
        return rc;
    *out_next = l->durable_next;
    *out_events = l->durable_events;
    l->durable_events = 0;
    return GW_OK;
}

static void lake_close(void *self)
{
    struct lake *l = self;
    forget_waiting(l);
    l->ready = false;
}

static void lake_free(void *self)
{
    struct lake *l = self;
    lake_close(l);
    gw_lake_log_free(&l->log);
    free(l->partitions);
    free(l->folder);
    free(l->gateway_id);
    free(l);
}

int gw_lake_new(const struct gw_lake_config *config, struct gw_sink *out, struct gw_error *error)
{
    struct lake *l = calloc(1, sizeof *l);
    if (l) {
        l->folder = strdup(config->folder);
        l->gateway_id = strdup(config->gateway_id);
        l->epoch = config->epoch;
        l->flush_ms = config->flush_ms ? config->flush_ms : FLUSH_MS_DEFAULT;
        l->flush_bytes = config->flush_bytes ? config->flush_bytes : FLUSH_BYTES_DEFAULT;
    }
    if (!l || !l->folder || !l->gateway_id) {
        if (l)
            lake_free(l);
        return gw_error_set(error, GW_ENOMEM, 0, "no memory for the embedded lake");
    }
    *out = (struct gw_sink){
        .name = "lake",
        .offset_metric = GW_METRIC_LAKE_OFFSET,
        .events_metric = GW_METRIC_LAKE_EVENTS,
        .self = l,
        .open = lake_open,
        .write = lake_write,
        .flush = lake_flush,
        .close = lake_close,
        .free = lake_free,
    };
    return GW_OK;
}
