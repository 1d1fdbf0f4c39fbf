#include "support/torn_storage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/error.h"

#define PIECE 16u /* of a program, at least: what a part takes at once */
#define ERASE_PIECE 64u
#define ARENA_BYTES (2u << 20)
#define SETTLES_ONE_IN 6u

enum unit_state { UNIT_BLANK, UNIT_BRINK, UNIT_PROGRAMMED };

uint64_t torn_random(struct torn_power *power)
{
    power->random ^= power->random << 13;
    power->random ^= power->random >> 7;
    power->random ^= power->random << 17;
    return power->random;
}

static uint8_t *byte_at(struct torn_storage *t, uint32_t address)
{
    uint32_t sector = address / t->sector_bytes;
    return t->cells + (size_t)sector * t->stride + (address - sector * t->sector_bytes);
}

static uint8_t *synced_at(struct torn_storage *t, uint32_t address)
{
    return byte_at(t, address) + t->sector_bytes;
}

static uint8_t *unstable_at(struct torn_storage *t, uint32_t address)
{
    return byte_at(t, address) + (size_t)2 * t->sector_bytes;
}

static uint8_t *units_of(struct torn_storage *t, uint32_t sector)
{
    return t->cells + (size_t)sector * t->stride + (size_t)3 * t->sector_bytes;
}

static uint8_t *unit_at(struct torn_storage *t, uint32_t address)
{
    return units_of(t, address / t->sector_bytes) + address % t->sector_bytes / t->unit;
}

/* True as long as any bit of the sector may be unstable: reads need not look at each byte. */
static uint8_t *loose_in(const struct torn_storage *t, uint32_t sector)
{
    return t->cells + (size_t)(sector + 1) * t->stride - 1;
}

/* Copy on write. */
static void touch(struct torn_storage *t, uint32_t address)
{
    uint32_t sector = address / t->sector_bytes;
    t->hashed[sector] = false;
    if (t->level == 0 || t->dirty[t->level - 1][sector])
        return;
    size_t at = (size_t)sector * t->stride;
    t->dirty[t->level - 1][sector] = true;
    memcpy(t->saved[t->level - 1] + at, t->cells + at, t->stride);
}

static bool inside(const struct torn_storage *t, uint32_t address, uint32_t length)
{
    uint64_t size = (uint64_t)t->sector_bytes * t->sector_count;
    return !t->power->off && address <= size && length <= size - address;
}

/* Each bit that is loose reads as either, and stays so for now, or for good. */
static void read_loose(struct torn_storage *t, uint32_t address, uint8_t *out, uint32_t length)
{
    static const uint8_t firm[16];
    uint8_t *cells = byte_at(t, address), *unstable = unstable_at(t, address);
    bool settled = false;
    for (uint32_t k = 0; k < length; k++) {
        while (length - k > sizeof firm && memcmp(unstable + k, firm, sizeof firm) == 0)
            k += sizeof firm;
        if (unstable[k] == 0)
            continue;
        touch(t, address);
        cells[k] = (uint8_t)((cells[k] & ~unstable[k]) | ((uint8_t)torn_random(t->power) & unstable[k]));
        out[k] = cells[k];
        if (torn_random(t->power) % SETTLES_ONE_IN == 0) {
            unstable[k] = 0;
            settled = true;
        }
    }
    if (settled) {
        uint32_t sector = address / t->sector_bytes;
        const uint8_t *all = unstable_at(t, sector * t->sector_bytes);
        *loose_in(t, sector) = all[0] != 0 || memcmp(all, all + 1, t->sector_bytes - 1) != 0;
    }
}

static int torn_read(void *context, uint32_t address, void *out_buffer, uint32_t length)
{
    struct torn_storage *t = context;
    uint8_t *out = out_buffer;
    if (!inside(t, address, length))
        return TRIB_EIO;
    uint32_t sector = address / t->sector_bytes, at = address - sector * t->sector_bytes;
    for (uint32_t i = 0, n; i < length; i += n, sector++, at = 0) {
        n = t->sector_bytes - at < length - i ? t->sector_bytes - at : length - i;
        memcpy(out + i, t->cells + (size_t)sector * t->stride + at, n);
        if (*loose_in(t, sector))
            read_loose(t, address + i, out + i, n);
    }
    return 0;
}

