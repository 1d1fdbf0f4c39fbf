/* Recording from several threads while another one polls: what is taken arrives once, in each thread's order. */
#include "support/fake_device.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "platform.h"

#define THREADS 4
#define EACH 400

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    struct trib_posix_lock lock;
    atomic_int running;
};

struct recorder {
    struct world *world;
    pthread_t thread;
    int number;
};

static atomic_ullong clock_ms;

static uint64_t shared_clock(void *context)
{
    (void)context;
    return atomic_fetch_add(&clock_ms, 1);
}

/* One records favourites, the others sessions with reports: both lanes, contexts, and the list of sessions. */
static void *record(void *context)
{
    struct recorder *r = context;
    struct trib_client *client = &r->world->device.client;
    struct trib_session session;
    char id[16];
    struct trib_content content = {.content_id = id};
    for (int i = 0; i < EACH; i++) {
        snprintf(id, sizeof id, "%d-%d", r->number, i);
        if (r->number == 0) {
            while (trib_favourite_add(client, NULL, id, NULL) == TRIB_EFULL)
                sched_yield();
            continue;
        }
        while (trib_session_start(client, &session, &content) == TRIB_EFULL)
            sched_yield();
        struct trib_player playing = {.report = TRIB_PLAYER_PLAYING, .position_ms = (uint64_t)i};
        (void)trib_session_report(&session, &playing);
        while (trib_session_end(&session, TRIB_REASON_ENDED) == TRIB_EFULL)
            sched_yield();
    }
    atomic_fetch_sub(&r->world->running, 1);
    return NULL;
}

static void test_recording_from_threads_while_polling(void **state)
{
    static struct world w;
    struct recorder recorders[THREADS];
    uint32_t next;
    (void)state;
    fake_device_init(&w.device, 4096, 16, 1);
    fake_gateway_init(&w.gateway);
    assert_int_equal(trib_posix_lock_init(&w.lock), 0);
    w.device.config.lock = trib_posix_lock(&w.lock);
    w.device.config.clock.mono_ms = shared_clock;
    assert_int_equal(fake_device_boot(&w.device), 0);
    atomic_store(&w.running, THREADS);
    for (int i = 0; i < THREADS; i++) {
        recorders[i] = (struct recorder){.world = &w, .number = i};
        assert_int_equal(pthread_create(&recorders[i].thread, NULL, record, &recorders[i]), 0);
    }
    while (atomic_load(&w.running) > 0) {
        struct trib_stats stats;
        assert_int_equal(trib_poll(&w.device.client, &next), 0);
        fake_sync(&w.gateway, &w.device);
        trib_get_stats(&w.device.client, &stats);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(recorders[i].thread, NULL);
    assert_int_equal(trib_flush(&w.device.client, 0), 0);
    fake_sync(&w.gateway, &w.device);

    int started[THREADS] = {0};
    uint64_t mono = 0, ord = 0;
    for (size_t i = 0; i < w.gateway.event_count; i++) {
        const struct fake_event *e = &w.gateway.events[i];
        assert_true(e->ord > ord && e->mono_ms >= mono);
        ord = e->ord;
        mono = e->mono_ms;
        if (e->type != TRIB_EVENT_SESSION_START)
            continue;
        int thread, number;
        assert_int_equal(sscanf(e->content, "%d-%d", &thread, &number), 2);
        assert_int_equal(number, started[thread]);
        started[thread]++;
    }
    assert_int_equal(fake_count(&w.gateway, TRIB_EVENT_FAVOURITE_ADD), EACH);
    for (int i = 1; i < THREADS; i++)
        assert_int_equal(started[i], EACH);
    trib_posix_lock_destroy(&w.lock);
    fake_device_free(&w.device);
    fake_gateway_free(&w.gateway);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_recording_from_threads_while_polling)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
