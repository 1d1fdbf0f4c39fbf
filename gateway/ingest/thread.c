#include <errno.h>
#include <inttypes.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cores.h"
#include "ingest/accept.h"
#include "ingest/clock.h"
#include "ingest/ingest_internal.h"
#include "ingest/listener.h"
#include "ingest/tls.h"
#include "observe/log.h"
#include "observe/metrics.h"

#define TICK_MS 100
#define DRAIN_MS 5000
#define SCHEMA_SCRATCH_BYTES 65536
/* More than a TLS record, so that one read always empties it and nothing waits inside OpenSSL. */
#define READ_BYTES 32768

static struct gw_ingest_thread *thread_of(struct lws *wsi)
{
    return lws_context_user(lws_get_context(wsi));
}

/*
 * A connection is libwebsockets' "raw socket": TLS and the loop are its work, HTTP and frames are ours (handshake.c,
 * frame.c). Its own websocket role would take unmasked frames and messages without limit.
 */
static int callback(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t len)
{
    struct gw_connection *connection;
    switch (reason) {
    case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS: {
        struct gw_error error;
        thread_of(wsi)->tls = user;
        if (gw_tls_configure(user, &thread_of(wsi)->tls_view, &error) == GW_OK)
            return 0;
        gw_log(GW_LOG_ERROR, "ingest.tls", error.text);
        return -1;
    }
    case LWS_CALLBACK_RAW_ADOPT:
        connection = gw_connection_new(thread_of(wsi), wsi);
        lws_set_opaque_user_data(wsi, connection);
        return connection ? 0 : -1;
    case LWS_CALLBACK_RAW_RX:
        connection = lws_get_opaque_user_data(wsi);
        return connection ? gw_connection_received(connection, in, len) : -1;
    case LWS_CALLBACK_RAW_WRITEABLE:
        connection = lws_get_opaque_user_data(wsi);
        return connection ? gw_connection_writable(connection) : -1;
    case LWS_CALLBACK_RAW_CLOSE:   /* only after a finished handshake */
    case LWS_CALLBACK_WSI_DESTROY: /* always */
        connection = lws_get_opaque_user_data(wsi);
        lws_set_opaque_user_data(wsi, NULL);
        if (connection)
            gw_connection_closed(connection);
        return 0;
    default:
        return 0;
    }
}

static const struct lws_protocols protocols[] = {{.name = "tributary", .callback = callback}, {.name = NULL}};

/* --- inbox --- */

void gw_ingest_thread_wake(struct gw_ingest_thread *thread)
{
    uv_async_send(&thread->wake);
}

void gw_ingest_thread_outcomes(struct gw_ingest_thread *thread, struct gw_session_batch *first,
                               struct gw_session_batch *last)
{
    pthread_mutex_lock(&thread->inbox_lock);
    if (thread->outcome_tail)
        thread->outcome_tail->next = first;
    else
        thread->outcome_head = first;
    thread->outcome_tail = last;
    pthread_mutex_unlock(&thread->inbox_lock);
    gw_ingest_thread_wake(thread);
}

void gw_ingest_thread_evict(struct gw_ingest_thread *thread)
{
    pthread_mutex_lock(&thread->inbox_lock);
    thread->evict_wanted++;
    pthread_mutex_unlock(&thread->inbox_lock);
    gw_ingest_thread_wake(thread);
}

void gw_ingest_thread_replaced(struct gw_ingest_thread *thread, uint64_t connection)
{
    pthread_mutex_lock(&thread->inbox_lock);
    if (thread->replaced_count == thread->replaced_capacity) {
        size_t capacity = thread->replaced_capacity ? thread->replaced_capacity * 2 : 16;
        uint64_t *grown = realloc(thread->replaced, capacity * sizeof *grown);
        if (grown) {
            thread->replaced = grown;
            thread->replaced_capacity = capacity;
        }
    }
    /* Without memory the older connection is not told; the committer refuses its batches all the same. */
    if (thread->replaced_count < thread->replaced_capacity)
        thread->replaced[thread->replaced_count++] = connection;
    pthread_mutex_unlock(&thread->inbox_lock);
    gw_ingest_thread_wake(thread);
}

void gw_ingest_thread_drain(struct gw_ingest_thread *thread)
{
    pthread_mutex_lock(&thread->inbox_lock);
    thread->drain_wanted = true;
    pthread_mutex_unlock(&thread->inbox_lock);
    gw_ingest_thread_wake(thread);
}

