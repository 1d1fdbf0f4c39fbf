#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "net_proxy.h"
#include "net_tcp.h"
#include "net_tls.h"
#include "platform.h"
#include "storage_file.h"

/* 64 KiB a lane of vital and 256 KiB of routine events: hours of an evening without a network. */
#define SECTOR_BYTES 4096
#define VITAL_SECTORS 16
#define ROUTINE_SECTORS 64
#define CUSTOM_BYTES 512
#define PEM_BYTES_MAX 65536

enum { PEM_CA, PEM_CERTIFICATE, PEM_KEY, PEM_COUNT };

struct device {
    struct side_file *side;
    struct trib_config config; /* the client keeps a pointer to it */
    struct trib_client client;
    struct trib_session session;
    bool session_active, tls_open;
    bool warned; /* the first warning since we were online was shown; each attempt brings one more */
    enum trib_state state;
    int state_error;

    uint8_t staging[4096], transmit[8192], receive[4096];
    struct trib_storage_file files[TRIB_LANE_COUNT];
    struct trib_posix_tcp tcp;
    struct trib_proxy proxy;
    struct trib_mbedtls tls;
    char *pem[PEM_COUNT];
};

static const char *const state_names[] = {
    [TRIB_STATE_OFFLINE] = "offline",
    [TRIB_STATE_CONNECTING] = "connecting",
    [TRIB_STATE_ONLINE] = "online",
    [TRIB_STATE_REFUSED] = "refused",
};

static const char *const report_names[] = {
    [TRIB_PLAYER_PLAY] = "play",         [TRIB_PLAYER_PLAYING] = "playing",
    [TRIB_PLAYER_PAUSED] = "paused",     [TRIB_PLAYER_BUFFERING] = "buffering",
    [TRIB_PLAYER_SEEKING] = "seeking",   [TRIB_PLAYER_SEEKED] = "seeked",
    [TRIB_PLAYER_POSITION] = "position", [TRIB_PLAYER_RATE] = "rate",
    [TRIB_PLAYER_MUTED] = "muted",       [TRIB_PLAYER_QUALITY] = "quality",
    [TRIB_PLAYER_DROPPED] = "dropped",   [TRIB_PLAYER_DURATION] = "duration",
    [TRIB_PLAYER_ERROR] = "error",       [TRIB_PLAYER_COMPLETE] = "complete",
};

static const char *const reason_names[] = {
    [TRIB_REASON_ENDED] = "ended",
    [TRIB_REASON_QUIT] = "quit",
    [TRIB_REASON_ERROR] = "error",
};

static int complain(const char *what, const char *which)
{
    fprintf(stderr, "settop: %s %s: %s\n", what, which, strerror(errno));
    return -1;
}

/* A whole PEM file, with the zero byte that mbedTLS wants to be counted. */
static int read_pem(struct device *device, int which, const char *path, struct trib_mbedtls_blob *out)
{
    FILE *file;
    size_t length;

    if (path == NULL)
        return 0;
    file = fopen(path, "rb");
    if (file == NULL)
        return complain("cannot open", path);
    device->pem[which] = calloc(1, PEM_BYTES_MAX);
    length = device->pem[which] != NULL ? fread(device->pem[which], 1, PEM_BYTES_MAX - 1, file) : 0;
    fclose(file);
    if (length == 0)
        return complain("cannot read", path);
    *out = (struct trib_mbedtls_blob){.data = (const uint8_t *)device->pem[which], .length = length + 1};
    return 0;
}

