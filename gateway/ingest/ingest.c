#include "ingest/ingest.h"

#include <stdlib.h>
#include <sys/resource.h>

#include "base/cores.h"
#include "ingest/clock.h"
#include "ingest/ingest_internal.h"
#include "ingest/listener.h"
#include "observe/health.h"
#include "observe/log.h"
#include "observe/metrics.h"

/*
 * After a failed commit devices are sent away; then one more commit shows whether space came back. The pause doubles
 * as long as it did not.
 */
#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS 8000

/* Credit stops when a twentieth of what the journal may take is left, or less than a segment; it comes back at twice that. */
#define HELD_PART 20

/* Journal, sinks, logs, admin. */
#define FILES_BESIDES 256
/* All threads together; each takes its part, but not fewer than the least. */
#define ACCEPTS_PER_WAKE 64
#define ACCEPTS_PER_WAKE_LEAST 8

static void on_outcome(void *context, struct gw_session_batch *batches)
{
    struct gw_ingest *ingest = context;
    while (batches) {
        struct gw_session_batch *next = batches->next;
        struct gw_ingest_thread *thread = &ingest->threads[batches->thread];
        if (thread->done_tail)
            thread->done_tail->next = batches;
        else
            thread->done_head = batches;
        thread->done_tail = batches;
        batches->next = NULL;
        batches = next;
    }
    for (unsigned i = 0; i < ingest->thread_count; i++) {
        struct gw_ingest_thread *thread = &ingest->threads[i];
        if (thread->done_head)
            gw_ingest_thread_outcomes(thread, thread->done_head, thread->done_tail);
        else if (atomic_load(&thread->settling)) /* what it waits for may have come from another thread */
            gw_ingest_thread_wake(thread);
        thread->done_head = thread->done_tail = NULL;
    }
}

static void on_stored(void *context, int status)
{
    struct gw_ingest *ingest = context;
    if (status == GW_OK && ingest->deps.on_commit)
        ingest->deps.on_commit(ingest->deps.on_commit_context);
    if (status == GW_OK)
        gw_ingest_look_at_room(ingest);
    if (status == GW_OK && ingest->pause_ms == 0)
        return;
    if (status == GW_OK) {
        ingest->pause_ms = 0;
        gw_log(GW_LOG_INFO, "ingest.storing_again", "the journal takes events again");
    } else {
        uint32_t doubled = ingest->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : ingest->pause_ms * 2;
        ingest->pause_ms = ingest->pause_ms ? doubled : PAUSE_MIN_MS;
        atomic_store(&ingest->unavailable_until_ms, gw_clock_mono_ms() + ingest->pause_ms);
    }
    gw_health_set(GW_CONDITION_FULL, status == GW_EFULL);
    gw_health_set(GW_CONDITION_UNWRITABLE, status != GW_OK && status != GW_EFULL);
}

/*
 * Credit stops while there is still room for what devices have in flight, and comes back when there is room to go on with.
 * Of the disk as of the quota: the journal says what it may take.
 */
void gw_ingest_look_at_room(struct gw_ingest *ingest)
{
    struct gw_journal_stats stats = {0};
    gw_journal_get_stats(ingest->deps.journal, &stats);
    uint64_t quota = ingest->deps.config->data.quota_bytes;
    if (stats.limit_bytes == 0)
        stats.limit_bytes = quota ? quota : UINT64_MAX; /* no reclaim has been yet */
    bool was = atomic_load(&ingest->held);
    uint64_t segment = gw_config_segment_bytes(ingest->deps.config), reserve = stats.limit_bytes / HELD_PART;
    if (reserve < segment)
        reserve = segment;
    uint64_t left = stats.limit_bytes > stats.disk_bytes ? stats.limit_bytes - stats.disk_bytes : 0;
    bool held = left < (was ? 2 * reserve : reserve);
    if (held == was || atomic_exchange(&ingest->held, held) == held)
        return;
    gw_metric_set(GW_METRIC_CREDIT_HELD, held);
    if (held)
        gw_log(GW_LOG_WARNING, "ingest.credit_held",
               "the journal is nearly full: devices get no more credit, and are sent away when that "
               "lasts. Bring the sinks up to date, or give it more",
               GW_UINT("bytes", stats.disk_bytes), GW_UINT("limit_bytes", stats.limit_bytes));
    else
        gw_log(GW_LOG_INFO, "ingest.credit_given", "devices get credit again");
}

