/* tributaryctl journal verify, export, restore, salvage, upgrade: on the files, with the journal's lock taken. */
#include "maintain.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "delivery/event.h"
#include "journal/folder.h"
#include "journal/maintain.h"

#define EXPORT_BUFFER_BYTES ((size_t)1 << 20)
#define EXPORT_ENTRIES 64

/* --- reports --- */

struct reporting {
    const struct ctl *ctl;
    cJSON *list; /* with --json, else NULL */
};

static void print_line(void *context, const struct gw_journal_report *report)
{
    const struct reporting *r = context;
    char entries[CTL_NUMBER_MAX], bytes[CTL_NUMBER_MAX];
    if (!r->list) {
        printf("  %s  %12s entries  %15s bytes  %s%s%s\n", report->segment,
               ctl_grouped(report->entries, entries), ctl_grouped(report->bytes, bytes),
               report->sound ? ctl_good(r->ctl) : ctl_bad(r->ctl), report->found, ctl_plain(r->ctl));
        return;
    }
    cJSON *item = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(item, "segment", report->segment);
    (void)cJSON_AddStringToObject(item, "found", report->found);
    (void)cJSON_AddBoolToObject(item, "sound", report->sound);
    ctl_add_number(item, "entries", report->entries);
    ctl_add_number(item, "bytes", report->bytes);
    (void)cJSON_AddItemToArray(r->list, item);
}

int ctl_print_summary(const char *words, cJSON *list, bool json, const struct gw_journal_summary *sum)
{
    char segments[CTL_NUMBER_MAX], entries[CTL_NUMBER_MAX], bytes[CTL_NUMBER_MAX], epoch[17];
    snprintf(epoch, sizeof epoch, "%016" PRIx64, sum->epoch);
    if (!json) {
        printf("%s %s segments with %s entries, %s bytes; epoch %s, offsets %" PRIu64 " to %" PRIu64, words,
               ctl_grouped(sum->segments, segments), ctl_grouped(sum->entries, entries),
               ctl_grouped(sum->bytes, bytes), epoch, sum->begin, sum->end);
        if (sum->schemas)
            printf("; %" PRIu64 " change%s of the registry", sum->schemas, sum->schemas == 1 ? "" : "s");
        putchar('\n');
        return CTL_OK;
    }
    cJSON *tree = cJSON_CreateObject();
    if (list)
        (void)cJSON_AddItemToObject(tree, "report", list);
    (void)cJSON_AddStringToObject(tree, "epoch", epoch);
    ctl_add_number(tree, "begin", sum->begin);
    ctl_add_number(tree, "end", sum->end);
    ctl_add_number(tree, "segments", sum->segments);
    ctl_add_number(tree, "entries", sum->entries);
    ctl_add_number(tree, "bytes", sum->bytes);
    ctl_add_number(tree, "bad", sum->bad);
    ctl_add_number(tree, "lost", sum->lost);
    ctl_add_number(tree, "schemas", sum->schemas);
    int rc = ctl_print_json(tree);
    cJSON_Delete(tree);
    return rc;
}

/* Ends a report. */
static int finish(struct reporting *r, const char *words, const struct gw_journal_summary *sum)
{
    cJSON *list = r->list;
    r->list = NULL;
    return ctl_print_summary(words, list, r->ctl->json, sum);
}

static struct reporting begin(const struct ctl *ctl)
{
    return (struct reporting){.ctl = ctl, .list = ctl->json ? cJSON_CreateArray() : NULL};
}

static int failed(struct reporting *r, int rc, const struct gw_error *error)
{
    cJSON_Delete(r->list);
    r->list = NULL;
    if (rc == GW_EBUSY)
        return ctl_fail(CTL_FAILED, "%s (a backup can be made of a running one, and looked at)", error->text);
    return ctl_fail(rc == GW_EDAMAGED ? CTL_BAD : CTL_FAILED, "%s", error->text);
}

/* --- commands --- */