/* The cells of the byte as it is after the call, or half way there: `mask` bits have changed. data NULL: erase. */
static void change(struct torn_storage *t, uint8_t *cell, const uint8_t *data, uint8_t mask)
{
    uint8_t *unstable = cell + (size_t)2 * t->sector_bytes;
    uint8_t target = !data ? 0xFF : t->shape == TORN_UNSYNCED ? *data : (uint8_t)(*cell & *data);
    uint8_t open = (uint8_t)((*cell ^ target) & ~mask);
    *cell = (uint8_t)((*cell & ~mask) | (target & mask));
    *unstable = 0;
    if (((t->shape == TORN_UNSTABLE && !data) || t->shape == TORN_DRIFTING) && mask != 0xFF && mask != 0)
        *unstable = (uint8_t)(open & torn_random(t->power));
}

/* The first `done` bytes of the call came through, and of the others what the shape says. data NULL: erase. */
static void tear(struct torn_storage *t, uint32_t address, const uint8_t *data, uint32_t length,
                 uint32_t done)
{
    uint32_t piece = !data ? ERASE_PIECE : t->unit > PIECE ? t->unit : PIECE;
    uint32_t first = done / piece * piece, next_piece = 0;
    uint64_t piece_mode = 0;
    uint8_t *cells = byte_at(t, address); /* of one sector */
    bool bits = t->shape == TORN_BITS || t->shape == TORN_UNSTABLE || t->shape == TORN_DRIFTING;
    for (uint32_t i = 0; i < length; i++) {
        uint8_t mask = i < done ? 0xFF : 0;
        if (i == next_piece) {
            piece_mode = torn_random(t->power) % 3;
            next_piece += piece;
        }
        /* An erase works on all cells at once; a program on a piece. */
        if (bits && (!data || (i >= first && i < first + piece))) {
            uint64_t random = torn_random(t->power);
            mask = (uint8_t)(random | (random >> 32 & (i < done ? 0xFF : 0)));
        } else if (t->shape == TORN_PAGES) {
            mask = piece_mode == 0 ? 0 : piece_mode == 1 ? 0xFF : (uint8_t)torn_random(t->power);
        }
        change(t, cells + i, data ? &data[i] : NULL, mask);
    }
    const uint8_t *unstable = unstable_at(t, address);
    for (uint32_t i = 0; i < length && !*loose_in(t, address / t->sector_bytes); i++)
        *loose_in(t, address / t->sector_bytes) = unstable[i] != 0;
}

/* Whether the part began to program a unit cannot always be seen. */
static void mark_torn(struct torn_storage *t, uint32_t address, uint32_t length, uint32_t done)
{
    for (uint32_t at = address; at < address + length; at += t->unit) {
        bool reached = at <= address + done || t->shape != TORN_PREFIX;
        bool blank = true;
        for (uint32_t i = 0; i < t->unit; i++)
            blank = blank && *byte_at(t, at + i) == 0xFF && *unstable_at(t, at + i) == 0;
        *unit_at(t, at) = !blank ? UNIT_PROGRAMMED : reached ? UNIT_BRINK : UNIT_BLANK;
    }
}

/* What a level has saved stays in the list, in front of what is added. */
static void forget_ops(struct torn_storage *t)
{
    uint32_t kept = t->level > 0 ? t->saved_flight[t->level - 1].op_count : 0;
    t->flight.op_from = t->flight.op_count = kept;
    t->flight.arena_used = t->level > 0 ? t->saved_flight[t->level - 1].arena_used : 0;
}

