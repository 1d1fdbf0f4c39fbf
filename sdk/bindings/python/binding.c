#include "binding.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tributary/tributary.h>

#include "net_proxy.h"
#include "net_tcp.h"
#include "net_tls.h"
#include "platform.h"
#include "storage_file.h"

#define CUSTOM_BYTES 2048
#define PATH_BYTES 4096

enum kept {
    KEPT_DEVICE,
    KEPT_HOST,
    KEPT_PATH,
    KEPT_TOKEN,
    KEPT_SERVER_NAME,
    KEPT_USER_SALT,
    KEPT_PROXY_HOST,
    KEPT_PROXY_USER,
    KEPT_PROXY_PASSWORD,
    KEPT_COUNT
};

struct trib_py_session {
    struct trib_session session;
    struct trib_py *owner;
    struct trib_py_session *next;
};

struct trib_py_custom {
    struct trib_custom event;
    uint8_t buffer[CUSTOM_BYTES];
};

struct trib_py {
    struct trib_client client;
    struct trib_config config;
    struct trib_posix_tcp tcp;
    struct trib_proxy proxy;
    struct trib_posix_lock lock;
    struct trib_mbedtls tls;
    struct trib_storage_file files[TRIB_LANE_COUNT];
    struct trib_py_options options; /* its callbacks only */
    struct trib_py_session *sessions;
    struct trib_stats stats; /* with state: as of the last step; guarded by the lock */
    enum trib_state state;
    char *kept[KEPT_COUNT];
    int wake[2];
    bool has_tcp, has_lock, has_tls, has_file[TRIB_LANE_COUNT];
    uint8_t staging[8192], transmit[16384], receive[8192];
};

int trib_py_abi(void)
{
    return TRIB_PY_ABI;
}

const char *trib_py_version(void)
{
    return TRIBUTARY_VERSION;
}

const char *trib_py_error_text(int code)
{
    return trib_error_text(code);
}

static void write_log(void *context, enum trib_log_level level, const char *text)
{
    struct trib_py *handle = context;
    if (handle->options.log)
        handle->options.log((int)level, text);
}

static void tell_state(void *context, enum trib_state state, int error)
{
    struct trib_py *handle = context;
    if (handle->options.state)
        handle->options.state((int)state, error);
}

static void tell_rejected(void *context, uint64_t stream, uint64_t seq, unsigned code)
{
    struct trib_py *handle = context;
    if (handle->options.rejected)
        handle->options.rejected(stream, seq, code);
}

static void take_time(void *context, uint64_t utc_ms)
{
    struct trib_py *handle = context;
    if (handle->has_tls)
        trib_mbedtls_raise_time_floor(&handle->tls, utc_ms);
}

static int keep(struct trib_py *handle, enum kept which, const char *text, const char **out)
{
    if (!text)
        return 0;
    handle->kept[which] = strdup(text);
    *out = handle->kept[which];
    return *out ? 0 : TRIB_EFULL;
}

static int keep_texts(struct trib_py *handle, const struct trib_py_options *options,
                      const char **out_server_name)
{
    struct trib_config *config = &handle->config;
    int rc = keep(handle, KEPT_DEVICE, options->device_id, &config->device_id);
    rc = rc ? rc : keep(handle, KEPT_HOST, options->host, &config->host);
    rc = rc ? rc : keep(handle, KEPT_PATH, options->path, &config->path);
    rc = rc ? rc : keep(handle, KEPT_USER_SALT, options->user_salt, &config->user_salt);
    rc = rc ? rc : keep(handle, KEPT_TOKEN, options->token, &config->token);
    return rc ? rc : keep(handle, KEPT_SERVER_NAME, options->server_name, out_server_name);
}

/* With its terminating zero, as mbedTLS wants PEM. */
static struct trib_mbedtls_blob pem(const char *text)
{
    return (struct trib_mbedtls_blob){(const uint8_t *)text, text ? strlen(text) + 1 : 0};
}

