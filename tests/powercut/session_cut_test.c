/*
 * The power goes at every byte that a device writes while sessions are open, and again at every byte of the boots after
 * it. Oracle: each session.start that arrives has exactly one session.end, in its own context; one that the cut left open
 * has the totals of its newest checkpoint and a time not after the cut.
 */
#include "support/fake_device.h"

#define SESSIONS_MAX 8
#define SEEN_MAX 32
#define STEPS 22

struct geometry {
    uint32_t sector_bytes, sector_count, unit;
    unsigned second_every; /* cuts between two whose recovery is cut at every byte too */
};

struct world {
    struct fake_device device;
    struct fake_gateway gateway;
    struct geometry geometry;
    struct trib_session sessions[SESSIONS_MAX];
    unsigned session_count;
    uint32_t favourites;
    uint64_t cut_mono_ms; /* on the clock of the boot that was cut */
};

struct snapshot {
    struct world world;
    uint8_t *flash[2], *written[2];
};

static uint64_t cuts, second_cuts, made_up;

static size_t flash_bytes(const struct world *w)
{
    return (size_t)w->geometry.sector_bytes * w->geometry.sector_count;
}

static void save(struct snapshot *s, const struct world *w)
{
    s->world = *w;
    for (unsigned lane = 0; lane < 2; lane++) {
        memcpy(s->flash[lane], w->device.flash[lane], flash_bytes(w));
        memcpy(s->written[lane], w->device.written[lane], flash_bytes(w) / w->geometry.unit);
    }
}

static void put_back(const struct snapshot *s, struct world *w)
{
    *w = s->world;
    for (unsigned lane = 0; lane < 2; lane++) {
        memcpy(w->device.flash[lane], s->flash[lane], flash_bytes(w));
        memcpy(w->device.written[lane], s->written[lane], flash_bytes(w) / w->geometry.unit);
    }
}

static void snapshot_init(struct snapshot *s, const struct world *w)
{
    for (unsigned lane = 0; lane < 2; lane++) {
        s->flash[lane] = malloc(flash_bytes(w));
        s->written[lane] = malloc(flash_bytes(w));
    }
}

static void snapshot_free(struct snapshot *s)
{
    for (unsigned lane = 0; lane < 2; lane++) {
        free(s->flash[lane]);
        free(s->written[lane]);
    }
}

/* --- what the device does --- */

static int favourite(struct world *w)
{
    char item[16];
    snprintf(item, sizeof item, "f%u", ++w->favourites);
    return trib_favourite_add(&w->device.client, NULL, item, NULL);
}

static int start(struct world *w)
{
    char content[24];
    snprintf(content, sizeof content, "movie-%u", w->session_count);
    struct trib_content c = {.content_id = content, .user_id = "ana", .duration_ms = 600000};
    int rc = trib_session_start(&w->device.client, &w->sessions[w->session_count], &c);
    w->session_count += rc == 0;
    return rc;
}

static int say(struct world *w, unsigned session, enum trib_player_report what, uint64_t position)
{
    struct trib_player p = {.report = what, .position_ms = position};
    return w->sessions[session].client ? trib_session_report(&w->sessions[session], &p) : 0;
}

/* Up to three sessions at a time, favourites in between; each step ends durable. */
static int step(struct world *w, unsigned number)
{
    uint32_t next;
    int rc = 0;
    if (number % 5 == 0)
        rc = start(w);
    for (unsigned i = 0; i < w->session_count && rc == 0; i++)
        rc = say(w, i, number % 3 ? TRIB_PLAYER_PLAYING : TRIB_PLAYER_PAUSED, number * 1000);
    if (number % 7 == 4 && rc == 0)
        rc = start(w);
    if (number % 7 == 6 && rc == 0 && w->sessions[number / 7].client)
        rc = trib_session_end(&w->sessions[number / 7], TRIB_REASON_QUIT);
    if (number % 2 && rc == 0)
        rc = favourite(w);
    for (unsigned i = 0; i < 3 && rc == 0; i++) {
        w->device.now_ms += 7000;
        rc = trib_poll(&w->device.client, &next);
    }
    return rc ? rc : trib_flush(&w->device.client, 0);
}