/* A disk sector was written back at some moment, or not at all: it holds the first so many of its changes. */
static void lose_unsynced(struct torn_storage *t)
{
    static const uint32_t sizes[] = {64, 512, 4096};
    uint32_t disk = sizes[torn_random(t->power) % 3];
    uint32_t end = t->sector_bytes * t->sector_count;
    uint64_t bias = torn_random(t->power) % 3; /* 0: most is lost, 1: most is kept, 2: anything */
    for (uint32_t from = 0; from < end && t->flight.op_count > t->flight.op_from; from += disk) {
        uint32_t to = from + disk < end ? from + disk : end, touching = 0, taken = 0;
        for (uint32_t i = t->flight.op_from; i < t->flight.op_count; i++)
            touching += t->ops[i].address < to && t->ops[i].address + t->ops[i].length > from;
        if (touching == 0)
            continue;
        uint64_t keep = torn_random(t->power) % (touching + 1);
        if (bias < 2 && torn_random(t->power) % 4 != 0)
            keep = bias == 0 ? 0 : touching;
        for (uint32_t at = from; at < to; at++) {
            touch(t, at);
            *byte_at(t, at) = *synced_at(t, at);
        }
        for (uint32_t i = t->flight.op_from; i < t->flight.op_count && taken < keep; i++) {
            const struct torn_op *op = &t->ops[i];
            if (op->address >= to || op->address + op->length <= from)
                continue;
            taken++;
            for (uint32_t at = from; at < to; at++)
                if (at >= op->address && at < op->address + op->length)
                    *byte_at(t, at) = op->erase ? 0xFF : t->arena[op->data + at - op->address];
        }
        for (uint32_t at = from; at < to; at++)
            *synced_at(t, at) = *byte_at(t, at);
    }
    forget_ops(t);
}

static void undo_late(struct torn_storage *t)
{
    for (uint32_t i = 0; i < t->flight.late_length; i++) {
        touch(t, t->flight.late_address + i);
        *byte_at(t, t->flight.late_address + i) = t->flight.late[i];
    }
    t->flight.late_length = 0;
}

static void remember(struct torn_storage *t, uint32_t address, const uint8_t *data, uint32_t length)
{
    struct torn_flight *f = &t->flight;
    if (t->shape != TORN_UNSYNCED)
        return;
    assert(f->op_count < TORN_OPS_MAX && f->arena_used + length <= ARENA_BYTES);
    t->ops[f->op_count++] = (struct torn_op){address, length, !data, f->arena_used};
    if (data) {
        memcpy(t->arena + f->arena_used, data, length);
        f->arena_used += length;
    }
}

/* The call that was cut came so far, and what was in flight in either lane is torn or lost. */
static void finish(struct torn_storage *t, uint32_t done)
{
    struct torn_cut *cut = &t->flight.cut;
    const uint8_t *data = cut->call == TORN_PROGRAM ? cut->data : NULL;
    if (cut->call != TORN_SYNC && t->shape == TORN_UNSYNCED) {
        /* writes of a program may be short */
        remember(t, cut->address, data, data ? done : cut->length);
    } else if (cut->call != TORN_SYNC) {
        touch(t, cut->address);
        tear(t, cut->address, data, cut->length, done);
        if (data)
            mark_torn(t, cut->address, cut->length, done);
    }
    cut->call = TORN_NO_CALL;
    for (struct torn_storage *each = t; each; each = each == t ? t->other : NULL) {
        if (each->shape == TORN_UNSYNCED)
            lose_unsynced(each);
        undo_late(each);
    }
}

void torn_tear(struct torn_storage *t, uint64_t tick)
{
    if (t->flight.cut.call == TORN_NO_CALL)
        return;
    uint32_t done = (uint32_t)(tick - t->power->ticks);
    t->power->ticks = tick;
    finish(t, done);
}

/* Whether the power goes in a call of so many ticks: then it is off. */
static bool is_cut(struct torn_storage *t, enum torn_call call, uint32_t address, const uint8_t *data,
                   uint32_t length)
{
    struct torn_power *power = t->power;
    if (power->cut_at < power->ticks || power->cut_at - power->ticks >= length)
        return false;
    t->flight.cut.call = call;
    t->flight.cut.address = address;
    t->flight.cut.length = length;
    if (data)
        memcpy(t->flight.cut.data, data, length);
    power->off = true;
    power->call_end = power->ticks + length;
    if (!power->defer)
        torn_tear(t, power->cut_at);
    return true;
}

