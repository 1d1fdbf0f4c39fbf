#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/arena.h"

static void test_what_is_used_again_and_again_is_one_chunk(void **state)
{
    (void)state;
    struct gw_arena arena;
    gw_arena_init(&arena, 1024, 1 << 20);
    void *first = NULL;
    for (int round = 0; round < 5; round++) {
        void *one = gw_arena_alloc(&arena, 900);
        for (int i = 0; i < 20; i++) {
            void *more = gw_arena_alloc(&arena, 900);
            assert_non_null(more);
            memset(more, i, 900);
            if (round > 0) /* all from the chunk that the first round showed to be needed */
                assert_true((char *)more > (char *)one && (char *)more < (char *)one + 32768);
        }
        if (round == 1)
            first = one;
        if (round > 1)
            assert_ptr_equal(one, first);
        gw_arena_reset(&arena);
    }
    gw_arena_free(&arena);
}

static void test_what_was_huge_once_is_given_back(void **state)
{
    (void)state;
    struct gw_arena arena;
    gw_arena_init(&arena, 1024, 8 << 20);
    assert_non_null(gw_arena_alloc(&arena, 100));
    assert_non_null(gw_arena_alloc(&arena, 4 << 20));
    gw_arena_reset(&arena);
    assert_true(arena.chunk_bytes <= 2 * GW_ARENA_KEPT_BYTES);
    assert_int_equal(arena.used_bytes, 0);
    gw_arena_free(&arena);
}

static void test_the_limit_holds_over_all_chunks(void **state)
{
    (void)state;
    struct gw_arena arena;
    gw_arena_init(&arena, 64, 1000);
    size_t got = 0;
    while (gw_arena_alloc(&arena, 16))
        got += 16;
    assert_int_equal(got, 992);
    assert_null(gw_arena_alloc(&arena, SIZE_MAX));
    gw_arena_reset(&arena);
    assert_non_null(gw_arena_alloc(&arena, 990));
    gw_arena_free(&arena);
    gw_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_used_again_and_again_is_one_chunk),
        cmocka_unit_test(test_what_was_huge_once_is_given_back),
        cmocka_unit_test(test_the_limit_holds_over_all_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