bool gw_ingest_can_store(const struct gw_ingest *ingest)
{
    return gw_clock_mono_ms() >= atomic_load(&ingest->unavailable_until_ms);
}

uint16_t gw_ingest_port(const struct gw_ingest *ingest)
{
    return ingest->port;
}

static void on_library_log(int level, const char *line)
{
    gw_log(level == LLL_ERR ? GW_LOG_WARNING : GW_LOG_DEBUG, "ingest.libwebsockets", "the library reports",
           GW_TEXT("line", line));
}

/* Each connection is a file descriptor; libwebsockets wants the limit to be above what it uses. */
static int raise_file_limit(const struct gw_ingest *ingest, struct gw_error *error)
{
    struct rlimit limit;
    uint32_t connections = ingest->deps.config->limits.connections;
    rlim_t needed = (rlim_t)ingest->open_limit + 4 * (rlim_t)ingest->thread_count + FILES_BESIDES;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed)
        return GW_OK;
    if (limit.rlim_max < needed)
        return gw_error_set(
            error, GW_EINVALID, 0,
            "limits.connections %u needs %llu open files, but at most %llu are allowed: raise the limit "
            "(LimitNOFILE, ulimit -Hn) or lower limits.connections",
            connections, (unsigned long long)needed, (unsigned long long)limit.rlim_max);
    limit.rlim_cur = needed;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0
               ? GW_OK
               : gw_error_set(error, GW_EIO, 0, "cannot raise the open file limit");
}

/* Each connection must be able to send at least one event of the largest size. */
static int check_limits(const struct gw_config *config, struct gw_error *error)
{
    uint64_t share = config->limits.memory_bytes / config->limits.connections;
    if (share / 4 >= config->limits.event_bytes + 1024u || share >= config->limits.credit_bytes)
        return GW_OK;
    return gw_error_set(
        error, GW_EINVALID, 0,
        "limits.memory is too small for limits.connections: %u connections need at least %llu bytes",
        config->limits.connections, 4ull * config->limits.connections * (config->limits.event_bytes + 1024u));
}

static int first_settings(struct gw_ingest *ingest, struct gw_error *error)
{
    struct gw_config config = *ingest->deps.config;
    config.owned = NULL; /* borrowed */
    uint32_t lifetime = config.listen.ticket_lifetime_s;
    if (lifetime > 0 && gw_tickets_new((uint64_t)lifetime * 1000, &ingest->tickets) != GW_OK)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    return gw_settings_new(&config, &ingest->rules, &ingest->settings, error);
}

static bool crl_out_of_date(const struct gw_credentials *credentials, int64_t now_s)
{
    return gw_crl_next_update_s(credentials->crl) <= now_s;
}

/* Whether threads can go from one to the other while devices are connected. */
static int check_change(const struct gw_settings *from, const struct gw_settings *to, struct gw_error *error)
{
    struct gw_session_time now;
    gw_clock_utc(&now);
    int64_t now_s = (int64_t)(now.utc_ms / 1000);
    /* OpenSSL would keep the certificate of the other kind and show that to some. */
    if (EVP_PKEY_get_base_id(to->credentials->key) != EVP_PKEY_get_base_id(from->credentials->key))
        return gw_error_set(error, GW_EINVALID, 0, "listen.key: a key of another kind needs a restart");
    /* Where those in force are out of date themselves, nothing is lost, and all else can still be reloaded. */
    if (crl_out_of_date(to->credentials, now_s) && !crl_out_of_date(from->credentials, now_s))
        return gw_error_set(
            error, GW_EINVALID, 0,
            "listen.crl: a list in %s is out of date (nextUpdate is past): what was in force stays; "
            "get the newest from the authority",
            to->config.listen.crl);
    return GW_OK;
}

int gw_ingest_reload(struct gw_ingest *ingest, struct gw_config *config, struct gw_error *error)
{
    struct gw_settings *settings, *old = NULL;
    int result = gw_settings_new(config, &ingest->rules, &settings, error);
    if (result != GW_OK)
        return result;
    pthread_mutex_lock(&ingest->reload_lock);
    result = check_change(ingest->settings, settings, error);
    if (result != GW_OK) {
        old = settings;
    } else {
        old = ingest->settings;
        ingest->settings = settings;
        for (unsigned i = 0; i < ingest->thread_count; i++)
            gw_ingest_thread_settings(&ingest->threads[i], settings);
    }
    pthread_mutex_unlock(&ingest->reload_lock);
    gw_settings_release(old);
    return result;
}

