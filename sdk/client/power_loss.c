/*
 * After a power cut: the end of each session that was open. A context without an end in the newest sectors of the vital
 * lane names the session; its newest checkpoint and its last sign of life are in the newest sectors of the routine lane.
 * The end is written under a copy of that context, in the boot that was cut short, before anything of this boot.
 */
#include <string.h>

#include "client/client_internal.h"

#define VITAL_SECTORS 4u       /* those that may name an open session: see find */
#define ROUTINE_BYTES_MIN 8192 /* so much of the routine lane is searched, and three sectors at least */
#define SEEN_MAX 8u            /* sessions told apart in one pass; more take another one */
#define SESSIONS_MAX 64u       /* at one start: far more than contexts have room for */
#define FIELDS_MAX 160u
#define ATTEMPTS 4

struct seen {
    uint64_t session;
    uint64_t mono_ms; /* newest sign of life */
    uint32_t ord;     /* newest of that boot */
    uint32_t boot;
    uint32_t address;                /* of its newest context record */
    uint32_t body, bytes, ref, seed; /* of that record */
    bool first;
    bool ended;
    bool started;
};

struct found {
    struct seen seen[SEEN_MAX];
    unsigned count;
    unsigned fresh; /* whose context was the record before; SEEN_MAX: none */
};

static uint32_t start_of(const struct trib_ring_record *context)
{
    return context->address - (context->bytes < 0xF0 ? 1 : 2);
}

/* To the sector `back` before the newest, or the oldest there is behind that. False: nothing can be read. */
TRIB_OWN_FRAME static bool begin(const struct trib_ring *r, uint32_t back, struct trib_ring_cursor *out)
{
    return r->open && trib_ring_cursor_from(r, r->sector_seq - back, out) == 0;
}

/* A place for one more session. When there is none, the first that ended makes room; else it waits for another pass. */
static unsigned place(struct found *f)
{
    if (f->count < SEEN_MAX)
        return f->count++;
    for (unsigned i = 0; i < SEEN_MAX; i++)
        if (f->seen[i].ended) {
            memmove(&f->seen[i], &f->seen[i + 1], (SEEN_MAX - 1 - i) * sizeof f->seen[0]);
            return SEEN_MAX - 1;
        }
    return SEEN_MAX;
}

static void note_context(struct found *f, const struct trib_ring_record *record,
                         const struct trib_ring_cursor *c)
{
    unsigned i = 0;
    while (i < f->count && f->seen[i].session != record->session)
        i++;
    bool known = i < f->count;
    if (!known)
        i = place(f);
    f->fresh = i;
    if (i == SEEN_MAX)
        return;
    if (!known)
        memset(&f->seen[i], 0, sizeof f->seen[i]);
#ifdef TRIB_MUTANT_END_WITHOUT_START
    f->seen[i].started = true;
#endif
    f->seen[i].started |= known; /* it was copied into the next sector: see put_staged in drain.c */
    f->seen[i].session = record->session;
    f->seen[i].boot = record->boot;
    f->seen[i].mono_ms = c->mono_ms;
    f->seen[i].address = start_of(record);
    f->seen[i].body = record->address;
    f->seen[i].bytes = record->bytes;
    f->seen[i].ref = record->ref;
    f->seen[i].seed = record->seed;
    f->seen[i].first = record->first;
}

TRIB_ONE_COPY static void sign_of_life(struct seen *s, const struct trib_ring_record *event)
{
    if (event->boot < s->boot || (event->boot == s->boot && event->mono_ms <= s->mono_ms))
        return;
    s->boot = event->boot;
    s->mono_ms = event->mono_ms;
}

/* A context is followed by its session.start, unless the power went in between: then the session never began. */
static void note(struct found *f, const struct trib_ring_record *record, const struct trib_ring_cursor *c)
{
    bool event = record->kind < TRIB_RECORD_BASE;
    if (f->fresh < SEEN_MAX) /* a base comes first after a boot: what follows it tells nothing */
        f->seen[f->fresh].started |= record->kind != TRIB_RECORD_BASE;
    f->fresh = SEEN_MAX;
    if (record->kind == TRIB_RECORD_CONTEXT)
        note_context(f, record, c);
    for (unsigned i = 0; i < f->count; i++) {
        struct seen *s = &f->seen[i];
        /* A run of the SDK may go over several boots, if the clock is one that jumps: ord then counts on. */
        if (record->boot >= s->boot && c->ord > s->ord)
            s->ord = c->ord;
        /* Compaction had its turn in this sector: by then older sessions had ended, or their contexts are here, too. */
        s->ended |= record->kind == TRIB_RECORD_GONE && s->seed != c->seed;
        if ((event || record->kind == TRIB_RECORD_END) && record->context == s->address) {
#ifdef TRIB_MUTANT_END_BY_RECORD
            s->ended |= !event;
#else
            s->ended |= !event || record->kind == TRIB_EVENT_SESSION_END;
#endif
            s->started = true;
            if (event)
                sign_of_life(s, record);
        }
    }
}