static int open_network(struct device *device, const struct device_options *options)
{
    struct trib_mbedtls_config config = {
        .entropy = trib_posix_entropy(),
        .log = device->config.log,
        .server_name = options->server_name,
        .utc_ms = trib_posix_utc_ms,
        .time_floor_ms = SETTOP_BUILT_S * 1000ull,
    };

    trib_posix_tcp_init(&device->tcp, &device->config.log);
    config.lower = trib_posix_tcp_net(&device->tcp);
    if (options->proxy_host != NULL) {
        struct trib_proxy_config way = {.lower = config.lower,
                                        .host = options->proxy_host,
                                        .port = options->proxy_port,
                                        .user = options->proxy_user,
                                        .password = options->proxy_password,
                                        .log = device->config.log};
        if (trib_proxy_init(&device->proxy, &way) != 0) {
            fprintf(stderr, "settop: proxy or its credentials are not usable\n");
            return -1;
        }
        config.lower = trib_proxy_net(&device->proxy);
    }
    if (read_pem(device, PEM_CA, options->ca, &config.ca) != 0 ||
        read_pem(device, PEM_CERTIFICATE, options->certificate, &config.certificate) != 0 ||
        read_pem(device, PEM_KEY, options->key, &config.key) != 0)
        return -1;
    device->tls_open = true;
    if (trib_mbedtls_init(&device->tls, &config) != 0) {
        fprintf(stderr, "settop: certificates or key are not usable\n");
        return -1;
    }
    device->config.net = trib_mbedtls_net(&device->tls);
    device->config.wait = trib_posix_waiter(&device->tcp);
    return 0;
}

/* --- What the SDK tells us --- */

/* Without a clock of its own, certificates that ended before this are refused all the same. */
static void on_time(void *context, uint64_t utc_ms)
{
    struct device *device = context;

    if (device->tls_open)
        trib_mbedtls_raise_time_floor(&device->tls, utc_ms);
}

static void on_state(void *context, enum trib_state state, int error)
{
    struct device *device = context;

    /* Handled after the poll, when the statistics are those of the new state. */
    device->state_error = error;
    (void)state;
}

static void on_rejected(void *context, uint64_t stream, uint64_t seq, unsigned code)
{
    struct device *device = context;

    side_begin(device->side, "rejected", "event");
    side_uint(device->side, "stream", stream);
    side_uint(device->side, "seq", seq);
    side_uint(device->side, "code", code);
    side_end(device->side);
}

static void on_log(void *context, enum trib_log_level level, const char *text)
{
    struct device *device = context;

    if (level == TRIB_LOG_ERROR || (level == TRIB_LOG_WARNING && !device->warned))
        printf("settop %s: %s\n", device->config.device_id, text);
    device->warned |= level == TRIB_LOG_WARNING;
    side_begin(device->side, "log", "sdk");
    side_int(device->side, "level", level);
    side_text(device->side, "text", text);
    side_end(device->side);
}

static void write_stats(struct device *device, const struct trib_stats *stats)
{
    side_uint(device->side, "recorded", stats->recorded);
    side_uint(device->side, "refused", stats->refused);
    side_uint(device->side, "dropped", stats->dropped);
    side_uint(device->side, "waiting", stats->waiting);
    side_uint(device->side, "sent", stats->sent);
    side_uint(device->side, "rejected", stats->rejected);
    side_uint(device->side, "connects", stats->connects);
    side_uint(device->side, "damaged", stats->damaged);
    side_uint(device->side, "acked_vital", stats->acked[TRIB_LANE_VITAL]);
    side_uint(device->side, "acked_routine", stats->acked[TRIB_LANE_ROUTINE]);
    side_uint(device->side, "durable_vital", stats->durable[TRIB_LANE_VITAL]);
    side_uint(device->side, "durable_routine", stats->durable[TRIB_LANE_ROUTINE]);
}

void device_write_stats(struct device *device, const char *when)
{
    struct trib_stats stats;

    trib_get_stats(&device->client, &stats);
    side_begin(device->side, "stats", when);
    write_stats(device, &stats);
    side_end(device->side);
}

uint64_t device_waiting(struct device *device)
{
    struct trib_stats stats;

    trib_get_stats(&device->client, &stats);
    return stats.waiting;
}

void device_settle(struct device *device)
{
    int result = trib_flush(&device->client, 0);

    if (result != 0)
        printf("settop %s: %s\n", device->config.device_id, trib_error_text(result));
}

static void tell_state(struct device *device, enum trib_state state)
{
    const char *id = device->config.device_id;
    struct trib_stats stats;

    trib_get_stats(&device->client, &stats);
    side_begin(device->side, "state", state_names[state]);
    side_int(device->side, "error", device->state_error);
    write_stats(device, &stats);
    side_end(device->side);
    device->warned &= state != TRIB_STATE_ONLINE;
    if (state == TRIB_STATE_ONLINE)
        printf("settop %s: online, %llu events to send\n", id, (unsigned long long)stats.waiting);
    else if (state == TRIB_STATE_REFUSED)
        printf("settop %s: refused by the gateway (%s); recording goes on\n", id,
               trib_error_text(device->state_error));
    else if (device->state == TRIB_STATE_ONLINE)
        printf("settop %s: offline (%s); recording goes on\n", id, trib_error_text(device->state_error));
}

