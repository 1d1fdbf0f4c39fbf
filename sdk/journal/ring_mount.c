/* Mounting: head, tail, what the last power cut left behind. Opening and erasing sectors. */
#include <string.h>

#include "journal/journal.h"

#define SEEMING_BLANK 16u

static bool geometry_good(const struct trib_storage *s)
{
    uint32_t unit = s->program_bytes;
    return s->read && s->program && s->erase && s->sync && s->sector_count >= 3 && s->sector_bytes >= 256 &&
           s->sector_bytes <= 131072 && unit >= 1 && (unit <= 32 || unit == 256) &&
           (unit & (unit - 1)) == 0 && s->sector_bytes % unit == 0 && s->sector_bytes / unit >= 4 &&
           s->sector_count <= UINT32_MAX / s->sector_bytes;
}

static void scan_headers(struct trib_ring *r, struct trib_ring_found *found, struct trib_ring_header *newest)
{
    const struct trib_storage *s = r->storage;
    struct trib_ring_header h = {0};
    bool written = false;
    found->damaged = found->boot = r->generation = 0;
    for (uint32_t i = 0; i < s->sector_count; i++) {
        if (trib_format_header_read(s, i, &h) != 0) {
            if (trib_format_blank(s, i, 0, TRIB_FORMAT_HEADER_LIKELY) != 1) {
                written = true;
                found->damaged++;
            }
            continue;
        }
        found->boot = h.boot > found->boot ? h.boot : found->boot;
        r->generation = h.generation > r->generation ? h.generation : r->generation;
        if (!r->open || trib_seq_before(newest->sector_seq, h.sector_seq)) {
            *newest = h;
            r->sector = i;
            r->open = true;
        }
    }
    if (!r->open)
        found->verdict = written ? TRIB_RING_LOST : TRIB_RING_BLANK;
}

/*
 * What lies behind the newest sector's last good record: nothing, or the one group that the cut tore, or (then the
 * rest of that damage holds whole records) events that were durable and are gone.
 */
static void look_behind_tail(struct trib_ring *r, const struct trib_ring_cursor *end,
                             struct trib_ring_found *found)
{
    const struct trib_storage *s = r->storage;
    uint32_t limit = trib_format_area_end(s), at = end->offset;
    uint32_t written = trib_format_last_written(s, r->sector, at, limit);
    struct trib_raw_record raw;
    uint64_t events = 0;

    /* One unit more is left out: the cut may have come while it was programmed, and it only seems to be blank. And a
     * torn record may end in bytes that are 0xFF by right: 8 of a number, a break, 4 of a CRC, at most. */
    r->offset = trib_format_align(s, written > at ? written + SEEMING_BLANK : at) + s->program_bytes;
    r->offset = r->offset < limit ? r->offset : limit;
    if (written <= at)
        return;
    found->damaged++;
    for (uint32_t i = at + 1; i + 6 <= written;) {
        if (trib_format_record_read(s, r->sector, i, written, r->seed, &raw) != 0) {
            i++;
            continue;
        }
        /* A group begins when the one before it is durable. Without a beginning it is the torn one itself. */
        if (raw.first)
            found->verdict = TRIB_RING_LOST;
        events += raw.head[0] < TRIB_RECORD_BASE;
        i = raw.end;
    }
    found->lost_count = found->verdict == TRIB_RING_LOST ? events + 1 : 0;
}

/*
 * Bits of a header that the power has torn may read differently each time. So the newest header is believed only if it
 * is sure to have been durable: because something was written behind it, or its predecessor is sealed. Else its
 * sector holds nothing, and goes.
 */
