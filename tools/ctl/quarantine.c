/* tributaryctl quarantine show, redrive and drop: by the running gateway, which has the keys and the schemas. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"

#define PATH_BYTES 1000

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~", c);
}

/* Adds &name=value, percent-encoded (RFC 3986 §2.1). False: too long. */
static bool add_parameter(char path[PATH_BYTES], const char *name, const char *value)
{
    size_t len = strlen(path);
    int n = snprintf(path + len, PATH_BYTES - len, "%c%s=", strchr(path, '?') ? '&' : '?', name);
    len += n > 0 ? (size_t)n : 0;
    for (; *value && len + 4 < PATH_BYTES; value++) {
        if (is_plain(*value))
            path[len++] = *value;
        else
            len += (size_t)snprintf(path + len, 4, "%%%02X", (unsigned char)*value);
    }
    path[len < PATH_BYTES ? len : PATH_BYTES - 1] = 0;
    return *value == 0;
}

/* Which events, from the words behind the first. */
static int take_filter(const struct ctl *ctl, char path[PATH_BYTES])
{
    bool any = false;
    for (int i = 1; i < ctl->argument_count; i++) {
        const char *word = ctl->arguments[i], *value = NULL;
        const bool all = strcmp(word, "--all") == 0;
        const bool named =
            strcmp(word, "--id") == 0 || strcmp(word, "--device") == 0 || strcmp(word, "--schema") == 0;
        if (!all && !named)
            return ctl_fail(CTL_USAGE, "unknown word `%s`: see tributaryctl help quarantine", word);
        if (named && !(value = i + 1 < ctl->argument_count ? ctl->arguments[++i] : NULL))
            return ctl_fail(CTL_USAGE, "%s needs a value", word);
        if (!add_parameter(path, word + 2, all ? "true" : value))
            return ctl_fail(CTL_USAGE, "%s is too long", word);
        any = true;
    }
    return any ? CTL_OK
               : ctl_fail(CTL_USAGE,
                          "say which events: --id DEVICE/STREAM/SEQ, --device D, --schema S or --all");
}

static void print_text(const char *label, const char *text)
{
    if (!*text)
        return;
    printf("  %-18s ", label);
    for (; *text; text++) /* of a device: nothing of it may control the terminal */
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
    putchar('\n');
}

static void print_shown(const cJSON *tree)
{
    static const char *const names[] = {"device", "stream", "type", "schema", "reason", "keyword"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        print_text(names[i], ctl_text(tree, names[i]));
    printf("  %-18s %" PRIu64 "\n", "seq", ctl_number(tree, "seq"));
    printf("  %-18s %s\n", "valid now",
           cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(tree, "valid_now")) ? "yes: it can be re-driven"
                                                                             : "no");
    const cJSON *fault;
    cJSON_ArrayForEach(fault, cJSON_GetObjectItemCaseSensitive(tree, "faults"))
    {
        print_text("at", *ctl_text(fault, "instanceLocation") ? ctl_text(fault, "instanceLocation") : "/");
        print_text("  rule", ctl_text(fault, "keywordLocation"));
        print_text("  what", ctl_text(fault, "error"));
    }
}

static int show(const struct ctl *ctl)
{
    char path[PATH_BYTES] = "/v1/quarantine/show";
    cJSON *tree;
    if (ctl->argument_count != 2)
        return ctl_fail(CTL_USAGE, "quarantine show takes one event: DEVICE/STREAM/SEQ");
    if (!add_parameter(path, "id", ctl->arguments[1]))
        return ctl_fail(CTL_USAGE, "that name of an event is too long");
    int rc = ctl_ask(ctl, "GET", path, &tree);
    if (rc != CTL_OK)
        return rc;
    if (ctl->json)
        rc = ctl_print_json(tree);
    else
        print_shown(tree);
    cJSON_Delete(tree);
    return rc;
}

static void print_count(const cJSON *tree, const char *name, const char *label)
{
    char number[CTL_NUMBER_MAX];
    if (cJSON_HasObjectItem(tree, name))
        printf("  %-34s %12s\n", label, ctl_grouped(ctl_number(tree, name), number));
}