/* Between TCP and TLS. */
static int open_proxy(struct trib_py *handle, const struct trib_py_options *options, struct trib_net *lower)
{
    struct trib_proxy_config way = {
        .lower = *lower, .port = (uint16_t)options->proxy_port, .log = handle->config.log};
    if (!options->proxy_host)
        return 0;
    if (options->proxy_port > UINT16_MAX)
        return TRIB_EINVAL;
    int rc = keep(handle, KEPT_PROXY_HOST, options->proxy_host, &way.host);
    rc = rc ? rc : keep(handle, KEPT_PROXY_USER, options->proxy_user, &way.user);
    rc = rc ? rc : keep(handle, KEPT_PROXY_PASSWORD, options->proxy_password, &way.password);
    rc = rc ? rc : trib_proxy_init(&handle->proxy, &way);
    if (rc == 0)
        *lower = trib_proxy_net(&handle->proxy);
    return rc;
}

static int open_network(struct trib_py *handle, const struct trib_py_options *options,
                        const char *server_name)
{
    trib_posix_tcp_init(&handle->tcp, &handle->config.log);
    handle->has_tcp = true;
    struct trib_mbedtls_config config = {
        .lower = trib_posix_tcp_net(&handle->tcp),
        .entropy = trib_posix_entropy(),
        .log = handle->config.log,
        .ca = pem(options->ca),
        .certificate = pem(options->certificate),
        .key = pem(options->key),
        .server_name = server_name,
        .utc_ms = trib_posix_utc_ms,
    };
    int rc = open_proxy(handle, options, &config.lower);
    if (rc < 0)
        return rc;
    handle->has_tls = true; /* also after a failed init */
    rc = trib_mbedtls_init(&handle->tls, &config);
    if (rc == 0)
        handle->config.net = trib_mbedtls_net(&handle->tls);
    return rc;
}

static int open_lane(struct trib_py *handle, const struct trib_py_options *options, enum trib_lane lane)
{
    char path[PATH_BYTES];
    bool vital = lane == TRIB_LANE_VITAL;
    int length = snprintf(path, sizeof path, "%s/%s", options->folder, vital ? "vital.ring" : "routine.ring");
    if (length < 0 || (size_t)length >= sizeof path)
        return TRIB_EINVAL;
    int rc = trib_storage_file_open(&handle->files[lane], path, options->sector_bytes,
                                    vital ? options->vital_sectors : options->routine_sectors,
                                    &handle->config.storage[lane]);
    handle->has_file[lane] = rc == 0;
    return rc;
}

static int open_wake(struct trib_py *handle)
{
    if (pipe(handle->wake) != 0) {
        handle->wake[0] = handle->wake[1] = -1;
        return TRIB_EIO;
    }
    for (int i = 0; i < 2; i++)
        if (fcntl(handle->wake[i], F_SETFL, O_NONBLOCK) != 0 ||
            fcntl(handle->wake[i], F_SETFD, FD_CLOEXEC) != 0)
            return TRIB_EIO;
    return 0;
}

static void discard(struct trib_py *handle)
{
    if (handle->has_tls)
        trib_mbedtls_deinit(&handle->tls);
    if (handle->has_tcp)
        trib_posix_tcp_deinit(&handle->tcp);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        if (handle->has_file[lane])
            trib_storage_file_close(&handle->files[lane]);
    if (handle->has_lock)
        trib_posix_lock_destroy(&handle->lock);
    for (int i = 0; i < 2; i++)
        if (handle->wake[i] >= 0)
            close(handle->wake[i]);
    while (handle->sessions) {
        struct trib_py_session *next = handle->sessions->next;
        free(handle->sessions);
        handle->sessions = next;
    }
    for (int i = 0; i < KEPT_COUNT; i++)
        free(handle->kept[i]);
    free(handle);
}