static int believe(struct trib_ring *r, const struct trib_ring_header *newest, bool *out_believed)
{
    const struct trib_storage *s = r->storage;
    struct trib_ring_header h;
#ifdef TRIB_MUTANT_NO_DOUBT
    *out_believed = true;
    return 0;
#endif
    uint32_t sector, before = (r->sector + s->sector_count - 1) % s->sector_count;
    *out_believed =
        trib_format_blank(s, r->sector, trib_format_align(s, newest->bytes), s->sector_bytes) != 1;
    if (!*out_believed && trib_ring_find_sector(r, newest->sector_seq - 1, before, &sector, &h) == 0 &&
        h.sector_seq == newest->sector_seq - 1)
        *out_believed = trib_format_blank(s, sector, trib_format_area_end(s), s->sector_bytes) != 1;
    if (*out_believed || s->erase(s->context, r->sector) < 0) {
        *out_believed = true;
        return 0;
    }
    r->seal_spent = true; /* or its header was torn, and only seems whole */
    r->erased_sector = r->sector;
    return s->sync(s->context) < 0 ? TRIB_EIO : 0;
}

/* A torn header that is not whole now may be so later: its sector is erased before anything new is written. It is the
 * one that is opened next. */
static int erase_torn(struct trib_ring *r)
{
    const struct trib_storage *s = r->storage;
    struct trib_ring_header h;
#ifdef TRIB_MUTANT_NO_DOUBT
    return 0;
#endif
    for (uint32_t i = 1; i < s->sector_count; i++) {
        uint32_t sector = (r->sector + i) % s->sector_count;
        if (trib_format_header_read(s, sector, &h) != TRIB_EDAMAGED ||
            trib_format_blank(s, sector, 0, TRIB_FORMAT_HEADER_MAX) == 1)
            break;
        if (s->erase(s->context, sector) == 0) {
            if (s->sync(s->context) < 0)
                return TRIB_EIO;
            r->erased_sector = i == 1 ? sector : r->erased_sector;
        }
    }
    return 0;
}

static void take_ack(struct trib_ring *r, const struct trib_ring_record *record, uint64_t pos,
                     struct trib_ring_found *found)
{
    if (record->kind != TRIB_RECORD_BASE && record->kind != TRIB_RECORD_ACK)
        return;
    if (record->boot > found->boot)
        found->boot = record->boot;
    if (record->acked >= r->acked_pos && record->acked <= pos) {
        r->acked_pos = record->acked;
        r->acked_crc = record->acked_crc;
        r->start_acked = record->flags & TRIB_FORMAT_START_ACKED;
        r->wiped = record->flags & TRIB_FORMAT_WIPED;
    }
}

/* To the first record that decides where the head is: the newest BASE. One that the power has torn may be there when it
 * is looked for, and not when it is read: then all records are walked through. */
static int find_start(const struct trib_ring *r, const struct trib_ring_header *h, struct trib_ring_cursor *c,
                      struct trib_ring_record *out)
{
    const struct trib_storage *s = r->storage;
    uint32_t limit = trib_format_area_end(s), at, newest;
    uint64_t pos;
    trib_ring_cursor_at(c, r, r->sector, h);
    newest = c->offset;
    for (at = newest; (at = trib_ring_find_base(s, c, at, limit, &pos)) < limit; at++)
        newest = at;
    c->offset = newest;
    int rc = trib_ring_next_in_sector(s, c, limit, out);
    if (rc > 0 && (out->kind == TRIB_RECORD_BASE || newest == trib_format_align(s, h->bytes)))
        return rc;
    trib_ring_cursor_at(c, r, r->sector, h);
    return trib_ring_next_in_sector(s, c, limit, out);
}

/* A cut may have left a sector half erased that was compacted. */
TRIB_OWN_FRAME static int finish_compaction(const struct trib_ring *r, uint32_t gone)
{
    const struct trib_storage *s = r->storage;
    struct trib_ring_header h;
    uint32_t sector;
    if (gone == r->sector_seq || trib_ring_find_sector(r, gone, UINT32_MAX, &sector, &h) != 0 ||
        h.sector_seq != gone || s->erase(s->context, sector) < 0)
        return 0;
    return s->sync(s->context) < 0 ? TRIB_EIO : 0;
}

