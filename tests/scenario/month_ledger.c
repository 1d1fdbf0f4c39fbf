#include "scenario/month_ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire/cbor.h"
#include "wire/crc32c.h"

static const char *const lane_names[TRIB_LANE_COUNT] = {"vital", "routine"};

void ledger_init(struct ledger *ledger)
{
    memset(ledger, 0, sizeof *ledger);
}

void ledger_free(struct ledger *ledger)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        free(ledger->lanes[lane].entries);
    free(ledger->sessions);
    free(ledger->rejected);
    free(ledger->ords);
}

/* --- what was recorded --- */

/* The favourite that an operation is about: the number behind "film-". */
static uint8_t item_of(unsigned type, const uint8_t *fields, size_t len)
{
    struct trib_cbor_reader r;
    unsigned item = LEDGER_ITEMS;
    if (type != TRIB_EVENT_FAVOURITE_ADD && type != TRIB_EVENT_FAVOURITE_REMOVE)
        return LEDGER_ITEMS;
    trib_cbor_reader_init(&r, fields, len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        if (trib_cbor_get_uint(&r) == TRIB_FIELD_ITEM) {
            size_t text_len;
            const char *text = trib_cbor_get_text(&r, &text_len);
            assert_non_null(text);
            item = 0;
            for (size_t i = strlen("film-"); i < text_len; i++) /* what follows may be digits, too */
                item = item * 10 + (unsigned)(text[i] - '0');
        } else {
            trib_cbor_skip(&r);
        }
    }
    assert_int_equal(r.error, 0);
    assert_in_range(item, 0, LEDGER_ITEMS - 1);
    return (uint8_t)item;
}

void ledger_record(struct ledger *ledger, unsigned lane, const struct ledger_entry *entry,
                   const uint8_t *fields, size_t fields_len)
{
    struct ledger_lane *l = &ledger->lanes[lane];
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? 2 * l->capacity : 4096;
        l->entries = realloc(l->entries, l->capacity * sizeof *l->entries);
        assert_non_null(l->entries);
    }
    struct ledger_entry *e = &l->entries[l->count++];
    *e = *entry;
    e->crc = trib_crc32c(0, fields, fields_len);
    e->item = item_of(entry->type, fields, fields_len);
}

void ledger_promise(struct ledger *ledger, unsigned lane, uint64_t clock_ms)
{
    struct ledger_lane *l = &ledger->lanes[lane];
    while (l->settled < l->count && l->entries[l->settled].clock_ms <= clock_ms)
        l->entries[l->settled++].fate = LEDGER_DURABLE;
}

void ledger_boot(struct ledger *ledger, uint32_t boot)
{
    uint64_t at_risk = 0;
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        struct ledger_lane *l = &ledger->lanes[lane];
        at_risk += l->count - l->settled;
        while (l->settled < l->count)
            l->entries[l->settled++].fate = LEDGER_AT_RISK;
        for (size_t i = l->count; i > 0 && l->entries[i - 1].boot >= boot; i--) {
            if (l->entries[i - 1].fate == LEDGER_DURABLE)
                fail_msg("boot %u begins again, and an event of it was durable: %s lane, ord %u, type %u",
                         boot, lane_names[lane], l->entries[i - 1].ord, l->entries[i - 1].type);
            l->entries[i - 1].fate = LEDGER_GONE;
        }
    }
    ledger->worst_cut = at_risk > ledger->worst_cut ? at_risk : ledger->worst_cut;
}

/* --- what the journal holds --- */

