/*
 * Power cuts of a device on storage that is torn as real parts are, one to three in a row, and rows of 256. After each
 * the device must boot, go on recording, and bring what it reported durable to the gateway: once, in order, no number
 * used twice. States are put back by copy on write; nothing is replayed.
 *
 *   ring_torn_test --seed N [--seconds S]                     a sample over all geometries and shapes
 *   ring_torn_test --seed N --geometry G --shape S --depth D  each byte of it; first cuts one in --first,
 *                  others one in --every [--rows R] [--mutant M] [--json]
 */
#include <time.h>

#include "cut_states.h"
#include "ring_world.h"

#define ROW_CUTS 256
#define NEXT_BYTES 64u /* that are cut behind a recovery */
#define RECHECK_ONE_IN 64u
#define LOOSE_RUN 16u /* bytes of a call that share what loose bits read as before it */

static const struct geometry geometries[] = {
    {512, 4, 1, false},  {320, 8, 1, false},     {512, 5, 4, false},    {512, 5, 8, false},
    {768, 4, 16, false}, {1024, 4, 32, false},   {2048, 4, 256, false}, {384, 3, 1, true},
    {4096, 3, 1, false}, {131072, 3, 32, false}, {256, 8, 1, false},    {256, 14, 16, false},
    {320, 4, 8, true},
};
#define GEOMETRIES (sizeof geometries / sizeof geometries[0])
static const char *const shape_names[TORN_SHAPES] = {"prefix",   "bits",     "pages",
                                                     "unstable", "drifting", "unsynced"};

static struct {
    uint64_t seed;
    double seconds;
    int geometry, shape;                /* -1: all */
    unsigned depth, first, every, rows; /* one in `first` first cuts, one in `every` of the others */
    enum torn_mutant mutant;
    bool json;
} options = {0, 20, -1, -1, 1, 1, 1, 0, TORN_SOUND, false};

static struct {
    uint64_t cuts[4];   /* by depth */
    uint64_t distinct;  /* states behind those cuts; the others were the same to the bit */
    uint64_t rechecked; /* of those others */
    uint64_t row_cuts, rows, new_streams, brinks, full;
} count;

static struct world *world;
static struct world *saved[TORN_LEVELS]; /* by the lanes' level */
static struct torn_storage lanes[2];
static uint64_t chance_state; /* of what is tried, apart from the storage's own */
static char where[200];
static double deadline = 1e18; /* of the present part of a sample */