static int walk_newest(struct trib_ring *r, const struct trib_ring_header *h, struct trib_ring_found *found)
{
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    uint32_t gone = h->sector_seq;
    int rc = find_start(r, h, &c, &record);
    while (rc > 0) {
        take_ack(r, &record, c.pos, found);
        gone = record.kind == TRIB_RECORD_GONE ? record.ref : gone;
        rc = trib_ring_next_in_sector(r->storage, &c, trib_format_area_end(r->storage), &record);
    }
    if (rc < 0) { /* unreadable from here on: what lay there is lost */
        found->verdict = TRIB_RING_LOST;
        found->lost_count = 1;
        found->damaged++;
    }
    r->head_pos = r->durable_pos = c.pos;
    r->mono_ms = c.mono_ms;
    r->ord = c.ord;
    r->acked_saved = r->acked_pos;
    if (rc == 0)
        look_behind_tail(r, &c, found);
    else
        r->offset = trib_format_area_end(r->storage);
    return finish_compaction(r, gone);
}

TRIB_OWN_FRAME static void put_seal(const struct trib_ring *r, uint32_t sector, uint32_t seed)
{
    const struct trib_storage *s = r->storage;
    uint32_t at = trib_format_area_end(s);
    uint8_t unit[TRIB_FORMAT_UNIT_MAX];
#ifdef TRIB_MUTANT_NO_SEAL
    return;
#endif
    if (trib_format_blank(s, sector, at, s->sector_bytes) != 1)
        return;
    memset(unit, 0xFF, sizeof unit);
    trib_put_u32(unit, trib_format_seal(seed));
    /* A seal that fails costs only what it guards against. */
    if (s->program(s->context, sector * s->sector_bytes + at, unit, trib_format_seal_bytes(s)) == 0)
        (void)s->sync(s->context);
}

int trib_ring_mount(struct trib_ring *r, const struct trib_storage *storage,
                    struct trib_ring_found *out_found)
{
    memset(r, 0, sizeof *r);
    memset(out_found, 0, sizeof *out_found);
    r->storage = storage;
    r->erased_sector = r->compacted_sector = UINT32_MAX;
    r->tail_end = UINT64_MAX;
    if (!geometry_good(storage))
        return TRIB_EINVAL;
    struct trib_ring_header h = {0};
    int rc;
    bool believed;
    do {
        r->open = false;
        scan_headers(r, out_found, &h);
        if (!r->open) {
            r->sector = storage->sector_count - 1; /* so that the first one to open is 0 */
            return 0;
        }
        rc = believe(r, &h, &believed);
    } while (rc == 0 && !believed);
    if (rc == 0)
        rc = erase_torn(r);
    if (rc < 0)
        return rc;
    r->stream = h.stream;
    r->first_pos = h.first_pos;
    r->acked_pos = h.acked_pos;
    r->acked_crc = h.acked_crc;
    r->start_acked = h.flags & TRIB_FORMAT_START_ACKED;
    r->wiped = h.flags & TRIB_FORMAT_WIPED;
    r->start_reason = h.start_reason;
    r->sector_seq = h.sector_seq;
    r->seed = h.crc;
    memcpy(r->dropped, h.dropped, sizeof r->dropped);
    rc = walk_newest(r, &h, out_found);
    if (rc < 0)
        return rc;
    r->need_base = true;
    if (trib_format_blank(storage, r->sector, trib_format_area_end(storage), storage->sector_bytes) != 1) {
        /* Its successor had been opened, and is not there. */
        out_found->verdict = TRIB_RING_LOST;
        out_found->lost_count += out_found->lost_count == 0;
    }
    if (r->seal_spent) /* a full one, then, that gets no seal */
        r->offset = trib_format_area_end(storage);
    /* A process that was killed leaves what was programmed and never synced: it counts only from here on. */
    if (storage->sync(storage->context) < 0)
        return TRIB_EIO;
    rc = trib_ring_retail(r);
    r->boot = out_found->boot;
    return rc;
}

void trib_ring_boot(struct trib_ring *r, uint32_t boot)
{
    r->boot = boot;
    r->first_boot = boot;
    r->mono_ms = 0;
    r->ord = 0;
    r->need_base = true;
}