/* What is missing between two delivered events must be what was declared there, but for what a cut put at risk. */
static void close_gap(struct ledger *ledger, unsigned lane, size_t to)
{
    struct ledger_lane *l = &ledger->lanes[lane];
    uint64_t durable = 0, at_risk = 0, custom = 0, declared = l->dropped + l->tombstones;
    for (size_t i = l->next; i < to; i++) {
        durable += l->entries[i].fate == LEDGER_DURABLE;
        at_risk += l->entries[i].fate == LEDGER_AT_RISK;
        custom += l->entries[i].type == TRIB_EVENT_CUSTOM;
        ledger->never_durable += l->entries[i].fate == LEDGER_GONE;
    }
    if (declared < durable)
        fail_msg("%s lane: %llu durable events are missing before seq %llu, %llu were declared dropped",
                 lane_names[lane], (unsigned long long)durable, (unsigned long long)l->next_seq,
                 (unsigned long long)declared);
    if (declared > durable + at_risk)
        fail_msg("%s lane: %llu events were declared dropped before seq %llu, only %llu are missing",
                 lane_names[lane], (unsigned long long)declared, (unsigned long long)l->next_seq,
                 (unsigned long long)(durable + at_risk));
    if (l->tombstones > custom)
        fail_msg("%s lane: an event was rejected that the gateway should know", lane_names[lane]);
    ledger->never_durable += durable + at_risk - declared;
    l->next = to;
    l->dropped = l->tombstones = 0;
}

static size_t find(const struct ledger_lane *l, size_t from, size_t to, const struct gw_event *event)
{
    for (size_t i = from; i < to; i++) {
        const struct ledger_entry *e = &l->entries[i];
        if (e->boot == event->boot && e->ord == event->ord && e->fate != LEDGER_GONE)
            return i;
    }
    return SIZE_MAX;
}

static void judge_time(struct ledger *ledger, const struct ledger_entry *e, const struct gw_event *event)
{
    uint64_t error = event->utc_ms > e->true_ms ? event->utc_ms - e->true_ms : e->true_ms - event->utc_ms;
    ledger->quality[event->quality & 3]++;
    if (event->uncertainty_ms == GW_UNCERTAINTY_UNKNOWN) {
        if (event->received_utc_ms + 5 < e->true_ms)
            fail_msg("boot %u ord %u: received before it was recorded", e->boot, e->ord);
        return;
    }
    if (error > event->uncertainty_ms)
        fail_msg("boot %u ord %u, type %u: %llu ms from the true time, stated uncertainty %llu ms, quality "
                 "%u, utc %llu, mono %llu",
                 e->boot, e->ord, e->type, (unsigned long long)error,
                 (unsigned long long)event->uncertainty_ms, event->quality, (unsigned long long)event->utc_ms,
                 (unsigned long long)event->mono_ms);
    if (event->quality == TRIB_TIME_SYNCED) {
        ledger->worst_error_ms = error > ledger->worst_error_ms ? error : ledger->worst_error_ms;
        if (event->uncertainty_ms > ledger->worst_uncertainty_ms)
            ledger->worst_uncertainty_ms = event->uncertainty_ms;
    }
}

static uint64_t field_of(const struct gw_event *event, unsigned wanted)
{
    struct trib_cbor_reader r;
    uint64_t value = 0;
    trib_cbor_reader_init(&r, event->fields, event->fields_len);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        uint64_t key = trib_cbor_get_uint(&r);
        if (key == wanted)
            value = trib_cbor_get_uint(&r);
        else
            trib_cbor_skip(&r);
    }
    return value;
}

static struct ledger_session *session_of(struct ledger *ledger, uint64_t id)
{
    for (size_t i = ledger->session_count; i > 0; i--)
        if (ledger->sessions[i - 1].id == id)
            return &ledger->sessions[i - 1];
    ledger->sessions = realloc(ledger->sessions, (ledger->session_count + 1) * sizeof *ledger->sessions);
    assert_non_null(ledger->sessions);
    struct ledger_session *s = &ledger->sessions[ledger->session_count++];
    *s = (struct ledger_session){.id = id};
    return s;
}

/* An entry of any lane that was recorded at that moment of that boot. */
static const struct ledger_entry *moment(const struct ledger *ledger, uint64_t boot, uint64_t mono_ms)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        for (size_t i = ledger->lanes[lane].count; i > 0; i--) {
            const struct ledger_entry *e = &ledger->lanes[lane].entries[i - 1];
            if (e->boot == boot && e->mono_ms == mono_ms && e->fate != LEDGER_GONE)
                return e;
        }
    return NULL;
}

