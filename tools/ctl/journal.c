/* tributaryctl journal inspect: by the running gateway, or with the lock taken offline. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "admin/routes.h"
#include "ctl.h"
#include "journal/journal.h"

static const char *const sinks[] = {"stream", "lake"};

static int show(const struct ctl *ctl, const cJSON *tree)
{
    int rc = CTL_OK;
    if (ctl->json)
        rc = ctl_print_json(tree);
    else
        ctl_print_journal(ctl, tree);
    if (rc == CTL_OK && ctl_number(cJSON_GetObjectItemCaseSensitive(tree, "journal"), "damaged_segments"))
        rc = ctl_fail(CTL_BAD, "a segment is damaged and was set aside: its events are lost here; look for a "
                               "backup of the disk");
    return rc;
}

static int inspect_offline(const struct ctl *ctl)
{
    char *format;
    struct stat status;
    if (asprintf(&format, "%s/FORMAT", ctl->data) < 0)
        return ctl_fail(CTL_FAILED, "out of memory");
    struct gw_journal *journal = NULL;
    struct gw_error error = {0};
    int rc = GW_OK;
    /* Opening formats an empty folder: a look must not make a journal where none is. */
    if (stat(format, &status) != 0)
        rc = gw_error_set(&error, GW_ENOTFOUND, 0,
                          "%s: there is no journal: is this the gateway's data.folder?", ctl->data);
    else
        rc = gw_journal_open(&(struct gw_journal_config){.folder = ctl->data}, &journal, &error);
    free(format);
    if (rc == GW_EBUSY)
        return ctl_fail(CTL_UNREACHABLE,
                        "a gateway has this journal open, but does not answer at %s: give --socket PATH",
                        ctl->socket);
    if (rc != GW_OK)
        return ctl_fail(CTL_FAILED, "%s", error.text);
    cJSON *tree = cJSON_CreateObject();
    gw_admin_add_journal(tree, journal, sinks, sizeof sinks / sizeof sinks[0]);
    gw_journal_close(journal);
    rc = show(ctl, tree);
    cJSON_Delete(tree);
    return rc;
}

int ctl_journal(const struct ctl *ctl)
{
    if (ctl->argument_count != 1 || strcmp(ctl->arguments[0], "inspect") != 0)
        return ctl_fail(CTL_USAGE, "journal takes one word: tributaryctl journal inspect");
    if (ctl->data && !ctl_answers(ctl))
        return inspect_offline(ctl);
    cJSON *tree;
    int rc = ctl_get(ctl, "/v1/status", &tree);
    if (rc != CTL_OK)
        return rc;
    rc = show(ctl, tree);
    cJSON_Delete(tree);
    return rc;
}
