#include "journal/format.h"

#include <stddef.h>
#include <string.h>

#include "wire/crc32c.h"
#include "wire/error.h"

#define MAGIC 0x32525254u /* "TRR2": the last character is the format's version */

uint32_t trib_format_align(const struct trib_storage *s, uint32_t offset)
{
    return (offset + s->program_bytes - 1) & ~(s->program_bytes - 1);
}

uint32_t trib_format_seal_bytes(const struct trib_storage *s)
{
    return trib_format_align(s, TRIB_FORMAT_SEAL_BYTES);
}

uint32_t trib_format_area_end(const struct trib_storage *s)
{
    return s->sector_bytes - trib_format_seal_bytes(s);
}

void trib_put_u32(uint8_t *out, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

void trib_put_u64(uint8_t *out, uint64_t value)
{
    trib_put_u32(out, (uint32_t)value);
    trib_put_u32(out + 4, (uint32_t)(value >> 32));
}

uint32_t trib_get_u32(const uint8_t *data)
{
    return (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
}

uint64_t trib_get_u64(const uint8_t *data)
{
    return trib_get_u32(data) | (uint64_t)trib_get_u32(data + 4) << 32;
}

uint32_t trib_put_varint(uint8_t *out, uint64_t value)
{
    uint32_t n = 0;
    while (value >= 0x80) {
        out[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (uint8_t)value;
    return n;
}

uint8_t trib_bytes_u8(struct trib_bytes *b)
{
    if (b->error || b->pos >= b->length) {
        b->error = true;
        return 0;
    }
    return b->data[b->pos++];
}

uint64_t trib_bytes_varint(struct trib_bytes *b)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = trib_bytes_u8(b);
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80))
            return b->error ? 0 : value;
    }
    b->error = true;
    return 0;
}

uint32_t trib_bytes_u32(struct trib_bytes *b)
{
    if (b->error || b->length - b->pos < 4) {
        b->error = true;
        return 0;
    }
    b->pos += 4;
    return trib_get_u32(b->data + b->pos - 4);
}

uint64_t trib_bytes_u64(struct trib_bytes *b)
{
    uint64_t low = trib_bytes_u32(b);
    return low | (uint64_t)trib_bytes_u32(b) << 32;
}

#define HEADER_HEAD 9u /* magic, CRC, count of the bytes that follow */

/* The geometry goes in: a header that was written for other sectors must not be believed. */
static uint32_t header_crc(const struct trib_storage *s, const uint8_t *raw)
{
    uint8_t geometry[8];
    trib_put_u32(geometry, s->sector_bytes);
    trib_put_u32(geometry + 4, s->program_bytes);
    return trib_crc32c(trib_crc32c(0, geometry, sizeof geometry), raw + 8, 1u + raw[8]);
}

/* The numbers of a header in their order; BACK: as what it lies before base_pos, which comes before all of those. */
enum { NARROW, WIDE, BACK };
#define FIELD(name, kind)                                                                                    \
    {                                                                                                        \
        (uint8_t) offsetof(struct trib_ring_header, name), kind                                              \
    }
static const struct {
    uint8_t at, kind;
} fields[] = {
    FIELD(stream, WIDE),        FIELD(base_pos, WIDE),     FIELD(first_pos, BACK),
    FIELD(acked_pos, BACK),     FIELD(sector_seq, NARROW), FIELD(acked_crc, NARROW),
    FIELD(generation, NARROW),  FIELD(mono_ms, WIDE),      FIELD(boot, NARROW),
    FIELD(ord, NARROW),         FIELD(dropped[0], NARROW), FIELD(dropped[1], NARROW),
    FIELD(dropped[2], NARROW),  FIELD(previous, WIDE),     FIELD(previous_next, WIDE),
    FIELD(start_mono_ms, WIDE), FIELD(start_boot, NARROW), FIELD(start_ord, NARROW),
};
#define FIELD_COUNT (sizeof fields / sizeof fields[0])

void trib_format_header_encode(const struct trib_storage *s, struct trib_ring_header *h, uint8_t *out)
{
    uint8_t *at = out + HEADER_HEAD;
    *at++ = h->flags;
    *at++ = h->start_reason;
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        const uint8_t *field = (const uint8_t *)h + fields[i].at;
        uint64_t value;
        uint32_t narrow;
        memcpy(&narrow, field, sizeof narrow);
        value = narrow;
        if (fields[i].kind != NARROW)
            memcpy(&value, field, sizeof value);
        at += trib_put_varint(at, fields[i].kind == BACK ? h->base_pos - value : value);
    }
    h->bytes = (uint8_t)(at - out);
    out[8] = (uint8_t)(h->bytes - HEADER_HEAD);
    h->crc = header_crc(s, out);
    trib_put_u32(out, MAGIC);
    trib_put_u32(out + 4, h->crc);
}

