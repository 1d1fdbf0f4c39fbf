#include "ingest/committer.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "base/cores.h"
#include "ingest/clock.h"
#include "observe/log.h"
#include "observe/metrics.h"

/* Bounds of one commit: more waits for the next, so that an ack never waits for a huge transaction. */
#define COMMIT_BATCHES_MAX 1024
#define COMMIT_BYTES_MAX (8u << 20)
#define RECLAIM_EVERY_MS 1000
#define STEP_EVERY_MS 1 /* while no batch comes: a core, which others may need, is not taken for long */

/* Writes that are no batch of a device, and who waits for them. */
struct job {
    struct job *next;
    struct gw_journal_write *const *writes;
    size_t count;
    struct gw_error *error;
    int result;
    bool done;
};

struct gw_committer {
    struct gw_committer_config config;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    pthread_cond_t jobs_done;
    struct gw_session_batch *head, *tail;
    struct job *jobs;
    bool stop;
    uint64_t reclaim_at_ms, commit_at_ms; /* committer's thread only; no commit before commit_at_ms */
    bool stepping;                        /* the journal has more to do beside commits; likewise */
    bool failing;                         /* the newest commit or probe could not be stored; likewise */
    struct gw_journal_write *writes[COMMIT_BATCHES_MAX];
};

void gw_committer_queue(struct gw_committer *committer, struct gw_session_batch *batch)
{
    gw_registry_batch_begins(committer->config.registry, &batch->seat);
    batch->next = NULL;
    pthread_mutex_lock(&committer->lock);
    if (committer->tail)
        committer->tail->next = batch;
    else
        committer->head = batch;
    committer->tail = batch;
    pthread_cond_signal(&committer->work);
    pthread_mutex_unlock(&committer->lock);
}

static void wait_until(struct gw_committer *committer, uint64_t at_ms, bool *io_waiting)
{
    struct timespec until = {.tv_sec = (time_t)(at_ms / 1000), .tv_nsec = (long)(at_ms % 1000) * 1000000};
    *io_waiting = pthread_cond_timedwait(&committer->work, &committer->lock, &until) == 0;
}

/* Until then the thread may sleep if nothing comes. */
static uint64_t wake_at_ms(const struct gw_committer *committer)
{
    const uint64_t step_at_ms = gw_clock_mono_ms() + STEP_EVERY_MS;
    return committer->stepping && step_at_ms < committer->reclaim_at_ms ? step_at_ms
                                                                        : committer->reclaim_at_ms;
}

/*
 * Waits for batches at most until the next step or reclaim is due, and then for company until the next commit may be. NULL: none
 * came.
 */
static struct gw_session_batch *take(struct gw_committer *committer, bool *out_stop)
{
    const uint64_t wake_at = wake_at_ms(committer);
    pthread_mutex_lock(&committer->lock);
    for (bool waiting = true; waiting && !committer->head && !committer->jobs && !committer->stop;)
        wait_until(committer, wake_at, &waiting);
    for (bool waiting = true;
         waiting && committer->head && !committer->stop && gw_clock_mono_ms() < committer->commit_at_ms;)
        wait_until(committer, committer->commit_at_ms, &waiting);
    struct gw_session_batch *first = committer->head, *last = first;
    size_t count = first ? 1 : 0, bytes = first ? first->bytes : 0;
    while (last && last->next && count < COMMIT_BATCHES_MAX &&
           bytes + last->next->bytes <= COMMIT_BYTES_MAX) {
        last = last->next;
        bytes += last->bytes;
        count++;
    }
    if (last) {
        committer->head = last->next;
        if (!committer->head)
            committer->tail = NULL;
        last->next = NULL;
    }
    *out_stop = committer->stop && !first;
    pthread_mutex_unlock(&committer->lock);
    return first;
}

