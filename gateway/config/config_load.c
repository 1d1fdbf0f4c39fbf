#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/cores.h"
#include "config/check.h"
#include "config/tree.h"

#define STRINGS_CHUNK_BYTES 4096
#define STRINGS_LIMIT_BYTES (8 * GW_TREE_BYTES_MAX)

static const char *process_environment(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

int gw_config_parse(const char *path, const char *text, size_t len, gw_config_environment environment,
                    void *context, struct gw_config *out, struct gw_config_report *report)
{
    *report = (struct gw_config_report){.count = 0};
    struct gw_arena *arena = malloc(sizeof *arena);
    if (!arena)
        return gw_report_add(report, GW_ENOMEM, path, 0, "out of memory");
    gw_arena_init(arena, STRINGS_CHUNK_BYTES, STRINGS_LIMIT_BYTES);
    struct gw_tree tree;
    struct gw_config config = {.owned = arena};
    int rc = gw_tree_parse(path, text, len, &tree, report);
    if (rc == GW_OK) {
        struct gw_check check = {.tree = &tree,
                                 .arena = arena,
                                 .environment = environment,
                                 .context = context,
                                 .config = &config,
                                 .report = report};
        rc = gw_check_tree(&check);
    }
    gw_tree_free(&tree);
    if (rc == GW_OK)
        *out = config;
    else
        gw_config_free(&config);
    return rc;
}

/* The whole file, at most one byte more than is allowed: gw_tree_parse says so then. */
static int read_file(const char *path, char **out_text, size_t *out_len, struct gw_config_report *report)
{
    FILE *file = fopen(path, "re");
    if (!file) {
        int code = errno == ENOENT ? GW_ENOTFOUND : GW_EIO;
        return gw_report_add(report, code, path, 0, "cannot be opened: %s", strerror(errno));
    }
    char *text = malloc(GW_TREE_BYTES_MAX + 1);
    size_t len = text ? fread(text, 1, GW_TREE_BYTES_MAX + 1, file) : 0;
    int rc = GW_OK;
    if (!text)
        rc = gw_report_add(report, GW_ENOMEM, path, 0, "out of memory");
    else if (ferror(file))
        rc = gw_report_add(report, GW_EIO, path, 0, "cannot be read: %s", strerror(errno));
    (void)fclose(file);
    if (rc != GW_OK) {
        free(text);
        return rc;
    }
    *out_text = text;
    *out_len = len;
    return GW_OK;
}

int gw_config_load_report(const char *path, struct gw_config *out, struct gw_config_report *report)
{
    *report = (struct gw_config_report){.count = 0};
    char *text = NULL;
    size_t len = 0;
    int rc = read_file(path, &text, &len, report);
    if (rc != GW_OK)
        return rc;
    rc = gw_config_parse(path, text, len, process_environment, NULL, out, report);
    free(text);
    return rc;
}

int gw_config_load(const char *path, struct gw_config *out, struct gw_error *error)
{
    struct gw_config_report report;
    int rc = gw_config_load_report(path, out, &report);
    if (rc == GW_OK || !error)
        return rc;
    *error = report.errors[0];
    size_t others = report.count - 1 + report.more, len = strlen(error->text);
    if (others)
        snprintf(error->text + len, sizeof error->text - len, " (and %zu more: --check-config shows all)",
                 others);
    return rc;
}

unsigned gw_config_ingest_threads(const struct gw_config *config, unsigned cores)
{
    unsigned count = config->listen.threads;
    cpu_set_t cpus;
    if (count == 0 && config->listen.cpus && gw_cores_parse(config->listen.cpus, &cpus) == GW_OK)
        count = (unsigned)CPU_COUNT(&cpus) < cores ? (unsigned)CPU_COUNT(&cpus) : cores;
    if (count == 0)
        count = cores > 1 ? cores - 1 : 1;
    return count < GW_INGEST_THREADS_MAX ? count : GW_INGEST_THREADS_MAX;
}

/* How much longer than its message an entry may be: pseudonyms are longer than short user ids. */
#define MESSAGE_GROWTH (32u << 10)
/* The journal takes items of up to a quarter of a segment; half of that leaves room for what it adds. */
#define ITEMS_PER_SEGMENT 8u
/* Of a quota about two segments lie idle: one is being filled, and one is kept free so that nothing in flight finds it full. */
#define QUOTA_SEGMENTS 16u
#define QUOTA_SEGMENTS_LEAST 4u
#define SEGMENT_BYTES_LEAST ((uint64_t)1 << 20) /* as config.def has it */

uint64_t gw_config_message_segment_bytes(const struct gw_config *config)
{
    return ITEMS_PER_SEGMENT * ((uint64_t)config->limits.message_bytes + MESSAGE_GROWTH);
}

uint64_t gw_config_segment_bytes(const struct gw_config *config)
{
    const uint64_t quota = config->data.quota_bytes, needed = gw_config_message_segment_bytes(config);
    uint64_t bytes = config->data.segment_bytes;
    if (quota != 0) {
        uint64_t share = quota / QUOTA_SEGMENTS > needed ? quota / QUOTA_SEGMENTS : needed;
        if (share > quota / QUOTA_SEGMENTS_LEAST)
            share = quota / QUOTA_SEGMENTS_LEAST;
        bytes = share < bytes ? share : bytes;
    }
    return bytes > SEGMENT_BYTES_LEAST ? bytes : SEGMENT_BYTES_LEAST;
}

uint64_t gw_config_item_bytes(const struct gw_config *config)
{
    return gw_config_segment_bytes(config) / ITEMS_PER_SEGMENT;
}

void gw_config_free(struct gw_config *config)
{
    if (config->owned) {
        gw_arena_free(config->owned);
        free(config->owned);
    }
    *config = (struct gw_config){.owned = NULL};
}
