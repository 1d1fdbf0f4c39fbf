/*
 * A device journal from any bytes: mounted, read to its end, written to, mounted again. Nothing crashes, reads are
 * bounded, no two records have one position, and what was recorded is there after the second mount.
 *
 * Input: a byte for the geometry, a byte for what to do, then either the image, of which the missing part is blank, or
 * (flag PLAYED) a count, so many bytes of which each has the ring itself write something, and then changes to the image:
 * offset (2 bytes), XOR (1 byte). The mutator turns some of the played ones into images, and mends the CRCs of headers
 * and records of an image after most of its changes, so that they are looked at.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "journal/journal.h"
#include "wire/crc32c.h"

#define IMAGE_MAX 4096u
#define HEADER_FIXED 9u /* magic, CRC, count of the bytes that follow: format.c */
#define EVENTS 3u
#define ACKED 1u /* what to do */
#define AHEAD 2u
#define PLAYED 4u
#define UNFOLDED_ONE_IN 37u /* mutations of a played input */

struct medium {
    uint8_t cells[IMAGE_MAX];
    uint32_t bytes, sector_bytes, unit;
    uint64_t reads;
};

static const struct geometry {
    uint16_t sector_bytes;
    uint8_t sector_count;
    uint16_t unit;
} geometries[] = {{256, 3, 1}, {256, 8, 1},  {320, 4, 4},   {512, 3, 8},
                  {512, 8, 1}, {512, 4, 32}, {1024, 4, 16}, {1024, 3, 256}};

static int medium_read(void *context, uint32_t address, void *out, uint32_t length)
{
    struct medium *m = context;
    if (address > m->bytes || length > m->bytes - address)
        abort(); /* the ring reads what it has only */
    memcpy(out, m->cells + address, length);
    m->reads++;
    return 0;
}

static int medium_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    struct medium *m = context;
    const uint8_t *from = data;
    if (address > m->bytes || length > m->bytes - address || address % m->unit || length % m->unit)
        abort();
    for (uint32_t i = 0; i < length; i++)
        m->cells[address + i] &= from[i];
    return 0;
}

static int medium_erase(void *context, uint32_t sector)
{
    struct medium *m = context;
    if (sector >= m->bytes / m->sector_bytes)
        abort();
    memset(m->cells + (size_t)sector * m->sector_bytes, 0xFF, m->sector_bytes);
    return 0;
}

static int medium_sync(void *context)
{
    (void)context;
    return 0;
}

static const struct geometry *geometry_of(uint8_t choice)
{
    return &geometries[choice % (sizeof geometries / sizeof *geometries)];
}

static struct trib_storage storage_of(struct medium *m, const struct geometry *g)
{
    m->sector_bytes = g->sector_bytes;
    m->unit = g->unit;
    m->bytes = (uint32_t)g->sector_bytes * g->sector_count;
    return (struct trib_storage){.context = m,
                                 .sector_bytes = g->sector_bytes,
                                 .sector_count = g->sector_count,
                                 .program_bytes = g->unit,
                                 .read = medium_read,
                                 .program = medium_program,
                                 .erase = medium_erase,
                                 .sync = medium_sync};
}

static void check(bool condition)
{
    if (!condition)
        abort();
}

/* Of no two sectors the later one begins at a lower position. A forged header, whose CRC is right, may say otherwise. */
static bool is_in_order(const struct trib_ring *r)
{
    struct trib_ring_header a, b;
    for (uint32_t i = 0; i < r->storage->sector_count; i++)
        for (uint32_t k = 0; k < r->storage->sector_count; k++)
            if (trib_format_header_read(r->storage, i, &a) == 0 &&
                trib_format_header_read(r->storage, k, &b) == 0 && i != k &&
                !trib_seq_before(b.sector_seq, a.sector_seq) &&
                (a.base_pos > b.base_pos || a.sector_seq == b.sector_seq))
                return false;
    return true;
}

/* Three sectors, each later than the next one, round and round: their numbers, which wrap, are 2^30 and more apart, so no
 * sector is the newest. A ring's own numbers are apart by its sectors at most; only forged headers say otherwise. */