/* A boot, and that it goes on. */
static int recover(struct world *w)
{
    memset(&w->device.client, 0xA5, sizeof w->device.client);
    memset(w->sessions, 0, sizeof w->sessions);
    int rc = trib_init(&w->device.client, &w->device.config);
    if (rc < 0)
        return rc;
    w->device.source = trib_client_source;
    w->device.now_ms += 1000;
    rc = favourite(w);
    return rc ? rc : trib_flush(&w->device.client, 0);
}

/* --- the oracle --- */

struct told {
    uint64_t session, mono_ms, boot;
    const struct fake_event *start, *end, *checkpoint;
    unsigned starts, ends;
};

static struct told *told_of(struct told *told, size_t *count, uint64_t session)
{
    for (size_t i = 0; i < *count; i++)
        if (told[i].session == session)
            return &told[i];
    assert_true(*count < SEEN_MAX);
    told[*count] = (struct told){.session = session};
    return &told[(*count)++];
}

static void judge_made_up(const struct world *w, const struct told *t)
{
    static const uint8_t missing[] = {0xA3, 22, TRIB_REASON_POWER_LOSS, 2, 0, 0x18, 37, 0xF5};
    uint8_t expected[192];
    size_t length = sizeof missing;
    memcpy(expected, missing, sizeof missing);
    if (t->checkpoint) {
        length = t->checkpoint->fields_len + 2;
        memcpy(expected + 2, t->checkpoint->fields, t->checkpoint->fields_len);
        expected[0] = (uint8_t)(t->checkpoint->fields[0] + 1);
        expected[1] = 22;
        expected[2] = TRIB_REASON_POWER_LOSS;
    }
    assert_int_equal(t->end->fields_len, length);
    assert_memory_equal(t->end->fields, expected, length);
    assert_int_equal(t->end->boot, t->start->boot);
    assert_true(t->end->mono_ms >= t->mono_ms);
    assert_true(t->end->mono_ms <= w->cut_mono_ms);
    made_up++;
}

static void judge(const struct world *w)
{
    struct told told[SEEN_MAX];
    size_t count = 0;
    const struct fake_gateway *g = &w->gateway;
    for (size_t i = 0; i < g->event_count; i++) {
        const struct fake_event *e = &g->events[i];
        if (e->session == 0)
            continue;
        struct told *t = told_of(told, &count, e->session);
        if (e->type == TRIB_EVENT_SESSION_START) {
            t->start = e;
            t->starts++;
        } else if (e->type == TRIB_EVENT_SESSION_END) {
            t->end = e;
            t->ends++;
        } else {
            t->checkpoint = e->type == TRIB_EVENT_CHECKPOINT ? e : t->checkpoint;
        }
        if (e->type != TRIB_EVENT_SESSION_END && e->mono_ms > t->mono_ms)
            t->mono_ms = e->mono_ms;
    }
    for (size_t i = 0; i < count; i++) {
        const struct told *t = &told[i];
        assert_int_equal(t->starts, 1);
        assert_int_equal(t->ends, 1);
        assert_string_equal(t->end->content, t->start->content);
        assert_string_equal(t->end->user, t->start->user);
        if (t->end->fields[1] == 22 && t->end->fields[2] == TRIB_REASON_POWER_LOSS)
            judge_made_up(w, t);
    }
    for (unsigned class = 0; class < 3; class ++)
        for (unsigned reason = 0; reason < 5; reason++)
            assert_int_equal(g->dropped[class][reason], 0);
    for (unsigned lane = 0; lane < 2; lane++)
        assert_int_equal(w->device.ram[lane].twice, 0);
}

static void power_on(struct world *w)
{
    for (unsigned lane = 0; lane < 2; lane++) {
        w->device.ram[lane].off = false;
        w->device.ram[lane].cut_after = TRIB_STORAGE_RAM_NO_CUT;
    }
}

static void deliver(struct world *w)
{
    fake_sync(&w->gateway, &w->device);
    judge(w);
}