static bool is_power_loss(const struct gw_event *event)
{
    return event->type == TRIB_EVENT_SESSION_END &&
           field_of(event, TRIB_FIELD_REASON) == TRIB_REASON_POWER_LOSS;
}

/* The SDK made it after the cut, for the moment of the session's last sign of life. */
static void judge_power_loss_end(struct ledger *ledger, const struct ledger_session *s,
                                 const struct gw_event *event)
{
    const struct ledger_entry *last = moment(ledger, event->boot, event->mono_ms);
    ledger->power_loss_ends++;
    if (event->boot < s->boot || !last || last->clock_ms < s->start_clock_ms)
        fail_msg("session %llx: its end after the power cut is at no moment of its life",
                 (unsigned long long)s->id);
    judge_time(ledger, last, event);
}

/* The totals of an end add up to the time since the start by the device's clock, to the millisecond. */
static void judge_end(struct ledger *ledger, const struct ledger_session *s, const struct gw_event *event,
                      uint64_t clock_ms)
{
    static const unsigned times[] = {TRIB_FIELD_STARTUP_MS,   TRIB_FIELD_PLAYED_MS,  TRIB_FIELD_PAUSED_MS,
                                     TRIB_FIELD_BUFFERING_MS, TRIB_FIELD_SEEKING_MS, TRIB_FIELD_UNKNOWN_MS};
    uint64_t sum = 0;
    if (s->starts != 1)
        fail_msg("session %llx: ended and never started", (unsigned long long)s->id);
    ledger->ends++;
    if (is_power_loss(event)) {
        judge_power_loss_end(ledger, s, event);
        return;
    }
    for (size_t i = 0; i < sizeof times / sizeof *times; i++)
        sum += field_of(event, times[i]);
    if (event->boot < s->boot || sum != clock_ms - s->start_clock_ms)
        fail_msg("session %llx: its times add up to %llu ms of %llu", (unsigned long long)s->id,
                 (unsigned long long)sum, (unsigned long long)(clock_ms - s->start_clock_ms));
}

/* clock_ms: the device's, when it recorded the event; not known of an end that it made up after a power cut. */
static void judge_session(struct ledger *ledger, const struct gw_event *event, uint64_t clock_ms)
{
    if (event->type != TRIB_EVENT_SESSION_START && event->type != TRIB_EVENT_SESSION_END)
        return;
    if (event->session == 0)
        fail_msg("seq %llu: a session's start or end without its session", (unsigned long long)event->seq);
    struct ledger_session *s = session_of(ledger, event->session);
    if (event->type == TRIB_EVENT_SESSION_START) {
        s->starts++;
        s->start_clock_ms = clock_ms;
        s->boot = (uint32_t)event->boot;
    } else {
        s->ends++;
        judge_end(ledger, s, event, clock_ms);
    }
    if (s->starts > 1 || s->ends > 1)
        fail_msg("session %llx: started or ended twice", (unsigned long long)s->id);
}

/* A stream begins once; after a torn group that looks like damage another one follows. It says where the one before
 * ended, so that what was dropped of that before it could be sent is counted. */
static void take_start(struct ledger *ledger, unsigned lane, const struct gw_event *event)
{
    struct ledger_lane *l = &ledger->lanes[lane];
    uint64_t reason = field_of(event, TRIB_FIELD_START_REASON);
    uint64_t previous_next = field_of(event, TRIB_FIELD_PREVIOUS_NEXT);
    if (event->seq != 1)
        fail_msg("%s lane: a stream begins with seq %llu", lane_names[lane], (unsigned long long)event->seq);
    if (reason == TRIB_START_REASON_FIRST && l->previous_next == 0)
        return;
    ledger->lost_streams++;
    if (reason != TRIB_START_REASON_LOST || !ledger->may_lose_streams)
        fail_msg("%s lane: a stream was begun anew in boot %llu, reason %llu", lane_names[lane],
                 (unsigned long long)event->boot, (unsigned long long)reason);
    if (previous_next < l->previous_next)
        fail_msg("%s lane: the stream before ended before seq %llu, not %llu", lane_names[lane],
                 (unsigned long long)previous_next, (unsigned long long)l->previous_next);
    ledger->unaccounted += previous_next - l->previous_next;
    l->dropped += previous_next - l->previous_next;
}