static bool has_no_newest(const struct trib_ring *r)
{
    struct medium *m = r->storage->context;
    struct trib_ring_header h;
    uint32_t seq[8], count = 0;
    uint64_t reads = m->reads;
    for (uint32_t i = 0; i < r->storage->sector_count; i++)
        if (trib_format_header_read(r->storage, i, &h) == 0)
            seq[count++] = h.sector_seq;
    m->reads = reads; /* they are not the ring's */
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < count; k++)
            for (uint32_t n = 0; n < count; n++)
                if (trib_seq_before(seq[i], seq[k]) && trib_seq_before(seq[k], seq[n]) &&
                    trib_seq_before(seq[n], seq[i]))
                    return true;
    return false;
}

/* A record whose bytes are another one, with a CRC that is right for both: who takes the outer one misses the inner one.
 * Nobody makes that without the sector's seed, which is random; the mutator does. */
static bool is_nested(const struct trib_ring *r)
{
    struct trib_ring_header h;
    struct trib_ring_cursor c;
    struct trib_raw_record raw;
    const struct trib_storage *s = r->storage;
    uint32_t end = trib_format_area_end(s);
    uint64_t pos;
    for (uint32_t i = 0; i < s->sector_count; i++) {
        if (trib_format_header_read(s, i, &h) != 0)
            continue;
        trib_ring_cursor_at(&c, r, i, &h);
        for (uint32_t at = c.offset; at < end; at++)
            if (trib_format_record_read(s, i, at, end, c.seed, &raw) == 0 &&
                trib_ring_find_base(s, &c, at + 1, raw.end, &pos) < raw.end)
                return true;
    }
    return false;
}

static bool contradicts_itself(const struct trib_ring *r)
{
    struct medium *m = r->storage->context;
    uint64_t reads = m->reads;
    bool found = !is_in_order(r) || is_nested(r);
    m->reads = reads; /* they are not the ring's */
    return found;
}

/*
 * All records; returns the events. Each is inside the medium; the walk ends; and positions rise, where neither
 * headers nor records contradict one another.
 */
static uint64_t read_all(const struct trib_ring *r, uint64_t below)
{
    struct trib_ring_cursor c;
    struct trib_ring_record record;
    struct medium *m = r->storage->context;
    uint64_t events = 0, records = 0, newest = 0, began = m->reads;
    if (trib_ring_seek(r, 0, &c) != 0)
        return 0;
    while (trib_ring_next(r, &c, &record) == 1) {
        check(++records <= m->bytes);
        check((uint64_t)record.address + record.bytes <= m->bytes);
        if (record.kind >= TRIB_RECORD_BASE)
            continue;
        check((uint64_t)record.data + record.data_bytes <= m->bytes);
        check((record.pos < below && (events == 0 || record.pos > newest)) || contradicts_itself(r));
        newest = record.pos;
        events++;
        struct trib_ring_context context;
        if (record.context != UINT32_MAX)
            (void)trib_ring_context(r, record.context, c.seed, &context);
        uint64_t stream, first, end;
        if (events % 8 == 1)
            (void)trib_ring_stream_at(r, record.pos, &stream, &first, &end, NULL);
    }
    check(m->reads - began <= 400u * (uint64_t)m->bytes);
    return events;
}

static int begin_stream(struct trib_ring *r, const struct trib_ring_found *found)
{
    struct trib_ring_start start = {.stream = 0x1122334455667788,
                                    .first_pos = UINT64_MAX,
                                    .lost_count = found->lost_count,
                                    .boot = found->boot + 1,
                                    .ord = 1,
                                    .reason = 1};
    uint64_t dropped_to;
    return trib_ring_open(r, &start, TRIB_RING_DROP_OLDEST, &dropped_to);
}

static int commit_event(struct trib_ring *r, uint32_t ord, const uint8_t *fields, uint32_t length)
{
    struct trib_ring_writer w;
    trib_ring_begin(&w, r);
    int rc = trib_ring_put_event(&w, 6, 0, r->mono_ms + 1, ord, fields, length);
    int committed = trib_ring_commit(&w);
    return rc ? rc : committed;
}