static const struct {
    const char *name, *label;
} counts[] = {
    {"matched", "events meant"},
    {"redriven", "on their way to stream and lake"},
    {"dropped", "dropped"},
    {"still_rejected", "still not valid, kept"},
    {"gone", "gone or erased meanwhile"},
    {"unreadable", "sealed with another key, kept"},
};
#define COUNTS (sizeof counts / sizeof counts[0])

/* Adds what one step did to what all did. */
static void add_step(cJSON *whole, const cJSON *step)
{
    static const char *const reasons[] = {"last_reason", "last_keyword"};
    for (size_t i = 0; i < COUNTS; i++) {
        if (!cJSON_HasObjectItem(step, counts[i].name))
            continue;
        cJSON *sum = cJSON_GetObjectItemCaseSensitive(whole, counts[i].name);
        if (!sum)
            sum = cJSON_AddNumberToObject(whole, counts[i].name, 0);
        cJSON_SetNumberHelper(sum,
                              (double)(ctl_number(whole, counts[i].name) + ctl_number(step, counts[i].name)));
    }
    if (!*ctl_text(step, reasons[0]))
        return; /* that of a step before stands */
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        cJSON_DeleteItemFromObjectCaseSensitive(whole, reasons[i]);
        if (*ctl_text(step, reasons[i]))
            (void)cJSON_AddStringToObject(whole, reasons[i], ctl_text(step, reasons[i]));
    }
}

static void show_progress(const cJSON *whole)
{
    char meant[CTL_NUMBER_MAX], done[CTL_NUMBER_MAX];
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r  %s events meant so far, %s of them settled ",
                ctl_grouped(ctl_number(whole, "matched"), meant),
                ctl_grouped(ctl_number(whole, "redriven") + ctl_number(whole, "dropped"), done));
}

/* One request a step, each from where the one before ended: the gateway settles so many at a time. */
static int settle_all(const struct ctl *ctl, const char *base, cJSON *whole)
{
    char path[PATH_BYTES + 64];
    cJSON *step;
    bool more = true;
    int rc = CTL_OK;
    snprintf(path, sizeof path, "%s", base);
    while (rc == CTL_OK && more && (rc = ctl_ask(ctl, "POST", path, &step)) == CTL_OK) {
        const char *next = ctl_text(step, "next");
        add_step(whole, step);
        more = *next != 0;
        snprintf(path, sizeof path, "%s&after=%s", base, next);
        if (more)
            show_progress(whole);
        cJSON_Delete(step);
    }
    return rc;
}

static int settle(const struct ctl *ctl)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof path, "/v1/quarantine/%s", ctl->arguments[0]);
    int rc = take_filter(ctl, path);
    if (rc != CTL_OK)
        return rc;
    cJSON *whole = cJSON_CreateObject();
    rc = settle_all(ctl, path, whole);
    if (isatty(STDERR_FILENO) && ctl_number(whole, "matched") > 0)
        fputs("\r\033[K", stderr);
    if (cJSON_HasObjectItem(whole, "matched")) { /* what was done before a failure, too */
        if (ctl->json) {
            int printed = ctl_print_json(whole);
            rc = rc != CTL_OK ? rc : printed;
        } else {
            for (size_t i = 0; i < COUNTS; i++)
                print_count(whole, counts[i].name, counts[i].label);
            print_text("the last reason", ctl_text(whole, "last_reason"));
            print_text("  keyword", ctl_text(whole, "last_keyword"));
        }
    }
    cJSON_Delete(whole);
    return rc;
}

int ctl_quarantine_settle(const struct ctl *ctl)
{
    const char *word = ctl->argument_count > 0 ? ctl->arguments[0] : "";
    if (strcmp(word, "show") == 0)
        return show(ctl);
    if (strcmp(word, "redrive") == 0 || strcmp(word, "drop") == 0)
        return settle(ctl);
    return ctl_fail(CTL_USAGE,
                    "quarantine takes one word: list, show, redrive or drop; see tributaryctl help "
                    "quarantine");
}
