/* tributaryctl stream: options, and cat and tail. */
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/layout.h"
#include "fields.h"

#define TAIL_EVENTS 10
#define FOLLOW_MS 200

bool stream_wanted(const struct stream_options *options, const struct gw_stream_record *record)
{
    struct ctl_field field;
    if (options->type && !(ctl_fields_find(record->json, record->json_len, "type", &field) &&
                           ctl_field_is(&field, options->type)))
        return false;
    return !options->device || (ctl_fields_find(record->json, record->json_len, "device", &field) &&
                                ctl_field_is(&field, options->device));
}

int stream_finish(struct gw_stream_reader *reader, int rc, const struct gw_error *error)
{
    uint64_t damaged = gw_stream_reader_damaged(reader);
    gw_stream_reader_close(reader);
    if (rc < 0)
        return ctl_fail(CTL_FAILED, "%s", error->text);
    if (damaged)
        return ctl_fail(CTL_BAD,
                        "%" PRIu64
                        " damaged place%s in the stream stepped over: the events there are missing here; "
                        "the lake has its own copy",
                        damaged, damaged == 1 ? "" : "s");
    return CTL_OK;
}

static int open_reader(const struct stream_options *options, uint64_t from, struct gw_stream_reader **out)
{
    struct gw_error error;
    if (gw_stream_reader_open(options->folder, from, out, &error) != GW_OK)
        return ctl_fail(CTL_FAILED, "%s", error.text);
    return CTL_OK;
}

/* False when nobody reads any more, as with `| head`. */
static bool print_line(const struct gw_stream_record *record, bool numbers)
{
    if (numbers && record->json_len > 1)
        printf("{\"number\":%" PRIu64 ",%.*s\n", record->number, (int)record->json_len - 1, record->json + 1);
    else
        printf("%.*s\n", (int)record->json_len, record->json);
    return !ferror(stdout);
}

int stream_cat(const struct ctl *ctl, const struct stream_options *options)
{
    (void)ctl;
    struct gw_stream_reader *reader;
    int rc = open_reader(options, options->from, &reader);
    if (rc != CTL_OK)
        return rc;
    struct gw_stream_record record;
    struct gw_error error;
    uint64_t printed = 0;
    while (printed < options->limit && (rc = gw_stream_reader_next(reader, &record, &error)) == 1) {
        if (!stream_wanted(options, &record))
            continue;
        if (!print_line(&record, options->numbers))
            break;
        printed++;
    }
    return stream_finish(reader, rc, &error);
}

/* --- tail --- */

static bool in_columns(const struct ctl_field *field)
{
    static const char *const shown[] = {
        "id",       "type",    "device", "time",         "stream",
        "seq",      "boot",    "ord",    "time_quality", "time_uncertainty_ms",
        "received", "gateway", "user",   "session",      "content"};
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++)
        if (field->name_len == strlen(shown[i]) && memcmp(field->name, shown[i], field->name_len) == 0)
            return true;
    return false;
}

/* Texts of devices reach a terminal here: no control character may get through to it. */
static void print_safely(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        putchar((unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i]);
}

static void print_column(const struct gw_stream_record *record, const char *name, size_t width)
{
    struct ctl_field field = {.value = "", .value_len = 0};
    if (!ctl_fields_find(record->json, record->json_len, name, &field))
        field.value_len = 0;
    print_safely(field.value, field.value_len);
    for (size_t i = field.value_len; i < width; i++)
        putchar(' ');
    (void)fputs("  ", stdout);
}

/* time  device  type  content  and what else the event has */
static void print_columns(const struct ctl *ctl, const struct gw_stream_record *record)
{
    struct ctl_field field;
    (void)fputs(ctl_dim(ctl), stdout);
    print_column(record, "time", 24);
    (void)fputs(ctl_plain(ctl), stdout);
    print_column(record, "device", 16);
    (void)fputs(ctl_bold(ctl), stdout);
    print_column(record, "type", 18);
    (void)fputs(ctl_plain(ctl), stdout);
    print_column(record, "content", 12);
    struct ctl_fields fields;
    if (ctl_fields_open(record->json, record->json_len, &fields)) {
        while (ctl_fields_next(&fields, &field)) {
            if (in_columns(&field))
                continue;
            printf("%s%.*s=%s", ctl_dim(ctl), (int)field.name_len, field.name, ctl_plain(ctl));
            print_safely(field.value, field.value_len);
            putchar(' ');
        }
    }
    putchar('\n');
}

/* Everything there is now. */
static int print_new(const struct ctl *ctl, const struct stream_options *options,
                     struct gw_stream_reader *reader, struct gw_error *error)
{
    struct gw_stream_record record;
    int rc;
    while ((rc = gw_stream_reader_next(reader, &record, error)) == 1) {
        if (!stream_wanted(options, &record))
            continue;
        if (!ctl->json && isatty(STDOUT_FILENO))
            print_columns(ctl, &record);
        else if (!print_line(&record, options->numbers))
            return 0;
    }
    return rc;
}

/*
 * Where the last events begin. With a filter the newest files are not enough: then the whole stream is walked and the
 * numbers of the last matches kept in a ring.
 */