static size_t gather(struct gw_committer *committer, struct gw_session_batch *batches)
{
    size_t count = 0;
    for (struct gw_session_batch *batch = batches; batch; batch = batch->next) {
        batch->status = GW_OK;
        if (!gw_registry_current(committer->config.registry, &batch->seat)) {
            batch->status = GW_ESTALE;
            continue;
        }
        batch->admitted.write.status = GW_EIO;
        committer->writes[count++] = &batch->admitted.write;
    }
    return count;
}

/* Returns why something could not be stored, or 0. A big commit may have been stored in part. */
static int settle(struct gw_committer *committer, struct gw_session_batch *batches, int result)
{
    int failure = result;
    for (struct gw_session_batch *batch = batches; batch; batch = batch->next) {
        if (batch->status == GW_OK)
            batch->status = result == GW_OK ? batch->admitted.write.status : result;
        if (batch->status == GW_OK)
            gw_session_count(&batch->admitted);
        else if (batch->status != GW_ESTALE && batch->status != GW_EINVALID)
            failure = batch->status;
        gw_registry_batch_ends(committer->config.registry, &batch->seat);
    }
    return failure;
}

static void commit(struct gw_committer *committer, struct gw_session_batch *batches)
{
    size_t count = gather(committer, batches);
    int result = GW_OK;
    struct gw_error error = {0};
    if (count > 0) {
        uint64_t begin_us = gw_clock_mono_us();
        committer->commit_at_ms = begin_us / 1000 + committer->config.min_commit_interval_ms;
        result = gw_journal_commit(committer->config.journal, committer->writes, count, &error);
        gw_metric_add(GW_METRIC_COMMIT_US, gw_clock_mono_us() - begin_us);
        gw_metric_add(result == GW_OK ? GW_METRIC_COMMITS : GW_METRIC_COMMIT_FAILURES, 1);
    }
    result = settle(committer, batches, result);
    if (result != GW_OK)
        gw_log(GW_LOG_ERROR, "ingest.commit_failed",
               error.text[0] ? error.text : "a part of a commit could not be stored",
               GW_TEXT("meaning", "it was not acked; devices keep it and come back"));
    if (count > 0) {
        committer->failing = result != GW_OK;
        committer->config.stored(committer->config.context, result);
    }
    committer->config.outcome(committer->config.context, batches);
}

int gw_committer_write(struct gw_committer *committer, struct gw_journal_write *const *writes, size_t count,
                       struct gw_error *error)
{
    struct job job = {.writes = writes, .count = count, .error = error};
    pthread_mutex_lock(&committer->lock);
    job.next = committer->jobs;
    committer->jobs = &job; /* it is taken out of the list before this returns */
    pthread_cond_signal(&committer->work);
    while (!job.done)
        pthread_cond_wait(&committer->jobs_done, &committer->lock);
    pthread_mutex_unlock(&committer->lock);
    return job.result;
}

static void run_jobs(struct gw_committer *committer)
{
    pthread_mutex_lock(&committer->lock);
    struct job *jobs = committer->jobs;
    committer->jobs = NULL;
    pthread_mutex_unlock(&committer->lock);
    for (struct job *job = jobs, *next; job; job = next) {
        next = job->next; /* it is gone once it is done */
        int result = gw_journal_commit(committer->config.journal, job->writes, job->count, job->error);
        gw_metric_add(result == GW_OK ? GW_METRIC_COMMITS : GW_METRIC_COMMIT_FAILURES, 1);
        committer->failing = result != GW_OK;
        committer->config.stored(committer->config.context, result);
        pthread_mutex_lock(&committer->lock);
        job->result = result;
        job->done = true;
        pthread_cond_broadcast(&committer->jobs_done);
        pthread_mutex_unlock(&committer->lock);
    }
}