/* One ring file a lane. The folder is made; its parents are not. */
static int open_rings(struct device *device, const char *folder)
{
    static const struct {
        const char *name;
        uint32_t sectors;
    } lanes[TRIB_LANE_COUNT] = {
        [TRIB_LANE_VITAL] = {"vital.ring", VITAL_SECTORS},
        [TRIB_LANE_ROUTINE] = {"routine.ring", ROUTINE_SECTORS},
    };
    char path[4096];

    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return complain("cannot make the folder", folder);
    if (trib_storage_file_leave_out(folder) != 0)
        return complain("cannot mark the folder for backups", folder);
    for (int lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        int result;

        snprintf(path, sizeof path, "%s/%s", folder, lanes[lane].name);
        result = trib_storage_file_open(&device->files[lane], path, SECTOR_BYTES, lanes[lane].sectors,
                                        &device->config.storage[lane]);
        if (result == TRIB_EIO)
            return complain("cannot use", path);
        if (result != 0) {
            fprintf(stderr, "settop: %s: %s\n", path, trib_error_text(result));
            return -1;
        }
    }
    return 0;
}

static int start_client(struct device *device, const struct device_options *options)
{
    struct trib_config *config = &device->config;
    int result;

    if (open_rings(device, options->ring_folder) != 0 || open_network(device, options) != 0)
        return -1;
    result = trib_init(&device->client, config);
    if (result != 0) {
        fprintf(stderr, "settop: the SDK does not start: %s\n", trib_error_text(result));
        return -1;
    }
    device->state = TRIB_STATE_OFFLINE;
    device_write_stats(device, "begin");
    return 0;
}

struct device *device_open(const struct device_options *options, struct side_file *side)
{
    struct device *device = calloc(1, sizeof *device);

    if (device == NULL) {
        fprintf(stderr, "settop: out of memory\n");
        return NULL;
    }
    device->side = side;
    device->tcp.fd = -1;
    for (int lane = 0; lane < TRIB_LANE_COUNT; lane++)
        device->files[lane].fd = -1;
    device->config = (struct trib_config){
        .device_id = options->device_id,
        .host = options->host,
        .port = options->port,
        .token = options->token,
        .clock = trib_posix_clock(),
        .entropy = trib_posix_entropy(),
        .digest = trib_mbedtls_digest(),
        .log = {.context = device, .write = on_log},
        .callbacks = {.context = device, .state = on_state, .rejected = on_rejected, .time = on_time},
        .staging = device->staging,
        .staging_bytes = sizeof device->staging,
        .transmit = device->transmit,
        .transmit_bytes = sizeof device->transmit,
        .receive = device->receive,
        .receive_bytes = sizeof device->receive,
        .linger_ms = options->linger_ms,
        .backoff_max_ms = options->backoff_max_ms,
    };
    if (start_client(device, options) != 0) {
        device_close(device);
        return NULL;
    }
    return device;
}

void device_close(struct device *device)
{
    if (device == NULL)
        return;
    if (device->tls_open)
        trib_mbedtls_deinit(&device->tls);
    trib_posix_tcp_deinit(&device->tcp);
    for (int lane = 0; lane < TRIB_LANE_COUNT; lane++)
        trib_storage_file_close(&device->files[lane]);
    for (int which = 0; which < PEM_COUNT; which++)
        free(device->pem[which]);
    free(device);
}

void device_wait(struct device *device, int wake_fd, uint32_t timeout_ms)
{
    trib_posix_wait(&device->tcp, wake_fd, timeout_ms);
}

uint32_t device_poll(struct device *device)
{
    uint32_t next_ms = 1000;
    int result = trib_poll(&device->client, &next_ms);
    enum trib_state state = trib_get_state(&device->client);

    if (result != 0)
        printf("settop %s: %s\n", device->config.device_id, trib_error_text(result));
    if (state != device->state) {
        if (state != TRIB_STATE_CONNECTING) { /* each attempt: of no interest to anybody */
            tell_state(device, state);
            device->state = state;
        }
        device->state_error = 0;
    }
    return next_ms;
}