static void take_event(struct ledger *ledger, unsigned lane, const struct gw_event *event)
{
    struct ledger_lane *l = &ledger->lanes[lane];
    if (event->type == TRIB_EVENT_STREAM_START) {
        take_start(ledger, lane, event);
        return;
    }
    if (is_power_loss(event)) {
        judge_session(ledger, event, 0);
        return;
    }
    size_t at = find(l, l->next, l->count, event);
    if (at == SIZE_MAX) {
        size_t before = find(l, 0, l->next, event);
        fail_msg("%s lane seq %llu, boot %llu ord %llu: %s", lane_names[lane], (unsigned long long)event->seq,
                 (unsigned long long)event->boot, (unsigned long long)event->ord,
                 before == SIZE_MAX             ? "never recorded"
                 : l->entries[before].delivered ? "is in the journal twice"
                                                : "out of order");
    }
    close_gap(ledger, lane, at);
    struct ledger_entry *e = &l->entries[at];
    if (e->type != event->type || e->mono_ms != event->mono_ms ||
        e->crc != trib_crc32c(0, event->fields, event->fields_len))
        fail_msg("%s lane seq %llu: not what was recorded", lane_names[lane], (unsigned long long)event->seq);
    e->delivered = true;
    l->next = at + 1;
    ledger->delivered++;
    judge_time(ledger, e, event);
    judge_session(ledger, event, e->clock_ms);
}

static int by_place(const void *left, const void *right)
{
    const struct ledger_place *a = left, *b = right;
    if (a->stream != b->stream)
        return a->stream < b->stream ? -1 : 1;
    return a->seq < b->seq ? -1 : a->seq > b->seq;
}

void ledger_reject(struct ledger *ledger, uint64_t stream, uint64_t seq)
{
    ledger->rejected = realloc(ledger->rejected, (ledger->rejected_count + 1) * sizeof *ledger->rejected);
    assert_non_null(ledger->rejected);
    ledger->rejected[ledger->rejected_count++] = (struct ledger_place){stream, seq};
}

/* The next seq of the lane is in quarantine. A batch of which all was rejected left nothing else behind. */
static bool take_rejected(struct ledger *ledger, unsigned lane)
{
    struct ledger_lane *l = &ledger->lanes[lane];
    struct ledger_place place = {l->stream, l->next_seq};
    if (ledger->rejected_count == 0 ||
        !bsearch(&place, ledger->rejected, ledger->rejected_count, sizeof place, by_place))
        return false;
    ledger->quarantined++;
    l->tombstones++;
    l->next_seq++;
    return true;
}

static void take_seqs(struct ledger *ledger, unsigned lane, const struct trib_wire_batch_item *item,
                      uint64_t stream)
{
    struct ledger_lane *l = &ledger->lanes[lane];
    if (stream != l->stream) {
        while (take_rejected(ledger, lane))
            ;
        l->stream = stream;
        l->previous_next = l->next_seq;
        l->next_seq = 1;
    }
    while (l->next_seq < item->seq && take_rejected(ledger, lane))
        ;
    if (item->seq != l->next_seq)
        fail_msg("%s lane: seq %llu after %llu", lane_names[lane], (unsigned long long)item->seq,
                 (unsigned long long)l->next_seq - 1);
    if (item->kind == TRIB_ITEM_TOMBSTONE) {
        if (!take_rejected(ledger, lane))
            fail_msg("%s lane: seq %llu was rejected and is not in quarantine", lane_names[lane],
                     (unsigned long long)item->seq);
    } else if (item->kind == TRIB_ITEM_DROP) {
        assert_true(item->drop_class < LEDGER_CLASSES && item->drop_reason < LEDGER_REASONS);
        ledger->dropped[lane][item->drop_class][item->drop_reason] += item->count;
        l->dropped += item->count;
        l->next_seq += item->count;
    } else {
        l->next_seq++;
    }
}

