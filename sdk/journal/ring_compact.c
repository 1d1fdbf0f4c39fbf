/*
 * Compaction: a ring with at most its spare sector left gives up operations on favourites that a later one on the same
 * item (user, item, list) supersedes.
 *
 * A pass looks at one sector after the other, from the oldest on. Where a quarter or more is superseded, what counts is
 * written again, as MOVED records in the active sector, with its positions, boots, times and ords; what is given up as
 * declared drops among them. When all that is durable, a GONE record says so, and then the sector is erased: it is the
 * spare one now, or one more. A cut leaves the old sector whole, or all of it moved: MOVED records say what the old ones
 * say, so it does no harm if both are there, and reading looks for them only where positions are missing. Contexts go
 * along with the events that stand in them. Bases, acks, ends and states count only in newer sectors.
 *
 * What the power has torn (see the README):
 * - An operation supersedes others only if its group was surely durable: another one of the same run of the SDK follows.
 * - A sector with a torn place between its groups stays: its bases void what was torn, and a half erased base does not.
 * - So does one whose header was not preceded by a durable group: that header voids the end of the sector before it. But
 *   the oldest has none before it.
 *
 * It goes in steps of 24 records, for the sake of memory and time; each reads all of the ring, and compares by hash, then by
 * the bytes. Between two steps the ring may change: what it gains only supersedes more. What was sent on this connection
 * is not given up: `keep`. After a boot it is not known what earlier connections sent: if the gateway has such an event,
 * WELCOME goes past it; if not, nobody has seen it, and the drop stands for it.
 */
#include <string.h>

#include "journal/journal.h"
#include "wire/crc32c.h"
#include "wire/message.h"

#define CHUNK 24u /* records a step */
#define GONE_BYTES 12u

struct entry {
    uint32_t pos;          /* low half */
    uint32_t key;          /* address of what names the item */
    uint16_t length, hash; /* of that; length 0: no operation on a favourite, or one that must stay */
};

/* The next records of the sector: those that stand for positions which are not acked. */
struct chunk {
    struct trib_ring_cursor start; /* of the sector */
    struct entry entry[CHUNK];
    uint32_t count, dead; /* dead: a bit each, superseded */
    uint32_t end;         /* offset behind them; UINT32_MAX: they are the last ones */
};

static uint32_t limit_of(const struct trib_ring *r, const struct trib_ring_cursor *c)
{
    return c->sector_seq == r->sector_seq ? r->offset : trib_format_area_end(r->storage);
}

static uint32_t start_of(const struct trib_ring *r, const struct trib_ring_record *record)
{
    return (record->address - (record->bytes < 0xF0 ? 1 : 2)) % r->storage->sector_bytes;
}

/* In *out what names the item of an operation: all behind its version, which comes first. */
static void find_key(const struct trib_storage *s, const struct trib_ring_record *record, struct entry *out)
{
    uint8_t piece[16]; /* map, 0x18, field, version */
    uint8_t type = record->kind == TRIB_RECORD_MOVED ? record->moved : record->kind;
    uint32_t end = record->data + record->data_bytes, n;
    out->pos = (uint32_t)record->pos;
    out->length = 0;
    if ((type != TRIB_EVENT_FAVOURITE_ADD && type != TRIB_EVENT_FAVOURITE_REMOVE) || record->data_bytes < 5 ||
        s->read(s->context, record->data, piece, 4) < 0 || piece[1] != 0x18 ||
        piece[2] != TRIB_FIELD_ITEM_VERSION || piece[3] > 0x1B)
        return;
    out->key = record->data + 4 + (piece[3] < 0x18 ? 0 : 1u << (piece[3] - 0x18));
    uint32_t hash = 0;
    for (uint32_t at = out->key; at < end; at += n) {
        n = end - at < sizeof piece ? end - at : (uint32_t)sizeof piece;
        if (s->read(s->context, at, piece, n) < 0)
            return;
        hash = trib_crc32c(hash, piece, n);
    }
#ifdef TRIB_COMPACT_HASH_MASK
    hash &= TRIB_COMPACT_HASH_MASK;
#endif
    out->hash = (uint16_t)hash;
    out->length = (uint16_t)(end - out->key);
}

