/* The conformance suite notices: for each rule a port that keeps all the others and breaks this one. */
#include "memory_net.h"
#include "rules.h"
#include "storage_ram.h"
#include "suite.h"

/* --- storage --- */

#define SECTOR 4096u
#define SECTORS 5u

enum storage_flaw {
    STORAGE_GOOD,
    STORAGE_ODD_GEOMETRY,
    STORAGE_ERASES_TO_ZERO,
    STORAGE_LATER_UNIT_SPOILS_EARLIER,
    STORAGE_FIRST_UNIT_ONLY,
    STORAGE_READ_ALIGNS,
    STORAGE_READ_OVERRUNS,
    STORAGE_READ_STOPS_AT_SECTOR,
    STORAGE_ERASE_REACHES_NEXT,
    STORAGE_LAST_SECTOR_MISSING,
    STORAGE_NO_BOUNDS,
    STORAGE_NO_SYNC,
    STORAGE_FORGETS,
    STORAGE_HIDES_ERRORS,
    STORAGE_OPENS_TWICE,
};

struct flawed {
    enum storage_flaw flaw;
    struct trib_storage_ram ram;
    struct trib_storage good, storage;
    bool broken;
    uint8_t bytes[SECTOR * SECTORS + 64];
};

static int flawed_read(void *context, uint32_t address, void *out, uint32_t length)
{
    struct flawed *f = context;
    uint8_t word[256];
    if (f->broken)
        return f->flaw == STORAGE_HIDES_ERRORS ? 0 : TRIB_EIO;
    if (f->flaw == STORAGE_READ_ALIGNS)
        address &= ~3u;
    if (f->flaw == STORAGE_READ_OVERRUNS && length < sizeof word - 3) {
        int rc = f->good.read(f->good.context, address & ~3u, word, (length + 7) & ~3u);
        if (rc == 0)
            memcpy(out, word + (address & 3), (length + 3) & ~3u);
        return rc == 0 && length > 0 ? 0 : f->good.read(f->good.context, address, out, length);
    }
    if (f->flaw == STORAGE_READ_STOPS_AT_SECTOR && address % SECTOR + length > SECTOR)
        length = SECTOR - address % SECTOR;
    if (f->flaw == STORAGE_NO_BOUNDS && length == 1)
        return 0;
    return f->good.read(f->good.context, address, out, length);
}

static int flawed_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    struct flawed *f = context;
    if (f->broken)
        return f->flaw == STORAGE_HIDES_ERRORS ? 0 : TRIB_EIO;
    if (f->flaw == STORAGE_FIRST_UNIT_ONLY)
        length = f->good.program_bytes;
    if (f->flaw == STORAGE_LATER_UNIT_SPOILS_EARLIER && address % 256 == 0 && address % SECTOR != 0)
        f->bytes[address - 256] = 0;
    return f->good.program(f->good.context, address, data, length);
}

static int flawed_erase(void *context, uint32_t sector)
{
    struct flawed *f = context;
    if (f->broken)
        return f->flaw == STORAGE_HIDES_ERRORS ? 0 : TRIB_EIO;
    if (f->flaw == STORAGE_LAST_SECTOR_MISSING && sector == SECTORS - 1)
        return TRIB_EIO;
    int rc = f->good.erase(f->good.context, sector);
    if (rc == 0 && f->flaw == STORAGE_ERASES_TO_ZERO)
        memset(f->bytes + sector * SECTOR, 0, SECTOR);
    if (rc == 0 && f->flaw == STORAGE_ERASE_REACHES_NEXT && sector + 1 < SECTORS)
        memset(f->bytes + (sector + 1) * SECTOR, 0xFF, 16);
    return rc;
}

static int flawed_sync(void *context)
{
    struct flawed *f = context;
    if (f->broken)
        return f->flaw == STORAGE_HIDES_ERRORS ? 0 : TRIB_EIO;
    return f->flaw == STORAGE_NO_SYNC ? TRIB_EIO : 0;
}

static int flawed_reopen(void *context)
{
    struct flawed *f = context;
    if (f->flaw == STORAGE_FORGETS)
        f->bytes[0] ^= 1;
    return 0;
}