static uint64_t chance(void)
{
    chance_state += 0x9E3779B97F4A7C15u;
    uint64_t z = chance_state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Numbers that neither has used are zeros in both. */
static void copy_world(struct world *to, const struct world *from)
{
    uint32_t used = to->next_number > from->next_number ? to->next_number : from->next_number;
    memcpy(to, from, offsetof(struct world, promised) + used);
}

static void push(void)
{
    copy_world(saved[lanes[0].level], world);
    torn_push(&lanes[0]);
    torn_push(&lanes[1]);
}

static void restore(void)
{
    copy_world(world, saved[lanes[0].level - 1]);
    torn_restore(&lanes[0]);
    torn_restore(&lanes[1]);
}

static void pop(void)
{
    restore();
    torn_pop(&lanes[0]);
    torn_pop(&lanes[1]);
}

/* --- what is cut --- */

/* number: of the step, or of none: then a recovery and the next 64 bytes. */
static int work(int number)
{
    if (number >= 0)
        return world_step(world, (unsigned)number);
    int rc = world_recover(world);
    while (rc == 0 && world->power.ticks < world->recovered_at + NEXT_BYTES) {
        rc = world_record(world);
        if (rc == 0)
            rc = world_flush(world);
    }
    return rc;
}

/* While the gateway is away the vital lane fills up, and says so: all but the spare sector hold what it must keep. */
static bool fine(int rc)
{
    count.full += rc == TRIB_EFULL;
    return rc == 0 || (rc == TRIB_EFULL &&
                       (world->geometry.overflow ||
                        trib_ring_free_count(&world->device.client.lanes[TRIB_LANE_VITAL].ring) < 2));
}

static void recover_and_judge(struct outcome *out)
{
    uint64_t streams = world->gateway.stream_count, brinks = world->power.brinks, full = count.full;
    int rc = world_recover(world);
    assert_true(fine(rc));
    world_deliver(world);
    if (rc == TRIB_EFULL && !world->geometry.overflow) { /* acks have made room */
        assert_int_equal(world_record(world), 0);
        assert_int_equal(world_flush(world), 0);
        world_deliver(world);
    }
    out->new_streams = world->gateway.stream_count - streams;
    out->brinks = world->power.brinks - brinks;
    out->full = count.full - full;
    out->after = world_hash(world);
    count.full = full;
}

/*
 * The cut state that `model` and the cells make: judged, if none like it was since the step began. Of the others one in
 * some is judged again, and all must come out as it did: so that it shows if the hash leaves out what matters.
 */
static void judge_cut(const struct torn_hash *model)
{
    static uint64_t known;
    struct torn_hash hash = *model;
    struct outcome once, *out = &once;
    bool new = true;
    if (!torn_loose(&lanes[0]) && !torn_loose(&lanes[1])) {
        torn_hash_cells(&lanes[0], &hash);
        torn_hash_cells(&lanes[1], &hash);
        out = cut_states_find(&hash, &new);
    }
    if (new) {
        recover_and_judge(out);
        count.distinct++;
    } else if (++known % RECHECK_ONE_IN == 0) {
        recover_and_judge(&once);
        assert_memory_equal(&once, out, sizeof once);
        count.rechecked++;
    }
    count.new_streams += out->new_streams;
    count.brinks += out->brinks;
    count.full += out->full;
}

/* Long erases are cut at their boundaries, at those of pages, and anywhere now and then. */
static bool worth_it(uint64_t tick, uint64_t from, uint64_t to)
{
    uint64_t sector = world->geometry.sector_bytes;
    if (sector < 4096 || to - from < sector)
        return true;
    uint64_t k = tick - from;
    return k < 300 || to - tick < 600 || k % 4096 < 2 || k % 4096 > 4094 || chance() % 256 == 0;
}

/*
 * Runs the work until the call in which tick k falls, and opens a level there: nothing is torn yet. False: it came to
 * its end before, as bits that read differently may spare a recovery an erase.
 */
static bool run_up_to(uint64_t k, int number)
{
    world->power.cut_at = k;
    world->power.random = (chance() << 1) | 1;
    world->power.defer = true;
    (void)work(number);
    world->power.defer = false;
    bool cut = world->power.off;
    if (!cut)
        assert_true(lanes[0].shape == TORN_UNSTABLE || lanes[0].shape == TORN_DRIFTING);
    world_power_on(world);
    if (cut)
        push();
    return cut;
}

/*
 * Cuts at each tick of the work that is wanted (one in `every`), and again in the recovery, `depth` cuts in a row. What
 * the device did before a call, and what it does without power after it, is the same for each byte of the call: that is
 * run once a call, or where bits are loose once in LOOSE_RUN bytes.
 */
static void explore(unsigned depth, unsigned cuts, int number, uint64_t every)
{
    bool loose = torn_loose(&lanes[0]) || torn_loose(&lanes[1]), open = false;
    struct torn_hash model = {{0, 0}};
    push();
    uint64_t from = world->power.ticks, end = from;
    assert_true(fine(work(number)));
    uint64_t to = world->power.ticks;
    if (number < 0 && to > world->recovered_at + NEXT_BYTES)
        to = world->recovered_at + NEXT_BYTES;
    for (uint64_t k = from; k < to && now() < deadline; k++) {
        if ((every > 1 && chance() % every != 0) || !worth_it(k, from, to))
            continue;
        if (open && k >= end)
            pop();
        restore();
        if (!open || k >= end) {
            open = run_up_to(k, number);
            if (!open)
                continue;
            end = loose && k + LOOSE_RUN < world->power.call_end ? k + LOOSE_RUN : world->power.call_end;
            model = world_hash(world);
        }
        world->power.random = (chance() << 1) | 1;
        torn_tear(&lanes[0], k);
        torn_tear(&lanes[1], k);
        if (cuts == 0)
            snprintf(where, sizeof where, "step %d, tick %llu", number, (unsigned long long)(k - from));
        if (depth > 1)
            explore(depth - 1, cuts + 1, -1, options.every);
        judge_cut(&model);
        count.cuts[cuts + 1]++;
    }
    if (open)
        pop();
    pop();
}

/* Up to so many bytes before the end of the routine lane's sector. */
static void fill_up(uint32_t before_end)
{
    const struct trib_ring *r = &world->device.client.lanes[TRIB_LANE_ROUTINE].ring;
    world->fill_bytes = 700;
    while (r->offset + before_end + 800 < world->geometry.sector_bytes) {
        assert_int_equal(world_record(world), 0);
        assert_int_equal(world_flush(world), 0);
        if (world->next_number % 16 == 0)
            world_deliver(world);
    }
    world->fill_bytes = 0;
    world_deliver(world);
}

static void begin(struct geometry geometry, enum torn_shape shape)
{
    world_init(world, lanes, geometry, shape, options.mutant, chance());
    assert_int_equal(world_boot(world), 0);
    world_deliver(world); /* so that the gateway knows the streams */
}

static void cut_everywhere(struct geometry geometry, enum torn_shape shape, unsigned depth, uint64_t every)
{
    begin(geometry, shape);
    for (unsigned number = 0; number < STEPS; number++) {
        if (number == 4 && geometry.sector_bytes >= 4096)
            fill_up(geometry.sector_bytes / 2 + 200);
        if (number == 12 && geometry.sector_bytes >= 4096)
            fill_up(600);
        cut_states_clear();
        world->old_events = world->gateway.event_count;
        explore(depth, 0, (int)number, every);
        assert_true(fine(world_step(world, number)));
    }
    assert_true(world->device.client.lanes[TRIB_LANE_ROUTINE].ring.sector_seq > 1);
    world_deliver(world);
    world_free(world, lanes);
}

/* 256 cuts, each in whatever the device does after the one before. */
static void row(struct geometry geometry, enum torn_shape shape)
{
    static const uint64_t reach[] = {20, 200, 2000};
    begin(geometry, shape);
    unsigned cuts = 0;
    while (cuts < ROW_CUTS) {
        world->power.cut_at = world->power.ticks + chance() % reach[chance() % 3];
        world->power.random = (chance() << 1) | 1;
        snprintf(where, sizeof where, "cut %u of a row", cuts);
        int rc = world_recover(world);
        for (unsigned i = (unsigned)(chance() % 4); rc == 0 && i < 8; i++)
            rc = world_step(world, i);
        bool cut = world->power.off;
        world_power_on(world);
        cuts += cut;
        if (!cut && rc < 0) {
            count.full++; /* the vital lane refuses when it is full */
            assert_int_equal(rc, TRIB_EFULL);
        }
        if (cut && chance() % 16 != 0)
            continue;
        if (world->gateway.stream_count > FAKE_STREAMS_MAX - 3)
            break;
        assert_int_equal(world_boot(world), 0);
        world_deliver(world);
        assert_int_equal(trib_client_save_acks(&world->device.client), 0);
        rc = world_recover(world);
        world_deliver(world);
        assert_int_equal(rc, 0);
    }
    count.row_cuts += cuts;
    count.brinks += world->power.brinks;
    count.new_streams += world->gateway.stream_count - 2;
    count.rows++;
    world_free(world, lanes);
}

/* --- */

static void one(unsigned geometry, enum torn_shape shape, double until)
{
    struct geometry g = geometries[geometry];
    if (options.geometry >= 0) {
        cut_everywhere(g, shape, options.depth, options.first);
        return;
    }
    /* A sample: about a hundred first cuts at a time, until the time is over. Each has its own chances by the seed. */
    uint64_t every = options.every;
    bool large = g.sector_bytes > 4096;
    options.every = large ? 400 : 90;
    deadline = until;
    for (uint64_t i = 0; i == 0 || now() < until; i++) {
        chance_state = options.seed * 1000003 + geometry * 8191 + shape * 127 + i;
        cut_everywhere(g, shape, 1 + (unsigned)(chance() % (large ? 2 : 3)), large ? 4000 : 97);
        if (!g.overflow && !large)
            row(g, shape);
    }
    options.every = every;
}

static void test_what_was_durable_arrives_once_whatever_the_power_tears(void **state)
{
    (void)state;
    double start = now(), part = 0;
    unsigned parts = options.geometry < 0 ? GEOMETRIES : 1;
    parts *= options.shape < 0 ? TORN_SHAPES : 1;
    for (unsigned g = 0; g < GEOMETRIES; g++)
        for (unsigned s = 0; s < TORN_SHAPES; s++) {
            if ((options.geometry >= 0 && (unsigned)options.geometry != g) ||
                (options.shape >= 0 && (unsigned)options.shape != s))
                continue;
            if (!options.json)
                fprintf(stderr, "sector %u x %u, unit %u, %s\n", geometries[g].sector_bytes,
                        geometries[g].sector_count, geometries[g].unit, shape_names[s]);
            part += 1;
            if (options.rows == 0)
                one(g, (enum torn_shape)s, start + options.seconds * part / parts);
            for (unsigned i = 0; i < options.rows; i++)
                row(geometries[g], (enum torn_shape)s);
        }
}

static void parse(int argc, char **argv)
{
    options.seed = (uint64_t)time(NULL);
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--json") == 0) {
            options.json = true;
            continue;
        }
        if (strcmp(argv[i], "--seed") == 0)
            options.seed = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0)
            options.seconds = strtod(value, NULL);
        else if (strcmp(argv[i], "--geometry") == 0)
            options.geometry = atoi(value);
        else if (strcmp(argv[i], "--depth") == 0)
            options.depth = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--first") == 0)
            options.first = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--every") == 0)
            options.every = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--rows") == 0)
            options.rows = (unsigned)atoi(value);
        else if (strcmp(argv[i], "--mutant") == 0)
            options.mutant = (enum torn_mutant)atoi(value);
        else if (strcmp(argv[i], "--shape") == 0)
            for (unsigned s = 0; s < TORN_SHAPES; s++)
                options.shape = strcmp(value, shape_names[s]) == 0 ? (int)s : options.shape;
        i++;
    }
    if (options.depth < 1 || options.depth > 3 || options.every < 1 || options.first < 1 ||
        options.geometry >= (int)GEOMETRIES) {
        fprintf(stderr, "depth is 1 to 3, every at least 1, geometry below %zu\n", GEOMETRIES);
        exit(2);
    }
}