/* Whom limits tell apart, at 24 bytes each: beyond it the one that was not seen for longest is forgotten. */
#define RATES_ENTRIES 65536
/* A bucket holds what ten seconds bring. */
#define BURST_S 10

static int make_rates(uint64_t per_minute, uint64_t burst, struct gw_rates **out, struct gw_error *error)
{
    if (per_minute == 0)
        return GW_OK;
    return gw_rates_new(per_minute, burst, RATES_ENTRIES, out) == GW_OK
               ? GW_OK
               : gw_error_set(error, GW_ENOMEM, 0, "no memory or random bytes for the limits on rates");
}

static int make_limits(struct gw_ingest *ingest, struct gw_error *error)
{
    const struct gw_config *config = ingest->deps.config;
    for (size_t i = 0; i < config->listen.proxy_from_count; i++)
        if (gw_peer_range_parse(config->listen.proxy_from[i],
                                &ingest->proxies.ranges[ingest->proxies.count++]) != GW_OK)
            return gw_error_set(error, GW_EINVALID, 0,
                                "listen.proxy_from: %s is not an address or a range such as 192.0.2.0/24",
                                config->listen.proxy_from[i]);
    uint64_t address = config->limits.address_rate, device = config->limits.device_rate;
    uint64_t events = config->limits.device_events;
    if (config->limits.address_handshakes > 0 &&
        gw_tally_new(config->limits.address_handshakes, config->limits.handshakes,
                     &ingest->address_handshakes) != GW_OK)
        return gw_error_set(error, GW_ENOMEM, 0, "no memory or random bytes for limits.address_handshakes");
    int result = make_rates(address * 60, address * BURST_S, &ingest->address_rates, error);
    if (result == GW_OK)
        result = make_rates(device, device, &ingest->device_rates, error);
    if (result == GW_OK)
        result = make_rates(events * 60, events * BURST_S, &ingest->event_rates, error);
    return result;
}

static int start_threads(struct gw_ingest *ingest, struct gw_error *error)
{
    const struct gw_config *config = ingest->deps.config;
    int result = config->listen.port != 0
                     ? gw_listener_probe(config->listen.address, config->listen.port, error)
                     : GW_OK;
    for (unsigned i = 0; result == GW_OK && i < ingest->thread_count; i++)
        result = gw_ingest_thread_init(ingest, i, error);
    if (result != GW_OK)
        return result;
    struct gw_committer_config committer = {.journal = ingest->deps.journal,
                                            .registry = ingest->registry,
                                            .sinks = ingest->deps.sinks,
                                            .sink_count = ingest->deps.sink_count,
                                            .realtime = config->journal.realtime,
                                            .cpus = config->journal.cpus,
                                            .min_commit_interval_ms = config->journal.min_commit_interval_ms,
                                            .outcome = on_outcome,
                                            .stored = on_stored,
                                            .context = ingest};
    result = gw_committer_start(&committer, &ingest->committer, error);
    /* libwebsockets formats all its log lines in one static buffer: it may speak only while one thread calls it. */
    if (ingest->thread_count > 1)
        lws_set_log_level(0, on_library_log);
    for (unsigned i = 0; result == GW_OK && i < ingest->thread_count; i++)
        result = gw_ingest_thread_start(&ingest->threads[i], error);
    return result;
}