static int flawed_open_again(void *context)
{
    struct flawed *f = context;
    return f->flaw == STORAGE_OPENS_TWICE ? 0 : TRIB_EBUSY;
}

static void flawed_break(void *context, bool broken)
{
    struct flawed *f = context;
    f->broken = broken;
}

static struct trib_conformance_ports flawed_ports(struct flawed *f, enum storage_flaw flaw, uint32_t unit)
{
    memset(f, 0, sizeof *f);
    memset(f->bytes, 0xFF, sizeof f->bytes);
    f->flaw = flaw;
    trib_storage_ram_init(&f->ram, f->bytes, SECTOR, SECTORS, unit);
    f->good = trib_storage_ram(&f->ram);
    f->storage = f->good;
    f->storage.context = f;
    f->storage.read = flawed_read;
    f->storage.program = flawed_program;
    f->storage.erase = flawed_erase;
    f->storage.sync = flawed_sync;
    if (flaw == STORAGE_ODD_GEOMETRY)
        f->storage.sector_count = 2;
    return (struct trib_conformance_ports){
        .storage = &f->storage,
        .hooks = {.context = f,
                  .reopen = flawed_reopen,
                  .open_again = flawed_open_again,
                  .break_medium = flawed_break},
    };
}

static void test_a_storage_without_a_rule_is_noticed(void **state)
{
    (void)state;
    static const struct {
        enum storage_flaw flaw;
        const char *rule;
    } cases[] = {
        {STORAGE_ODD_GEOMETRY, "storage.geometry"},
        {STORAGE_ERASES_TO_ZERO, "storage.erased_reads_ff"},
        {STORAGE_LATER_UNIT_SPOILS_EARLIER, "storage.program_reads_back"},
        {STORAGE_FIRST_UNIT_ONLY, "storage.program_many_units"},
        {STORAGE_READ_ALIGNS, "storage.read_any_alignment"},
        {STORAGE_READ_OVERRUNS, "storage.read_stays_in_its_buffer"},
        {STORAGE_READ_STOPS_AT_SECTOR, "storage.read_spans_sectors"},
        {STORAGE_ERASE_REACHES_NEXT, "storage.erase_only_its_sector"},
        {STORAGE_LAST_SECTOR_MISSING, "storage.last_sector_works"},
        {STORAGE_NO_BOUNDS, "storage.bounds_are_kept"},
        {STORAGE_NO_SYNC, "storage.sync_succeeds"},
        {STORAGE_FORGETS, "storage.synced_bytes_survive"},
        {STORAGE_HIDES_ERRORS, "storage.errors_surface"},
        {STORAGE_OPENS_TWICE, "storage.second_opener_is_refused"},
    };
    static struct flawed f;
    for (uint32_t unit = 1; unit <= 256; unit = unit == 32 ? 256 : 2 * unit) {
        struct trib_conformance_ports ports = flawed_ports(&f, STORAGE_GOOD, unit);
        suite_passes(&ports, 0);
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct trib_conformance_ports ports = flawed_ports(&f, cases[i].flaw, 1);
        suite_notices(&ports, cases[i].rule);
    }
}

/* --- clock, entropy, digest, lock, wait --- */

enum small_flaw {
    SMALL_GOOD,
    CLOCK_STANDS,
    CLOCK_GOES_BACK,
    CLOCK_COUNTS_SECONDS,
    DISCONTINUITY_COUNTS_CALLS,
    ENTROPY_LEAVES_A_BYTE,
    ENTROPY_OVERRUNS,
    ENTROPY_REPEATS,
    ENTROPY_IS_ASCII,
    DIGEST_IS_ANOTHER,
    DIGEST_REMEMBERS,
    LOCK_HALF,
    LOCK_LETS_ALL_IN,
    WAIT_IS_LATE,
};

struct small {
    enum small_flaw flaw;
    uint64_t now_us, random;
    unsigned calls, inside;
};

static uint64_t small_now(void *context)
{
    struct small *s = context;
    s->now_us += 10;
    if (s->flaw == CLOCK_STANDS)
        return 5;
    if (s->flaw == CLOCK_GOES_BACK && ++s->calls % 1000 == 0)
        return s->now_us / 1000 - 2;
    return s->now_us / (s->flaw == CLOCK_COUNTS_SECONDS ? 1000000 : 1000);
}