void gw_ingest_thread_settings(struct gw_ingest_thread *thread, struct gw_settings *settings)
{
    pthread_mutex_lock(&thread->inbox_lock);
    struct gw_settings *superseded = thread->next_settings;
    thread->next_settings = gw_settings_hold(settings);
    pthread_mutex_unlock(&thread->inbox_lock);
    gw_settings_release(superseded);
    gw_ingest_thread_wake(thread);
}

static void settle_batch(struct gw_ingest_thread *thread, struct gw_session_batch *batch)
{
    struct gw_connection *connection = gw_connection_find(thread, batch->connection);
    if (connection)
        gw_session_committed(&connection->session, batch, batch->status);
    else
        atomic_fetch_add(&thread->ingest->budget_left_bytes, batch->bytes);
}

static void settle_all(struct gw_ingest_thread *thread, struct gw_session_batch *batches)
{
    thread->sends_at_once = true;
    for (struct gw_session_batch *batch = batches; batch; batch = batch->next)
        settle_batch(thread, batch);
    while (batches) {
        struct gw_session_batch *batch = batches;
        struct gw_connection *connection = gw_connection_find(thread, batch->connection);
        batches = batch->next;
        if (connection)
            gw_session_flush(&connection->session);
        if (connection && connection->draining)
            gw_connection_drain(connection);
        if (connection)
            gw_connection_send_now(connection);
        gw_connection_batch_give(thread, batch);
    }
    thread->sends_at_once = false;
}

static void replace_all(struct gw_ingest_thread *thread, const uint64_t *ids, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct gw_connection *connection = gw_connection_find(thread, ids[i]);
        if (connection)
            gw_session_bye(&connection->session, TRIB_BYE_REPLACED, 0,
                           "another connection of this device took over");
    }
}

static void tick_all(struct gw_ingest_thread *thread)
{
    uint64_t now_ms = gw_clock_mono_ms();
    for (size_t i = 0; i < thread->slot_count; i++)
        if (thread->slots[i].connection)
            gw_connection_tick(thread->slots[i].connection, now_ms);
}

/* Sessions that wait for older batches of their device to be settled may go on now. */
static void go_on_settling(struct gw_ingest_thread *thread)
{
    atomic_store(&thread->settling, false); /* edge_settled sets it again */
    for (size_t i = 0; i < thread->slot_count; i++) {
        struct gw_connection *connection = thread->slots[i].connection;
        if (connection && connection->session.state == GW_SESSION_SETTLING)
            gw_connection_tick(connection, gw_clock_mono_ms());
    }
}

static void start_draining(struct gw_ingest_thread *thread)
{
    thread->draining = true;
    thread->drain_until_ms = gw_clock_mono_ms() + DRAIN_MS;
    gw_accept_stop(thread);
    gw_accept_drop_all(thread);
    for (size_t i = 0; i < thread->slot_count; i++)
        if (thread->slots[i].connection)
            gw_connection_drain(thread->slots[i].connection);
}

static void take_settings(struct gw_ingest_thread *thread, struct gw_settings *settings)
{
    struct gw_settings *old = thread->settings;
    struct gw_error error;
    thread->settings = settings;
    thread->crl_old = false;
    thread->tls_view.credentials = settings->credentials;
    if (gw_tls_renew(thread->tls, &thread->tls_view, &error) != GW_OK)
        gw_log(GW_LOG_ERROR, "ingest.tls", error.text);
    for (size_t i = 0; i < thread->slot_count; i++)
        if (thread->slots[i].connection)
            gw_connection_settings(thread->slots[i].connection);
    gw_settings_release(old);
}