static void finish(struct world *w)
{
    power_on(w);
    assert_int_equal(recover(w), 0);
    deliver(w);
}

/* --- the cuts --- */

static void cut_recovery(struct world *w, struct snapshot *at)
{
    save(at, w);
    uint64_t before[2] = {w->device.ram[0].bytes_done, w->device.ram[1].bytes_done};
    assert_int_equal(recover(w), 0);
    uint64_t after[2] = {w->device.ram[0].bytes_done, w->device.ram[1].bytes_done};
    for (unsigned lane = 0; lane < 2; lane++)
        for (uint64_t k = before[lane]; k < after[lane]; k++) {
            put_back(at, w);
            w->device.ram[lane].cut_after = k;
            w->device.ram[lane].blank_is_fresh = true;
            assert_true(recover(w) != 0 || w->device.ram[lane].off);
            finish(w);
            second_cuts++;
        }
    put_back(at, w);
}

static void cut_step(struct world *w, unsigned number, const struct snapshot *before, struct snapshot *at,
                     unsigned lane, uint64_t k)
{
    put_back(before, w);
    w->device.ram[lane].cut_after = k;
    w->device.ram[lane].tear = k % 2 ? TRIB_TEAR_PREFIX : TRIB_TEAR_BITS;
    w->device.ram[lane].random = (uint32_t)(k * 2654435761u) | 1;
    assert_true(step(w, number) != 0 || w->device.ram[lane].off);
    w->cut_mono_ms = w->device.now_ms;
    power_on(w);
    if (cuts++ % w->geometry.second_every == 0)
        cut_recovery(w, at);
    finish(w);
}

static struct world *new_world(struct geometry geometry)
{
    struct world *w = calloc(1, sizeof *w);
    w->geometry = geometry;
    fake_device_init(&w->device, geometry.sector_bytes, geometry.sector_count, geometry.unit);
    w->device.ram[0].twin = &w->device.ram[1];
    w->device.ram[1].twin = &w->device.ram[0];
    fake_gateway_init(&w->gateway);
    assert_int_equal(fake_device_boot(&w->device), 0);
    fake_sync(&w->gateway, &w->device);
    return w;
}

static void free_world(struct world *w)
{
    fake_device_free(&w->device);
    fake_gateway_free(&w->gateway);
    free(w);
}

static void run(struct geometry geometry)
{
    struct world *w = new_world(geometry);
    struct snapshot before, at;
    snapshot_init(&before, w);
    snapshot_init(&at, w);
    uint64_t cuts_before = cuts, second_before = second_cuts, made_before = made_up;
    for (unsigned number = 0; number < STEPS; number++) {
        save(&before, w);
        uint64_t from[2] = {w->device.ram[0].bytes_done, w->device.ram[1].bytes_done};
        assert_int_equal(step(w, number), 0);
        uint64_t to[2] = {w->device.ram[0].bytes_done, w->device.ram[1].bytes_done};
        for (unsigned lane = 0; lane < 2; lane++)
            for (uint64_t k = from[lane]; k < to[lane]; k++)
                cut_step(w, number, &before, &at, lane, k);
        put_back(&before, w);
        assert_int_equal(step(w, number), 0);
        if (number % 4 == 3) {
            fake_sync(&w->gateway, &w->device);
            (void)trib_client_save_acks(&w->device.client);
        }
    }
    printf("sector %u x %u, unit %u: %llu cuts, %llu of the boots after them, %llu ends made up\n",
           geometry.sector_bytes, geometry.sector_count, geometry.unit,
           (unsigned long long)(cuts - cuts_before), (unsigned long long)(second_cuts - second_before),
           (unsigned long long)(made_up - made_before));
    snapshot_free(&before);
    snapshot_free(&at);
    free_world(w);
}

static void test_one_end_for_each_start_unit_1(void **state)
{
    (void)state;
    run((struct geometry){768, 12, 1, 601});
}

static void test_one_end_for_each_start_unit_8(void **state)
{
    (void)state;
    run((struct geometry){1024, 10, 8, 907});
}

