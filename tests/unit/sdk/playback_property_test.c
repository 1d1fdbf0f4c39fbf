/*
 * Anything a player may say, in any order, for three sessions at once: what must hold of their totals all the same. The
 * oracle counts time on its own, from the reports alone. Built again with a rule of the tracker removed (mutants), this
 * must fail.
 */
#include "playback_world.h"

#define SESSIONS 3
#define PING_MS 10000u

/* What the test knows of a session, and what it was told. */
struct judge {
    struct world w;
    uint64_t began;
    uint64_t content_ms;               /* Σ counted time × rate, while it plays, × 1000 */
    uint64_t pinged[TRIB_FIELD_COUNT]; /* sums of what pings told */
    uint64_t newest[TRIB_FIELD_COUNT]; /* of the newest checkpoint */
    size_t startups;
    size_t looked; /* events judged so far */
    bool shrunk;   /* the content's duration was reported shorter than before */
};

static uint32_t seed = 1;

static uint32_t random_below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed % limit;
}

static const unsigned sums[] = {TRIB_FIELD_PLAYED_MS,  TRIB_FIELD_PAUSED_MS,  TRIB_FIELD_BUFFERING_MS,
                                TRIB_FIELD_SEEKING_MS, TRIB_FIELD_UNKNOWN_MS, TRIB_FIELD_MUTED_MS,
                                TRIB_FIELD_STALLED_MS, TRIB_FIELD_RATED_MS,   TRIB_FIELD_DROPPED_FRAMES};
static const unsigned never_back[] = {
    TRIB_FIELD_PLAYED_MS,  TRIB_FIELD_PAUSED_MS,     TRIB_FIELD_BUFFERING_MS, TRIB_FIELD_SEEKING_MS,
    TRIB_FIELD_UNKNOWN_MS, TRIB_FIELD_MUTED_MS,      TRIB_FIELD_STALLED_MS,   TRIB_FIELD_RATED_MS,
    TRIB_FIELD_STARTUP_MS, TRIB_FIELD_STALL_COUNT,   TRIB_FIELD_SEEK_COUNT,   TRIB_FIELD_DROPPED_FRAMES,
    TRIB_FIELD_WATCHED_MS, TRIB_FIELD_WATCHED_CAPPED};

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* Absent rated_ms: the rate was 1. */
static uint64_t told(const struct event *e, unsigned field)
{
    return field == TRIB_FIELD_RATED_MS && e->field[field] == ABSENT ? value(e, TRIB_FIELD_PLAYED_MS)
                                                                     : value(e, field);
}

static void judge_totals(struct judge *j, const struct event *e)
{
    for (size_t i = 0; i < COUNT_OF(never_back); i++) {
        unsigned field = never_back[i];
        if (field != TRIB_FIELD_WATCHED_MS || !j->shrunk)
            assert_true(told(e, field) >= j->newest[field]);
        j->newest[field] = told(e, field);
    }
    assert_true(told(e, TRIB_FIELD_STALLED_MS) <= told(e, TRIB_FIELD_BUFFERING_MS));
    assert_true(told(e, TRIB_FIELD_MUTED_MS) <= told(e, TRIB_FIELD_PLAYED_MS));
    assert_true(told(e, TRIB_FIELD_WATCHED_MS) <= told(e, TRIB_FIELD_RATED_MS));
    assert_true(told(e, TRIB_FIELD_RATED_MS) * 1000 <= j->content_ms);
    assert_true(j->content_ms < (told(e, TRIB_FIELD_RATED_MS) + 1) * 1000);
    assert_true(e->field[TRIB_FIELD_NEVER_STARTED] == ABSENT || told(e, TRIB_FIELD_PLAYED_MS) == 0);
    uint64_t sum = told(e, TRIB_FIELD_STARTUP_MS) + told(e, TRIB_FIELD_PLAYED_MS) +
                   told(e, TRIB_FIELD_PAUSED_MS) + told(e, TRIB_FIELD_BUFFERING_MS) +
                   told(e, TRIB_FIELD_SEEKING_MS) + told(e, TRIB_FIELD_UNKNOWN_MS);
    assert_int_equal(sum, j->w.now - j->began);
}

static void look(struct judge *j)
{
    for (; j->looked < j->w.count; j->looked++) {
        const struct event *e = &j->w.events[j->looked];
        if (e->type == TRIB_EVENT_PING)
            for (size_t i = 0; i < COUNT_OF(sums); i++)
                j->pinged[sums[i]] += told(e, sums[i]);
        if (e->type == TRIB_EVENT_PLAYING && e->field[TRIB_FIELD_STARTUP_MS] != ABSENT)
            j->startups++;
        if (e->type == TRIB_EVENT_CHECKPOINT || e->type == TRIB_EVENT_SESSION_END)
            judge_totals(j, e);
        if (e->type == TRIB_EVENT_SESSION_END && e->field[TRIB_FIELD_DURATION_MS] != ABSENT)
            assert_true(value(e, TRIB_FIELD_WATCHED_MS) <= e->field[TRIB_FIELD_DURATION_MS]);
    }
}