static void on_wake(uv_async_t *handle)
{
    struct gw_ingest_thread *thread = handle->data;
    pthread_mutex_lock(&thread->inbox_lock);
    struct gw_session_batch *outcomes = thread->outcome_head;
    uint64_t *replaced = thread->replaced;
    size_t replaced_count = thread->replaced_count;
    bool drain = thread->drain_wanted;
    size_t evict = thread->evict_wanted;
    struct gw_settings *settings = thread->next_settings;
    thread->next_settings = NULL;
    thread->evict_wanted = 0;
    thread->outcome_head = thread->outcome_tail = NULL;
    thread->replaced = NULL;
    thread->replaced_count = thread->replaced_capacity = 0;
    pthread_mutex_unlock(&thread->inbox_lock);

    if (settings)
        take_settings(thread, settings);
    replace_all(thread, replaced, replaced_count);
    free(replaced);
    if (outcomes)
        settle_all(thread, outcomes);
    if (atomic_load(&thread->settling))
        go_on_settling(thread);
    /* Several threads may have asked for the same place: no more go than have to, or honest handshakes would. */
    while (evict > 0 && gw_accept_crowded(thread->ingest) && gw_connection_evict(thread, 0))
        evict--;
    if (drain && !thread->draining)
        start_draining(thread);
}

/* Who is on them stays out; that those who were revoked since get in is not for the devices to pay for (docs/operating.md). */
static void look_at_crl(struct gw_ingest_thread *thread)
{
    const struct gw_crl *crl = thread->settings->credentials->crl;
    int64_t next_s = gw_crl_next_update_s(crl);
    gw_metric_set(GW_METRIC_CRL_NEXT_UPDATE, next_s == INT64_MAX ? 0 : (uint64_t)next_s);
    if (thread->crl_old || next_s > (int64_t)(thread->clock.utc_ms / 1000))
        return;
    thread->crl_old = true;
    gw_log(GW_LOG_WARNING, "ingest.crl_out_of_date",
           "the certificates on the revocation lists stay refused, but newer ones are not known: renew "
           "listen.crl and reload",
           GW_TEXT("file", thread->settings->config.listen.crl), GW_INT("next_update", next_s),
           GW_UINT("certificates", gw_crl_count(crl)));
}

static void on_tick(uv_timer_t *handle)
{
    struct gw_ingest_thread *thread = handle->data;
    gw_clock_utc(&thread->clock);
    tick_all(thread);
    gw_accept_tick(thread, gw_clock_mono_ms());
    gw_accept_listen(thread);
    if (thread->index == 0) {
        gw_ingest_look_at_room(thread->ingest);
        look_at_crl(thread);
    }
    if (thread->draining && (thread->open_count == 0 || gw_clock_mono_ms() >= thread->drain_until_ms))
        uv_stop(&thread->loop);
}

static void on_turn(uv_prepare_t *handle)
{
    struct gw_ingest_thread *thread = handle->data;
    gw_pace_turn(&thread->pace);
}

/* --- life --- */

static int make_context(struct gw_ingest_thread *thread, struct gw_error *error)
{
    const struct gw_config *config = thread->ingest->deps.config;
    /*
     * Else libwebsockets makes one for connections that we never open, loads all the system's authorities into it (700
     * KiB), and at the end frees that of the last context only.
     */
    thread->client_tls = SSL_CTX_new(TLS_client_method());
    if (!thread->client_tls)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    void *loops[] = {&thread->loop};
    struct lws_context_creation_info info = {
        .port = CONTEXT_PORT_NO_LISTEN_SERVER,
        .protocols = protocols,
        .options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
        .foreign_loops = loops,
        .provided_client_ssl_ctx = thread->client_tls,
        .user = thread,
        .pt_serv_buf_size = READ_BYTES,
        .timeout_secs = config->limits.handshake_timeout_ms / 500 + 1, /* ours comes first */
        .alpn = "http/1.1",
        .ssl_cert_filepath = config->listen.certificate,
        .ssl_private_key_filepath = config->listen.key,
    };
    thread->context = lws_create_context(&info);
    thread->vhost = thread->context ? lws_create_vhost(thread->context, &info) : NULL;
    if (!thread->vhost)
        return gw_error_set(
            error, GW_EIO, 0,
            "libwebsockets could not start: is libwebsockets-evlib-uv installed, and memory free?");
    return GW_OK;
}

static int make_loop(struct gw_ingest_thread *thread, struct gw_error *error)
{
    int failed = uv_loop_init(&thread->loop);
    if (failed)
        return gw_error_set(error, GW_EIO, -failed, "cannot make an event loop");
    thread->loop_ready = true;
    uv_async_init(&thread->loop, &thread->wake, on_wake);
    uv_timer_init(&thread->loop, &thread->tick);
    uv_prepare_init(&thread->loop, &thread->turn);
    uv_poll_init(&thread->loop, &thread->listener, thread->listen_fd);
    gw_clock_utc(&thread->clock);
    gw_pace_init(&thread->pace, gw_clock_mono_us);
    thread->wake.data = thread->tick.data = thread->turn.data = thread->listener.data = thread;
    uv_prepare_start(&thread->turn, on_turn);
    uv_timer_start(&thread->tick, on_tick, TICK_MS, TICK_MS);
    gw_accept_listen(thread);
    return GW_OK;
}

