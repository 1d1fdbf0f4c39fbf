#include "gateway_cut_finish.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "lake/ndjson.h"
#include "sinks/stream_log.h"
#include "sinks/stream_reader.h"

#define BUFFER_BYTES ((size_t)1 << 20)
#define ENTRIES 256

struct ids {
    char **items;
    size_t count, capacity;
};

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    return 1;
}

/* The identity of an event is the first member of its JSON. */
static int add_id(struct ids *ids, const char *json, size_t len)
{
    static const char key[] = "{\"id\":\"";
    const char *begin = json + sizeof key - 1;
    const char *end = len > sizeof key && memcmp(json, key, sizeof key - 1) == 0
                          ? memchr(begin, '"', len - (sizeof key - 1))
                          : NULL;
    if (!end)
        return complain("an event does not begin with its id", "");
    if (ids->count == ids->capacity) {
        ids->capacity = ids->capacity ? ids->capacity * 2 : 4096;
        ids->items = realloc(ids->items, ids->capacity * sizeof(char *));
        if (!ids->items)
            abort();
    }
    ids->items[ids->count++] = strndup(begin, (size_t)(end - begin));
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int pump(struct gw_journal *journal, struct gw_sink *sink, uint64_t at)
{
    static uint8_t buffer[BUFFER_BYTES];
    static struct gw_journal_entry entries[ENTRIES];
    struct gw_error error = {0};
    for (;;) {
        size_t count, needed;
        uint64_t next, lost;
        int rc = gw_journal_read(journal, at, buffer, sizeof buffer, entries, ENTRIES, &count, &next, &lost,
                                 &needed);
        if (rc != 0)
            return complain("journal read", gw_error_text(rc));
        if (lost != 0)
            return complain(sink->name, "the journal had entries no more when the sink came for them");
        if (count == 0)
            break;
        for (size_t i = 0; i < count; i++) {
            if (sink->write(sink->self, entries[i].offset, entries[i].data, entries[i].len, &error) != 0)
                return complain(sink->name, error.text);
        }
        at = next;
    }
    uint64_t next, events;
    return sink->flush(sink->self, GW_FLUSH_ALL, &next, &events, &error) != 0
               ? complain(sink->name, error.text)
               : 0;
}

/* From its own position, or for want of one from its cursor's or the beginning, as delivery does. */
static int catch_up(struct gw_journal *journal, struct gw_sink *sink)
{
    struct gw_sink_position position = {0};
    struct gw_error error = {0};
    if (sink->open(sink->self, &position, &error) != 0)
        return complain(sink->name, error.text);
    int rc = 0;
    if (position.known && position.epoch != gw_journal_epoch(journal))
        rc = complain(sink->name, "it belongs to another journal epoch");
    else if (position.known && position.next > gw_journal_end(journal))
        rc = complain(sink->name, "it is ahead of the journal: something was delivered that was not durable");
    else
        rc = pump(journal, sink, position.known ? position.next : gw_journal_begin(journal));
    sink->close(sink->self);
    return rc;
}

static int run_sinks(struct gw_journal *journal, const char *folder)
{
    char stream[PATH_MAX], lake[PATH_MAX];
    struct gw_error error = {0};
    struct gw_sink sinks[2];
    snprintf(stream, sizeof stream, "%s/stream", folder);
    snprintf(lake, sizeof lake, "%s/lake", folder);
    const char *id = gw_journal_gateway_id(journal);
    uint64_t epoch = gw_journal_epoch(journal);
    if (gw_stream_log_new(&(struct gw_stream_log_config){.folder = stream, .epoch = epoch, .gateway_id = id},
                          &sinks[0], &error) != 0 ||
        gw_lake_new(&(struct gw_lake_config){.folder = lake, .epoch = epoch, .gateway_id = id}, &sinks[1],
                    &error) != 0)
        return complain("sinks", error.text);
    int rc = catch_up(journal, &sinks[0]);
    if (rc == 0)
        rc = catch_up(journal, &sinks[1]);
    sinks[0].free(sinks[0].self);
    sinks[1].free(sinks[1].self);
    return rc;
}

static int dump_stream(const char *folder, const char *path, struct ids *ids)
{
    char stream[PATH_MAX];
    snprintf(stream, sizeof stream, "%s/stream", folder);
    struct gw_stream_reader *reader;
    struct gw_stream_record record;
    struct gw_error error = {0};
    FILE *out = fopen(path, "w");
    if (!out || gw_stream_reader_open(stream, 0, &reader, &error) != 0)
        return complain("stream", out ? error.text : path);
    int rc;
    while ((rc = gw_stream_reader_next(reader, &record, &error)) == 1) {
        fwrite(record.json, 1, record.json_len, out);
        fputc('\n', out);
        if (add_id(ids, record.json, record.json_len) != 0)
            return 1;
    }
    if (gw_stream_reader_damaged(reader) != 0)
        rc = complain("stream", "it has damaged places");
    gw_stream_reader_close(reader);
    return fclose(out) != 0 || rc != 0;
}

static int read_lake_file(const char *path, struct ids *ids)
{
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t capacity = 0;
    ssize_t len;
    int rc = file ? 0 : complain(path, "cannot be opened");
    while (rc == 0 && (len = getline(&line, &capacity, file)) > 0)
        rc = add_id(ids, line, (size_t)len);
    free(line);
    if (file)
        fclose(file);
    return rc;
}

static int read_lake(const char *folder, struct ids *ids)
{
    DIR *dir = opendir(folder);
    int rc = 0;
    for (struct dirent *entry; dir && rc == 0 && (entry = readdir(dir)) != NULL;) {
        char path[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, entry->d_name) >= (int)sizeof path)
            return complain(folder, "too deep");
        rc = strchr(entry->d_name, '=') ? read_lake(path, ids) : read_lake_file(path, ids);
    }
    if (dir)
        closedir(dir);
    return rc;
}

static int compare_lake(const char *folder, struct ids *stream)
{
    char events[PATH_MAX];
    struct ids lake = {0};
    snprintf(events, sizeof events, "%s/lake/events", folder);
    int rc = read_lake(events, &lake);
    qsort(stream->items, stream->count, sizeof(char *), compare_ids);
    qsort(lake.items, lake.count, sizeof(char *), compare_ids);
    for (size_t i = 0; rc == 0 && i < lake.count; i++) {
        if (i > 0 && strcmp(lake.items[i - 1], lake.items[i]) == 0)
            rc = complain("twice in the lake", lake.items[i]);
        else if (i >= stream->count || strcmp(stream->items[i], lake.items[i]) != 0)
            rc = complain("lake and stream differ at", lake.items[i]);
    }
    if (rc == 0 && lake.count < stream->count)
        rc = complain("not in the lake", stream->items[lake.count]);
    return rc;
}

int finish_folder(const char *folder, const char *stream_json)
{
    struct gw_journal_config config = {.folder = folder, .segment_bytes = 1 << 20, .recycle = true};
    struct gw_journal *journal;
    struct gw_error error = {0};
    if (gw_journal_open(&config, &journal, &error) != 0)
        return complain("open", error.text);
    struct gw_journal_stats stats;
    gw_journal_get_stats(journal, &stats);
    if (stats.damaged_segments != 0)
        return complain("journal", "a segment is damaged");
    struct ids ids = {0};
    int rc = run_sinks(journal, folder);
    gw_journal_close(journal);
    if (rc == 0)
        rc = dump_stream(folder, stream_json, &ids);
    if (rc == 0)
        rc = compare_lake(folder, &ids);
    return rc; /* what was allocated goes with the process */
}