/* --- What we tell the SDK: each call goes to the side file with its answer --- */

static void end_call(struct device *device, int result)
{
    side_int(device->side, "rc", result);
    side_end(device->side);
    if (result != 0)
        printf("settop %s: an event was not recorded: %s\n", device->config.device_id,
               trib_error_text(result));
}

bool device_session_active(const struct device *device)
{
    return device->session_active;
}

void device_session_start(struct device *device, const char *content_id, const char *user)
{
    struct trib_content content = {.content_id = content_id, .user_id = user};
    int result;

    if (device->session_active)
        device_session_end(device, TRIB_REASON_QUIT);
    side_begin(device->side, "sdk", "trib_session_start");
    side_text(device->side, "content", content_id);
    side_text(device->side, "user", user);
    result = trib_session_start(&device->client, &device->session, &content);
    end_call(device, result);
    device->session_active |= result == 0;
}

void device_report(struct device *device, enum trib_player_report report, uint64_t position_ms, int64_t value,
                   enum trib_enum_value cause)
{
    struct trib_player player = {
        .report = report, .position_ms = position_ms, .value = value, .cause = cause};

    if (!device->session_active)
        return;
    side_begin(device->side, "sdk", "trib_session_report");
    side_text(device->side, "report", report_names[report]);
    if (position_ms == UINT64_MAX)
        side_text(device->side, "position_ms", NULL);
    else
        side_uint(device->side, "position_ms", position_ms);
    side_int(device->side, "value", value);
    side_text(device->side, "cause", cause == TRIB_CAUSE_USER ? "user" : "system");
    end_call(device, trib_session_report(&device->session, &player));
}

void device_session_end(struct device *device, enum trib_enum_value reason)
{
    if (!device->session_active)
        return;
    side_begin(device->side, "sdk", "trib_session_end");
    side_text(device->side, "reason", reason_names[reason]);
    int result = trib_session_end(&device->session, reason);
    if (result == TRIB_EFULL && trib_flush(&device->client, 0) == 0) /* no room for the totals: make some */
        result = trib_session_end(&device->session, reason);
    device->session_active = result == TRIB_EFULL;
    end_call(device, result);
}

void device_favourite(struct device *device, bool add, const char *list, const char *item, const char *user)
{
    side_begin(device->side, "sdk", add ? "trib_favourite_add" : "trib_favourite_remove");
    side_text(device->side, "list", list);
    side_text(device->side, "item", item);
    side_text(device->side, "user", user);
    end_call(device, add ? trib_favourite_add(&device->client, list, item, user)
                         : trib_favourite_remove(&device->client, list, item, user));
}

void device_custom(struct device *device, const char *schema, const struct device_attribute *attributes,
                   size_t count)
{
    uint8_t buffer[CUSTOM_BYTES];
    struct trib_custom event;

    trib_custom_begin(&event, buffer, sizeof buffer, schema);
    side_begin(device->side, "sdk", "trib_custom_record");
    side_text(device->side, "schema", schema);
    for (size_t i = 0; i < count; i++) {
        char key[80];

        trib_custom_text(&event, attributes[i].name, attributes[i].value);
        snprintf(key, sizeof key, "data.%s", attributes[i].name);
        side_text(device->side, key, attributes[i].value);
    }
    end_call(device, trib_custom_record(&device->client, &event));
}

/* trib_shutdown can do the waiting as well, but the SDK has no way to sleep: it would poll without a pause. */
int device_shutdown(struct device *device, uint32_t budget_ms)
{
    uint64_t now_ms = side_now_ms(), until_ms = now_ms + budget_ms;
    int result;

    side_begin(device->side, "run", "shutdown");
    side_uint(device->side, "budget_ms", budget_ms);
    side_end(device->side);
    device_settle(device);
    for (; now_ms < until_ms && device_waiting(device) > 0; now_ms = side_now_ms()) {
        uint32_t wait_ms = device_poll(device);

        device_wait(device, -1, wait_ms < until_ms - now_ms ? wait_ms : (uint32_t)(until_ms - now_ms));
    }
    result = trib_shutdown(&device->client, 0);
    return result == 0 && device_waiting(device) > 0 ? TRIB_ETIMEOUT : result;
}
