/* tributaryctl journal and quarantine: by the running gateway, or with the journal's lock taken offline. */
#include "journal/journal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "admin/routes.h"
#include "ctl.h"
#include "maintain.h"

#define QUARANTINE_LIMIT 1000
#define QUARANTINE_LIMIT_MAX 16384

static const char *const sinks[] = {"stream", "lake"};

int ctl_open_journal(const struct ctl *ctl, struct gw_journal **out)
{
    char *format;
    struct stat status;
    struct gw_error error = {0};
    int rc;
    if (asprintf(&format, "%s/FORMAT", ctl->data) < 0)
        return ctl_fail(CTL_FAILED, "out of memory");
    /* Opening formats an empty folder: a look must not make a journal where none is. */
    if (stat(format, &status) != 0)
        rc = gw_error_set(&error, GW_ENOTFOUND, 0,
                          "%s: there is no journal: is this the gateway's data.folder?", ctl->data);
    else
        rc = gw_journal_open(&(struct gw_journal_config){.folder = ctl->data}, out, &error);
    free(format);
    if (rc == GW_EBUSY)
        return ctl_fail(CTL_UNREACHABLE,
                        "a gateway has this journal open, but does not answer at %s: give --socket PATH",
                        ctl->socket);
    return rc == GW_OK ? CTL_OK : ctl_fail(CTL_FAILED, "%s", error.text);
}

/* As it would come from the gateway: numbers are raw text in the tree that was built, and numbers in one that was read. */
static cJSON *read_back(cJSON *built)
{
    char *text = cJSON_PrintUnformatted(built);
    cJSON *tree = text ? cJSON_Parse(text) : NULL;
    cJSON_free(text);
    cJSON_Delete(built);
    return tree;
}

/* What `path` answers, or where no gateway runs what `fill` finds in the journal. */
static int ask(const struct ctl *ctl, const char *path,
               int (*fill)(cJSON *tree, struct gw_journal *journal, uint64_t limit), uint64_t limit,
               cJSON **out_tree)
{
    if (!ctl->data || ctl_answers(ctl))
        return ctl_get(ctl, path, out_tree);
    struct gw_journal *journal = NULL;
    int code = ctl_open_journal(ctl, &journal);
    if (code != CTL_OK)
        return code;
    cJSON *tree = cJSON_CreateObject();
    int rc = fill(tree, journal, limit);
    gw_journal_close(journal);
    if (rc != GW_OK) {
        cJSON_Delete(tree);
        return ctl_fail(CTL_FAILED, "the journal in %s cannot be read: %s", ctl->data, gw_error_text(rc));
    }
    *out_tree = read_back(tree);
    return *out_tree ? CTL_OK : ctl_fail(CTL_FAILED, "out of memory");
}

static int fill_journal(cJSON *tree, struct gw_journal *journal, uint64_t limit)
{
    (void)limit;
    gw_admin_add_journal(tree, journal, sinks, sizeof sinks / sizeof sinks[0]);
    return GW_OK;
}

int ctl_journal(const struct ctl *ctl)
{
    if (ctl->argument_count >= 1 && strcmp(ctl->arguments[0], "inspect") != 0)
        return ctl_maintain(ctl);
    if (ctl->argument_count != 1)
        return ctl_fail(CTL_USAGE, "journal takes one word: tributaryctl journal inspect (or another, see "
                                   "tributaryctl help journal)");
    cJSON *tree = NULL;
    int rc = ask(ctl, "/v1/status", fill_journal, 0, &tree);
    if (rc != CTL_OK)
        return rc;
    if (ctl->json)
        rc = ctl_print_json(tree);
    else
        ctl_print_journal(ctl, tree);
    if (rc == CTL_OK && ctl_number(cJSON_GetObjectItemCaseSensitive(tree, "journal"), "damaged_segments"))
        rc = ctl_fail(
            CTL_BAD,
            "a segment is damaged and was set aside in damaged/: what no sink had taken of it is lost here");
    cJSON_Delete(tree);
    return rc;
}

/* --- quarantine --- */

static void print_rejected(const cJSON *item)
{
    uint64_t received_ms = ctl_number(item, "received_ms");
    time_t seconds = (time_t)(received_ms / 1000);
    struct tm tm = {0};
    char when[32] = "";
    if (gmtime_r(&seconds, &tm))
        (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    printf("  %-20s  ", when);
    for (const char *p = ctl_text(item, "device"); *p;
         p++) /* of a device: nothing of it may control the terminal */
        putchar((unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p);
    const char *keyword = ctl_text(item, "keyword");
    printf("  %s/%" PRIu64 "  %s%s%s%s, %" PRIu64 " bytes\n", ctl_text(item, "stream"),
           ctl_number(item, "seq"), ctl_text(item, "reason"), *keyword ? " (" : "", keyword,
           *keyword ? ")" : "", ctl_number(item, "sealed_bytes"));
}

static int take_limit(const struct ctl *ctl, uint64_t *out)
{
    if (ctl->argument_count == 1 && strcmp(ctl->arguments[0], "list") == 0)
        return CTL_OK;
    if (ctl->argument_count != 3 || strcmp(ctl->arguments[1], "--limit") != 0)
        return ctl_fail(CTL_USAGE, "quarantine list takes nothing but --limit N");
    return ctl_take_number("--limit", ctl->arguments[2], QUARANTINE_LIMIT_MAX, out);
}

int ctl_quarantine(const struct ctl *ctl)
{
    if (ctl->argument_count == 0 || strcmp(ctl->arguments[0], "list") != 0)
        return ctl_quarantine_settle(ctl);
    uint64_t limit = QUARANTINE_LIMIT;
    int rc = take_limit(ctl, &limit);
    if (rc != CTL_OK)
        return rc;
    char path[64], number[CTL_NUMBER_MAX];
    snprintf(path, sizeof path, "/v1/quarantine?limit=%" PRIu64, limit);
    cJSON *tree = NULL;
    rc = ask(ctl, path, gw_admin_add_quarantine, limit, &tree);
    if (rc != CTL_OK)
        return rc;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "quarantine"), *item;
    if (ctl->json) {
        rc = ctl_print_json(tree);
    } else {
        printf("%s event%s in quarantine\n", ctl_grouped(ctl_number(tree, "total"), number),
               ctl_number(tree, "total") == 1 ? "" : "s");
        if (cJSON_GetArraySize(list))
            printf("\n%s  %-20s  DEVICE  STREAM/SEQ  WHY%s\n", ctl_dim(ctl), "RECEIVED", ctl_plain(ctl));
        cJSON_ArrayForEach(item, list) print_rejected(item);
    }
    cJSON_Delete(tree);
    return rc;
}
