#include "main/gateway.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/files.h"
#include "base/layout.h"
#include "lake/embedded.h"
#include "main/reload.h"
#include "observe/health.h"
#include "observe/log.h"

/* Room for the folder and a short name; config bounds paths at 4096. */
#define PATH_MAX_BYTES 4200

static void run_path(const struct gw_gateway *gateway, const char *name, char out[PATH_MAX_BYTES])
{
    snprintf(out, PATH_MAX_BYTES, "%s/run%s%s", gateway->config->data.folder, name[0] ? "/" : "", name);
}

static int open_journal(struct gw_gateway *gateway, struct gw_error *error)
{
    const struct gw_config *config = gateway->config;
    struct gw_journal_config journal = {.folder = config->data.folder,
                                        .segment_bytes = gw_config_segment_bytes(config),
                                        .quota_bytes = config->data.quota_bytes,
                                        .quarantine_per_device = config->limits.quarantine,
                                        .recycle = config->journal.recycle,
                                        .retention_bytes = config->journal.retention_bytes,
                                        .retention_ms = (uint64_t)config->journal.retention_seconds * 1000};
    return gw_journal_open(&journal, &gateway->journal, error);
}

static enum gw_undeclared undeclared_rule(const struct gw_config *config)
{
    if (strcmp(config->schemas.undeclared, "keep") == 0)
        return GW_UNDECLARED_KEEP;
    return strcmp(config->schemas.undeclared, "reject") == 0 ? GW_UNDECLARED_REJECT : GW_UNDECLARED_DROP;
}

static void schemas_in_trouble(const char *text)
{
    gw_log(GW_LOG_WARNING, "schemas.files",
           "registered schemas are safe, but cannot be written to their folder for people",
           GW_TEXT("error", text));
}

/* Behind the journal, whose lock says that nobody else has the data folder. */
static int open_schemas(struct gw_gateway *gateway, struct gw_error *error)
{
    const struct gw_config *config = gateway->config;
    const struct gw_schemas_options options = {.compile = {.assert_formats = true},
                                               .memory_max = config->schemas.memory_bytes,
                                               .undeclared_kept =
                                                   undeclared_rule(config) == GW_UNDECLARED_KEEP};
    char store[PATH_MAX_BYTES], files[PATH_MAX_BYTES];
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    snprintf(store, sizeof store, "%s/" GW_LAYOUT_REGISTRY, config->data.folder);
    snprintf(files, sizeof files, "%s%s",
             *config->schemas.folder ? config->schemas.folder : config->data.folder,
             *config->schemas.folder ? "" : "/" GW_LAYOUT_SCHEMAS);
    gateway->schemas = gw_schemas_new(&options);
    if (!gateway->schemas)
        return gw_error_set(error, GW_ENOMEM, 0, "schemas: out of memory");
    const struct gw_schema_disk_options disk = {.store = store,
                                                .files = files,
                                                .read_files_only = !config->schemas.write,
                                                .on_trouble = schemas_in_trouble,
                                                .now_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000};
    return gw_schema_disk_open(&disk, gateway->schemas, NULL, &gateway->schema_disk, error);
}

static int make_run_folder(const struct gw_gateway *gateway, struct gw_error *error)
{
    char path[PATH_MAX_BYTES];
    run_path(gateway, "", path);
    if (mkdir(path, 0750) != 0 && errno != EEXIST)
        return gw_error_set(error, errno == ENOSPC ? GW_EFULL : GW_EIO, errno, "cannot make the folder %s",
                            path);
    return GW_OK;
}

/* Whole or not at all, so that who waits for the file never reads half a number. */
static int write_port(const struct gw_gateway *gateway, struct gw_error *error)
{
    char folder[PATH_MAX_BYTES], text[8];
    run_path(gateway, "", folder);
    const int len = snprintf(text, sizeof text, "%u\n", gw_ingest_port(gateway->ingest));
    const int e = gw_file_write(folder, "port", text, (size_t)len, 0640);
    return e == 0 ? GW_OK : gw_error_set(error, GW_EIO, e, "cannot write the port to %s/port", folder);
}

static int start_admin(struct gw_gateway *gateway, struct gw_error *error)
{
    const struct gw_config *config = gateway->config;
    char folder[PATH_MAX_BYTES];
    run_path(gateway, "", folder);
    struct gw_admin_config admin = {
        .http_address = config->observe.http_address,
        .http_port = config->observe.http_port,
        .run_folder = folder,
        .socket = config->admin.socket,
        .sinks = gateway->sinks,
        .sink_count = gateway->sink_count,
        .schemas = gateway->schemas,
        .remote_address = config->admin.http_address,
        .remote_port = config->admin.http_port,
        .certificate = *config->admin.certificate ? config->admin.certificate : config->listen.certificate,
        .key = *config->admin.certificate ? config->admin.key : config->listen.key,
        .token_file = config->admin.token_file,
        .data_folder = config->data.folder};
    int result = gw_admin_start(&admin, &gateway->admin, error);
    if (result == GW_OK)
        gw_admin_set_journal(gateway->admin, gateway->journal);
    return result;
}