static void note_ord(struct ledger *ledger, const struct gw_event *event)
{
    if (ledger->ord_count % 4096 == 0)
        ledger->ords = realloc(ledger->ords, (ledger->ord_count + 4096) * sizeof *ledger->ords);
    assert_non_null(ledger->ords);
    ledger->ords[ledger->ord_count++] = (struct ledger_place){event->boot, event->ord};
}

void ledger_take(struct ledger *ledger, const uint8_t *entry, size_t len)
{
    struct gw_entry_head head;
    struct gw_event_reader events;
    struct gw_event event;
    struct trib_wire_batch_reader items;
    struct trib_wire_batch_item item;
    const uint8_t *batch;
    size_t batch_len;
    int more;
    assert_int_equal(gw_entry_decode(entry, len, &head, &batch, &batch_len), 0);
    assert_int_equal(trib_wire_batch_read(&items, batch, batch_len), 0);
    assert_int_equal(gw_event_reader_open(&events, 0, entry, len), 0);
    if (!ledger->reading && ledger->rejected_count > 0)
        qsort(ledger->rejected, ledger->rejected_count, sizeof *ledger->rejected, by_place);
    ledger->reading = true;
    while ((more = trib_wire_batch_next(&items, &item)) == 1) {
        if (item.kind == TRIB_ITEM_CONTEXT)
            continue;
        take_seqs(ledger, item.lane, &item, items.head.lanes[item.lane].stream);
        if (item.kind < TRIB_ITEM_FIRST_EVENT)
            continue;
        assert_int_equal(gw_event_next(&events, &event), 1);
        assert_int_equal(event.seq, item.seq);
        note_ord(ledger, &event);
        take_event(ledger, item.lane, &event);
    }
    assert_int_equal(more, 0);
}

/* The newest durable operation on each favourite arrived, or a later one did. */
static void judge_favourites(const struct ledger *ledger)
{
    const struct ledger_lane *l = &ledger->lanes[TRIB_LANE_VITAL];
    bool settled[LEDGER_ITEMS] = {false};
    for (size_t i = l->count; i > 0; i--) {
        const struct ledger_entry *e = &l->entries[i - 1];
        if (e->item == LEDGER_ITEMS || settled[e->item])
            continue;
        if (e->fate == LEDGER_DURABLE && !e->delivered)
            fail_msg("favourite %u: its last operation is not there", e->item);
        settled[e->item] = e->fate == LEDGER_DURABLE || e->delivered;
    }
}

/* Boot and ord order all that a device recorded, whatever lane it went through: no two events share them. */
static void judge_ords(struct ledger *ledger)
{
    qsort(ledger->ords, ledger->ord_count, sizeof *ledger->ords, by_place);
    for (size_t i = 1; i < ledger->ord_count; i++)
        if (by_place(&ledger->ords[i - 1], &ledger->ords[i]) == 0)
            fail_msg("two events are boot %llu, ord %llu", (unsigned long long)ledger->ords[i].stream,
                     (unsigned long long)ledger->ords[i].seq);
}

void ledger_judge(struct ledger *ledger)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        const struct ledger_lane *l = &ledger->lanes[lane];
        while (take_rejected(ledger, lane))
            ;
        close_gap(ledger, lane, l->count);
        for (size_t i = 0; i < l->count; i++)
            if (l->entries[i].type == TRIB_EVENT_SESSION_END && l->entries[i].fate == LEDGER_DURABLE &&
                !l->entries[i].delivered)
                fail_msg("boot %u ord %u: a durable session.end is not there", l->entries[i].boot,
                         l->entries[i].ord);
    }
    for (size_t i = 0; i < ledger->session_count; i++)
        if (ledger->sessions[i].ends != 1)
            fail_msg("session %llx: started in boot %u, and never ended",
                     (unsigned long long)ledger->sessions[i].id, ledger->sessions[i].boot);
    judge_ords(ledger);
    judge_favourites(ledger);
    for (unsigned reason = 0; reason < LEDGER_REASONS; reason++)
        if (reason != TRIB_DROP_SUPERSEDED && ledger->dropped[TRIB_LANE_VITAL][TRIB_DROP_VITAL][reason] > 0)
            fail_msg("vital events were dropped, reason %u", reason);
}