int trib_ring_retail(struct trib_ring *r)
{
    struct trib_ring_header h;
    bool below = false, any = false;
    uint32_t oldest = 0;
    for (uint32_t i = 0; i < r->storage->sector_count; i++) {
        if (trib_format_header_read(r->storage, i, &h) != 0 || trib_seq_before(r->sector_seq, h.sector_seq))
            continue;
        if (!any || trib_seq_before(h.sector_seq, oldest))
            oldest = h.sector_seq;
        any = true;
        if (h.base_pos <= r->acked_pos && (!below || trib_seq_before(r->tail_seq, h.sector_seq))) {
            r->tail_seq = h.sector_seq;
            below = true;
        }
    }
    if (!below)
        r->tail_seq = any ? oldest : r->sector_seq;
    r->live_count = 0;
    uint32_t next_seq = r->sector_seq;
    r->tail_end = UINT64_MAX;
    for (uint32_t i = 0; i < r->storage->sector_count; i++) {
        if (trib_format_header_read(r->storage, i, &h) != 0 || trib_seq_before(r->sector_seq, h.sector_seq) ||
            trib_seq_before(h.sector_seq, r->tail_seq))
            continue;
        r->live_count++;
        if (h.sector_seq != r->tail_seq && !trib_seq_before(next_seq, h.sector_seq)) {
            next_seq = h.sector_seq;
            r->tail_end = h.base_pos;
        }
    }
    return 0;
}

int trib_ring_ack(struct trib_ring *r, uint64_t pos, bool start_acked)
{
    bool back = pos < r->acked_pos;
    r->acked_pos = pos < r->head_pos ? pos : r->head_pos;
    r->start_acked = start_acked;
    if (back && r->acked_saved > r->acked_pos) {
        r->acked_saved = r->acked_pos;
        r->acked_crc = 0;
    }
    return back || r->acked_pos >= r->tail_end ? trib_ring_retail(r) : 0;
}

uint32_t trib_ring_free_count(const struct trib_ring *r)
{
    return r->storage->sector_count - (r->live_count > 0 ? r->live_count : 1);
}

/* --- opening a sector --- */

enum claim { CLAIMED = 0, SKIP = 1 };

static bool in_use(const struct trib_ring *r, uint32_t sector, struct trib_ring_header *out)
{
    return r->open && trib_format_header_read(r->storage, sector, out) == 0 &&
           !trib_seq_before(out->sector_seq, r->tail_seq) && !trib_seq_before(r->sector_seq, out->sector_seq);
}

TRIB_OWN_FRAME static bool is_free(const struct trib_ring *r, uint32_t sector)
{
    struct trib_ring_header h;
    return !in_use(r, sector, &h);
}

uint32_t trib_ring_next_free(const struct trib_ring *r)
{
    for (uint32_t i = 1; i < r->storage->sector_count; i++) {
        uint32_t sector = (r->sector + i) % r->storage->sector_count;
        if (is_free(r, sector))
            return sector;
    }
    return UINT32_MAX;
}

/* Erases a sector. One that is in use is dropped. */
TRIB_OWN_FRAME static int claim(struct trib_ring *r, uint32_t sector, uint64_t *out_dropped_to)
{
    const struct trib_storage *s = r->storage;
    struct trib_ring_header h, next;
    uint32_t at;
    if (r->erased_sector == sector || r->compacted_sector == sector) {
        *(r->erased_sector == sector ? &r->erased_sector : &r->compacted_sector) = UINT32_MAX;
        return CLAIMED;
    }
    if (in_use(r, sector, &h) &&
        trib_ring_find_sector(r, h.sector_seq + 1, (sector + 1) % s->sector_count, &at, &next) == 0) {
        uint64_t from = h.base_pos > r->acked_pos ? h.base_pos : r->acked_pos;
        *out_dropped_to = next.base_pos;
        if (next.base_pos > from)
            r->dropped[0] += (uint32_t)(next.base_pos - from);
    }
    if (s->erase(s->context, sector) < 0)
        return SKIP;
    /* A file may keep a later write and lose an earlier one: what was here must be gone before a header is. */
    return s->sync(s->context) < 0 ? TRIB_EIO : CLAIMED;
}

