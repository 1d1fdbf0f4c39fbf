/*
 * How a ring lies on its medium. All numbers little-endian; a varint is LEB128.
 *
 *   sector  = header, records, seal. Header and seal are padded to program units.
 *   header  u32 magic, u32 CRC, u8 how many bytes follow, u8 flags, u8 start reason, varints: see format.c. The CRC
 *           covers all behind it and the geometry, and seeds the CRC of each record in the sector, so that nothing of
 *           an earlier lap, stream or geometry can be taken for a record of this one.
 *   record  = length, body, CRC-32C over length and body, inverted in the first record of a group. Length: one byte 1..0xEF, or two: 0xF0 | high, low.
 *           0x00 is padding up to the next program unit, 0xFF is blank.
 *   body    = kind and, by kind:
 *     event (its type, 3..0xBF)  varint context * 2 + leap, varint d_mono, [varint d_ord if leap, else 1], fields map
 *                context: offset in the sector of the context record, 0: none
 *     BASE       varint pos, boot, mono, ord, acked; u32 acked_crc; u8 flags: states anew what deltas add to. Stands
 *                first in a program unit: after damage, reading goes on at the next BASE. What lies before it and
 *                takes a position that is not below its own does not count, however well it reads: the power had
 *                torn it, and it read as damaged when the BASE was written. The next sector's header says the same.
 *     CONTEXT    varint ref, u64 session, u8 content length, content, user (the rest)
 *     END        varint offset of the CONTEXT that is closed
 *     DROP       varint count, u8 class, u8 reason: takes `count` positions
 *     STATE      what the client keeps across boots; opaque here
 *     ACK        varint acked, u32 acked_crc, u8 flags
 *     MOVED      varint pos, u8 kind; of an event varint boot, mono, ord, context, fields map; of a DROP what that has.
 *                Says what is at positions of an older sector, so that this can go: ring_compact.c. Takes none itself.
 *     MOVED_CONTEXT  as CONTEXT, for MOVED events: no session is open under it
 *     GONE       varint sector_seq: all that counts in that sector was durable as MOVED before this was written
 *                Other kinds from 0xC0 on are left out.
 *   seal    4 bytes, programmed after the next sector's header is durable and before that sector gets records.
 *           So a newest sector that is sealed has lost its successor: its positions must not be used again.
 *           A seal that a cut prevented is not made up for: its cells may be half programmed.
 *
 * A position counts the events and dropped events of a ring since its first format and knows nothing of streams.
 * A header names a stream and the position of its seq 2: it holds for all positions from there on, also for those in
 * older sectors, unless a newer header names another. seq 1 is stream.start; the header has all of it.
 */
#ifndef TRIB_JOURNAL_FORMAT_H
#define TRIB_JOURNAL_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "tributary/port.h"

#define TRIB_FORMAT_HEADER_MAX 160u
#define TRIB_FORMAT_HEADER_LIKELY 80u /* larger ones need numbers of years of use in all fields */
#define TRIB_FORMAT_SEAL_BYTES 4u
#define TRIB_FORMAT_UNIT_MAX 256u
#define TRIB_FORMAT_BODY_MAX 3839u
#define TRIB_FORMAT_HEAD_BYTES 64u /* of a record, kept by the reader; all but texts, maps and states fit */
#define TRIB_FORMAT_BASE_MAX 56u   /* a whole BASE record */
#define TRIB_FORMAT_EVENT_MAX 20u  /* of an event record, without its fields */

enum trib_record_kind {
    TRIB_RECORD_BASE = 0xC0,
    TRIB_RECORD_CONTEXT = 0xC1,
    TRIB_RECORD_END = 0xC2,
    TRIB_RECORD_DROP = 0xC3,
    TRIB_RECORD_STATE = 0xC4,
    TRIB_RECORD_ACK = 0xC5,
    TRIB_RECORD_MOVED = 0xC6,
    TRIB_RECORD_MOVED_CONTEXT = 0xC7,
    TRIB_RECORD_GONE = 0xC8,
};

/* Flags of header, BASE and ACK. */
#define TRIB_FORMAT_START_ACKED 1u
#define TRIB_FORMAT_WIPED 2u /* what the start reason `erased` asks for is done: no older record is left */
#define TRIB_FORMAT_CLEAN                                                                                    \
    4u /* header: the sector before it ends in a group that its writer knew to be durable */

struct trib_ring_header {
    uint64_t stream, first_pos;
    uint64_t base_pos; /* of the first event in the sector */
    uint64_t acked_pos;
    uint64_t mono_ms; /* base of the sector's deltas */
    uint64_t previous, previous_next;
    uint64_t start_mono_ms;
    uint32_t sector_seq, acked_crc, generation, boot, ord;
    uint32_t dropped[3];
    uint32_t start_boot, start_ord;
    uint8_t start_reason;
    uint8_t flags;
    uint8_t bytes; /* of the encoded header, without padding */
    uint32_t crc;
};

uint32_t trib_format_seal_bytes(const struct trib_storage *s); /* padded */
uint32_t trib_format_area_end(const struct trib_storage *s);   /* where records must end */
uint32_t trib_format_align(const struct trib_storage *s, uint32_t offset);

/* Sets header->crc and header->bytes. out has TRIB_FORMAT_HEADER_MAX. */
void trib_format_header_encode(const struct trib_storage *s, struct trib_ring_header *header, uint8_t *out);
/* 0, TRIB_EDAMAGED (not a header of this format and geometry), TRIB_EIO. */
int trib_format_header_read(const struct trib_storage *s, uint32_t sector, struct trib_ring_header *out);
uint32_t trib_format_seal(uint32_t seed);
/* 1: all 0xFF; 0: not; TRIB_EIO. Offsets are within the sector. */
int trib_format_blank(const struct trib_storage *s, uint32_t sector, uint32_t from, uint32_t to);
/* One beyond the last byte that is not 0xFF in [from, to), or from. An unreadable piece counts as written. */
uint32_t trib_format_last_written(const struct trib_storage *s, uint32_t sector, uint32_t from, uint32_t to);

void trib_put_u32(uint8_t *out, uint32_t value);
void trib_put_u64(uint8_t *out, uint64_t value);
uint32_t trib_get_u32(const uint8_t *data);
uint64_t trib_get_u64(const uint8_t *data);
uint32_t trib_put_varint(uint8_t *out, uint64_t value); /* bytes written, at most 10 */

/* A cursor over bytes; after an error it returns zeros. */
struct trib_bytes {
    const uint8_t *data;
    uint32_t length, pos;
    bool error;
};
uint64_t trib_bytes_varint(struct trib_bytes *b);
uint32_t trib_bytes_u32(struct trib_bytes *b);
uint64_t trib_bytes_u64(struct trib_bytes *b);
uint8_t trib_bytes_u8(struct trib_bytes *b);

/* True if `bytes` of prefix and body, and the CRC behind them, are a whole record. */
bool trib_format_record_whole(const uint8_t *record, uint32_t bytes, uint32_t seed);

/* A whole and undamaged record. */
struct trib_raw_record {
    uint8_t head[TRIB_FORMAT_HEAD_BYTES];
    uint32_t body; /* offset in the sector */
    uint32_t body_bytes;
    uint32_t end; /* one beyond the record */
    bool first;   /* of its group: its CRC is inverted */
};
/* 0; TRIB_EAGAIN: padding or blank at offset (out->head[0] says which); TRIB_EDAMAGED; TRIB_EIO. */
int trib_format_record_read(const struct trib_storage *s, uint32_t sector, uint32_t offset, uint32_t limit,
                            uint32_t seed, struct trib_raw_record *out);

#endif
