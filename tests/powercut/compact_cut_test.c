/*
 * The power goes at every byte of a compaction, and at every byte of what follows at the next start, on storage that is
 * torn as real parts are. Whatever was durable arrives, or a later operation on its item does; the order holds; what is
 * missing was declared; a session has one end.
 *
 *   compact_cut_test [--seconds S] [--seed N] [--every E]   E: one of so many cuts in the recovery
 */
#include <time.h>

#include "support/toggles.h"
#include "support/torn_storage.h"

#define SESSIONS 3u

struct geometry {
    uint32_t sector_bytes, sector_count, unit;
};

static const struct geometry geometries[] = {
    {1024, 4, 1}, {1024, 3, 1}, {1024, 5, 8}, {1024, 4, 32}, {2048, 4, 256}};
#define GEOMETRIES (sizeof geometries / sizeof geometries[0])

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    struct torn_power power;
    struct toggles toggles;
    struct trib_session session;
    enum torn_shape shape;
};

static struct world world, saved[TORN_LEVELS];
static struct torn_storage lanes[TRIB_LANE_COUNT];
static struct {
    uint64_t first, second, full, doubted, freed;
} count;
static uint64_t chance_state = 1;
static double deadline;
static char where[128];

static uint64_t chance(void)
{
    chance_state = chance_state * 6364136223846793005u + 1442695040888963407u;
    return chance_state >> 33;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void push(unsigned level)
{
    memcpy(&saved[level], &world, sizeof world);
    torn_push(&lanes[0]);
    torn_push(&lanes[1]);
}

static void restore(unsigned level)
{
    memcpy(&world, &saved[level], sizeof world);
    torn_restore(&lanes[0]);
    torn_restore(&lanes[1]);
}

static void pop(unsigned level)
{
    restore(level);
    torn_pop(&lanes[0]);
    torn_pop(&lanes[1]);
}

static void power_on(void)
{
    world.power.off = false;
    world.power.cut_at = UINT64_MAX;
}

/* --- a device's life --- */

static int poll_once(uint32_t *out_next)
{
    world.device.now_ms += 5;
    int rc = trib_poll(&world.device.client, out_next);
    if (rc == 0 && !world.power.off && world.device.client.staging.head == 0)
        toggles_durable(&world.toggles);
    return world.power.off ? TRIB_EIO : rc;
}

/* A full lane may refuse. */
static int toggle(void)
{
    uint32_t next;
    int rc = toggles_make(&world.toggles, &world.device, 4 + (unsigned)(chance() % 5));
    count.full += rc == TRIB_EFULL;
    return poll_once(&next);
}

static void session(unsigned number)
{
    char name[16];
    struct trib_content content = {.content_id = name, .duration_ms = 60000};
    snprintf(name, sizeof name, "film-%u", number);
    assert_int_equal(trib_session_start(&world.device.client, &world.session, &content), 0);
}

static int boot(void)
{
    memset(&world.device.client, 0xA5, sizeof world.device.client);
    memset(&world.session, 0, sizeof world.session);
    int rc = trib_init(&world.device.client, &world.device.config);
    if (rc < 0 || world.power.off)
        return TRIB_EIO;
    world.device.source = trib_client_source;
    toggles_boot(&world.toggles, &world.device);
    return 0;
}

/* Up to the first step of a compaction: sessions that ended, one that goes on, and toggles. */
static void live(struct geometry geometry, enum torn_shape shape)
{
    memset(&world, 0, sizeof world);
    world.shape = shape;
    world.power = (struct torn_power){.cut_at = UINT64_MAX, .random = 7};
    fake_device_init(&world.device, 256, 3, 1);
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        torn_init(&lanes[lane], &world.power, geometry.sector_bytes, geometry.sector_count, geometry.unit);
        lanes[lane].shape = shape;
        lanes[lane].other = &lanes[1 - lane];
        world.device.config.storage[lane] = torn_port(&lanes[lane]);
    }
    fake_gateway_init(&world.gateway);
    assert_int_equal(boot(), 0);
    for (unsigned i = 0; world.device.client.compaction.phase == TRIB_COMPACTION_RESTS; i++) {
        assert_true(i < 2000);
        if (i == 1 || i == 4 || i == 7)
            session(i);
        if (i == 3 || i == 6)
            assert_int_equal(trib_session_end(&world.session, TRIB_REASON_QUIT), 0);
        assert_int_equal(toggle(), 0);
    }
}

/* All the steps of two compactions, and what is recorded between them. */
static int work(void)
{
    uint32_t next;
    unsigned freed = 0;
    for (unsigned i = 0; freed < 2 && i < 400; i++) {
        uint32_t free_count = trib_ring_free_count(&world.device.client.lanes[TRIB_LANE_VITAL].ring);
        int rc = world.device.client.compaction.phase == TRIB_COMPACTION_RESTS || i % 4 == 3
                     ? toggle()
                     : poll_once(&next);
        if (rc < 0)
            return rc;
        freed += trib_ring_free_count(&world.device.client.lanes[TRIB_LANE_VITAL].ring) > free_count;
    }
    count.freed += freed;
    return 0;
}

/* A boot, something new, and whatever a compaction makes of it. */
static int recover(void)
{
    uint32_t next;
    int rc = boot();
    for (unsigned i = 0; i < 12 && rc == 0; i++)
        rc = i % 4 == 0 ? toggle() : poll_once(&next);
    return rc;
}

/* --- the judge --- */

