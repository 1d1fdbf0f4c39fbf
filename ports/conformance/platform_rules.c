/* Clock, entropy, digest, lock and wait. */
#include "rules.h"

/* --- clock --- */

#define LOOKS 200000u
#define PATIENCE_LOOKS 20000000u /* until a clock that stands still is given up */

static uint64_t now(const struct trib_rule_run *run)
{
    return run->ports->clock->mono_ms(run->ports->clock->context);
}

static const char *clock_goes_on(struct trib_rule_run *run)
{
    uint64_t first = now(run);
    for (uint32_t i = 0; i < PATIENCE_LOOKS; i++)
        if (now(run) != first)
            return NULL;
    return "the clock stands still";
}

static const char *clock_never_goes_back(struct trib_rule_run *run)
{
    uint64_t last = now(run);
    for (uint32_t i = 0; i < LOOKS; i++) {
        uint64_t next = now(run);
        TRIB_RULE(next >= last, "the clock went back");
        last = next;
    }
    return NULL;
}

/* Within a tenth over 100 ms, and a tick of 20 ms. */
static const char *clock_counts_milliseconds(struct trib_rule_run *run)
{
    const struct trib_conformance_hooks *h = &run->ports->hooks;
    if (!h->reference_ms)
        return TRIB_RULE_SKIP;
    /* Whoever is kept from running between two looks must not be blamed for it. */
    uint64_t before = h->reference_ms(h->context), began = now(run), from = h->reference_ms(h->context), to;
    do {
        to = h->reference_ms(h->context);
    } while (to - from < 100);
    uint64_t counted = now(run) - began, least = to - from, most = h->reference_ms(h->context) - before;
    TRIB_RULE(counted + least / 10 + 20 >= least && counted <= most + most / 10 + 20,
              "the clock does not count milliseconds");
    return NULL;
}

const struct trib_rule TRIB_RULES_CLOCK[] = {
    {"clock.goes_on", clock_goes_on},
    {"clock.never_goes_back", clock_never_goes_back},
    {"clock.counts_milliseconds", clock_counts_milliseconds},
    {NULL, NULL},
};

/* While the device is awake and nobody sets the clock, nothing happens: each change would look like a boot. */
static const char *discontinuity_stands_still(struct trib_rule_run *run)
{
    const struct trib_discontinuity *d = run->ports->discontinuity;
    uint32_t first = d->count(d->context);
    for (uint32_t i = 0; i < LOOKS; i++)
        TRIB_RULE(d->count(d->context) == first, "the number changes by itself");
    return NULL;
}

const struct trib_rule TRIB_RULES_DISCONTINUITY[] = {
    {"discontinuity.stands_still", discontinuity_stands_still},
    {NULL, NULL},
};

/* --- entropy --- */

#define HALF (TRIB_CONFORMANCE_SCRATCH / 2)

static int random_bytes(const struct trib_rule_run *run, uint8_t *out, size_t length)
{
    return run->ports->entropy->fill(run->ports->entropy->context, out, length);
}

static const char *entropy_fills_every_byte(struct trib_rule_run *run)
{
    uint8_t seen[64] = {0};
    for (int round = 0; round < 64; round++) { /* a byte that is left out would stay zero in all rounds */
        memset(run->scratch, 0, sizeof seen);
        TRIB_RULE(random_bytes(run, run->scratch, sizeof seen) == 0, "it failed");
        for (size_t i = 0; i < sizeof seen; i++)
            seen[i] |= run->scratch[i];
    }
    for (size_t i = 0; i < sizeof seen; i++)
        TRIB_RULE(seen[i] != 0, "a byte is never filled");
    return NULL;
}

static const char *entropy_stays_in_its_buffer(struct trib_rule_run *run)
{
    for (size_t length = 0; length <= 33; length++)
        for (int round = 0; round < 4; round++) {
            memset(run->scratch, 0x5A, 64);
            TRIB_RULE(random_bytes(run, run->scratch + 8, length) == 0,
                      "it failed, perhaps for an odd length or none");
            for (size_t i = 0; i < 64; i++)
                TRIB_RULE((i >= 8 && i < 8 + length) || run->scratch[i] == 0x5A,
                          "it stores outside of its buffer");
        }
    return NULL;
}

static const char *entropy_never_repeats(struct trib_rule_run *run)
{
    uint8_t *a = run->scratch, *b = run->scratch + HALF;
    TRIB_RULE(random_bytes(run, a, HALF) == 0, "it failed");
    for (int round = 0; round < 16; round++) {
        TRIB_RULE(random_bytes(run, b, HALF) == 0, "it failed");
        TRIB_RULE(memcmp(a, b, HALF) != 0, "the same bytes came twice");
        TRIB_RULE(memcmp(a, b, 8) != 0, "the same eight bytes came first twice");
    }
    for (size_t i = 16; i + 16 <= HALF; i += 16)
        TRIB_RULE(memcmp(a, a + i, 16) != 0, "its bytes have a period");
    return NULL;
}

/* 65,536 bits: half of them are set, within sixteen standard deviations. No proof of quality: a gross fault is seen. */
static const char *entropy_is_balanced(struct trib_rule_run *run)
{
    uint32_t ones = 0;
    for (int round = 0; round < 8; round++) {
        TRIB_RULE(random_bytes(run, run->scratch, HALF) == 0, "it failed");
        for (size_t i = 0; i < HALF; i++)
            for (unsigned byte = run->scratch[i]; byte > 0; byte &= byte - 1)
                ones++;
    }
    TRIB_RULE(ones > 32768 - 2048 && ones < 32768 + 2048,
              "far more bits are zero than one, or one than zero");
    return NULL;
}