/* Records a few events; returns how many of them became durable. */
static unsigned record_events(struct trib_ring *r)
{
    static const uint8_t fields[] = {0xA1, 0x03, 0x19, 0x01, 0x02};
    unsigned done = 0;
    for (unsigned attempt = 0; attempt < 8 * EVENTS && done < EVENTS; attempt++) {
        uint64_t dropped_to, head = r->head_pos;
        int rc = commit_event(r, r->ord + 1, fields, sizeof fields);
        check(r->head_pos == head + (rc == 0));
        if (rc == 0)
            done++;
        else if (trib_ring_open(r, NULL, TRIB_RING_DROP_OLDEST, &dropped_to) != 0)
            break;
    }
    return done;
}

/* One thing that a client has its ring do. */
static void play(struct trib_ring *r, uint8_t what)
{
    static const uint8_t fields[72] = {0xA1, 0x03, 0x19, 0x01, 0x02};
    struct trib_ring_writer w;
    uint64_t dropped_to;
    uint32_t ref = 1 + (what >> 6);
    int rc = 0;
    if ((what & 15) == 15) {
        if (trib_ring_open(r, NULL, what & 16 ? TRIB_RING_DROP_OLDEST : TRIB_RING_USE_SPARE, &dropped_to) !=
            0)
            (void)trib_ring_erase_ahead(r);
        return;
    }
    if ((what & 15) == 14) {
        trib_ring_boot(r, r->boot + 1);
        (void)trib_ring_ack(r, r->acked_pos + (what >> 4), true);
        return;
    }
    trib_ring_begin(&w, r);
    if ((what & 7) == 0)
        rc = trib_ring_put_context(&w, ref, ref, "film", 4, "user", what >> 4 & 3);
    else if ((what & 7) == 1)
        rc = trib_ring_put_end(&w, ref);
    else if ((what & 7) == 2)
        rc = trib_ring_put_drop(&w, 1u + (what >> 4), 0, 0);
    else if ((what & 7) == 3)
        rc = trib_ring_put_state(&w, fields, what >> 3);
    else if ((what & 7) == 4)
        rc = trib_ring_put_ack(&w, what);
    else
        for (unsigned i = 0; rc == 0 && i < 1u + (what >> 3 & 3); i++)
            rc = trib_ring_put_event(&w, 6, what & 32 ? ref : 0, w.mono_ms + what, w.ord + 1, fields,
                                     5u + (what >> 2));
    (void)trib_ring_commit(&w);
    if (rc == TRIB_ESPACE)
        (void)trib_ring_open(r, NULL, TRIB_RING_DROP_OLDEST, &dropped_to);
}

/* An image that the ring made, with bytes of it changed. */
static void make_image(struct medium *m, const struct trib_storage *storage, const uint8_t *data, size_t size)
{
    struct trib_ring ring;
    struct trib_ring_found found;
    size_t count = size > 0 ? data[0] & 31 : 0, at = 1;
    if (trib_ring_mount(&ring, storage, &found) != 0 || begin_stream(&ring, &found) != 0)
        return;
    trib_ring_boot(&ring, 1);
    for (; at < size && at <= count; at++)
        play(&ring, data[at]);
    for (; at + 3 <= size; at += 3)
        m->cells[(data[at] | (uint32_t)data[at + 1] << 8) % m->bytes] ^= data[at + 2];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct medium m;
    struct trib_ring ring;
    struct trib_ring_found found;
    uint64_t oldest;
    if (size < 2)
        return 0;
    struct trib_storage storage = storage_of(&m, geometry_of(data[0]));
    memset(m.cells, 0xFF, m.bytes);
    if (data[1] & PLAYED)
        make_image(&m, &storage, data + 2, size - 2);
    else
        memcpy(m.cells, data + 2, size - 2 < m.bytes ? size - 2 : m.bytes);
    m.reads = 0;
    if (trib_ring_mount(&ring, &storage, &found) != 0)
        return 0;
    bool judged = !has_no_newest(&ring);
    check(m.reads <= 400u * (uint64_t)m.bytes);
    uint64_t head = ring.open ? ring.head_pos : 0;
    if (head > UINT64_MAX / 2) /* an image that claims more events than a device can record */
        return 0;
    if (ring.open)
        (void)read_all(&ring, found.verdict == TRIB_RING_GOOD ? head : UINT64_MAX);
    trib_ring_boot(&ring, found.boot + 1);
    if ((!ring.open || found.verdict != TRIB_RING_GOOD) && begin_stream(&ring, &found) != 0)
        return 0;
    check(ring.head_pos >= head); /* positions are never used again */
    if (data[1] & ACKED)
        (void)trib_ring_ack(&ring, ring.head_pos, true);
    uint64_t from = ring.head_pos;
    unsigned done = record_events(&ring);
    check(ring.head_pos == from + done);
    if (data[1] & AHEAD)
        (void)trib_ring_erase_ahead(&ring);
    (void)trib_ring_oldest(&ring, &oldest);
    uint64_t durable = ring.head_pos;
    struct trib_ring again;
    check(trib_ring_mount(&again, &storage, &found) == 0);
    if (done > 0 && judged)
        check(again.open && found.verdict == TRIB_RING_GOOD && again.head_pos == durable);
    if (again.open)
        (void)read_all(&again, again.head_pos);
    return 0;
}