/*
 * A session that was open has its context in the newest sector, or, if the power went while that was opened, in the one
 * before; each boot that found the lane damaged put one more sector on top. 1: *out; 0: there is none (more).
 */
TRIB_OWN_FRAME static int find(const struct trib_client *client, struct seen *out)
{
    const struct trib_ring *r = &client->lanes[TRIB_LANE_VITAL].ring;
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    struct found f = {.fresh = SEEN_MAX};
    int rc;
    if (!begin(r, VITAL_SECTORS - 1, &c))
        return 0;
    /* The sector that is erased next may be half erased: a start without its end. */
    uint32_t going = trib_ring_next_free(r);
    while ((rc = trib_ring_next(r, &c, &record)) > 0)
        if (c.sector != going)
            note(&f, &record, &c);
    for (unsigned i = 0; i < f.count && rc == 0; i++)
        if (f.seen[i].boot < client->boot && f.seen[i].started && !f.seen[i].ended) {
            *out = f.seen[i];
            return 1;
        }
    return rc;
}

/* The parts of a session's life add up to it. The gateway bounds the other fields, and refuses what is no field. */
TRIB_ONE_COPY static bool is_sound(const uint8_t *fields, uint32_t length, uint64_t lived_ms)
{
    static const uint32_t parts = (uint32_t)(TRIB_F(STARTUP_MS) | TRIB_F(PLAYED_MS) | TRIB_F(PAUSED_MS) |
                                             TRIB_F(BUFFERING_MS) | TRIB_F(SEEKING_MS) | TRIB_F(UNKNOWN_MS));
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, fields, length);
    struct trib_cbor_container map = trib_cbor_get_map(&r);
    while (trib_cbor_next(&r, &map)) {
        uint64_t key = trib_cbor_get_uint(&r), part = 0;
        if (key < 32 && (parts >> key & 1))
            part = trib_cbor_get_uint(&r);
        else
            trib_cbor_skip(&r);
        if (part > lived_ms)
            return false;
        lived_ms -= part;
    }
    return trib_cbor_at_end(&r);
}

/*
 * The fields of the session's newest checkpoint; its last sign of life and the newest ord of its boot into *s. Besides
 * FIELDS_MAX, TRIB_RING_HEAD_MAX bytes before out and TRIB_RING_TAIL_BYTES behind it are overwritten.
 */
TRIB_OWN_FRAME static uint32_t totals(const struct trib_client *client, struct seen *s, uint8_t *out)
{
    const struct trib_ring *r = &client->lanes[TRIB_LANE_ROUTINE].ring;
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    uint32_t sectors = ROUTINE_BYTES_MIN / r->storage->sector_bytes, context = UINT32_MAX, length = 0;
    if (!begin(r, sectors < 3 ? 2 : sectors, &c))
        return 0;
    while (trib_ring_next(r, &c, &record) > 0) {
        if (record.kind == TRIB_RECORD_CONTEXT && record.session == s->session)
            context = start_of(&record);
        if (record.boot >= s->boot && record.boot < client->boot && c.ord > s->ord)
            s->ord = c.ord;
        if (record.kind >= TRIB_RECORD_BASE || record.context != context || context == UINT32_MAX)
            continue;
        sign_of_life(s, &record);
        if (record.kind == TRIB_EVENT_CHECKPOINT && record.data_bytes <= FIELDS_MAX)
            length = trib_ring_read_checked(r->storage, record.data, record.head, record.data_bytes, c.seed,
                                            out) == 0
                         ? record.data_bytes
                         : 0;
    }
    /* A session that outlived a jump of the clock began in an earlier boot. */
    uint64_t lived_ms = client->config->discontinuity.count ? UINT64_MAX : s->mono_ms;
    return length > 0 && is_sound(out, length, lived_ms) ? length : 0;
}