static void fill_header(struct trib_ring *r, const struct trib_ring_start *start, struct trib_ring_header *h)
{
    if (start) {
        uint64_t first = start->first_pos == UINT64_MAX ? r->head_pos + start->lost_count : start->first_pos;
        uint64_t old_end = first;
        memset(h, 0, sizeof *h);
        h->stream = start->stream;
        h->first_pos = first;
        h->previous = r->stream;
        h->previous_next = r->stream ? (old_end >= r->first_pos ? old_end - r->first_pos + 2 : 1) : 0;
        h->start_reason = start->reason;
        h->start_boot = start->boot;
        h->start_mono_ms = start->mono_ms;
        h->start_ord = start->ord;
    }
    h->base_pos = r->head_pos + (start ? start->lost_count : 0);
    h->sector_seq = r->open ? r->sector_seq + 1 : 1;
    h->acked_pos = r->acked_pos;
    h->acked_crc = r->acked_pos == r->acked_saved ? r->acked_crc : 0;
    bool erased = start && start->reason == TRIB_START_REASON_ERASED;
    if (erased) { /* what came before is nobody's any more */
        h->acked_pos = h->base_pos;
        h->acked_crc = 0;
    }
    h->flags = r->start_acked && !(start && h->first_pos <= h->acked_pos) ? TRIB_FORMAT_START_ACKED : 0;
    h->flags |= start ? 0 : r->wiped;
    h->flags |= r->need_base ? 0 : TRIB_FORMAT_CLEAN;
    h->generation = r->generation + erased;
    h->mono_ms = r->mono_ms;
    h->ord = r->ord;
    h->boot = r->boot;
    memcpy(h->dropped, r->dropped, sizeof h->dropped);
}

TRIB_OWN_FRAME static int program_header(const struct trib_ring *r, uint32_t sector,
                                         struct trib_ring_header *h)
{
    const struct trib_storage *s = r->storage;
    uint8_t raw[TRIB_FORMAT_UNIT_MAX];
    struct trib_ring_header back;
    memset(raw, 0xFF, sizeof raw);
    trib_format_header_encode(s, h, raw);
    if (s->program(s->context, sector * s->sector_bytes, raw, trib_format_align(s, h->bytes)) < 0 ||
        trib_format_header_read(s, sector, &back) != 0 || back.crc != h->crc)
        return SKIP;
    return s->sync(s->context) < 0 ? TRIB_EIO : 0;
}

static void take_header(struct trib_ring *r, uint32_t sector, const struct trib_ring_header *h)
{
    r->stream = h->stream;
    r->first_pos = h->first_pos;
    r->head_pos = h->base_pos;
    r->durable_pos = r->head_pos; /* the header's sync took all before it along */
    r->need_sync = false;
    r->start_acked = h->flags & TRIB_FORMAT_START_ACKED;
    r->wiped = h->flags & TRIB_FORMAT_WIPED;
    r->start_reason = h->start_reason;
    r->generation = h->generation;
    r->acked_pos = r->acked_saved = h->acked_pos;
    r->acked_crc = h->acked_crc;
    r->sector = sector;
    r->sector_seq = h->sector_seq;
    r->seed = h->crc;
    r->offset = trib_format_align(r->storage, h->bytes);
    r->open = true;
    r->need_base = false;
}

/* A record in the sector of a new stream: the header is then known to have been durable. */
static int say_where(struct trib_ring *r)
{
    struct trib_ring_writer w;
    trib_ring_begin(&w, r);
    (void)trib_ring_put_base(&w);
    int rc = trib_ring_commit(&w);
    return rc == TRIB_EDAMAGED ? 0 : rc;
}