/* 0, or TRIB_EIO: the power went. */
static int apply(struct torn_storage *t, uint32_t address, const uint8_t *data, uint32_t length)
{
    if (is_cut(t, data ? TORN_PROGRAM : TORN_ERASE, address, data, length))
        return TRIB_EIO;
    touch(t, address);
    uint8_t *cells = byte_at(t, address); /* of one sector */
    if (*loose_in(t, address / t->sector_bytes))
        memset(unstable_at(t, address), 0, length);
    if (!data)
        memset(cells, 0xFF, length);
    else if (t->shape == TORN_UNSYNCED)
        memcpy(cells, data, length);
    else
        for (uint32_t i = 0; i < length; i++)
            cells[i] &= data[i];
    remember(t, address, data, length);
    t->power->ticks += length;
    return 0;
}

static int torn_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    struct torn_storage *t = context;
    uint8_t before[TORN_PROGRAM_MAX];
    if (!inside(t, address, length) || length > sizeof before || address % t->unit || length % t->unit ||
        address / t->sector_bytes != (address + length - 1) / t->sector_bytes)
        return TRIB_EIO;
    touch(t, address);
    for (uint32_t i = t->flight.op_from; i < t->flight.op_count; i++)
        t->power->early +=
            t->ops[i].erase && t->ops[i].address / t->sector_bytes == address / t->sector_bytes;
    for (uint32_t at = address; at < address + length; at += t->unit) {
        t->power->brinks += *unit_at(t, at) == UNIT_BRINK;
        t->power->twice += *unit_at(t, at) == UNIT_PROGRAMMED;
        if (t->shape !=
            TORN_UNSYNCED) /* a file may be written as often as one likes; the count above is for both */
            *unit_at(t, at) = UNIT_PROGRAMMED;
    }
    memcpy(before, byte_at(t, address), length);
    int rc = apply(t, address, data, length);
    if (rc == 0 && (t->mutant == TORN_PROGRAM_LATE ||
                    (t->mutant == TORN_HEADER_LATE && address % t->sector_bytes == 0))) {
        t->flight.late_address = address;
        t->flight.late_length = length;
        memcpy(t->flight.late, before, length);
    } else if (rc == 0) {
        t->flight.late_length = 0;
    }
    return rc;
}

static int torn_erase(void *context, uint32_t sector)
{
    struct torn_storage *t = context;
    uint32_t address = sector * t->sector_bytes;
    if (sector >= t->sector_count || !inside(t, address, t->sector_bytes))
        return TRIB_EIO;
    t->erases++;
    if (t->flight.late_length > 0 && t->flight.late_address / t->sector_bytes == sector)
        t->flight.late_length = 0;
    if (apply(t, address, NULL, t->sector_bytes) < 0)
        return TRIB_EIO;
    memset(units_of(t, sector), UNIT_BLANK, t->sector_bytes / t->unit);
    *loose_in(t, sector) = 0;
    return 0;
}

static int torn_sync(void *context)
{
    struct torn_storage *t = context;
    if (t->power->off)
        return TRIB_EIO;
    if (is_cut(t, TORN_SYNC, 0, NULL, 1))
        return TRIB_EIO;
    t->power->ticks++;
    for (uint32_t i = t->flight.op_from; i < t->flight.op_count; i++) {
        uint32_t from = t->ops[i].address;
        touch(t, from);
        memcpy(synced_at(t, from), byte_at(t, from), t->ops[i].length);
    }
    forget_ops(t);
    return 0;
}