static bool same_item(const struct trib_storage *s, const struct entry *a, const struct entry *b)
{
    uint8_t left[16], right[16];
    if (a->hash != b->hash)
        return false;
#ifdef TRIB_MUTANT_COMPACT_BY_HASH
    return true;
#endif
    if (a->length != b->length)
        return false;
    for (uint32_t done = 0, n; done < a->length; done += n) {
        n = a->length - done < (uint32_t)sizeof left ? a->length - done : (uint32_t)sizeof left;
        if (s->read(s->context, a->key + done, left, n) < 0 ||
            s->read(s->context, b->key + done, right, n) < 0 || memcmp(left, right, n) != 0)
            return false;
    }
    return true;
}

/* True if a record that begins at `start` follows what ends at `end` without a torn place in between. */
static bool follows(const struct trib_storage *s, uint32_t sector, uint32_t end, uint32_t start)
{
    uint32_t next = trib_format_align(s, end);
    uint8_t padding = 0;
    if (start == end)
        return true;
    if (end < next && s->read(s->context, sector * s->sector_bytes + end, &padding, 1) < 0)
        return false;
    return padding == 0 && trib_format_blank(s, sector, next, start) == 1;
}

/* The next record behind k->offset that stands for positions which are not acked. 1; 0: none; TRIB_EIO; TRIB_EDAMAGED: there is
 * a torn place before it. */
static int next(const struct trib_ring *r, const struct trib_compaction *k, struct trib_ring_cursor *c,
                struct trib_ring_record *out)
{
    int rc;
    for (;;) {
        uint32_t end = c->offset;
        rc = trib_ring_next_in_sector(r->storage, c, limit_of(r, c), out);
        if (rc <= 0)
            return rc;
        if (!follows(r->storage, c->sector, end, start_of(r, out)))
            return TRIB_EDAMAGED;
        uint64_t count = out->kind < TRIB_RECORD_BASE ? 1 : out->count;
        if (count > 0 && c->offset > k->offset && out->pos + count > r->acked_saved)
            return 1;
    }
}

/* The next chunk. */
TRIB_OWN_FRAME static int collect(const struct trib_ring *r, const struct trib_compaction *k, uint64_t keep,
                                  struct chunk *out)
{
    struct trib_ring_cursor c = out->start;
    struct trib_ring_record record;
    int rc = 0;
    out->count = out->dead = 0;
    while (out->count < CHUNK && (rc = next(r, k, &c, &record)) > 0) {
        find_key(r->storage, &record, &out->entry[out->count]);
        if (record.pos < keep)
            out->entry[out->count].length = 0;
        out->count++;
    }
    out->end = rc == 0 ? UINT32_MAX : c.offset;
    return rc < 0 ? rc : 0;
}

/* True if the group that ends before this one was durable when this one was begun: see above. */
static bool confirms(const struct trib_ring *r, const struct trib_ring_cursor *c, uint32_t seq,
                     const struct trib_ring_record *record)
{
    struct trib_ring_header h;
    if (c->sector_seq == seq)
        return record->kind != TRIB_RECORD_BASE;
    return trib_format_header_read(r->storage, c->sector, &h) == 0 && (h.flags & TRIB_FORMAT_CLEAN);
}

/* Which operations of the chunk are superseded by later ones, wherever in the ring. */
TRIB_OWN_FRAME static int mark(const struct trib_ring *r, struct chunk *chunk)
{
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    struct entry later;
    uint32_t of_group = 0, seq = r->tail_seq;
    int rc = trib_ring_cursor_from(r, seq, &c);
    while (rc >= 0 && (rc = trib_ring_next(r, &c, &record)) > 0) {
        if (record.first) {
            chunk->dead |= confirms(r, &c, seq, &record) ? of_group : 0;
            of_group = 0;
            seq = c.sector_seq;
        }
        find_key(r->storage, &record, &later);
        for (uint32_t i = 0; later.length > 0 && i < chunk->count; i++)
            if (chunk->entry[i].length > 0 && trib_seq_before(chunk->entry[i].pos, later.pos) &&
                same_item(r->storage, &chunk->entry[i], &later))
                of_group |= 1u << i;
    }
    if (seq == r->sector_seq && !r->need_base)
        chunk->dead |= of_group;
    return rc;
}

/* Offset of the context in the active sector, where it is put. 0: it cannot be read, and the event goes without. */
TRIB_OWN_FRAME static int put_context(struct trib_ring_writer *w, const struct trib_ring_cursor *from,
                                      uint32_t address, uint32_t *out_offset)
{
    const struct trib_storage *s = w->ring->storage;
    struct trib_ring_cursor c = *from;
    struct trib_ring_record context;
    c.offset = address % s->sector_bytes;
    c.cap_at = UINT32_MAX;
    *out_offset = 0;
    if (trib_ring_next_in_sector(s, &c, trib_format_area_end(s), &context) <= 0 ||
        (context.kind != TRIB_RECORD_CONTEXT && context.kind != TRIB_RECORD_MOVED_CONTEXT))
        return 0;
    return trib_ring_put_copy(w, &context, TRIB_RECORD_MOVED_CONTEXT, out_offset);
}