static int open_all(struct trib_py *handle, const struct trib_py_options *options)
{
    struct trib_config *config = &handle->config;
    const char *server_name = NULL;
    config->port = (uint16_t)options->port;
    config->clock = trib_posix_clock();
    config->entropy = trib_posix_entropy();
    config->digest = trib_mbedtls_digest();
    config->wait = trib_posix_waiter(&handle->tcp);
    config->log = (struct trib_log){handle, write_log};
    config->callbacks = (struct trib_callbacks){handle, tell_state, tell_rejected, take_time};
    config->staging = handle->staging;
    config->staging_bytes = sizeof handle->staging;
    config->transmit = handle->transmit;
    config->transmit_bytes = sizeof handle->transmit;
    config->receive = handle->receive;
    config->receive_bytes = sizeof handle->receive;
    config->durable_window_ms = options->durable_window_ms;
    config->ping_ms = options->ping_ms;
    config->linger_ms = options->linger_ms;
    config->backoff_min_ms = options->backoff_min_ms;
    config->backoff_max_ms = options->backoff_max_ms;
    config->consent_required = options->consent_required != 0;
    config->user_id_as_given = options->user_id_as_given != 0;
    if (!options->folder || options->port == 0 || options->port > UINT16_MAX)
        return TRIB_EINVAL;
    int rc = keep_texts(handle, options, &server_name);
    rc = rc ? rc : open_wake(handle);
    rc = rc ? rc : trib_posix_lock_init(&handle->lock);
    if (rc < 0)
        return rc;
    handle->has_lock = true;
    config->lock = trib_posix_lock(&handle->lock);
    rc = open_network(handle, options, server_name);
    rc = rc ? rc : open_lane(handle, options, TRIB_LANE_VITAL);
    rc = rc ? rc : open_lane(handle, options, TRIB_LANE_ROUTINE);
    return rc ? rc : trib_init(&handle->client, config);
}

static void take_snapshot(struct trib_py *handle)
{
    struct trib_lock lock = handle->config.lock;
    struct trib_stats stats;
    trib_get_stats(&handle->client, &stats);
    enum trib_state state = trib_get_state(&handle->client);
    lock.lock(lock.context);
    handle->stats = stats;
    handle->state = state;
    lock.unlock(lock.context);
}

int trib_py_open(const struct trib_py_options *options, struct trib_py **out)
{
    struct trib_py *handle = calloc(1, sizeof *handle);
    if (!handle)
        return TRIB_EFULL;
    handle->options = *options;
    handle->wake[0] = handle->wake[1] = -1;
    int rc = open_all(handle, options);
    if (rc < 0) {
        discard(handle);
        return rc;
    }
    take_snapshot(handle);
    *out = handle;
    return 0;
}

int trib_py_step(struct trib_py *handle, uint32_t wait_max_ms)
{
    char drained[64];
    uint32_t next = 0;
    int rc = trib_poll(&handle->client, &next);
    take_snapshot(handle);
    trib_posix_wait(&handle->tcp, handle->wake[0], next < wait_max_ms ? next : wait_max_ms);
    while (read(handle->wake[0], drained, sizeof drained) > 0) {
    }
    return rc;
}

void trib_py_wake(struct trib_py *handle)
{
    ssize_t written = write(handle->wake[1], "", 1);
    (void)written; /* a full pipe wakes as well */
}

/* What was recorded may be due at once: the sleeping thread must look. */
static int recorded(struct trib_py *handle, int rc)
{
    if (rc == 0 || rc == TRIB_EFULL) /* or must make room */
        trib_py_wake(handle);
    return rc;
}

int trib_py_set_consent(struct trib_py *handle, int given)
{
    int rc = trib_set_consent(&handle->client, given != 0);
    take_snapshot(handle);
    return rc;
}

int trib_py_erase(struct trib_py *handle)
{
    int rc = trib_erase(&handle->client);
    take_snapshot(handle);
    return rc;
}

int trib_py_flush(struct trib_py *handle, uint32_t budget_ms)
{
    int rc = trib_flush(&handle->client, budget_ms);
    take_snapshot(handle);
    return rc;
}

int trib_py_shutdown(struct trib_py *handle, uint32_t budget_ms)
{
    int rc = trib_shutdown(&handle->client, budget_ms);
    take_snapshot(handle);
    return rc;
}

void trib_py_free(struct trib_py *handle)
{
    discard(handle);
}

int trib_py_state(struct trib_py *handle)
{
    struct trib_lock lock = handle->config.lock;
    lock.lock(lock.context);
    enum trib_state state = handle->state;
    lock.unlock(lock.context);
    return (int)state;
}