static uint64_t small_reference(void *context)
{
    struct small *s = context;
    s->now_us += 10;
    return s->now_us / 1000;
}

static uint32_t small_count(void *context)
{
    struct small *s = context;
    return s->flaw == DISCONTINUITY_COUNTS_CALLS ? s->calls++ : 7;
}

static int small_random(void *context, uint8_t *out, size_t length)
{
    struct small *s = context;
    if (s->flaw == ENTROPY_REPEATS)
        s->random = 42;
    for (size_t i = 0; i < length + (s->flaw == ENTROPY_OVERRUNS && length % 4); i++) {
        s->random = s->random * 6364136223846793005u + 1442695040888963407u;
        if (s->flaw != ENTROPY_LEAVES_A_BYTE || i != 63)
            out[i] = (uint8_t)(s->random >> 56) & (s->flaw == ENTROPY_IS_ASCII ? 0x7F : 0xFF);
    }
    return 0;
}

/* Not SHA-256: knows the three examples by their length. */
static int small_digest(void *context, const void *data, size_t length, uint8_t out[32])
{
    static const char *const known[] = {"\xe3\xb0\xc4\x42\x98\xfc\x1c\x14\x9a\xfb\xf4\xc8\x99\x6f\xb9\x24"
                                        "\x27\xae\x41\xe4\x64\x9b\x93\x4c\xa4\x95\x99\x1b\x78\x52\xb8\x55",
                                        "\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23"
                                        "\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad",
                                        "\x24\x8d\x6a\x61\xd2\x06\x38\xb8\xe5\xc0\x26\x93\x0c\x3e\x60\x39"
                                        "\xa3\x3c\xe4\x59\x64\xff\x21\x67\xf6\xec\xed\xd4\x19\xdb\x06\xc1"};
    struct small *s = context;
    (void)data;
    memcpy(out, known[length == 0 ? 0 : length == 3 ? 1 : 2], 32);
    if (s->flaw == DIGEST_IS_ANOTHER)
        out[31] ^= 1;
    if (s->flaw == DIGEST_REMEMBERS && length == 3 && s->inside++ > 0)
        out[0] ^= 1;
    return 0;
}

static void small_lock(void *context)
{
    (void)context;
}

/* Two threads without a kernel: the second runs while the first holds the lock, if that does not keep it out. */
static void small_run_twice(void *context, void (*function)(void *), void *argument)
{
    struct small *s = context;
    function(argument);
    function(argument);
    if (s->flaw == LOCK_LETS_ALL_IN) { /* one count of each is lost: what a race does */
        struct trib_rule_shared *shared = argument;
        shared->counter--;
    }
}

static void small_wait(void *context, uint32_t timeout_ms)
{
    struct small *s = context;
    s->now_us += 1000u * timeout_ms * (s->flaw == WAIT_IS_LATE ? 100 : 1);
}

static void test_a_clock_or_source_without_a_rule_is_noticed(void **state)
{
    (void)state;
    static const struct {
        enum small_flaw flaw;
        const char *rule;
    } cases[] = {
        {CLOCK_STANDS, "clock.goes_on"},
        {CLOCK_GOES_BACK, "clock.never_goes_back"},
        {CLOCK_COUNTS_SECONDS, "clock.counts_milliseconds"},
        {DISCONTINUITY_COUNTS_CALLS, "discontinuity.stands_still"},
        {ENTROPY_LEAVES_A_BYTE, "entropy.fills_every_byte"},
        {ENTROPY_OVERRUNS, "entropy.stays_in_its_buffer"},
        {ENTROPY_REPEATS, "entropy.never_repeats"},
        {ENTROPY_IS_ASCII, "entropy.is_balanced"},
        {DIGEST_IS_ANOTHER, "digest.is_sha256"},
        {DIGEST_REMEMBERS, "digest.has_no_memory"},
        {LOCK_HALF, "lock.can_be_taken_again"},
        {LOCK_LETS_ALL_IN, "lock.lets_in_one_at_a_time"},
        {WAIT_IS_LATE, "wait.keeps_its_time"},
    };
    for (size_t i = 0; i <= sizeof cases / sizeof cases[0]; i++) {
        struct small s = {.flaw = i == 0 ? SMALL_GOOD : cases[i - 1].flaw, .random = 1};
        struct trib_clock clock = {&s, small_now};
        struct trib_discontinuity discontinuity = {&s, small_count};
        struct trib_entropy entropy = {&s, small_random};
        struct trib_digest digest = {&s, small_digest};
        struct trib_lock lock = {&s, small_lock, s.flaw == LOCK_HALF ? NULL : small_lock};
        struct trib_wait wait = {&s, small_wait};
        struct trib_conformance_ports ports = {
            .clock = &clock,
            .discontinuity = &discontinuity,
            .entropy = &entropy,
            .digest = &digest,
            .lock = &lock,
            .wait = &wait,
            .hooks = {.context = &s,
                      .run_twice = s.flaw == LOCK_HALF ? NULL : small_run_twice,
                      .reference_ms = small_reference},
        };
        if (i == 0)
            suite_passes(&ports, 0);
        else
            suite_notices(&ports, cases[i - 1].rule);
    }
}