static void housekeeping(struct gw_committer *committer)
{
    uint64_t now_ms = gw_clock_mono_ms();
    if (now_ms < committer->reclaim_at_ms)
        return;
    committer->reclaim_at_ms = now_ms + RECLAIM_EVERY_MS;
    struct gw_journal *journal = committer->config.journal;
    if (gw_journal_reclaim(journal, committer->config.sinks, committer->config.sink_count) != GW_OK)
        gw_log(GW_LOG_WARNING, "ingest.reclaim_failed",
               "old journal segments could not be removed; it is tried again");
    struct gw_journal_stats stats;
    gw_journal_get_stats(journal, &stats);
    gw_metric_set(GW_METRIC_JOURNAL_BYTES, stats.disk_bytes);
    gw_metric_set(GW_METRIC_JOURNAL_SEGMENTS, stats.segments);
    gw_metric_set(GW_METRIC_JOURNAL_DAMAGED, stats.damaged_segments);
    gw_metric_set(GW_METRIC_JOURNAL_LIMIT, stats.limit_bytes);
    gw_metric_set(GW_METRIC_JOURNAL_RETAINED, stats.retained_bytes);
    gw_metric_set(GW_METRIC_JOURNAL_NEARLY_FULL, stats.nearly_full);
    gw_metric_set(GW_METRIC_SINKS_DETACHED, stats.detached_sinks);
    gw_metric_set(GW_METRIC_SINK_LOST, stats.lost_entries);
    gw_metric_set(GW_METRIC_JOURNAL_END, gw_journal_end(journal));
    /* Devices are held back meanwhile, so none of them may ever find that there is space again. */
    if (committer->failing && gw_journal_probe(journal, NULL) == GW_OK) {
        committer->failing = false;
        committer->config.stored(committer->config.context, GW_OK);
    }
}

/*
 * All devices wait for this thread, and it has little to compute; behind the threads that serve them it waits for a core
 * for most of the time between two commits. SCHED_RR, so that it also gets its turn beside others of its
 * kind; processes that the journal starts do not inherit it.
 */
static void run_ahead(void)
{
    struct sched_param param = {.sched_priority = 1};
    if (sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &param) == 0)
        gw_log(GW_LOG_INFO, "ingest.realtime", "the committer runs ahead of other threads");
    else
        gw_log(GW_LOG_INFO, "ingest.no_realtime",
               "the committer may not run ahead of other threads: acks are slower under load (LimitRTPRIO=1 "
               "or ulimit -r 1 allows it)",
               GW_INT("errno", errno));
}

static void *run(void *context)
{
    struct gw_committer *committer = context;
    if (committer->config.realtime)
        run_ahead();
    gw_metrics_own_shard();
    for (bool stop = false; !stop;) {
        struct gw_session_batch *batches = take(committer, &stop);
        if (batches)
            commit(committer, batches);
        run_jobs(committer);
        committer->stepping = gw_journal_step(committer->config.journal);
        housekeeping(committer);
    }
    return NULL;
}

int gw_committer_start(const struct gw_committer_config *config, struct gw_committer **out,
                       struct gw_error *error)
{
    struct gw_committer *committer = calloc(1, sizeof *committer);
    if (!committer)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    committer->config = *config;
    pthread_mutex_init(&committer->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&committer->work, &attributes);
    pthread_condattr_destroy(&attributes);
    pthread_cond_init(&committer->jobs_done, NULL);
    int failed = gw_cores_thread(config->cpus, &committer->thread, run, committer);
    if (failed) {
        pthread_cond_destroy(&committer->jobs_done);
        pthread_cond_destroy(&committer->work);
        pthread_mutex_destroy(&committer->lock);
        free(committer);
        return gw_error_set(error, GW_EIO, failed, "cannot start the committer's thread%s",
                            failed == EINVAL ? ": journal.cpus names no CPU that this process may use" : "");
    }
    pthread_setname_np(committer->thread, "committer");
    *out = committer;
    return GW_OK;
}

void gw_committer_stop(struct gw_committer *committer)
{
    pthread_mutex_lock(&committer->lock);
    committer->stop = true;
    pthread_cond_signal(&committer->work);
    pthread_mutex_unlock(&committer->lock);
    pthread_join(committer->thread, NULL);
    pthread_cond_destroy(&committer->jobs_done);
    pthread_cond_destroy(&committer->work);
    pthread_mutex_destroy(&committer->lock);
    free(committer);
}