static int start_sinks(struct gw_gateway *gateway, struct gw_error *error)
{
    int result = gw_embedded_start(gateway->journal, gateway->config, gw_journal_gateway_id(gateway->journal),
                                   &gateway->delivery, error);
    if (result == GW_OK)
        gateway->sink_count = gw_delivery_sink_names(gateway->delivery, gateway->sinks);
    return result;
}

static void on_commit(void *context)
{
    gw_delivery_wake(context);
}

static int write_entries(void *context, struct gw_journal_write *const *writes, size_t count,
                         struct gw_error *error)
{
    return gw_ingest_write(context, writes, count, error);
}

static int start_ingest(struct gw_gateway *gateway, struct gw_error *error)
{
    gateway->policy = (struct gw_admit_policy){
        .pseudonym = gateway->keys.pseudonym,
        .seal = gateway->keys.seal,
        .max_event_bytes = gateway->config->limits.event_bytes,
        .custom = {.schemas = gateway->schemas, .undeclared = undeclared_rule(gateway->config)}};
    struct gw_ingest_deps deps = {.config = gateway->config,
                                  .journal = gateway->journal,
                                  .policy = &gateway->policy,
                                  .sinks = gateway->sinks,
                                  .sink_count = gateway->sink_count,
                                  .on_commit = on_commit,
                                  .on_commit_context = gateway->delivery};
    int result = gw_ingest_start(&deps, &gateway->ingest, error);
    if (result != GW_OK)
        return result;
    gateway->writer = (struct gw_admin_writer){
        .policy = &gateway->policy, .write = write_entries, .context = gateway->ingest};
    gw_admin_set_writer(gateway->admin, &gateway->writer);
    return GW_OK;
}

static int reload(void *context, struct gw_error *error)
{
    return gw_gateway_reload(context, error);
}

int gw_gateway_start(struct gw_gateway *gateway, const struct gw_config *config, const char *path,
                     struct gw_error *error)
{
    *gateway = (struct gw_gateway){.config = config, .config_path = path};
    pthread_mutex_init(&gateway->reload_lock, NULL);
    int result = open_journal(gateway, error);
    if (result == GW_OK)
        result = gw_keys_load(config, &gateway->keys, error);
    if (result == GW_OK)
        result = open_schemas(gateway, error);
    if (result == GW_OK)
        result = make_run_folder(gateway, error);
    if (result == GW_OK)
        result = start_sinks(gateway, error);
    if (result == GW_OK)
        result = start_admin(gateway, error);
    if (result == GW_OK)
        result = start_ingest(gateway, error);
    if (result == GW_OK) {
        gateway->reload = (struct gw_admin_reload){.reload = reload, .context = gateway};
        gw_admin_set_reload(gateway->admin, &gateway->reload);
        gw_health_set(GW_CONDITION_STARTING, false);
        result =
            write_port(gateway, error); /* last: who finds the file finds a gateway that says it is ready */
    }
    if (result != GW_OK) {
        gw_gateway_stop(gateway);
        return result;
    }
    gw_log(GW_LOG_INFO, "main.started", "devices may connect", GW_TEXT("address", config->listen.address),
           GW_UINT("port", gw_ingest_port(gateway->ingest)),
           GW_UINT("http_port", gw_admin_http_port(gateway->admin)),
           GW_TEXT("gateway", gw_journal_gateway_id(gateway->journal)),
           GW_HEX("epoch", gw_journal_epoch(gateway->journal)));
    return GW_OK;
}

void gw_gateway_stop(struct gw_gateway *gateway)
{
    gw_health_set(GW_CONDITION_DRAINING, true);
    if (gateway->admin) {
        gw_admin_set_writer(gateway->admin, NULL);
        gw_admin_set_reload(gateway->admin, NULL);
    }
    if (gateway->ingest) {
        char path[PATH_MAX_BYTES];
        run_path(gateway, "port", path);
        unlink(path);
        gw_ingest_stop(gateway->ingest);
    }
    if (gateway->admin) {
        gw_admin_set_journal(gateway->admin, NULL);
        gw_admin_stop(gateway->admin);
    }
    gw_delivery_stop(gateway->delivery);
    gw_custom_forget();
    gw_schema_disk_close(gateway->schema_disk);
    gw_schemas_close(gateway->schemas);
    gw_keys_free(&gateway->keys);
    if (gateway->journal)
        gw_journal_close(gateway->journal);
    pthread_mutex_destroy(&gateway->reload_lock);
    *gateway = (struct gw_gateway){.config = gateway->config};
}