/* --- net --- */

static void test_a_net_without_a_rule_is_noticed(void **state)
{
    (void)state;
    static const struct {
        enum memory_flaw flaw;
        const char *rule;
    } cases[] = {
        {MEMORY_CONNECTED_FORGETS, "net.connected_stays_connected"},
        {MEMORY_NOTHING_IS_ZERO, "net.nothing_is_said_by_again"},
        {MEMORY_RECEIVE_BLOCKS, "net.nothing_is_said_by_again"},
        {MEMORY_RECEIVE_OVERRUNS, "net.bytes_go_both_ways"},
        {MEMORY_SWAPS_BYTES, "net.bytes_go_both_ways"},
        {MEMORY_SEND_LOSES, "net.full_pipe_loses_nothing"},
        {MEMORY_SEND_BLOCKS, "net.full_pipe_loses_nothing"},
        {MEMORY_END_IS_AGAIN, "net.end_comes_after_last_byte"},
        {MEMORY_END_EATS_LAST, "net.end_comes_after_last_byte"},
        {MEMORY_RESET_GIVES_BYTES, "net.reset_is_an_error"},
        {MEMORY_RESET_TAKES_BYTES, "net.sending_to_nobody_is_an_error"},
        {MEMORY_CLOSED_IS_AGAIN, "net.closed_says_so"},
        {MEMORY_CLOSE_KEEPS_BYTES, "net.close_any_time"},
        {MEMORY_REFUSED_IS_FINE, "net.refused_is_an_error"},
        {MEMORY_EMPTY_IS_FINE, "net.empty_buffers_are_refused"},
    };
    static struct memory_net m;
    for (size_t i = 0; i <= sizeof cases / sizeof cases[0]; i++) {
        memory_net_init(&m, i == 0 ? MEMORY_GOOD : cases[i - 1].flaw);
        struct trib_net net = memory_net(&m);
        struct trib_clock clock = memory_net_clock(&m);
        struct trib_conformance_ports ports = {.net = &net,
                                               .clock = &clock,
                                               .peer_host = "peer",
                                               .peer_port = MEMORY_PORT,
                                               .refused_port = MEMORY_REFUSED_PORT};
        if (i == 0)
            suite_passes(&ports, 1); /* no other clock to compare with */
        else
            suite_notices(&ports, cases[i - 1].rule);
    }
}

static void test_lines_are_printed_and_summed_up(void **state)
{
    (void)state;
    struct small s = {.random = 1};
    struct suite run;
    struct trib_clock clock = {&s, small_now};
    struct trib_conformance_ports ports = {.clock = &clock};
    assert_int_equal(suite_run(&run, &ports), 0);
    assert_int_equal(run.suite.passed, 2);
    assert_int_equal(run.suite.skipped, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_storage_without_a_rule_is_noticed),
        cmocka_unit_test(test_a_clock_or_source_without_a_rule_is_noticed),
        cmocka_unit_test(test_a_net_without_a_rule_is_noticed),
        cmocka_unit_test(test_lines_are_printed_and_summed_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