const struct trib_rule TRIB_RULES_ENTROPY[] = {
    {"entropy.fills_every_byte", entropy_fills_every_byte},
    {"entropy.stays_in_its_buffer", entropy_stays_in_its_buffer},
    {"entropy.never_repeats", entropy_never_repeats},
    {"entropy.is_balanced", entropy_is_balanced},
    {NULL, NULL},
};

/* --- digest --- */

struct vector {
    const char *text;
    uint8_t digest[32];
};

/* FIPS 180-4's examples of one block and of two, and no bytes at all. */
static const struct vector VECTORS[] = {
    {"", {0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
          0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55}},
    {"abc", {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23,
             0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17, 0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad}},
    {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
     {0x24, 0x8d, 0x6a, 0x61, 0xd2, 0x06, 0x38, 0xb8, 0xe5, 0xc0, 0x26, 0x93, 0x0c, 0x3e, 0x60, 0x39,
      0xa3, 0x3c, 0xe4, 0x59, 0x64, 0xff, 0x21, 0x67, 0xf6, 0xec, 0xed, 0xd4, 0x19, 0xdb, 0x06, 0xc1}},
};

static const char *digest_is_sha256(struct trib_rule_run *run)
{
    const struct trib_digest *d = run->ports->digest;
    for (size_t i = 0; i < sizeof VECTORS / sizeof VECTORS[0]; i++) {
        memset(run->scratch, 0x5A, 48);
        TRIB_RULE(d->sha256(d->context, VECTORS[i].text, strlen(VECTORS[i].text), run->scratch + 8) == 0,
                  "it failed");
        TRIB_RULE(memcmp(run->scratch + 8, VECTORS[i].digest, 32) == 0, "it is not SHA-256");
        TRIB_RULE(run->scratch[7] == 0x5A && run->scratch[40] == 0x5A, "it stores other than 32 bytes");
    }
    return NULL;
}

static const char *digest_has_no_memory(struct trib_rule_run *run)
{
    const struct trib_digest *d = run->ports->digest;
    for (int round = 0; round < 3; round++) {
        TRIB_RULE(d->sha256(d->context, VECTORS[2].text, strlen(VECTORS[2].text), run->scratch) == 0 &&
                      d->sha256(d->context, VECTORS[1].text, strlen(VECTORS[1].text), run->scratch) == 0,
                  "it failed when called again");
        TRIB_RULE(memcmp(run->scratch, VECTORS[1].digest, 32) == 0, "a call depends on the one before");
    }
    return NULL;
}

const struct trib_rule TRIB_RULES_DIGEST[] = {
    {"digest.is_sha256", digest_is_sha256},
    {"digest.has_no_memory", digest_has_no_memory},
    {NULL, NULL},
};

/* --- lock --- */

#define ROUNDS 5000u

static void count_up(void *argument)
{
    struct trib_rule_shared *s = argument;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        s->lock->lock(s->lock->context);
        s->met += s->inside;
        s->inside = 1;
        uint32_t seen = s->counter;
        for (volatile int pause = 0; pause < 20; pause++)
            ;
        s->counter = seen + 1;
        s->inside = 0;
        s->lock->unlock(s->lock->context);
    }
}

static const char *lock_can_be_taken_again(struct trib_rule_run *run)
{
    const struct trib_lock *lock = run->ports->lock;
    TRIB_RULE(lock->lock && lock->unlock, "one of the two calls is missing");
    for (int i = 0; i < 1000; i++) {
        lock->lock(lock->context);
        lock->unlock(lock->context);
    }
    return NULL;
}

static const char *lock_lets_in_one_at_a_time(struct trib_rule_run *run)
{
    const struct trib_conformance_hooks *h = &run->ports->hooks;
    struct trib_rule_shared s = {run->ports->lock, 0, 0, 0};
    if (!h->run_twice)
        return TRIB_RULE_SKIP;
    h->run_twice(h->context, count_up, &s);
    TRIB_RULE(s.met == 0 && s.counter == 2 * ROUNDS, "two threads had it at once");
    return NULL;
}

const struct trib_rule TRIB_RULES_LOCK[] = {
    {"lock.can_be_taken_again", lock_can_be_taken_again},
    {"lock.lets_in_one_at_a_time", lock_lets_in_one_at_a_time},
    {NULL, NULL},
};

/* --- wait --- */

#define LATE_MS 1000u /* what a system under load is allowed */

/* It may come back early, but neither late nor, summed up, never. A tick of a slow system is allowed for. */
static const char *wait_keeps_its_time(struct trib_rule_run *run)
{
    const struct trib_wait *w = run->ports->wait;
    uint64_t from = now(run);
    w->wait(w->context, 0);
    TRIB_RULE(now(run) - from <= LATE_MS, "a wait of 0 ms takes long");
    from = now(run);
    w->wait(w->context, 50);
    TRIB_RULE(now(run) - from <= 50 + LATE_MS, "a wait takes far longer than asked");
    return NULL;
}

const struct trib_rule TRIB_RULES_WAIT[] = {
    {"wait.keeps_its_time", wait_keeps_its_time},
    {NULL, NULL},
};