void trib_py_stats(struct trib_py *handle, uint64_t out[TRIB_PY_STAT_COUNT])
{
    struct trib_lock lock = handle->config.lock;
    lock.lock(lock.context);
    struct trib_stats stats = handle->stats;
    lock.unlock(lock.context);
    out[TRIB_PY_RECORDED] = stats.recorded;
    out[TRIB_PY_REFUSED] = stats.refused;
    out[TRIB_PY_DROPPED] = stats.dropped;
    out[TRIB_PY_DURABLE_VITAL] = stats.durable[TRIB_LANE_VITAL];
    out[TRIB_PY_DURABLE_ROUTINE] = stats.durable[TRIB_LANE_ROUTINE];
    out[TRIB_PY_ACKED_VITAL] = stats.acked[TRIB_LANE_VITAL];
    out[TRIB_PY_ACKED_ROUTINE] = stats.acked[TRIB_LANE_ROUTINE];
    out[TRIB_PY_WAITING] = stats.waiting;
    out[TRIB_PY_SENT] = stats.sent;
    out[TRIB_PY_REJECTED] = stats.rejected;
    out[TRIB_PY_CONNECTS] = stats.connects;
    out[TRIB_PY_DAMAGED] = stats.damaged;
}

int trib_py_session_start(struct trib_py *handle, const char *content_id, const char *user_id,
                          uint64_t duration_ms, int live, struct trib_py_session **out)
{
    struct trib_content content = {content_id, user_id, duration_ms, live != 0};
    struct trib_py_session *session = calloc(1, sizeof *session);
    if (!session)
        return TRIB_EFULL;
    int rc = trib_session_start(&handle->client, &session->session, &content);
    if (rc < 0) {
        free(session);
        return rc;
    }
    session->owner = handle;
    session->next = handle->sessions;
    handle->sessions = session;
    *out = session;
    return recorded(handle, 0);
}

int trib_py_session_report(struct trib_py_session *session, int report, uint64_t position_ms, int64_t value,
                           int cause)
{
    struct trib_player player = {(enum trib_player_report)report, position_ms, value,
                                 (enum trib_enum_value)cause};
    return recorded(session->owner, trib_session_report(&session->session, &player));
}

int trib_py_session_end(struct trib_py_session *session, int reason)
{
    struct trib_py *handle = session->owner;
    int rc = trib_session_end(&session->session, (enum trib_enum_value)reason);
    if (rc == TRIB_EINVAL || rc == TRIB_EFULL) /* still open */
        return recorded(handle, rc);
    for (struct trib_py_session **at = &handle->sessions; *at; at = &(*at)->next)
        if (*at == session) {
            *at = session->next;
            break;
        }
    free(session);
    return recorded(handle, rc);
}

int trib_py_favourite(struct trib_py *handle, int add, const char *list, const char *item,
                      const char *user_id)
{
    return recorded(handle, add ? trib_favourite_add(&handle->client, list, item, user_id)
                                : trib_favourite_remove(&handle->client, list, item, user_id));
}

struct trib_py_custom *trib_py_custom_new(const char *schema)
{
    struct trib_py_custom *custom = malloc(sizeof *custom);
    if (custom)
        trib_custom_begin(&custom->event, custom->buffer, sizeof custom->buffer, schema);
    return custom;
}

void trib_py_custom_text(struct trib_py_custom *custom, const char *name, const char *value)
{
    trib_custom_text(&custom->event, name, value);
}

void trib_py_custom_int(struct trib_py_custom *custom, const char *name, int64_t value)
{
    trib_custom_int(&custom->event, name, value);
}

void trib_py_custom_uint(struct trib_py_custom *custom, const char *name, uint64_t value)
{
    trib_custom_uint(&custom->event, name, value);
}

void trib_py_custom_bytes(struct trib_py_custom *custom, const char *name, const uint8_t *value,
                          size_t length)
{
    trib_custom_bytes(&custom->event, name, value, length);
}

void trib_py_custom_bool(struct trib_py_custom *custom, const char *name, int value)
{
    trib_custom_bool(&custom->event, name, value != 0);
}

int trib_py_custom_record(struct trib_py *handle, struct trib_py_custom *custom)
{
    int rc = trib_custom_record(&handle->client, &custom->event);
    free(custom);
    return recorded(handle, rc);
}