static int verify(const struct ctl *ctl)
{
    struct reporting r = begin(ctl);
    struct gw_journal_summary sum;
    struct gw_error error = {0};
    int rc = gw_journal_verify(ctl->data, print_line, &r, &sum, &error);
    if (rc != GW_OK)
        return failed(&r, rc, &error);
    rc = finish(&r, "sound:", &sum);
    if (rc == CTL_OK && sum.bad)
        rc = ctl_fail(
            CTL_BAD,
            "%" PRIu64 " segment%s damaged or missing, with %" PRIu64
            " entries: what no sink has of them can be had from a backup (journal restore), or in part from "
            "their bytes (journal salvage)",
            sum.bad, sum.bad == 1 ? " is" : "s are", sum.lost);
    return rc;
}

static int salvage(const struct ctl *ctl)
{
    struct reporting r = begin(ctl);
    struct gw_journal_summary sum;
    struct gw_error error = {0};
    int rc = gw_journal_salvage(ctl->data, print_line, &r, &sum, &error);
    if (rc != GW_OK)
        return failed(&r, rc, &error);
    return finish(&r, sum.segments ? "salvaged:" : "nothing to salvage:", &sum);
}

static int restore(const struct ctl *ctl)
{
    struct reporting r = begin(ctl);
    struct gw_journal_summary sum;
    struct gw_error error = {0};
    int rc = gw_journal_restore(ctl->arguments[1], ctl->data, print_line, &r, &sum, &error);
    if (rc != GW_OK)
        return failed(&r, rc, &error);
    rc = finish(&r, "restored:", &sum);
    if (rc == CTL_OK && sum.bad)
        rc = ctl_fail(CTL_BAD,
                      "%" PRIu64 " damaged segment%s of the backup left out, with %" PRIu64 " entries",
                      sum.bad, sum.bad == 1 ? " was" : "s were", sum.lost);
    return rc;
}

static int upgrade(const struct ctl *ctl)
{
    struct gw_error error = {0};
    int rc = gw_journal_format_check(ctl->data, &error);
    if (rc == GW_ENOTFOUND)
        return ctl_fail(CTL_FAILED, "%s: there is no journal: is this the gateway's data.folder?", ctl->data);
    if (rc != GW_OK)
        return ctl_fail(CTL_FAILED, "%s", error.text);
    printf("the journal has format %u, the newest that this version knows: there is nothing to upgrade\n",
           GW_JOURNAL_FORMAT_WRITE);
    return CTL_OK;
}

/* --- export --- */

struct export
{
    uint64_t next, end, entries_left, damaged;
    uint8_t *buffer;
    size_t buffer_bytes, json_bytes;
    char *json;
    const char *gateway_id;
};

static int print_event(struct export *e, const struct gw_event *event)
{
    size_t len = gw_event_json(event, e->gateway_id, e->json, e->json_bytes);
    if (len > e->json_bytes) {
        char *grown = realloc(e->json, len);
        if (!grown)
            return ctl_fail(CTL_FAILED, "out of memory");
        e->json = grown;
        e->json_bytes = len;
        len = gw_event_json(event, e->gateway_id, e->json, e->json_bytes);
    }
    if (printf("{\"offset\":%" PRIu64 ",%.*s\n", event->offset, (int)len - 1, e->json + 1) < 0)
        return CTL_FAILED; /* nobody reads any more */
    return CTL_OK;
}

static int print_entry(struct export *e, const struct gw_journal_entry *entry)
{
    struct gw_event_reader reader;
    struct gw_event event;
    int code = CTL_OK;
    int rc = gw_event_reader_open(&reader, entry->offset, entry->data, entry->len);
    while (rc >= 0 && code == CTL_OK && (rc = gw_event_next(&reader, &event)) == 1)
        code = print_event(e, &event);
    e->damaged += rc < 0;
    return code;
}

static int grow(struct export *e, size_t needed)
{
    uint8_t *grown = realloc(e->buffer, needed);
    if (!grown)
        return ctl_fail(CTL_FAILED, "out of memory");
    e->buffer = grown;
    e->buffer_bytes = needed;
    return CTL_OK;
}

