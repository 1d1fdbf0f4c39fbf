#include "delivery/delivery.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "observe/log.h"

#define READ_BYTES (1u << 20)
#define ENTRIES_A_READ 256

struct worker {
    struct gw_delivery *delivery;
    struct gw_sink sink;
    pthread_t thread;
    bool started;
    uint64_t wakes_seen;
    uint8_t *buffer;
    size_t buffer_bytes;
    uint64_t next;                    /* entry to read next: this thread's own */
    uint32_t backoff_ms;              /* bound of the next pause */
    struct gw_delivery_status status; /* under the lock */
};

struct gw_delivery {
    struct gw_journal *journal;
    struct gw_delivery_config config;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t wakes;
    bool stopping;
    size_t worker_count;
    struct worker workers[GW_DELIVERY_SINKS_MAX];
};

static bool stopping(struct gw_delivery *d)
{
    pthread_mutex_lock(&d->lock);
    bool yes = d->stopping;
    pthread_mutex_unlock(&d->lock);
    return yes;
}

/* Waits at most `ms`, until the end, or, with wake, until somebody wakes. */
static void wait_ms(struct worker *w, uint32_t ms, bool wake)
{
    struct gw_delivery *d = w->delivery;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&d->lock);
    while (!d->stopping && !(wake && d->wakes != w->wakes_seen)) {
        if (pthread_cond_timedwait(&d->changed, &d->lock, &until) == ETIMEDOUT)
            break;
    }
    w->wakes_seen = d->wakes;
    pthread_mutex_unlock(&d->lock);
}

/* A random pause up to the bound: gateways that fail together do not come back together. */
static uint32_t jitter(uint32_t bound_ms)
{
    uint32_t random;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
        return bound_ms;
    return (uint32_t)((uint64_t)random * (bound_ms + 1ull) >> 32);
}

static void set_status(struct worker *w, enum gw_delivery_state state, const struct gw_error *error)
{
    pthread_mutex_lock(&w->delivery->lock);
    w->status.state = state;
    if (error)
        w->status.error = *error;
    else
        w->status.error = (struct gw_error){0};
    pthread_mutex_unlock(&w->delivery->lock);
}

static void count_lost(struct worker *w, uint64_t from, uint64_t lost)
{
    pthread_mutex_lock(&w->delivery->lock);
    w->status.lost += lost;
    pthread_mutex_unlock(&w->delivery->lock);
    gw_log(GW_LOG_ERROR, "delivery.entries_lost",
           "the journal no longer has entries that this sink needs; compare with the sink's other copies",
           GW_TEXT("sink", w->sink.name), GW_UINT("from", from), GW_UINT("entries", lost));
}

/* --- one life of a sink, from open to its first failure --- */

/* 0 go on from w->next; GW_ESTALE: the sink must stop; another error: try again later. */
static int open_sink(struct worker *w, struct gw_error *error)
{
    struct gw_journal *journal = w->delivery->journal;
    struct gw_sink_position at = {0};
    int rc = w->sink.open(w->sink.self, &at, error);
    if (rc != GW_OK)
        return rc;
    const uint64_t begin = gw_journal_begin(journal);
    uint64_t end = 0;
    rc = at.known ? gw_journal_position_end(journal, at.epoch, &end) : GW_OK;
    if (rc != GW_OK && rc != GW_ENOTFOUND)
        return gw_error_set(error, rc, 0, "the journal's epochs cannot be read for sink %s", w->sink.name);
    if (rc == GW_ENOTFOUND)
        return gw_error_set(
            error, GW_ESTALE, 0,
            "sink %s holds data of another journal (epoch %016llx, this one is %016llx): restore the "
            "journal it belongs to, or move the sink's folder aside",
            w->sink.name, (unsigned long long)at.epoch, (unsigned long long)gw_journal_epoch(journal));
    if (at.known && (at.next > end || (at.next == end && at.index > 0)))
        return gw_error_set(
            error, GW_ESTALE, 0,
            "sink %s is ahead of the journal (its next entry is %llu, what they share ends at %llu): was "
            "an older journal restored? Restore the newer one, or move the sink's folder aside",
            w->sink.name, (unsigned long long)at.next, (unsigned long long)end);
    w->next = at.known ? at.next : begin;
    const uint64_t trimmed = gw_journal_trimmed(journal);
    if (w->next < trimmed)
        count_lost(w, w->next, trimmed - w->next);
    if (w->next < begin)
        w->next = begin;
    if (at.known) /* else it would be 0 until the next event */
        gw_metric_set(w->sink.offset_metric, w->next);
    return GW_OK;
}

