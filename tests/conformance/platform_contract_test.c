/* What tributary/port.h says of clock, entropy and lock, checked on ports/posix. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "platform.h"

static void test_clock_never_goes_back_and_counts_milliseconds(void **state)
{
    (void)state;
    struct trib_clock clock = trib_posix_clock();
    uint64_t last = clock.mono_ms(clock.context);
    struct timespec from, to;
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &from), 0);
    assert_true(last >= (uint64_t)from.tv_sec * 1000 - 1000);
    for (int i = 0; i < 100000; i++) {
        uint64_t now = clock.mono_ms(clock.context);
        assert_true(now >= last);
        last = now;
    }
    assert_int_equal(clock_gettime(CLOCK_BOOTTIME, &to), 0);
    assert_in_range(last, (uint64_t)from.tv_sec * 1000 + (uint64_t)from.tv_nsec / 1000000,
                    (uint64_t)to.tv_sec * 1000 + (uint64_t)to.tv_nsec / 1000000);
}

static void test_entropy_fills_every_byte_and_never_repeats(void **state)
{
    (void)state;
    struct trib_entropy entropy = trib_posix_entropy();
    uint8_t a[4096], b[4096], seen[64] = {0};
    assert_int_equal(entropy.fill(entropy.context, a, sizeof a), 0);
    assert_int_equal(entropy.fill(entropy.context, b, sizeof b), 0);
    assert_memory_not_equal(a, b, sizeof a);
    for (int i = 0; i < 64; i++) { /* a byte that is left out would stay zero in all rounds */
        uint8_t some[64] = {0};
        assert_int_equal(entropy.fill(entropy.context, some, sizeof some), 0);
        for (size_t k = 0; k < sizeof some; k++)
            seen[k] |= some[k];
    }
    for (size_t k = 0; k < sizeof seen; k++)
        assert_int_not_equal(seen[k], 0);
    assert_int_equal(entropy.fill(entropy.context, a, 0), 0);
}

/* The kernel may give fewer bytes than were asked for, and a signal none. (This definition goes before the C library's.) */
static bool short_answers;
static unsigned answers;

ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
    if (short_answers && ++answers % 3 == 0) {
        errno = EINTR;
        return -1;
    }
    return syscall(SYS_getrandom, buffer, short_answers && length > 7 ? 7 : length, flags);
}

static void test_entropy_goes_on_after_short_and_interrupted_answers(void **state)
{
    (void)state;
    struct trib_entropy entropy = trib_posix_entropy();
    uint8_t seen[64] = {0};
    short_answers = true;
    for (int i = 0; i < 64; i++) {
        uint8_t some[66] = {0};
        assert_int_equal(entropy.fill(entropy.context, some + 1, 64), 0);
        for (size_t k = 0; k < 64; k++)
            seen[k] |= some[k + 1];
        assert_int_equal(some[0], 0);
        assert_int_equal(some[65], 0);
    }
    short_answers = false;
    for (size_t k = 0; k < sizeof seen; k++)
        assert_int_not_equal(seen[k], 0);
    assert_true(answers > 64 * 64 / 7);
}

static struct trib_lock shared;
static unsigned counter;

static void *count(void *argument)
{
    (void)argument;
    for (int i = 0; i < 50000; i++) {
        shared.lock(shared.context);
        counter++;
        shared.unlock(shared.context);
    }
    return NULL;
}

static void test_lock_lets_in_one_at_a_time(void **state)
{
    (void)state;
    struct trib_posix_lock lock;
    pthread_t threads[4];
    assert_int_equal(trib_posix_lock_init(&lock), 0);
    shared = trib_posix_lock(&lock);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(counter, 200000);
    trib_posix_lock_destroy(&lock);
}

static void test_wall_clock_is_right_or_not_given(void **state)
{
    (void)state;
    uint64_t utc = 7;
    struct timespec now;
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
    if (trib_posix_utc_ms(NULL, &utc))
        assert_in_range(utc, (uint64_t)now.tv_sec * 1000, (uint64_t)now.tv_sec * 1000 + 60000);
    else
        assert_int_equal(utc, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clock_never_goes_back_and_counts_milliseconds),
        cmocka_unit_test(test_entropy_fills_every_byte_and_never_repeats),
        cmocka_unit_test(test_entropy_goes_on_after_short_and_interrupted_answers),
        cmocka_unit_test(test_lock_lets_in_one_at_a_time),
        cmocka_unit_test(test_wall_clock_is_right_or_not_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