/* What session.end says: the reason, and the checkpoint's fields as they are. */
static uint32_t end_fields(uint8_t *out, uint32_t length)
{
    static const uint8_t none[] = {0xA3,
                                   TRIB_FIELD_REASON,
                                   TRIB_REASON_POWER_LOSS,
                                   TRIB_FIELD_PLAYED_MS,
                                   0,
                                   0x18, /* the next byte is the key */
                                   TRIB_FIELD_TOTALS_MISSING,
                                   0xF5};
    if (length == 0 || out[0] < 0xA0 || out[0] >= 0xB7) {
        memcpy(out, none, sizeof none);
        return sizeof none;
    }
    memmove(out + 3, out + 1, length - 1);
    out[0]++;
    out[1] = TRIB_FIELD_REASON;
    out[2] = TRIB_REASON_POWER_LOSS;
    return length + 2;
}

TRIB_OWN_FRAME static int put_copy(struct trib_ring_writer *w, const struct seen *s)
{
    struct trib_ring_record context = {
        .address = s->body, .bytes = s->bytes, .ref = s->ref, .seed = s->seed, .first = s->first};
    uint32_t at;
    return trib_ring_put_copy(w, &context, TRIB_RECORD_CONTEXT, &at);
}

/* One group: the end, and that the context is closed; before them a copy of the context, if this sector has none. */
TRIB_OWN_FRAME static int put_end(struct trib_ring *r, const struct seen *s, const uint8_t *fields,
                                  uint32_t length)
{
    struct trib_ring_writer w;
    int rc = 0;
    trib_ring_boot(r, s->boot);
    r->mono_ms = s->mono_ms;
    r->ord = s->ord;
    trib_ring_begin(&w, r);
    if (s->address / r->storage->sector_bytes != r->sector) {
        rc = put_copy(&w, s);
    } else {
        r->context[0].ref = s->ref;
        r->context[0].offset = s->address % r->storage->sector_bytes;
    }
    if (rc == 0)
        rc = trib_ring_put_event(&w, TRIB_EVENT_SESSION_END, s->ref, s->mono_ms, s->ord + 1, fields, length);
    if (rc == 0)
        rc = trib_ring_put_end(&w, s->ref);
    int committed = trib_ring_commit(&w);
    /* Refs begin anew with each boot. */
    memset(r->context, 0, sizeof r->context);
    r->context_count = 0;
    return committed < 0 ? committed : rc;
}

/* TRIB_EFULL: the lane is full, acks will make room. */
static int end_session(struct trib_client *client, const struct seen *s, const uint8_t *fields,
                       uint32_t length)
{
    struct trib_lane_state *lane = &client->lanes[TRIB_LANE_VITAL];
    bool opened = false;
    for (int attempt = 0;; attempt++) {
        int rc = put_end(&lane->ring, s, fields, length);
        if (rc == TRIB_EDAMAGED && attempt < ATTEMPTS)
            continue;
        if (rc != TRIB_ESPACE || opened)
            return rc;
        rc = trib_lane_open(lane, NULL, TRIB_RING_KEEP_SPARE);
        if (rc < 0)
            return rc;
        opened = client->state_due = true;
    }
}

void trib_client_end_lost_sessions(struct trib_client *client)
{
    struct trib_ring *r = &client->lanes[TRIB_LANE_VITAL].ring;
    struct seen session;
    uint8_t buffer[TRIB_RING_HEAD_MAX + FIELDS_MAX + TRIB_RING_TAIL_BYTES];
    uint8_t *fields = buffer + TRIB_RING_HEAD_MAX;
    int rc = 0;
    for (unsigned i = 0; i < SESSIONS_MAX && (rc = find(client, &session)) > 0; i++) {
        uint32_t length = end_fields(fields, totals(client, &session, fields));
        rc = end_session(client, &session, fields, length);
        trib_ring_boot(r, client->boot);
        if (rc < 0)
            break;
    }
    if (rc < 0 && rc != TRIB_EFULL)
        trib_client_log(client, TRIB_LOG_WARNING,
                        "the end of a session that a power cut left open is not recorded");
    trib_client_lock(client); /* recording calls look at it */
    client->ends_due = rc == TRIB_EFULL;
    trib_client_unlock(client);
    trib_client_budget(client);
}