void torn_init(struct torn_storage *t, struct torn_power *power, uint32_t sector_bytes, uint32_t sector_count,
               uint32_t unit)
{
    memset(t, 0, sizeof *t);
    t->power = power;
    t->sector_bytes = sector_bytes;
    t->sector_count = sector_count;
    t->unit = unit;
    t->stride = sector_bytes * 3 + sector_bytes / unit + 1;
    t->cells = calloc(sector_count, t->stride);
    t->hashes = calloc(sector_count, sizeof *t->hashes);
    t->hashed = calloc(sector_count, sizeof *t->hashed);
    t->arena = malloc(ARENA_BYTES);
    for (uint32_t i = 0; i < sector_count; i++)
        memset(t->cells + (size_t)i * t->stride, 0xFF, (size_t)2 * sector_bytes);
    for (unsigned i = 0; i < TORN_LEVELS; i++) {
        t->saved[i] = malloc((size_t)sector_count * t->stride);
        t->dirty[i] = calloc(sector_count, sizeof *t->dirty[i]);
    }
}

void torn_free(struct torn_storage *t)
{
    for (unsigned i = 0; i < TORN_LEVELS; i++) {
        free(t->saved[i]);
        free(t->dirty[i]);
    }
    free(t->hashed);
    free(t->hashes);
    free(t->cells);
    free(t->arena);
}

struct trib_storage torn_port(struct torn_storage *t)
{
    return (struct trib_storage){.context = t,
                                 .sector_bytes = t->sector_bytes,
                                 .sector_count = t->sector_count,
                                 .program_bytes = t->unit,
                                 .read = torn_read,
                                 .program = torn_program,
                                 .erase = torn_erase,
                                 .sync = torn_sync};
}

bool torn_loose(const struct torn_storage *t)
{
    for (uint32_t sector = 0; sector < t->sector_count; sector++)
        if (*loose_in(t, sector))
            return true;
    return false;
}

static uint64_t turned(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

/* Each half takes in each word in its own way, and then the other half. */
void torn_hash_add(struct torn_hash *hash, const void *data, size_t length)
{
    const uint8_t *at = data;
    uint64_t a = hash->half[0] ^ length, b = hash->half[1] + length * 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < length; i += 8) {
        uint64_t word = 0;
        memcpy(&word, at + i, length - i < 8 ? length - i : 8);
        a = turned((a ^ word) * 0xD6E8FEB86659FD93u, 29) + b;
        b = turned((b + word) * 0xA0761D6478BD642Fu, 37) ^ a;
    }
    a = (a ^ a >> 32) * 0xE7037ED1A0B428DBu;
    b = (b ^ b >> 29) * 0x8EBC6AF09C88C6E3u;
    hash->half[0] = a ^ b >> 31;
    hash->half[1] = b ^ a >> 33;
}

void torn_hash_cells(struct torn_storage *t, struct torn_hash *hash)
{
    for (uint32_t sector = 0; sector < t->sector_count; sector++) {
        if (!t->hashed[sector]) {
            t->hashes[sector] = (struct torn_hash){{0, 0}};
            torn_hash_add(&t->hashes[sector], t->cells + (size_t)sector * t->stride, t->sector_bytes);
            torn_hash_add(&t->hashes[sector], units_of(t, sector), t->sector_bytes / t->unit);
            t->hashed[sector] = true;
        }
        torn_hash_add(hash, &t->hashes[sector], sizeof t->hashes[sector]);
    }
}

void torn_push(struct torn_storage *t)
{
    assert(t->level < TORN_LEVELS);
    memset(t->dirty[t->level], 0, t->sector_count * sizeof *t->dirty[0]);
    t->saved_flight[t->level] = t->flight;
    t->level++;
}

void torn_restore(struct torn_storage *t)
{
    assert(t->level > 0);
    for (uint32_t i = 0; i < t->sector_count; i++)
        if (t->dirty[t->level - 1][i]) {
            size_t at = (size_t)i * t->stride;
            memcpy(t->cells + at, t->saved[t->level - 1] + at, t->stride);
            t->dirty[t->level - 1][i] = false;
            t->hashed[i] = false;
        }
    t->flight = t->saved_flight[t->level - 1];
}

void torn_pop(struct torn_storage *t)
{
    torn_restore(t);
    t->level--;
}