/* --- the mutator: images that pass the first checks --- */

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* Returns the sector's seed, or 0: this is no header. */
static uint32_t mend_header(uint8_t *sector, const struct geometry *g)
{
    uint8_t bytes[8];
    if (sector[0] != 'T' || sector[1] != 'R' || sector[2] != 'R' ||
        sector[8] > TRIB_FORMAT_HEADER_MAX - HEADER_FIXED)
        return 0;
    trib_put_u32(bytes, g->sector_bytes);
    trib_put_u32(bytes + 4, g->unit);
    uint32_t crc = trib_crc32c(trib_crc32c(0, bytes, sizeof bytes), sector + 8, 1u + sector[8]);
    trib_put_u32(sector + 4, crc);
    return crc;
}

static void mend_records(uint8_t *sector, const struct geometry *g, uint32_t seed, unsigned random)
{
    uint32_t unit = g->unit, at = (HEADER_FIXED + sector[8] + unit - 1) / unit * unit;
    while (at + 6 < g->sector_bytes && sector[at] != 0xFF) {
        if (sector[at] == 0) {
            at = (at / unit + 1) * unit;
            continue;
        }
        uint32_t prefix = sector[at] < 0xF0 ? 1 : 2;
        uint32_t bytes = prefix == 1 ? sector[at] : (sector[at] & 0x0Fu) << 8 | sector[at + 1];
        if (bytes == 0 || at + prefix + bytes + 4 > g->sector_bytes)
            return;
        uint32_t crc = trib_crc32c(seed, sector + at, prefix + bytes);
        bool first = trib_get_u32(sector + at + prefix + bytes) == ~crc || (random >> at % 29 & 1) != 0;
        trib_put_u32(sector + at + prefix + bytes, first ? ~crc : crc);
        at += prefix + bytes + 4;
    }
}

/* The image that a played input makes, as one to be changed byte by byte: its new size; or 0: there is no room. */
static size_t unfold(uint8_t *data, size_t size, size_t max_size)
{
    static struct medium m;
    struct trib_storage storage = storage_of(&m, geometry_of(data[0]));
    size_t used = m.bytes;
    memset(m.cells, 0xFF, m.bytes);
    make_image(&m, &storage, data + 2, size - 2);
    while (used > 0 && m.cells[used - 1] == 0xFF)
        used--;
    if (used + 2 > max_size)
        return 0;
    data[1] &= (uint8_t)~PLAYED;
    memcpy(data + 2, m.cells, used);
    return used + 2;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    size_t unfolded = 0;
    if (size >= 2 && (data[1] & PLAYED) && seed % UNFOLDED_ONE_IN == 0)
        unfolded = unfold(data, size, max_size);
    size = LLVMFuzzerMutate(data, unfolded ? unfolded : size, max_size);
    if (size < 2 || (data[1] & PLAYED) || seed % 8 == 0)
        return size;
    const struct geometry *g = geometry_of(data[0]);
    uint8_t *image = data + 2;
    for (size_t at = 0; at + g->sector_bytes <= size - 2; at += g->sector_bytes) {
        if (seed >> (at / g->sector_bytes % 8 + 3) & 1 && seed % 3 == 0)
            continue; /* some sectors stay as they are: torn */
        uint32_t crc = mend_header(image + at, g);
        if (crc != 0)
            mend_records(image + at, g, crc, seed);
    }
    return size;
}
