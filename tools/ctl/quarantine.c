/* tributaryctl quarantine show, redrive and drop: by the running gateway, which has the keys and the schemas. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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

static int settle(const struct ctl *ctl)
{
    char path[PATH_BYTES];
    cJSON *tree;
    snprintf(path, sizeof path, "/v1/quarantine/%s", ctl->arguments[0]);
    int rc = take_filter(ctl, path);
    if (rc == CTL_OK)
        rc = ctl_ask(ctl, "POST", path, &tree);
    if (rc != CTL_OK)
        return rc;
    if (ctl->json) {
        rc = ctl_print_json(tree);
    } else {
        print_count(tree, "matched", "events meant");
        print_count(tree, "redriven", "on their way to stream and lake");
        print_count(tree, "dropped", "dropped");
        print_count(tree, "still_rejected", "still not valid, kept");
        print_count(tree, "gone", "gone or erased meanwhile");
        print_count(tree, "unreadable", "sealed with another key, kept");
        print_text("the last reason", ctl_text(tree, "last_reason"));
        print_text("  keyword", ctl_text(tree, "last_keyword"));
    }
    cJSON_Delete(tree);
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