static void say(void)
{
    const struct {
        const char *key, *text;
        uint64_t value;
    } lines[] = {
        {"seed", "seed", options.seed},
        {"cuts", "first cuts", count.cuts[1]},
        {"second", "second cuts", count.cuts[2]},
        {"third", "third cuts", count.cuts[3]},
        {"distinct", "distinct states behind them", count.distinct},
        {"rechecked", "of the others tried again", count.rechecked},
        {"in_rows", "cuts in rows", count.row_cuts},
        {"rows", "rows", count.rows},
        {"new_streams", "new streams", count.new_streams},
        {"on_the_brink", "programs on the brink", count.brinks},
        {"full", "times full", count.full},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (options.json)
            printf("%s\"%s\": %llu", i == 0 ? "{" : ", ", lines[i].key, (unsigned long long)lines[i].value);
        else
            printf("%s%s %llu", i == 0 ? "" : ", ", lines[i].text, (unsigned long long)lines[i].value);
    printf(options.json ? "}\n" : "\n");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_durable_arrives_once_whatever_the_power_tears),
    };
    parse(argc, argv);
    chance_state = options.seed;
    world = malloc(sizeof *world);
    for (unsigned i = 0; i < TORN_LEVELS; i++)
        saved[i] = malloc(sizeof *world);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (failed)
        fprintf(stderr, "failed with --seed %llu at %s\n", (unsigned long long)options.seed, where);
    say();
    for (unsigned i = 0; i < TORN_LEVELS; i++)
        free(saved[i]);
    free(world);
    return failed;
}