/* Hands over what the journal has. *out_count: entries. */
static int pump(struct worker *w, size_t *out_count, struct gw_error *error)
{
    struct gw_journal_entry entries[ENTRIES_A_READ];
    uint64_t next = w->next, lost = 0;
    size_t count = 0, needed = 0;
    int rc = gw_journal_read(w->delivery->journal, w->next, w->buffer, w->buffer_bytes, entries,
                             ENTRIES_A_READ, &count, &next, &lost, &needed);
    if (rc == GW_EFULL) {
        uint8_t *grown = realloc(w->buffer, needed);
        if (!grown)
            return gw_error_set(error, GW_ENOMEM, 0, "no memory for a journal entry of %zu bytes", needed);
        w->buffer = grown;
        w->buffer_bytes = needed;
        *out_count = 1; /* come again */
        return GW_OK;
    }
    if (rc != GW_OK)
        return gw_error_set(error, rc, 0, "the journal cannot be read at entry %llu",
                            (unsigned long long)w->next);
    for (size_t i = 0; i < count; i++) {
        rc = w->sink.write(w->sink.self, entries[i].offset, entries[i].data, entries[i].len, error);
        if (rc != GW_OK)
            return rc;
    }
    if (lost > 0)
        count_lost(w, w->next, lost);
    w->next = next;
    *out_count = count;
    return GW_OK;
}

/* The cursor follows what is durable in the sink, never what was only handed over. */
static int flush(struct worker *w, enum gw_sink_flush how, struct gw_error *error)
{
    uint64_t durable = 0, events = 0;
    int rc = w->sink.flush(w->sink.self, how, &durable, &events, error);
    if (rc != GW_OK)
        return rc;
    gw_metric_add(w->sink.events_metric, events);
    if (durable == 0)
        return GW_OK; /* it holds nothing yet */
    pthread_mutex_lock(&w->delivery->lock);
    const bool moved = w->status.next != durable;
    w->status.next = durable;
    pthread_mutex_unlock(&w->delivery->lock);
    if (!moved)
        return GW_OK;
    gw_metric_set(w->sink.offset_metric, durable);
    rc = gw_journal_cursor_set(w->delivery->journal, w->sink.name, durable);
    return rc == GW_OK
               ? GW_OK
               : gw_error_set(error, rc, 0, "the journal does not take the cursor of sink %s", w->sink.name);
}

static int serve(struct worker *w, struct gw_error *error)
{
    int rc = open_sink(w, error);
    if (rc != GW_OK)
        return rc;
    while (!stopping(w->delivery)) {
        size_t count = 0;
        rc = pump(w, &count, error);
        if (rc == GW_OK)
            rc = flush(w, GW_FLUSH_DUE, error);
        if (rc != GW_OK)
            return rc;
        if (w->status.state != GW_DELIVERY_RUNNING) { /* written by this thread only */
            set_status(w, GW_DELIVERY_RUNNING, NULL);
            gw_log(GW_LOG_INFO, "delivery.recovered", "the sink works again", GW_TEXT("sink", w->sink.name));
        }
        w->backoff_ms = w->delivery->config.backoff_min_ms;
        if (count == 0)
            wait_ms(w, w->delivery->config.idle_ms, true);
    }
    return flush(w, GW_FLUSH_ALL, error);
}

static void *run(void *arg)
{
    struct worker *w = arg;
    while (!stopping(w->delivery)) {
        struct gw_error error = {0};
        int rc = serve(w, &error);
        w->sink.close(w->sink.self);
        if (rc == GW_OK)
            break;
        if (rc == GW_ESTALE) {
            gw_log(GW_LOG_ERROR, "delivery.stopped", error.text, GW_TEXT("sink", w->sink.name));
            set_status(w, GW_DELIVERY_STOPPED, &error);
            break;
        }
        gw_metric_add(GW_METRIC_SINK_FAILURES, 1);
        const uint32_t pause = jitter(w->backoff_ms);
        gw_log(GW_LOG_WARNING, "delivery.failed", error.text, GW_TEXT("sink", w->sink.name),
               GW_UINT("retry_after_ms", pause));
        set_status(w, GW_DELIVERY_RETRYING, &error);
        wait_ms(w, pause, false);
        w->backoff_ms = w->backoff_ms > w->delivery->config.backoff_max_ms / 2
                            ? w->delivery->config.backoff_max_ms
                            : 2 * w->backoff_ms;
    }
    return NULL;
}

/* --- start, stop, look --- */