/* The sector before the oldest one; r->sector without any. */
TRIB_OWN_FRAME static uint32_t before_tail(const struct trib_ring *r)
{
    struct trib_ring_header h;
    uint32_t sector;
    (void)trib_ring_find_sector(r, r->tail_seq, UINT32_MAX, &sector, &h);
    if (sector == UINT32_MAX)
        return r->sector;
    return (sector == 0 ? r->storage->sector_count : sector) - 1;
}

int trib_ring_open(struct trib_ring *r, const struct trib_ring_start *start, enum trib_ring_room room,
                   uint64_t *out_dropped_to)
{
    const struct trib_storage *s = r->storage;
    struct trib_ring_header h;
    uint32_t old = r->sector, old_seed = r->seed, sector = old;
    bool was_open = r->open;
    int result = TRIB_EIO;

    *out_dropped_to = 0;
    if (!start && trib_format_header_read(s, r->sector, &h) != 0)
        return TRIB_EDAMAGED;
    if (room == TRIB_RING_KEEP_SPARE && trib_ring_free_count(r) < 2)
        return TRIB_EFULL;
    uint32_t tries = room == TRIB_RING_DROP_OLDEST ? 2 * s->sector_count : s->sector_count;
    for (uint32_t i = 0; i < tries; i++) {
        bool drop = i >= s->sector_count;
        if (i == s->sector_count) { /* none is free */
            result = TRIB_EIO;
            sector = before_tail(r);
        }
        if (++sector == s->sector_count)
            sector = 0;
        if (was_open && sector == old)
            continue;
        if (!drop && !is_free(r, sector)) {
            result = TRIB_EFULL;
            continue;
        }
        int rc = claim(r, sector, out_dropped_to);
        if (rc == SKIP)
            continue;
        if (rc < 0)
            return rc;
        fill_header(r, start, &h);
        rc = program_header(r, sector, &h);
        if (rc == SKIP)
            continue; /* a bad sector costs itself only */
        if (rc < 0)
            return rc;
        take_header(r, sector, &h);
        if (was_open && !r->seal_spent)
            put_seal(r, old, old_seed);
        r->seal_spent = false;
        rc = trib_ring_retail(r);
        if (rc == 0 && start)
            rc = say_where(r);
        if (start && start->reason == TRIB_START_REASON_ERASED) { /* contexts hold what is to be erased */
            memset(r->context, 0, sizeof r->context);
            r->context_count = 0;
        }
        if (rc == 0 && was_open && r->context_count > 0)
            rc = trib_ring_copy_contexts(r, old, old_seed);
        return rc;
    }
    return result;
}

bool trib_ring_wants_erase(const struct trib_ring *r)
{
    return r->open && r->erased_sector == UINT32_MAX && r->offset >= r->storage->sector_bytes / 2 &&
           trib_ring_free_count(r) > 0;
}

int trib_ring_erase_ahead(struct trib_ring *r)
{
    uint64_t dropped;
    if (!trib_ring_wants_erase(r))
        return 0;
    uint32_t sector = trib_ring_next_free(r);
    int rc = sector == UINT32_MAX ? TRIB_EFULL : claim(r, sector, &dropped);
    if (rc == CLAIMED)
        r->erased_sector = sector;
    return rc == TRIB_EIO ? rc : 0; /* full, or bad: the next open decides */
}

int trib_ring_erase_others(struct trib_ring *r)
{
    const struct trib_storage *s = r->storage;
    struct trib_ring_header h;
    int result = 0;
    if (r->start_reason != TRIB_START_REASON_ERASED || r->wiped)
        return 0;
    for (uint32_t i = 0; i < s->sector_count; i++) {
        if (i == r->sector || (trib_format_header_read(s, i, &h) == 0 && h.generation == r->generation))
            continue; /* from after it: a sector that could not be erased is tried again later */
        if (s->erase(s->context, i) < 0)
            result = TRIB_EIO;
    }
    if (s->sync(s->context) < 0 || trib_ring_retail(r) < 0)
        return TRIB_EIO;
    if (result == 0) {
        r->wiped = TRIB_FORMAT_WIPED;
        result = say_where(r);
    }
    return result;
}
