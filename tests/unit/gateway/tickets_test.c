/* Keys of session tickets: how long each makes tickets, how long it opens them, and that it is gone then. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ingest/tickets.h"

#define LIFETIME 1000

struct world {
    struct gw_tickets *tickets;
    struct gw_ticket_key first;
};

static int set_up(void **state)
{
    static struct world w;
    w = (struct world){0};
    *state = &w;
    return gw_tickets_new(LIFETIME, &w.tickets) || gw_tickets_current(w.tickets, 5000, &w.first);
}

static int tear_down(void **state)
{
    gw_tickets_free(((struct world *)*state)->tickets);
    return 0;
}

static struct gw_ticket_key current(struct world *w, uint64_t now_ms)
{
    struct gw_ticket_key key;
    assert_int_equal(gw_tickets_current(w->tickets, now_ms, &key), GW_OK);
    return key;
}

static enum gw_ticket_age find(struct world *w, const struct gw_ticket_key *key, uint64_t now_ms)
{
    struct gw_ticket_key found;
    memset(&found, 0, sizeof found);
    enum gw_ticket_age age = gw_tickets_find(w->tickets, key->name, now_ms, &found);
    if (age != GW_TICKET_UNKNOWN)
        assert_memory_equal(&found, key, sizeof found);
    return age;
}

static void test_a_key_makes_tickets_for_one_lifetime(void **state)
{
    struct world *w = *state;
    struct gw_ticket_key same = current(w, 5999), next = current(w, 6000);
    assert_memory_equal(&same, &w->first, sizeof same);
    assert_memory_not_equal(next.name, w->first.name, sizeof next.name);
    assert_memory_not_equal(next.cipher, w->first.cipher, sizeof next.cipher);
    assert_memory_not_equal(next.mac, w->first.mac, sizeof next.mac);
}

static void test_a_key_opens_tickets_for_one_more(void **state)
{
    struct world *w = *state;
    assert_int_equal(find(w, &w->first, 5999), GW_TICKET_CURRENT);
    assert_int_equal(find(w, &w->first, 6000), GW_TICKET_OLD); /* even before a new one is made */
    struct gw_ticket_key next = current(w, 6500);
    assert_int_equal(find(w, &w->first, 6999), GW_TICKET_OLD);
    assert_int_equal(find(w, &next, 6999), GW_TICKET_CURRENT);
    assert_int_equal(find(w, &w->first, 7000), GW_TICKET_UNKNOWN);
    assert_int_equal(find(w, &next, 7000), GW_TICKET_CURRENT);
}

static void test_of_many_keys_only_two_open_anything(void **state)
{
    struct world *w = *state;
    struct gw_ticket_key keys[6];
    for (unsigned i = 0; i < 6; i++)
        keys[i] = current(w, 6000 + i * LIFETIME);
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(find(w, &keys[i], 6000 + 5 * LIFETIME), i == 5   ? GW_TICKET_CURRENT
                                                                 : i == 4 ? GW_TICKET_OLD
                                                                          : GW_TICKET_UNKNOWN);
}

static void test_a_long_pause_leaves_no_key(void **state)
{
    struct world *w = *state;
    assert_int_equal(find(w, &w->first, 500000), GW_TICKET_UNKNOWN);
    struct gw_ticket_key zero;
    memset(&zero, 0, sizeof zero);
    assert_int_equal(find(w, &zero, 500000), GW_TICKET_UNKNOWN); /* a wiped key has no name */
}

static void test_nobody_else_has_these_keys(void **state)
{
    struct world *w = *state;
    struct gw_tickets *other;
    assert_int_equal(gw_tickets_new(LIFETIME, &other), GW_OK);
    struct gw_ticket_key theirs;
    assert_int_equal(gw_tickets_current(other, 5000, &theirs), GW_OK);
    assert_int_equal(find(w, &theirs, 5000), GW_TICKET_UNKNOWN);
    gw_tickets_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_key_makes_tickets_for_one_lifetime, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_key_opens_tickets_for_one_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_of_many_keys_only_two_open_anything, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_long_pause_leaves_no_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nobody_else_has_these_keys, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
