/* A small journal in memory, and delivery's loop without its threads: what each sink test needs. */
#ifndef SINK_FIXTURE_H
#define SINK_FIXTURE_H

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "delivery/event.h"
#include "delivery/sink.h"
#include "unit/gateway/admit_fixture.h"

#define EPOCH 0x1234abcd5678ef00ull
#define GATEWAY_ID "gw-test"
#define ENTRIES_MAX 64
#define EVENTS_MAX 1024

struct memory_journal {
    uint8_t *entries[ENTRIES_MAX];
    size_t lens[ENTRIES_MAX];
    size_t count;
    char *json[EVENTS_MAX]; /* of all events, in order: what a sink has to hold */
    size_t event_count;
};

static inline void journal_add(struct memory_journal *j, const struct fixture *x)
{
    struct gw_event_reader reader;
    struct gw_event event;
    const uint64_t offset = j->count;
    j->entries[offset] = malloc(x->out.write.entry_len);
    j->lens[offset] = x->out.write.entry_len;
    memcpy(j->entries[offset], x->out.write.entry, x->out.write.entry_len);
    j->count++;
    if (gw_event_reader_open(&reader, offset, j->entries[offset], j->lens[offset]) != 0)
        abort();
    while (gw_event_next(&reader, &event) == 1) {
        char buffer[4096];
        size_t len = gw_event_json(&event, GATEWAY_ID, buffer, sizeof buffer);
        j->json[j->event_count++] = strndup(buffer, len);
    }
}

/*
 * Entries as devices make them: one to many events, of several types and days, some with drops or rejected events
 * only in between, some without any event.
 */
static inline void journal_make(struct memory_journal *j, size_t entry_count)
{
    static struct fixture x;
    uint64_t seq = 1;
    memset(j, 0, sizeof *j);
    fixture_open(&x);
    for (size_t i = 0; i < entry_count; i++) {
        const unsigned events = i % 7 == 3 ? 0 : i % 5 == 4 ? 20 : 1 + (unsigned)i % 3;
        batch_begin(&x, 1, seq, 0, seq - 1);
        x.head.anchors[0] = (struct trib_wire_anchor){3, 1000, 1763078000000ull + i * 40000000, 25};
        x.head.anchor_count = 1;
        trib_wire_batch_open(&x.batch, &x.head, x.batch_bytes, sizeof x.batch_bytes);
        batch_context(&x, 1, 100 + i, "film", "ann-planted");
        if (i % 7 == 3) {
            trib_wire_batch_drop(&x.batch, 1, 2, TRIB_DROP_ROUTINE, TRIB_DROP_OVERFLOW);
            seq += 2;
        }
        for (unsigned e = 0; e < events; e++, seq++) {
            static const unsigned types[] = {TRIB_EVENT_PING, TRIB_EVENT_PLAY, TRIB_EVENT_PROGRESS};
            const unsigned type = types[(i + e) % 3];
            fields_begin(&x, 1);
            fields_uint(&x, type == TRIB_EVENT_PROGRESS ? TRIB_FIELD_PERCENT : TRIB_FIELD_POSITION_MS, e);
            batch_event(&x, 1, type, 1, 10000);
        }
        if (i % 4 == 1) {
            fields_begin(&x, 0);
            batch_event(&x, 1, 200, 0, 1); /* rejected: a tombstone at the entry's end */
            seq++;
        }
        if (batch_admit(&x) != GW_ADMIT_OK || !x.out.write.entry)
            abort();
        journal_add(j, &x);
    }
    fixture_close(&x);
}

static inline void journal_free(struct memory_journal *j)
{
    for (size_t i = 0; i < j->count; i++)
        free(j->entries[i]);
    for (size_t i = 0; i < j->event_count; i++)
        free(j->json[i]);
    j->count = j->event_count = 0;
}

/*
 * Delivers up to `until`, as gateway/delivery does: after any failure the sink is closed and opened again. A flush
 * of all comes after each `every` entries and at the end. False after `patience` failures.
 */
static inline bool deliver(const struct memory_journal *j, const struct gw_sink *sink, size_t until,
                           size_t every, unsigned patience, uint64_t *out_events)
{
    struct gw_error error = {0};
    uint64_t next = 0, events = 0;
    for (unsigned failures = 0; failures < patience;) {
        struct gw_sink_position at = {0};
        bool good = sink->open(sink->self, &at, &error) == GW_OK;
        if (good && at.known && (at.epoch != EPOCH || at.next > j->count))
            return false;
        for (size_t i = at.next; good && i < until; i++) {
            good = sink->write(sink->self, i, j->entries[i], j->lens[i], &error) == GW_OK;
            if (good && (i + 1) % every == 0) {
                good = sink->flush(sink->self, GW_FLUSH_ALL, &next, &events, &error) == GW_OK;
                good = good && next == i + 1;
            }
        }
        good = good && sink->flush(sink->self, GW_FLUSH_ALL, &next, &events, &error) == GW_OK;
        sink->close(sink->self);
        if (good) {
            if (out_events)
                *out_events = events;
            return next == until;
        }
        failures++;
    }
    return false;
}

/* A new folder, in memory where the system has room for that: these tests make and remove thousands of files. */
static inline bool make_root(char path[64])
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(path, 64, "%s/tributary-sink-XXXXXX", base);
    return mkdtemp(path) != NULL;
}

static inline int remove_one(const char *path, const struct stat *st, int flag, struct FTW *walk)
{
    (void)st;
    (void)flag;
    (void)walk;
    return remove(path);
}

static inline void remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