static void free_delivery(struct gw_delivery *d)
{
    for (size_t i = 0; i < d->worker_count; i++) {
        d->workers[i].sink.free(d->workers[i].sink.self);
        free(d->workers[i].buffer);
    }
    pthread_cond_destroy(&d->changed);
    pthread_mutex_destroy(&d->lock);
    free(d);
}

static struct gw_delivery *new_delivery(struct gw_journal *journal, const struct gw_delivery_config *config)
{
    struct gw_delivery *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->journal = journal;
    if (config)
        d->config = *config;
    if (d->config.backoff_min_ms == 0)
        d->config.backoff_min_ms = 100;
    if (d->config.backoff_max_ms == 0)
        d->config.backoff_max_ms = 30000;
    if (d->config.idle_ms == 0)
        d->config.idle_ms = 200;
    pthread_condattr_t attributes;
    pthread_mutex_init(&d->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&d->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    return d;
}

static int start_worker(struct worker *w, struct gw_error *error)
{
    w->buffer = malloc(READ_BYTES);
    w->buffer_bytes = READ_BYTES;
    if (!w->buffer)
        return gw_error_set(error, GW_ENOMEM, 0, "no memory to deliver to sink %s", w->sink.name);
    int rc = pthread_create(&w->thread, NULL, run, w);
    if (rc != 0)
        return gw_error_set(error, GW_ENOMEM, rc, "no thread for sink %s", w->sink.name);
    w->started = true;
    return GW_OK;
}

int gw_delivery_start(struct gw_journal *journal, const struct gw_delivery_config *config,
                      const struct gw_sink *sinks, size_t sink_count, struct gw_delivery **out,
                      struct gw_error *error)
{
    struct gw_delivery *d = sink_count <= GW_DELIVERY_SINKS_MAX ? new_delivery(journal, config) : NULL;
    if (!d) {
        for (size_t i = 0; i < sink_count; i++)
            sinks[i].free(sinks[i].self);
        return gw_error_set(error, sink_count > GW_DELIVERY_SINKS_MAX ? GW_EINVALID : GW_ENOMEM, 0,
                            "delivery cannot start with %zu sinks", sink_count);
    }
    for (size_t i = 0; i < sink_count; i++) {
        struct worker *w = &d->workers[d->worker_count++];
        w->delivery = d;
        w->sink = sinks[i];
        w->backoff_ms = d->config.backoff_min_ms;
        w->status.sink = sinks[i].name;
        if (gw_journal_cursor_get(journal, sinks[i].name, &w->status.next) != GW_OK)
            w->status.next = 0; /* a new sink */
        if (gw_journal_detach_after(journal, sinks[i].name, sinks[i].detach_after_ms) != GW_OK)
            gw_log(GW_LOG_WARNING, "delivery.required",
                   "the journal has no room for one more sink: this one is waited for without an end",
                   GW_TEXT("sink", sinks[i].name));
    }
    for (size_t i = 0; i < sink_count; i++) {
        int rc = start_worker(&d->workers[i], error);
        if (rc != GW_OK) {
            gw_delivery_stop(d);
            return rc;
        }
    }
    *out = d;
    return GW_OK;
}

void gw_delivery_wake(struct gw_delivery *delivery)
{
    if (!delivery)
        return;
    pthread_mutex_lock(&delivery->lock);
    delivery->wakes++;
    pthread_cond_broadcast(&delivery->changed);
    pthread_mutex_unlock(&delivery->lock);
}

void gw_delivery_stop(struct gw_delivery *delivery)
{
    if (!delivery)
        return;
    pthread_mutex_lock(&delivery->lock);
    delivery->stopping = true;
    pthread_cond_broadcast(&delivery->changed);
    pthread_mutex_unlock(&delivery->lock);
    for (size_t i = 0; i < delivery->worker_count; i++) {
        if (delivery->workers[i].started)
            pthread_join(delivery->workers[i].thread, NULL);
    }
    free_delivery(delivery);
}

size_t gw_delivery_get_status(struct gw_delivery *delivery, struct gw_delivery_status *out, size_t count)
{
    pthread_mutex_lock(&delivery->lock);
    for (size_t i = 0; i < delivery->worker_count && i < count; i++)
        out[i] = delivery->workers[i].status;
    pthread_mutex_unlock(&delivery->lock);
    return delivery->worker_count;
}

size_t gw_delivery_sink_names(const struct gw_delivery *delivery, const char *out[GW_DELIVERY_SINKS_MAX])
{
    for (size_t i = 0; i < delivery->worker_count; i++)
        out[i] = delivery->workers[i].sink.name;
    return delivery->worker_count;
}
