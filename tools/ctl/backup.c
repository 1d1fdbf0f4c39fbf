/*
 * tributaryctl journal backup: the running gateway, or where none runs this program, makes a backup ready in the data folder; then
 * it is taken to where it is wanted, with no gateway waiting for it.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/layout.h"
#include "journal/folder.h"
#include "maintain.h"

#define LOOK_MS 50
#define WAITING_MS 30000 /* until it is begun: the committer looks each second, unless the disk holds it up */
#define RUNNING_MS 600000 /* until it is made */

static uint64_t now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_a_little(void)
{
    const struct timespec while_ = {.tv_nsec = LOOK_MS * 1000000L};
    (void)nanosleep(&while_, NULL);
}

/* It did not begin in time. What begins after all, just before it is taken back, is waited for. */
static int withdraw(const struct ctl *ctl, uint64_t number)
{
    char path[64];
    cJSON *tree = NULL;
    snprintf(path, sizeof path, "/v1/backup?number=%" PRIu64, number);
    if (ctl_ask(ctl, "DELETE", path, &tree) != CTL_OK)
        return CTL_OK;
    cJSON_Delete(tree);
    return ctl_fail(
        CTL_FAILED,
        "the gateway did not get to the backup within %d s, and it was taken back: does the disk hold "
        "it up? Its log and tributaryctl status may tell",
        WAITING_MS / 1000);
}

static void read_summary(const cJSON *tree, struct gw_journal_summary *out)
{
    *out = (struct gw_journal_summary){.epoch = strtoull(ctl_text(tree, "epoch"), NULL, 16),
                                       .begin = ctl_number(tree, "begin"),
                                       .end = ctl_number(tree, "end"),
                                       .segments = ctl_number(tree, "segments"),
                                       .entries = ctl_number(tree, "entries"),
                                       .bytes = ctl_number(tree, "bytes"),
                                       .bad = ctl_number(tree, "bad"),
                                       .lost = ctl_number(tree, "lost"),
                                       .schemas = ctl_number(tree, "schemas")};
}

/* One look. *out_done: there is no more to wait for. */
static int look(const struct ctl *ctl, uint64_t number, bool *out_waits, bool *out_done,
                struct gw_journal_summary *out)
{
    cJSON *tree = NULL;
    int code = ctl_get(ctl, "/v1/backup", &tree);
    if (code != CTL_OK)
        return code;
    const char *state = ctl_text(tree, "state");
    *out_waits = strcmp(state, "waiting") == 0;
    *out_done = strcmp(state, "ready") == 0;
    if (ctl_number(tree, "number") != number || strcmp(state, "none") == 0)
        code = ctl_fail(CTL_FAILED,
                        "the gateway was started again, or somebody else asked it for a backup: try again");
    else if (strcmp(state, "failed") == 0)
        code = ctl_fail(CTL_FAILED, "the gateway could not make the backup: %s", ctl_text(tree, "error"));
    else if (*out_done)
        read_summary(tree, out);
    cJSON_Delete(tree);
    return code;
}

static int wait_for(const struct ctl *ctl, uint64_t number, struct gw_journal_summary *out)
{
    const uint64_t begin_ms = now_ms();
    bool waits = true, done = false, asked_back = false;
    int code = look(ctl, number, &waits, &done, out);
    while (code == CTL_OK && !done) {
        const uint64_t waited_ms = now_ms() - begin_ms;
        if (waited_ms > RUNNING_MS)
            return ctl_fail(
                CTL_FAILED,
                "the backup is not ready after %d minutes: it goes on, and will lie in %s/" GW_LAYOUT_BACKUP
                "; take it from there (mv), or begin again later, which removes it",
                RUNNING_MS / 60000, ctl->data);
        if (waits && waited_ms > WAITING_MS && !asked_back) {
            asked_back = true;
            code = withdraw(ctl, number);
        }
        pause_a_little();
        if (code == CTL_OK)
            code = look(ctl, number, &waits, &done, out);
    }
    return code;
}

static int from_gateway(const struct ctl *ctl, struct gw_journal_summary *out)
{
    cJSON *tree = NULL;
    int code = ctl_ask(ctl, "POST", "/v1/backup", &tree);
    if (code != CTL_OK)
        return code;
    const uint64_t number = ctl_number(tree, "number");
    cJSON_Delete(tree);
    return wait_for(ctl, number, out);
}

static int from_files(const struct ctl *ctl, struct gw_journal_summary *out)
{
    struct gw_path ready = gw_path_join(ctl->data, GW_LAYOUT_BACKUP);
    struct gw_journal *journal = NULL;
    struct gw_error error = {0};
    int code = ctl_open_journal(ctl, &journal);
    if (code != CTL_OK)
        return code;
    int rc = gw_journal_backup(journal, ready.text, out, &error);
    gw_journal_close(journal);
    return rc == GW_OK ? CTL_OK : ctl_fail(CTL_FAILED, "%s", error.text);
}

int ctl_backup(const struct ctl *ctl)
{
    const char *destination = ctl->arguments[1];
    struct gw_journal_summary sum = {0};
    struct gw_error error = {0};
    int lock_fd = -1;
    if (gw_backup_begin(ctl->data, destination, &lock_fd, &error) != GW_OK)
        return ctl_fail(CTL_FAILED, "%s", error.text);
    int code = ctl_answers(ctl) ? from_gateway(ctl, &sum) : from_files(ctl, &sum);
    if (code == CTL_OK && gw_backup_take(ctl->data, destination, &error) != GW_OK)
        code = ctl_fail(CTL_FAILED, "%s", error.text);
    close(lock_fd);
    if (code == CTL_OK)
        code = ctl_print_summary("backed up:", ctl->json ? cJSON_CreateArray() : NULL, ctl->json, &sum);
    if (code == CTL_OK && sum.bad)
        code = ctl_fail(CTL_BAD, "%" PRIu64 " damaged segment%s left out, with %" PRIu64 " entries", sum.bad,
                        sum.bad == 1 ? " was" : "s were", sum.lost);
    return code;
}