/* Writes what the chunk stands for. */
TRIB_OWN_FRAME static int move(const struct trib_ring *r, struct trib_compaction *k,
                               const struct chunk *chunk, struct trib_ring_writer *w)
{
    struct trib_ring_cursor c = chunk->start;
    struct trib_ring_record record, run;
    uint32_t context = UINT32_MAX, offset = 0;
    int rc = 0;
    memset(&run, 0, sizeof run);
    run.kind = TRIB_RECORD_DROP;
    run.drop_class = TRIB_DROP_VITAL;
    run.drop_reason = TRIB_DROP_SUPERSEDED;
    for (uint32_t i = 0; i < chunk->count && rc == 0; i++) {
        if (next(r, k, &c, &record) <= 0 || (uint32_t)record.pos != chunk->entry[i].pos)
            return TRIB_EDAMAGED; /* not what it was a moment ago */
        uint64_t count = record.kind < TRIB_RECORD_BASE ? 1 : record.count;
        bool dead = chunk->dead >> i & 1;
        k->freed += dead ? trib_format_align(r->storage, c.offset) - start_of(r, &record) : 0;
        dead = dead || (record.data_bytes == 0 && record.drop_class == TRIB_DROP_VITAL &&
                        record.drop_reason == TRIB_DROP_SUPERSEDED);
        if (dead) { /* one run for all of the chunk: it yields to whatever else is there of its positions */
            uint64_t end = record.pos + count, from = record.pos;
            if (run.count > 0) {
                end = run.pos + run.count > end ? run.pos + run.count : end;
                from = run.pos < from ? run.pos : from;
            }
            run.pos = from;
            run.count = end - from;
            continue;
        }
        bool with = record.data_bytes > 0 && record.context != UINT32_MAX;
        if (rc == 0 && with && record.context != context)
            rc = put_context(w, &c, record.context, &offset);
        context = with ? record.context : context;
        rc = rc ? rc : trib_ring_put_moved(w, &record, with ? offset : 0);
    }
    return rc || run.count == 0 ? rc : trib_ring_put_moved(w, &run, 0);
}

static uint32_t left_of(const struct trib_ring *r)
{
    uint32_t end = trib_format_area_end(r->storage);
    return end > r->offset ? end - r->offset : 0;
}

static uint32_t written_of(const struct trib_ring *r)
{
    return r->sector_seq * r->storage->sector_bytes + r->offset;
}

/* The sectors that were opened before may have other reasons to stay: see above, and format.h on the names of streams. */
static bool may_go(const struct trib_ring *r, const struct trib_ring_header *h)
{
    struct trib_ring_header oldest;
    uint32_t sector;
    if (h->base_pos < r->first_pos)
        return false;
    return (h->flags & TRIB_FORMAT_CLEAN) ||
           (trib_ring_find_sector(r, h->sector_seq - UINT32_MAX / 4, UINT32_MAX, &sector, &oldest) == 0 &&
            oldest.sector_seq == h->sector_seq);
}

static enum trib_compaction_verdict look_at(struct trib_compaction *k, uint32_t seq)
{
    k->phase = TRIB_COMPACTION_MEASURES;
    k->seq = seq;
    k->offset = k->cost = k->freed = 0;
    return TRIB_COMPACT_AGAIN;
}

static enum trib_compaction_verdict give_up(const struct trib_ring *r, struct trib_compaction *k)
{
    k->phase = TRIB_COMPACTION_RESTS;
    k->tried = written_of(r);
    return TRIB_COMPACT_NOTHING;
}

/* The sector was measured: is it worth an erase, and where is room for what it keeps? */
static enum trib_compaction_verdict decide(const struct trib_ring *r, struct trib_compaction *k)
{
    uint32_t area = trib_ring_body_max(r->storage, 0);
    uint32_t more = GONE_BYTES + r->storage->program_bytes + (r->need_base ? TRIB_FORMAT_BASE_MAX : 0);
    bool fits = k->seq != r->sector_seq && k->cost + more <= left_of(r);
    /* A sector that is opened for it has to pay: else there would be no end to it. */
    if (k->cost > area - area / 4 || (!fits && (k->freed < area / 4 || trib_ring_free_count(r) != 1)))
        return look_at(k, k->seq + 1);
    k->phase = TRIB_COMPACTION_MOVES;
    k->offset = 0;
    return fits ? TRIB_COMPACT_AGAIN : TRIB_COMPACT_OPEN;
}