static void set_up(struct gw_ingest *ingest, const struct gw_ingest_deps *deps)
{
    const struct gw_config *config = deps->config;
    ingest->deps = *deps;
    pthread_mutex_init(&ingest->reload_lock, NULL);
    ingest->rules = (struct gw_session_rules){.gateway_id = gw_journal_gateway_id(deps->journal),
                                              .journal_epoch = gw_journal_epoch(deps->journal),
                                              .policy = deps->policy,
                                              .hello_timeout_ms = config->limits.hello_timeout_ms,
                                              .keepalive_ms = config->limits.keepalive_ms,
                                              .message_bytes = config->limits.message_bytes,
                                              .event_bytes = config->limits.event_bytes,
                                              .credit_events = config->limits.credit_events,
                                              .credit_bytes = config->limits.credit_bytes,
                                              .hold_ms = config->limits.hold_ms,
                                              .item_bytes = gw_config_item_bytes(config)};
    atomic_init(&ingest->budget_left_bytes, config->limits.memory_bytes);
    uint64_t guaranteed = config->limits.memory_bytes / config->limits.connections / 4;
    ingest->guaranteed_bytes =
        guaranteed < config->limits.credit_bytes ? (uint32_t)guaranteed : config->limits.credit_bytes;
    atomic_init(&ingest->unavailable_until_ms, 0);
    atomic_init(&ingest->websockets, 0);
}

static int make_threads(struct gw_ingest *ingest, struct gw_error *error)
{
    const struct gw_config *config = ingest->deps.config;
    unsigned count = gw_config_ingest_threads(config, gw_usable_cores());
    int accepts = ACCEPTS_PER_WAKE / (int)count;
    ingest->accepts_per_wake = accepts < ACCEPTS_PER_WAKE_LEAST ? ACCEPTS_PER_WAKE_LEAST : accepts;
    /* libwebsockets frees what was evicted a turn of the loop later: so many are kept for one turn of all loops. */
    ingest->evict_below = 2 * (size_t)ingest->accepts_per_wake * count;
    ingest->open_limit =
        config->limits.connections + config->limits.connections / 4 + 2 * ingest->evict_below;
    ingest->threads = calloc(count, sizeof *ingest->threads);
    if (!ingest->threads)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    ingest->thread_count = count;
    for (unsigned i = 0; i < count; i++) {
        ingest->threads[i].listen_fd = -1;
        pthread_mutex_init(&ingest->threads[i].inbox_lock, NULL);
    }
    return GW_OK;
}

int gw_ingest_start(const struct gw_ingest_deps *deps, struct gw_ingest **out, struct gw_error *error)
{
    struct gw_ingest *ingest = calloc(1, sizeof *ingest);
    if (!ingest)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    set_up(ingest, deps);
    lws_set_log_level(LLL_ERR | LLL_WARN, on_library_log);
    int result = check_limits(deps->config, error);
    if (result == GW_OK)
        result = make_threads(ingest, error);
    if (result == GW_OK)
        result = raise_file_limit(ingest, error);
    if (result == GW_OK)
        result = make_limits(ingest, error);
    ingest->registry = gw_registry_new(deps->config->limits.connections);
    if (result == GW_OK && !ingest->registry)
        result = gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    if (result == GW_OK)
        result = first_settings(ingest, error);
    if (result == GW_OK)
        result = start_threads(ingest, error);
    if (result != GW_OK) {
        gw_ingest_stop(ingest);
        return result;
    }
    *out = ingest;
    return GW_OK;
}

int gw_ingest_write(struct gw_ingest *ingest, struct gw_journal_write *const *writes, size_t count,
                    struct gw_error *error)
{
    return gw_committer_write(ingest->committer, writes, count, error);
}

void gw_ingest_stop(struct gw_ingest *ingest)
{
    ingest->drain_count = atomic_load(&ingest->websockets);
    for (unsigned i = 0; i < ingest->thread_count; i++)
        if (ingest->threads[i].started)
            gw_ingest_thread_drain(&ingest->threads[i]);
    for (unsigned i = 0; i < ingest->thread_count; i++)
        if (ingest->threads[i].started)
            pthread_join(ingest->threads[i].thread, NULL);
    if (ingest->committer)
        gw_committer_stop(ingest->committer);
    for (unsigned i = 0; i < ingest->thread_count; i++) {
        gw_ingest_thread_free(&ingest->threads[i]);
        pthread_mutex_destroy(&ingest->threads[i].inbox_lock);
    }
    free(ingest->threads);
    gw_registry_free(ingest->registry);
    gw_settings_release(ingest->settings);
    gw_tickets_free(ingest->tickets);
    gw_tally_free(ingest->address_handshakes);
    gw_rates_free(ingest->address_rates);
    gw_rates_free(ingest->device_rates);
    gw_rates_free(ingest->event_rates);
    pthread_mutex_destroy(&ingest->reload_lock);
    free(ingest);
}