static int export_entries(struct gw_journal *journal, struct export *e, uint64_t *out_lost)
{
    struct gw_journal_entry entries[EXPORT_ENTRIES];
    int code = CTL_OK;
    while (code == CTL_OK && e->entries_left > 0) {
        size_t count = 0, needed = 0,
               most = e->entries_left < EXPORT_ENTRIES ? (size_t)e->entries_left : EXPORT_ENTRIES;
        uint64_t lost = 0;
        int rc = gw_journal_read(journal, e->next, e->buffer, e->buffer_bytes, entries, most, &count,
                                 &e->next, &lost, &needed);
        if (rc == GW_EFULL) {
            code = grow(e, needed);
            continue;
        }
        if (rc != GW_OK)
            return ctl_fail(CTL_FAILED, "the journal cannot be read at offset %" PRIu64, e->next);
        *out_lost += lost;
        if (count == 0)
            break;
        for (size_t i = 0; code == CTL_OK && i < count; i++)
            code = print_entry(e, &entries[i]);
        e->entries_left -= count;
    }
    return code;
}

static int take_export_options(const struct ctl *ctl, uint64_t *out_from, uint64_t *out_limit)
{
    int rc = CTL_OK;
    for (int i = 1; rc == CTL_OK && i < ctl->argument_count; i += 2) {
        bool from = strcmp(ctl->arguments[i], "--from") == 0,
             limit = strcmp(ctl->arguments[i], "--limit") == 0;
        if ((!from && !limit) || i + 1 == ctl->argument_count)
            return ctl_fail(CTL_USAGE, "journal export takes: [--from OFFSET] [--limit ENTRIES]");
        rc = ctl_take_number(ctl->arguments[i], ctl->arguments[i + 1], UINT64_MAX,
                             from ? out_from : out_limit);
    }
    return rc;
}

static int export(const struct ctl *ctl)
{
    struct export e = {.entries_left = UINT64_MAX};
    struct gw_journal *journal = NULL;
    uint64_t lost = 0;
    int code = take_export_options(ctl, &e.next, &e.entries_left);
    if (code == CTL_OK)
        code = ctl_open_journal(ctl, &journal);
    if (code != CTL_OK)
        return code;
    if (e.next < gw_journal_begin(journal))
        e.next = gw_journal_begin(journal);
    e.gateway_id = gw_journal_gateway_id(journal);
    code = grow(&e, EXPORT_BUFFER_BYTES);
    if (code == CTL_OK)
        code = export_entries(journal, &e, &lost);
    gw_journal_close(journal);
    free(e.buffer);
    free(e.json);
    if (code == CTL_OK && lost + e.damaged > 0)
        code = ctl_fail(CTL_BAD,
                        "%" PRIu64 " entries are lost with damaged segments, and %" PRIu64 " cannot be read",
                        lost, e.damaged);
    return code;
}

/* --- the table --- */

static const struct maintenance {
    const char *word, *usage;
    int arguments; /* -1: it looks at them itself */
    int (*run)(const struct ctl *ctl);
} table[] = {
    {"verify", "verify", 0, verify},
    {"export", "export [--from OFFSET] [--limit ENTRIES]", -1, export},
    {"backup", "backup FOLDER", 1, ctl_backup},
    {"restore", "restore BACKUP", 1, restore},
    {"salvage", "salvage", 0, salvage},
    {"upgrade", "upgrade", 0, upgrade},
};

int ctl_maintain(const struct ctl *ctl)
{
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (strcmp(ctl->arguments[0], table[i].word) != 0)
            continue;
        if (table[i].arguments >= 0 && ctl->argument_count != table[i].arguments + 1)
            return ctl_fail(CTL_USAGE, "usage: tributaryctl journal %s", table[i].usage);
        int rc = ctl_need_data(ctl);
        return rc == CTL_OK ? table[i].run(ctl) : rc;
    }
    return ctl_fail(
        CTL_USAGE,
        "journal takes one word: tributaryctl journal inspect|verify|export|backup|restore|salvage|upgrade");
}