static void judge_sessions(void)
{
    const struct fake_gateway *g = &world.gateway;
    unsigned ends[10] = {0}, starts[10] = {0};
    bool strict = world.shape != TORN_UNSTABLE && world.shape != TORN_DRIFTING;
    for (size_t i = 0; i < g->event_count; i++) {
        const struct fake_event *e = &g->events[i];
        if (e->lane != TRIB_LANE_VITAL ||
            (e->type != TRIB_EVENT_SESSION_START && e->type != TRIB_EVENT_SESSION_END))
            continue;
        assert_true(!strict || e->session != 0);
        if (e->session == 0)
            continue;
        assert_memory_equal(e->content, "film-", 5);
        (e->type == TRIB_EVENT_SESSION_END ? ends : starts)[atoi(e->content + 5)]++;
    }
    static const unsigned number[SESSIONS] = {1, 4, 7};
    for (unsigned i = 0; i < SESSIONS; i++) {
        assert_in_range(starts[number[i]], strict, 1);
        assert_in_range(ends[number[i]], strict && i < SESSIONS - 1,
                        1); /* the last one goes on, if nothing is cut */
    }
}

static void deliver(void)
{
    struct fake_gateway *g = &world.gateway;
    bool strict = world.shape != TORN_UNSTABLE && world.shape != TORN_DRIFTING;
    uint64_t missing, damaged = g->dropped[TRIB_DROP_VITAL][TRIB_DROP_DAMAGED];
    uint32_t next;
    fake_sync(g, &world.device);
    for (unsigned i = 0; i < 4 && world.device.client.ends_due; i++) /* now there is room */
        assert_int_equal(poll_once(&next), 0);
    fake_sync(g, &world.device);
    toggles_judge(&world.toggles, g, strict ? 0 : 2, &missing);
    judge_sessions();
    damaged = g->dropped[TRIB_DROP_VITAL][TRIB_DROP_DAMAGED];
    assert_true(g->dropped[TRIB_DROP_VITAL][TRIB_DROP_SUPERSEDED] + damaged <= missing + (strict ? 0 : 4));
    assert_true(!strict || damaged == 0);
    assert_true(!strict || g->stream_count == 2);
    for (unsigned class = 0; class < 3; class ++)
        for (unsigned reason = 0; reason < 5; reason++)
            assert_true(g->dropped[class][reason] == 0 || reason == TRIB_DROP_DAMAGED ||
                        (class == TRIB_DROP_VITAL && reason == TRIB_DROP_SUPERSEDED));
    assert_int_equal(world.power.twice, 0);
    assert_int_equal(world.power.early, 0);
    count.doubted += damaged;
}

static void explore(unsigned level, unsigned depth, int (*what)(void), uint64_t every)
{
    push(level);
    uint64_t from = world.power.ticks;
    assert_int_equal(what(), 0);
    uint64_t to = world.power.ticks;
    deliver();
    for (uint64_t k = from; k < to && now() < deadline; k++) {
        if (every > 1 && chance() % every != 0)
            continue;
        restore(level);
        world.power.cut_at = k;
        world.power.random = chance() * 2 + 1;
        if (level == 0)
            snprintf(where, sizeof where, "tick %llu of %llu", (unsigned long long)(k - from),
                     (unsigned long long)(to - from));
        (void)what();
        bool off = world.power.off;
        power_on();
        if (!off)
            continue; /* bits that read differently may spare an erase */
        *(level == 0 ? &count.first : &count.second) += 1;
        if (level + 1 < depth)
            explore(level + 1, depth, recover, every > 1 ? every : 1);
        assert_int_equal(recover(), 0);
        deliver();
    }
    pop(level);
}

static struct {
    double seconds;
    uint64_t seed, every;
} options = {15, 1, 7};

static void test_a_compaction_is_whole_wherever_the_power_goes(void **state)
{
    (void)state;
    double began = now();
    for (unsigned part = 0; part < GEOMETRIES * TORN_SHAPES; part++) {
        struct geometry g = geometries[part % GEOMETRIES];
        enum torn_shape shape = (enum torn_shape)(part / GEOMETRIES);
        chance_state = options.seed * 1000 + part;
        uint64_t first = count.first, second = count.second;
        deadline = 1e18;
        live(g, shape);
        double half = options.seconds / (GEOMETRIES * TORN_SHAPES) / 2;
        deadline = began + (2 * part + 1) * half;
        explore(0, 1, work, options.seconds < 100 ? 2 : 1); /* of a short run a sample */
        deadline += half;
        while (now() < deadline)
            explore(0, 2, work, options.every);
        printf("sectors %u x %u, unit %u, shape %d: %llu cuts, %llu in recoveries\n", g.sector_bytes,
               g.sector_count, g.unit, (int)shape, (unsigned long long)(count.first - first),
               (unsigned long long)(count.second - second));
        torn_free(&lanes[0]);
        torn_free(&lanes[1]);
        fake_device_free(&world.device);
        fake_gateway_free(&world.gateway);
    }
    printf("%llu cuts in compactions, %llu in recoveries; %llu refused, %llu positions damaged\n",
           (unsigned long long)count.first, (unsigned long long)count.second, (unsigned long long)count.full,
           (unsigned long long)count.doubted);
    assert_true(count.first > 5000 && count.freed > 2 * GEOMETRIES);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_compaction_is_whole_wherever_the_power_goes),
    };
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seconds") == 0)
            options.seconds = atof(argv[i + 1]);
        if (strcmp(argv[i], "--seed") == 0)
            options.seed = strtoull(argv[i + 1], NULL, 10);
        if (strcmp(argv[i], "--every") == 0)
            options.every = strtoull(argv[i + 1], NULL, 10);
    }
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    if (rc != 0)
        fprintf(stderr, "failed with --seed %llu at %s\n", (unsigned long long)options.seed, where);
    return rc;
}