/* Time that goes by: the oracle's own account of what of it plays. */
static void live(struct judge *j, uint64_t now)
{
    const struct trib_tracker *t = &j->w.tracker;
    uint64_t ms = now > j->w.now ? now - j->w.now : 0, limit = PING_MS * 5 / 2;
    if (t->started && !t->seeking && !t->buffering && !t->paused)
        j->content_ms += (ms < limit ? ms : limit) * t->rate_milli;
    j->w.now += ms;
}

static uint64_t some_position(uint64_t *in_out_position)
{
    static const uint64_t absurd[] = {UINT64_MAX,       UINT64_MAX - 1, 1ull << 63,
                                      TRIB_YEAR_MS + 1, 1ull << 32,     0};
    switch (random_below(8)) {
    case 0:
        return absurd[random_below(COUNT_OF(absurd))];
    case 1:
        *in_out_position = random_below(250000);
        break;
    default:
        *in_out_position += random_below(3000);
    }
    return *in_out_position;
}

static int64_t some_value(enum trib_player_report what)
{
    static const int64_t rates[] = {0, 250, 500, 1000, 1000, 1333, 2000, 4000, -1, INT64_MAX};
    static const int64_t absurd[] = {INT64_MIN, -1, 0, INT64_MAX};
    if (random_below(20) == 0)
        return absurd[random_below(COUNT_OF(absurd))];
    if (what == TRIB_PLAYER_RATE)
        return rates[random_below(COUNT_OF(rates))];
    return random_below(250000);
}

static void speak(struct judge *j, uint64_t *in_out_position)
{
    enum trib_player_report what = (enum trib_player_report)random_below(TRIB_PLAYER_COMPLETE + 1);
    uint64_t before = j->w.tracker.duration_ms;
    say(&j->w, what, some_position(in_out_position), some_value(what));
    uint64_t after = j->w.tracker.duration_ms;
    j->shrunk |= after != 0 && (before == 0 || after < before);
}

static void begin_judged(struct judge *j)
{
    memset(j, 0, sizeof *j);
    j->w.sink = (struct trib_tracker_sink){&j->w, give_room, take};
    j->w.setup = (struct trib_tracker_setup){.ping_ms = PING_MS, .sampling_milli = 1000, .sampled = true};
    j->w.now = j->began = 1000 + random_below(100000);
    begin_content(&j->w, random_below(3) ? 1 + random_below(200000) : 0, random_below(5) == 0);
}

static void finish_judged(struct judge *j)
{
    live(j, j->w.now + random_below(2000));
    (void)end(&j->w, random_below(2) ? TRIB_REASON_QUIT : TRIB_REASON_ERROR);
    look(j);
    const struct event *e = &j->w.events[j->w.count - 1];
    const struct trib_tracker *t = &j->w.tracker;
    const uint64_t since[] = {
        t->delta[TRIB_TIME_PLAYED],  t->delta[TRIB_TIME_PAUSED],  t->delta[TRIB_TIME_BUFFERING],
        t->delta[TRIB_TIME_SEEKING], t->delta[TRIB_TIME_UNKNOWN], t->delta[TRIB_TIME_MUTED],
        t->delta[TRIB_TIME_STALLED], t->delta[TRIB_TIME_RATED],   t->dropped_frames - t->dropped_pinged};
    for (size_t i = 0; i < COUNT_OF(sums); i++)
        assert_int_equal(j->pinged[sums[i]] + since[i], told(e, sums[i]));
    assert_true(j->startups <= 1);
    assert_int_equal(count_of(&j->w, TRIB_EVENT_BUFFER_START), count_of(&j->w, TRIB_EVENT_BUFFER_END));
    assert_true(count_of(&j->w, TRIB_EVENT_PROGRESS) <= 3);
    assert_int_equal(count_of(&j->w, TRIB_EVENT_SEEK), value(e, TRIB_FIELD_SEEK_COUNT));
}

static void test_whatever_players_say_totals_add_up(void **state)
{
    static struct judge judges[SESSIONS];
    (void)state;
    for (uint32_t number = 1; number <= 6000; number++) {
        uint64_t position[SESSIONS] = {0};
        seed = number * 2654435761u | 1;
        for (unsigned i = 0; i < SESSIONS; i++)
            begin_judged(&judges[i]);
        for (unsigned step = random_below(400); step > 0; step--) {
            unsigned i = random_below(SESSIONS);
            struct judge *j = &judges[i];
            uint64_t silence = random_below(30) ? random_below(3000) : random_below(300000000);
            uint64_t back =
                random_below(50) ? 0 : random_below(1000); /* a clock that is not what it should be */
            live(j, back ? j->w.now : j->w.now + silence);
            j->w.now -= back;
            if (random_below(4) == 0)
                tick(&j->w);
            else
                speak(j, &position[i]);
            j->w.now += back;
            look(j);
        }
        for (unsigned i = 0; i < SESSIONS; i++)
            finish_judged(&judges[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whatever_players_say_totals_add_up)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