static int tail_start(const struct stream_options *options, uint64_t *out_from)
{
    struct gw_stream_info info;
    struct gw_error error;
    if (gw_stream_info_get(options->folder, &info, &error) != GW_OK)
        return ctl_fail(CTL_FAILED, "%s", error.text);
    *out_from = info.next_number - info.first_number > options->last ? info.next_number - options->last
                                                                     : info.first_number;
    if ((!options->type && !options->device) || options->last == 0)
        return CTL_OK;
    uint64_t *ring = calloc(options->last, sizeof *ring);
    struct gw_stream_reader *reader;
    if (!ring || open_reader(options, 0, &reader) != CTL_OK) {
        free(ring);
        return CTL_FAILED;
    }
    struct gw_stream_record record;
    uint64_t count = 0;
    int rc;
    while ((rc = gw_stream_reader_next(reader, &record, &error)) == 1)
        if (stream_wanted(options, &record))
            ring[count++ % options->last] = record.number;
    if (count)
        *out_from = count < options->last ? ring[0] : ring[count % options->last];
    free(ring);
    gw_stream_reader_close(reader);
    return rc < 0 ? ctl_fail(CTL_FAILED, "%s", error.text) : CTL_OK;
}

int stream_tail(const struct ctl *ctl, const struct stream_options *options)
{
    struct gw_stream_reader *reader;
    uint64_t from = 0;
    int rc = tail_start(options, &from);
    if (rc == CTL_OK)
        rc = open_reader(options, from, &reader);
    if (rc != CTL_OK)
        return rc;
    struct gw_error error;
    for (;;) {
        rc = print_new(ctl, options, reader, &error);
        if (rc < 0 || !options->follow || fflush(stdout) != 0 || ferror(stdout))
            break;
        const struct timespec pause = {.tv_nsec = FOLLOW_MS * 1000000L};
        (void)nanosleep(&pause, NULL);
    }
    return stream_finish(reader, rc, &error);
}

/* --- options --- */

/* An option that stands alone; false if name is none. */
static bool take_flag(struct stream_options *options, const char *name)
{
    if (strcmp(name, "--numbers") == 0)
        options->numbers = true;
    else if (strcmp(name, "-f") == 0 || strcmp(name, "--follow") == 0)
        options->follow = true;
    else
        return false;
    return true;
}

static int take_value(struct stream_options *options, const char *command, const char *name,
                      const char *value)
{
    if (strcmp(name, "--from") == 0)
        return ctl_take_number(name, value, UINT64_MAX, &options->from);
    if (strcmp(name, "--limit") == 0)
        return ctl_take_number(name, value, UINT64_MAX, &options->limit);
    if (strcmp(name, "-n") == 0)
        return ctl_take_number(name, value, 1000000, &options->last);
    if (strcmp(name, "--type") != 0 && strcmp(name, "--device") != 0)
        return ctl_fail(CTL_USAGE, "stream %s does not know %s; tributaryctl help stream says what it takes",
                        command, name);
    if (!value)
        return ctl_fail(CTL_USAGE, "%s needs a value", name);
    *(name[2] == 't' ? &options->type : &options->device) = value;
    return CTL_OK;
}

static int take_options(const struct ctl *ctl, struct stream_options *options)
{
    char **end = ctl->arguments + ctl->argument_count;
    for (char **word = ctl->arguments + 1; word < end; word++) {
        if (take_flag(options, *word))
            continue;
        int rc = take_value(options, ctl->arguments[0], *word, word + 1 < end ? word[1] : NULL);
        if (rc != CTL_OK)
            return rc;
        word++;
    }
    return CTL_OK;
}

/* A folder without a stream is empty, a data folder that is none is a mistake. */
static int find_folder(const struct ctl *ctl, struct stream_options *options)
{
    struct stat status;
    int rc = ctl_need_data(ctl);
    if (rc != CTL_OK)
        return rc;
    if (stat(ctl->data, &status) != 0)
        return ctl_fail(CTL_FAILED, "%s: %s: is this the gateway's data.folder?", ctl->data, strerror(errno));
    if (asprintf(&options->folder, "%s/" GW_LAYOUT_STREAM, ctl->data) < 0)
        return ctl_fail(CTL_FAILED, "out of memory");
    if (stat(options->folder, &status) != 0)
        return ctl_fail(CTL_FAILED, "%s: %s: there is no stream here yet, or `stream.enabled` is false",
                        options->folder, strerror(errno));
    return CTL_OK;
}

int ctl_stream(const struct ctl *ctl)
{
    static const struct {
        const char *name;
        int (*run)(const struct ctl *ctl, const struct stream_options *options);
    } commands[] = {{"cat", stream_cat}, {"tail", stream_tail}, {"stats", stream_stats}};
    struct stream_options options = {.limit = UINT64_MAX, .last = TAIL_EVENTS};
    for (size_t i = 0; ctl->argument_count && i < sizeof commands / sizeof commands[0]; i++) {
        if (strcmp(commands[i].name, ctl->arguments[0]) != 0)
            continue;
        int rc = take_options(ctl, &options);
        if (rc == CTL_OK)
            rc = find_folder(ctl, &options);
        if (rc == CTL_OK)
            rc = commands[i].run(ctl, &options);
        free(options.folder);
        return rc;
    }
    return ctl_fail(CTL_USAGE, "stream takes one of cat, tail, stats; tributaryctl help stream says more");
}
