/* tributaryctl status */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/units.h"
#include "ctl.h"

static void print_head(const struct ctl *ctl, const cJSON *tree, bool ready)
{
    char since[GW_UNITS_TEXT_MAX];
    printf("%stributaryd %s%s  %s%s%s  up %s, process %llu\n", ctl_bold(ctl), ctl_text(tree, "version"),
           ctl_plain(ctl), ready ? ctl_good(ctl) : ctl_bad(ctl), ready ? "ready" : "not ready",
           ctl_plain(ctl), gw_units_duration_about(ctl_number(tree, "uptime_seconds"), since),
           (unsigned long long)ctl_number(tree, "pid"));
    const cJSON *condition;
    cJSON_ArrayForEach(condition, cJSON_GetObjectItemCaseSensitive(tree, "conditions"))
        printf("  %s%s%s: %s\n", ctl_bad(ctl), ctl_text(condition, "reason"), ctl_plain(ctl),
               ctl_text(condition, "advice"));
}

static void print_events(const struct ctl *ctl, const cJSON *events)
{
    static const struct {
        const char *name, *label;
        bool alarm;
    } rows[] = {{"committed", "committed", false},
                {"duplicate", "received again", false},
                {"rejected", "rejected, in quarantine", false},
                {"declared_dropped", "dropped by devices, declared", false},
                {"unaccounted", "unaccounted for", true},
                {"to_stream", "written to the stream", false},
                {"to_lake", "written to the lake", false}};
    char number[CTL_NUMBER_MAX];
    printf("\n%sEVENTS SINCE THE START%s\n", ctl_dim(ctl), ctl_plain(ctl));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t value = ctl_number(events, rows[i].name);
        bool alarm = rows[i].alarm && value > 0;
        printf("  %-30s %s%16s%s\n", rows[i].label, alarm ? ctl_bad(ctl) : "", ctl_grouped(value, number),
               alarm ? ctl_plain(ctl) : "");
    }
}

/* What sinks were left behind without (detach_after). */
static void print_lost(const struct ctl *ctl, const cJSON *list)
{
    if (cJSON_GetArraySize(list) == 0)
        return;
    printf("\n%s%-14s %16s %16s %12s  UNTIL%s\n", ctl_dim(ctl), "LOST TO", "FROM BATCH", "TO BEFORE",
           "BATCHES", ctl_plain(ctl));
    const cJSON *item;
    cJSON_ArrayForEach(item, list)
    {
        char from[CTL_NUMBER_MAX], to[CTL_NUMBER_MAX], count[CTL_NUMBER_MAX], when[32] = "";
        const time_t seconds = (time_t)(ctl_number(item, "last_ms") / 1000);
        struct tm tm = {0};
        if (gmtime_r(&seconds, &tm))
            (void)strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
        printf("  %-12s %16s %16s %12s  %s\n", ctl_text(item, "sink"),
               ctl_grouped(ctl_number(item, "from"), from), ctl_grouped(ctl_number(item, "to"), to),
               ctl_grouped(ctl_number(item, "entries"), count), when);
    }
}

void ctl_print_journal(const struct ctl *ctl, const cJSON *tree)
{
    const cJSON *journal = cJSON_GetObjectItemCaseSensitive(tree, "journal");
    char a[CTL_NUMBER_MAX], b[CTL_NUMBER_MAX], size[GW_UNITS_TEXT_MAX];
    if (!journal)
        return;
    printf("%sJOURNAL%s\n", ctl_dim(ctl), ctl_plain(ctl));
    printf("  %-30s %16s\n", "gateway", ctl_text(tree, "gateway_id"));
    printf("  %-30s %16s\n", "epoch", ctl_text(journal, "epoch"));
    printf("  %-30s %16s\n", "oldest batch kept", ctl_grouped(ctl_number(journal, "begin"), a));
    printf("  %-30s %16s\n", "next batch", ctl_grouped(ctl_number(journal, "end"), b));
    printf("  %-30s %16s\n", "segments", ctl_grouped(ctl_number(journal, "segments"), a));
    uint64_t damaged = ctl_number(journal, "damaged_segments");
    if (damaged)
        printf("  %s%-30s %16s%s\n", ctl_bad(ctl), "damaged segments", ctl_grouped(damaged, a),
               ctl_plain(ctl));
    printf("  %-30s %16s\n", "disk", gw_units_size_about(ctl_number(journal, "disk_bytes"), size));
    printf("  %-30s %16s\n", "events in quarantine",
           ctl_grouped(ctl_number(journal, "quarantine_entries"), a));
    const cJSON *sinks = cJSON_GetObjectItemCaseSensitive(tree, "sinks"), *sink;
    if (cJSON_GetArraySize(sinks) == 0)
        return;
    printf("\n%s%-14s %16s %16s%s\n", ctl_dim(ctl), "SINK", "NEXT BATCH", "BEHIND", ctl_plain(ctl));
    cJSON_ArrayForEach(sink, sinks)
    {
        if (cJSON_HasObjectItem(sink, "cursor"))
            printf("  %-12s %16s %16s", ctl_text(sink, "name"), ctl_grouped(ctl_number(sink, "cursor"), a),
                   ctl_grouped(ctl_number(sink, "behind"), b));
        else
            printf("  %-12s %16s", ctl_text(sink, "name"), "nothing yet");
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(sink, "detached")))
            printf("  %sleft behind%s", ctl_bad(ctl), ctl_plain(ctl));
        putchar('\n');
    }
    print_lost(ctl, cJSON_GetObjectItemCaseSensitive(tree, "lost"));
}

int ctl_status(const struct ctl *ctl)
{
    if (ctl->argument_count)
        return ctl_fail(CTL_USAGE, "status takes no arguments; tributaryctl help status says more");
    cJSON *tree;
    int rc = ctl_get(ctl, "/v1/status", &tree);
    if (rc != CTL_OK)
        return rc;
    bool ready = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(tree, "ready"));
    char number[CTL_NUMBER_MAX];
    if (ctl->json) {
        rc = ctl_print_json(tree);
    } else {
        print_head(ctl, tree, ready);
        printf("\n  %-30s %16s\n", "device connections",
               ctl_grouped(ctl_number(tree, "connections"), number));
        print_events(ctl, cJSON_GetObjectItemCaseSensitive(tree, "events"));
        putchar('\n');
        ctl_print_journal(ctl, tree);
    }
    cJSON_Delete(tree);
    return rc != CTL_OK ? rc : ready ? CTL_OK : CTL_BAD;
}
