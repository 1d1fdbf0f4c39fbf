/*
 * A device whose favourites are toggled until its vital lane compacts, and the model that judges what a gateway got: of
 * each item the last operation, nothing twice, nothing lost without a word, all in the order of recording.
 */
#ifndef TESTS_TOGGLES_H
#define TESTS_TOGGLES_H

#include "support/fake_device.h"

#define TOGGLES_MAX 8192

struct toggle {
    uint8_t item; /* 0: something else than an operation on a favourite */
    bool added;
    bool durable;
};

struct toggles {
    struct toggle made[TOGGLES_MAX]; /* by item version; [0] is not used */
    uint32_t count;                  /* the newest one accepted */
    uint32_t doubtful; /* those up to here that were not reported durable before a cut never will be */
};

static inline const char *toggles_name(unsigned item)
{
    static char text[48];
    /* Two lists have the item of the same name, and two users. */
    snprintf(text, sizeof text, "item-with-a-name-%u", item / 4);
    return text;
}

static inline int toggles_make(struct toggles *t, struct fake_device *d, unsigned item)
{
    bool add = true;
    for (uint32_t i = t->count; i > 0; i--)
        if (t->made[i].item == item) {
            add = !t->made[i].added;
            break;
        }
    const char *list = item & 1 ? "list" : NULL, *user = item & 2 ? "user" : NULL;
    int rc = add ? trib_favourite_add(&d->client, list, toggles_name(item), user)
                 : trib_favourite_remove(&d->client, list, toggles_name(item), user);
    if (rc == 0) {
        assert_true(t->count + 1 < TOGGLES_MAX);
        t->made[++t->count] = (struct toggle){(uint8_t)item, add, false};
    }
    return rc;
}

/* All accepted ones were reported durable. */
static inline void toggles_durable(struct toggles *t)
{
    for (uint32_t i = t->count; i > t->doubtful && !t->made[i].durable; i--)
        t->made[i].durable = true;
}

/* A boot after a power cut: operations that were accepted and not durable may be gone, and their versions used again. */
static inline void toggles_boot(struct toggles *t, const struct fake_device *d)
{
    assert_true(d->client.item_version <= t->count);
    for (; t->count > d->client.item_version; t->count--)
        assert_false(t->made[t->count].durable);
    t->doubtful = t->count;
}

/* What the fields of an operation say: the item as toggles_make counts them; 0: nothing of ours. *out_version: the item's. */
static inline unsigned toggles_item(const struct fake_event *e, uint32_t *out_version)
{
    struct trib_cbor_reader r;
    unsigned item = 0, bits = 0;
    size_t len;
    assert_true(e->fields_len <= sizeof e->fields);
    trib_cbor_reader_init(&r, e->fields, e->fields_len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        uint64_t field = trib_cbor_get_uint(&r);
        if (field == TRIB_FIELD_ITEM_VERSION) {
            *out_version = (uint32_t)trib_cbor_get_uint(&r);
            continue;
        }
        const char *text = trib_cbor_get_text(&r, &len);
        assert_non_null(text);
        if (field == TRIB_FIELD_ITEM) {
            assert_memory_equal(text, "item-with-a-name-", 17);
            item = (unsigned)strtoul(text + 17, NULL, 10) * 4;
        }
        bits |= field == TRIB_FIELD_LIST ? 1 : field == TRIB_FIELD_USER ? 2 : 0;
    }
    assert_int_equal(r.error, 0);
    return item | bits;
}

/* Fails if something durable is missing and no later operation on its item arrived. *out_missing: how many never arrived.
 * strangers: so many operations that were torn, and read as whole now and then, may be there besides those of the model. */
static inline void toggles_judge(const struct toggles *t, const struct fake_gateway *g, unsigned strangers,
                                 uint64_t *out_missing)
{
    static uint8_t seen[TOGGLES_MAX];
    /* Where bits drift, an operation that was never reported durable may come after a boot that did not see it made up an
     * end: that has the operation's order. */
    bool loose = strangers > 0, torn = false;
    uint32_t before = 0, version = 0, newest[256] = {0};
    uint64_t ord = 0, boot = 0;
    memset(seen, 0, sizeof seen);
    for (size_t i = 0; i < g->event_count; i++) {
        const struct fake_event *e = &g->events[i];
        /* The end that a boot makes up for the one before may follow the start of a new stream. */
        if (e->lane == TRIB_LANE_VITAL && e->type != TRIB_EVENT_STREAM_START) {
            bool tie = e->ord == ord && e->type == TRIB_EVENT_SESSION_END && torn;
            assert_true(e->boot > boot || (e->boot == boot && (e->ord > ord || tie)));
            boot = e->boot;
            ord = e->ord;
            torn = false;
        }
        if (e->type != TRIB_EVENT_FAVOURITE_ADD && e->type != TRIB_EVENT_FAVOURITE_REMOVE)
            continue;
        unsigned item = toggles_item(e, &version);
        bool known = version > before && version <= t->count && t->made[version].item == item &&
                     t->made[version].added == (e->type == TRIB_EVENT_FAVOURITE_ADD);
        assert_true(known || strangers > 0);
        strangers -= !known;
        if (!known)
            continue;
        torn = loose;
        before = version;
        seen[version] = 1;
        newest[item] = version;
    }
    *out_missing = 0;
    for (uint32_t i = 1; i <= t->count; i++) {
        bool missing = t->made[i].item != 0 && !seen[i];
        assert_false(missing && t->made[i].durable && newest[t->made[i].item] < i);
        *out_missing += missing;
    }
}

#endif