static void test_one_end_for_each_start_unit_32(void **state)
{
    (void)state;
    run((struct geometry){4096, 4, 32, 1999});
}

static void test_one_end_after_many_cuts_in_a_row(void **state)
{
    (void)state;
    for (unsigned stride = 1; stride < 40; stride += 3) {
        struct world *w = new_world((struct geometry){4096, 4, 1, 1});
        for (unsigned number = 0; number < 5; number++)
            assert_int_equal(step(w, number), 0);
        w->cut_mono_ms = w->device.now_ms;
        for (unsigned i = 0; i < 60; i++) { /* each boot comes a little further, or not */
            w->device.ram[0].cut_after = w->device.ram[0].bytes_done + (i * stride) % 151;
            w->device.ram[0].blank_is_fresh = true;
            (void)recover(w);
            power_on(w);
            cuts++;
        }
        finish(w);
        free_world(w);
    }
}

/* A session, and favourites up to the brim of its lane: what is kept for its end is forgotten for as long. */
static struct world *new_full_world(void)
{
    struct world *w = new_world((struct geometry){1024, 4, 1, 1});
    int rc;
    assert_int_equal(step(w, 0), 0);
    w->device.client.session_count = 0;
    do {
        rc = favourite(w);
        rc = rc ? rc : trib_flush(&w->device.client, 0);
    } while (rc == 0);
    assert_int_equal(rc, TRIB_EFULL);
    w->device.client.session_count = 1;
    return w;
}

/* A vital lane that is full of what the gateway has not acked: the end waits, and no favourite takes its place. */
static void test_an_end_waits_for_room_in_a_full_lane(void **state)
{
    struct world *w = new_full_world();
    uint32_t next;
    (void)state;
    w->cut_mono_ms = w->device.now_ms;
    memset(w->sessions, 0, sizeof w->sessions);
    for (unsigned boots = 0; boots < 3; boots++) {
        assert_int_equal(fake_device_boot(&w->device), 0);
        assert_true(w->device.client.ends_due);
        assert_int_equal(favourite(w), TRIB_EFULL);
        assert_int_equal(trib_poll(&w->device.client, &next), 0);
        assert_true(w->device.client.ends_due);
    }
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 0);
    assert_int_equal(trib_poll(&w->device.client, &next), 0);
    assert_false(w->device.client.ends_due);
    assert_int_equal(favourite(w), 0);
    assert_int_equal(trib_flush(&w->device.client, 0), 0);
    deliver(w);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 1);
    free_world(w);
}

/* What a shutdown finds no room for the next start ends: nothing says that it had ended. */
static void test_a_shutdown_in_a_full_lane_leaves_the_end_to_the_next_start(void **state)
{
    struct world *w = new_full_world();
    uint32_t next;
    (void)state;
    assert_int_equal(trib_shutdown(&w->device.client, 0), 0);
    assert_int_equal(w->device.client.session_count, 0);
    w->cut_mono_ms = w->device.now_ms;
    memset(w->sessions, 0, sizeof w->sessions);
    assert_int_equal(fake_device_boot(&w->device), 0);
    fake_sync(&w->gateway, &w->device);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 0);
    assert_int_equal(trib_poll(&w->device.client, &next), 0);
    assert_false(w->device.client.ends_due);
    deliver(w);
    assert_int_equal(fake_count(&w->gateway, TRIB_EVENT_SESSION_END), 1);
    free_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_end_for_each_start_unit_1),
        cmocka_unit_test(test_one_end_for_each_start_unit_8),
        cmocka_unit_test(test_one_end_for_each_start_unit_32),
        cmocka_unit_test(test_one_end_after_many_cuts_in_a_row),
        cmocka_unit_test(test_an_end_waits_for_room_in_a_full_lane),
        cmocka_unit_test(test_a_shutdown_in_a_full_lane_leaves_the_end_to_the_next_start),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("%llu cuts, %llu more in the boots after them: one session.end for each session.start, %llu made "
           "up\n",
           (unsigned long long)cuts, (unsigned long long)second_cuts, (unsigned long long)made_up);
    return failed;
}