/* All that counts in the sector is durable elsewhere. */
TRIB_OWN_FRAME static enum trib_compaction_verdict erase(struct trib_ring *r, struct trib_compaction *k,
                                                         uint32_t sector)
{
    const struct trib_storage *s = r->storage;
    struct trib_ring_writer w;
    trib_ring_begin(&w, r);
    (void)trib_ring_put_gone(&w, k->seq);
    if (trib_ring_commit(&w) < 0 || s->erase(s->context, sector) < 0 || s->sync(s->context) < 0 ||
        trib_ring_retail(r) < 0)
        return give_up(r, k);
    r->compacted_sector = sector;
    k->phase = TRIB_COMPACTION_RESTS;
    return TRIB_COMPACT_FREED;
}

/* Measures or moves the chunk. */
TRIB_OWN_FRAME static int write(struct trib_ring *r, struct trib_compaction *k, const struct chunk *chunk)
{
    struct trib_ring_writer w;
    bool dry = k->phase == TRIB_COMPACTION_MEASURES;
    trib_ring_begin(&w, r);
    if (dry) {
        w.dry = w.based = true;
        w.from = w.offset = trib_format_align(r->storage, TRIB_FORMAT_HEADER_LIKELY);
    }
    int rc = move(r, k, chunk, &w);
    uint32_t bytes = trib_format_align(r->storage, w.offset) - w.from;
    if (dry) {
        k->cost += bytes;
        return rc;
    }
    k->cost -= bytes < k->cost ? bytes : k->cost;
#ifdef TRIB_MUTANT_COMPACT_EARLY
    if (chunk->end == UINT32_MAX) /* before what is moved is durable */
        (void)r->storage->erase(r->storage->context, chunk->start.sector);
#endif
    int committed = trib_ring_commit(&w);
    return rc ? rc : committed;
}

static enum trib_compaction_verdict step(struct trib_ring *r, struct trib_compaction *k, uint64_t keep)
{
    struct trib_ring_header h;
    struct chunk chunk;
    uint32_t sector;
    bool moves = k->phase == TRIB_COMPACTION_MOVES;
    int rc = trib_ring_find_sector(r, k->seq, UINT32_MAX, &sector, &h);
    if (rc < 0 || trib_seq_before(r->sector_seq, h.sector_seq) || (moves && h.sector_seq != k->seq))
        return give_up(r, k);
    if (h.sector_seq != k->seq)
        return look_at(k, h.sector_seq);
    trib_ring_cursor_at(&chunk.start, r, sector, &h);
    rc = may_go(r, &h) ? collect(r, k, keep, &chunk) : TRIB_EFULL;
    rc = rc ? rc : mark(r, &chunk);
    rc = rc ? rc : write(r, k, &chunk);
    /* What had been accepted before the room for the move was set aside may have taken it. */
    if (rc == TRIB_ESPACE && moves)
        return look_at(k, r->tail_seq);
    if (rc < 0)
        return moves ? give_up(r, k) : look_at(k, k->seq + 1);
    if (chunk.end != UINT32_MAX) {
        k->offset = chunk.end;
        return TRIB_COMPACT_AGAIN;
    }
    return moves ? erase(r, k, sector) : decide(r, k);
}

enum trib_compaction_verdict trib_ring_compact(struct trib_ring *r, struct trib_compaction *k, uint64_t keep)
{
    uint32_t progress = written_of(r) - k->tried;
    if (!r->open || trib_ring_free_count(r) > 1)
        k->phase = TRIB_COMPACTION_RESTS;
    else if (k->phase != TRIB_COMPACTION_RESTS && k->keep == (uint32_t)keep)
        return step(r, k, keep);
    else if (k->phase != TRIB_COMPACTION_RESTS || /* more was sent meanwhile: anew */
             ((r->offset >= left_of(r) || trib_ring_free_count(r) == 0) && progress > 0 &&
              progress >= left_of(r))) { /* closer and closer to the end */
        k->keep = (uint32_t)keep;
        return look_at(k, r->tail_seq);
    }
    return TRIB_COMPACT_NOTHING;
}