int gw_ingest_thread_init(struct gw_ingest *ingest, unsigned index, struct gw_error *error)
{
    struct gw_ingest_thread *thread = &ingest->threads[index];
    const struct gw_config *config = ingest->deps.config;
    thread->ingest = ingest;
    thread->index = index;
    thread->settings = gw_settings_hold(ingest->settings);
    thread->tls_view = (struct gw_tls_view){
        .credentials = thread->settings->credentials, .tickets = ingest->tickets, .now_ms = gw_clock_mono_ms};
    thread->slot_limit = ingest->open_limit; /* the kernel may give one thread all */
    thread->slots = calloc(thread->slot_limit, sizeof *thread->slots);
    if (!thread->slots)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    uint32_t cached = config->privacy.pseudonym_cache;
    if (cached > 0 && gw_pseudonym_cache_new(cached, &thread->pseudonyms) != GW_OK)
        return gw_error_set(error, GW_ENOMEM, 0,
                            "no memory or random bytes for privacy.pseudonym_cache %" PRIu32, cached);
    thread->schema_memory = aligned_alloc(16, SCHEMA_SCRATCH_BYTES);
    if (!thread->schema_memory ||
        gw_schema_scratch_init(thread->schema_memory, SCHEMA_SCRATCH_BYTES, &thread->schema_scratch) != GW_OK)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    thread->schema_scratch.fuel_max = GW_CUSTOM_FUEL;
    uint16_t port = index == 0 ? config->listen.port : ingest->port;
    int result = gw_listener_open(config->listen.address, port, &thread->listen_fd, &ingest->port, error);
    if (result == GW_OK)
        result = make_loop(thread, error);
    if (result == GW_OK)
        result = make_context(thread, error);
    return result;
}

static void *run(void *context)
{
    struct gw_ingest_thread *thread = context;
    gw_metrics_own_shard();
    uv_run(&thread->loop, UV_RUN_DEFAULT);
    return NULL;
}

int gw_ingest_thread_start(struct gw_ingest_thread *thread, struct gw_error *error)
{
    int failed = gw_cores_thread(thread->ingest->deps.config->listen.cpus, &thread->thread, run, thread);
    if (failed)
        return gw_error_set(error, GW_EIO, failed, "cannot start an ingest thread%s",
                            failed == EINVAL ? ": listen.cpus names no CPU that this process may use" : "");
    /* By us, so that each has its name when devices may connect. */
    char name[16];
    snprintf(name, sizeof name, "ingest-%u", thread->index);
    pthread_setname_np(thread->thread, name);
    thread->started = true;
    return GW_OK;
}

static void free_batches(struct gw_session_batch *batches)
{
    while (batches) {
        struct gw_session_batch *next = batches->next;
        gw_arena_free(&batches->arena);
        free(batches);
        batches = next;
    }
}

/* After its thread has ended, or was never started. */
void gw_ingest_thread_free(struct gw_ingest_thread *thread)
{
    if (thread->context)
        lws_context_destroy(thread->context);
    if (thread->loop_ready) {
        uv_close((uv_handle_t *)&thread->wake, NULL);
        uv_close((uv_handle_t *)&thread->tick, NULL);
        uv_close((uv_handle_t *)&thread->turn, NULL);
        uv_close((uv_handle_t *)&thread->listener, NULL);
        uv_run(&thread->loop, UV_RUN_DEFAULT); /* libwebsockets closes its handles here */
        if (thread->context)
            lws_context_destroy(thread->context);
        uv_loop_close(&thread->loop);
    }
    if (thread->listen_fd >= 0)
        close(thread->listen_fd);
    free_batches(thread->spare);
    free_batches(thread->outcome_head);
    SSL_CTX_free(thread->client_tls);
    gw_pseudonym_cache_free(thread->pseudonyms);
    gw_settings_release(thread->settings);
    gw_settings_release(thread->next_settings);
    free(thread->schema_memory);
    free(thread->replaced);
    free(thread->spare_out);
    free(thread->slots);
}