int trib_format_header_read(const struct trib_storage *s, uint32_t sector, struct trib_ring_header *out)
{
    uint8_t raw[TRIB_FORMAT_HEADER_MAX];
    if (s->read(s->context, sector * s->sector_bytes, raw, sizeof raw) < 0)
        return TRIB_EIO;
    if (trib_get_u32(raw) != MAGIC || raw[8] > sizeof raw - HEADER_HEAD)
        return TRIB_EDAMAGED;
    out->crc = trib_get_u32(raw + 4);
#ifndef TRIB_MUTANT_NO_CRC
    if (out->crc != header_crc(s, raw))
        return TRIB_EDAMAGED;
#endif
    out->bytes = (uint8_t)(HEADER_HEAD + raw[8]);
    struct trib_bytes b = {raw, out->bytes, HEADER_HEAD, false};
    out->flags = trib_bytes_u8(&b);
    out->start_reason = trib_bytes_u8(&b);
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        uint8_t *field = (uint8_t *)out + fields[i].at;
        uint64_t value = trib_bytes_varint(&b);
        uint32_t narrow = (uint32_t)value;
        if (fields[i].kind == BACK)
            value = out->base_pos - value;
        if (fields[i].kind == NARROW)
            memcpy(field, &narrow, sizeof narrow);
        else
            memcpy(field, &value, sizeof value);
    }
    return b.error ? TRIB_EDAMAGED : 0;
}

uint32_t trib_format_seal(uint32_t seed)
{
    return trib_crc32c(seed, "seal", 4);
}

int trib_format_blank(const struct trib_storage *s, uint32_t sector, uint32_t from, uint32_t to)
{
    uint8_t piece[64];
    while (from < to) {
        uint32_t n = to - from < sizeof piece ? to - from : (uint32_t)sizeof piece;
        if (s->read(s->context, sector * s->sector_bytes + from, piece, n) < 0)
            return TRIB_EIO;
        for (uint32_t i = 0; i < n; i++)
            if (piece[i] != 0xFF)
                return 0;
        from += n;
    }
    return 1;
}

uint32_t trib_format_last_written(const struct trib_storage *s, uint32_t sector, uint32_t from, uint32_t to)
{
    uint8_t piece[64];
    while (to > from) {
        uint32_t n = to - from < sizeof piece ? to - from : (uint32_t)sizeof piece;
        if (s->read(s->context, sector * s->sector_bytes + to - n, piece, n) < 0)
            return to;
        for (uint32_t i = n; i > 0; i--)
            if (piece[i - 1] != 0xFF)
                return to - n + i;
        to -= n;
    }
    return from;
}

bool trib_format_record_whole(const uint8_t *record, uint32_t bytes, uint32_t seed)
{
    uint32_t crc = trib_crc32c(seed, record, bytes), stored = trib_get_u32(record + bytes);
    return stored == crc || stored == ~crc;
}

int trib_format_record_read(const struct trib_storage *s, uint32_t sector, uint32_t offset, uint32_t limit,
                            uint32_t seed, struct trib_raw_record *out)
{
    uint32_t base = sector * s->sector_bytes;
    if (offset >= limit)
        return TRIB_EDAMAGED;
    uint32_t have = limit - offset < sizeof out->head ? limit - offset : (uint32_t)sizeof out->head;
    if (s->read(s->context, base + offset, out->head, have) < 0)
        return TRIB_EIO;
    uint32_t first = out->head[0];
    if (first == 0xFF || first == 0)
        return TRIB_EAGAIN;
    uint32_t prefix = first < 0xF0 ? 1 : 2;
    if (have < prefix + 5)
        return TRIB_EDAMAGED;
    uint32_t bytes = prefix == 1 ? first : (first & 0x0F) << 8 | out->head[1];
    if (bytes == 0 || bytes > limit - offset - prefix || limit - offset - prefix - bytes < 4)
        return TRIB_EDAMAGED;

    uint32_t covered = prefix + bytes, done = covered < have ? covered : have;
    uint32_t crc = trib_crc32c(seed, out->head, done);
    uint8_t piece[32];
    while (done < covered) {
        uint32_t n = covered - done < sizeof piece ? covered - done : (uint32_t)sizeof piece;
        if (s->read(s->context, base + offset + done, piece, n) < 0)
            return TRIB_EIO;
        crc = trib_crc32c(crc, piece, n);
        done += n;
    }
    if (s->read(s->context, base + offset + covered, piece, 4) < 0)
        return TRIB_EIO;
    out->first = trib_get_u32(piece) == ~crc;
#ifndef TRIB_MUTANT_NO_CRC
    if (!out->first && trib_get_u32(piece) != crc)
        return TRIB_EDAMAGED;
#endif
    out->body = offset + prefix;
    out->body_bytes = bytes;
    out->end = offset + covered + 4;
    /* From here on head is the body's head. */
    memmove(out->head, out->head + prefix, have - prefix);
    return 0;
}
