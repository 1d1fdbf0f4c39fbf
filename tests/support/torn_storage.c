#include "support/torn_storage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "wire/error.h"

#define PIECE 16u /* of a program, at least: what a part takes at once */
#define ERASE_PIECE 64u
#define ARENA_BYTES (1u << 20)
#define SETTLES_ONE_IN 6u

enum unit_state { UNIT_BLANK, UNIT_BRINK, UNIT_PROGRAMMED };

uint64_t torn_random(struct torn_power *power)
{
    power->random ^= power->random << 13;
    power->random ^= power->random >> 7;
    power->random ^= power->random << 17;
    return power->random;
}

static size_t cells_bytes(const struct torn_storage *t)
{
    return (size_t)t->sector_bytes * 3 + t->sector_bytes / t->unit + 1;
}

static uint8_t *sector_cells(struct torn_storage *t, uint32_t address)
{
    return t->cells + address / t->sector_bytes * cells_bytes(t);
}

static uint8_t *byte_at(struct torn_storage *t, uint32_t address)
{
    return sector_cells(t, address) + address % t->sector_bytes;
}

static uint8_t *synced_at(struct torn_storage *t, uint32_t address)
{
    return byte_at(t, address) + t->sector_bytes;
}

static uint8_t *unstable_at(struct torn_storage *t, uint32_t address)
{
    return byte_at(t, address) + (size_t)2 * t->sector_bytes;
}

static uint8_t *unit_at(struct torn_storage *t, uint32_t address)
{
    return sector_cells(t, address) + (size_t)3 * t->sector_bytes + address % t->sector_bytes / t->unit;
}

/* True as long as any bit of the sector may be unstable: reads need not look at each byte. */
static uint8_t *loose_at(struct torn_storage *t, uint32_t address)
{
    return sector_cells(t, address) + cells_bytes(t) - 1;
}

/* Copy on write. */
static void touch(struct torn_storage *t, uint32_t address)
{
    uint32_t sector = address / t->sector_bytes;
    if (t->level == 0 || t->dirty[t->level - 1][sector])
        return;
    size_t bytes = cells_bytes(t);
    t->dirty[t->level - 1][sector] = true;
    memcpy(t->saved[t->level - 1] + sector * bytes, t->cells + sector * bytes, bytes);
}

static bool inside(const struct torn_storage *t, uint32_t address, uint32_t length)
{
    uint64_t size = (uint64_t)t->sector_bytes * t->sector_count;
    return !t->power->off && address <= size && length <= size - address;
}

static int torn_read(void *context, uint32_t address, void *out_buffer, uint32_t length)
{
    struct torn_storage *t = context;
    uint8_t *out = out_buffer;
    if (!inside(t, address, length))
        return TRIB_EIO;
    for (uint32_t i = 0, n; i < length; i += n) {
        n = t->sector_bytes - (address + i) % t->sector_bytes;
        n = n < length - i ? n : length - i;
        memcpy(out + i, byte_at(t, address + i), n);
        if (!*loose_at(t, address + i))
            continue;
        for (uint32_t k = 0; k < n; k++) {
            uint8_t loose = *unstable_at(t, address + i + k);
            if (loose == 0)
                continue;
            touch(t, address + i + k);
            uint8_t *cell = byte_at(t, address + i + k);
            *cell = (uint8_t)((*cell & ~loose) | ((uint8_t)torn_random(t->power) & loose));
            out[i + k] = *cell;
            if (torn_random(t->power) % SETTLES_ONE_IN == 0)
                *unstable_at(t, address + i + k) = 0;
        }
    }
    return 0;
}

/* A byte as it is after the call, or half way there: `mask` bits have changed. */
static void change(struct torn_storage *t, uint32_t address, const uint8_t *value, uint8_t mask)
{
    uint8_t *cell = byte_at(t, address);
    uint8_t target = !value ? 0xFF : t->shape == TORN_UNSYNCED ? *value : (uint8_t)(*cell & *value);
    uint8_t open = (uint8_t)((*cell ^ target) & ~mask);
    *cell = (uint8_t)((*cell & ~mask) | (target & mask));
    *unstable_at(t, address) = 0;
    if (((t->shape == TORN_UNSTABLE && !value) || t->shape == TORN_DRIFTING) && mask != 0xFF && mask != 0)
        *unstable_at(t, address) = (uint8_t)(open & torn_random(t->power));
    if (*unstable_at(t, address) != 0)
        *loose_at(t, address) = 1;
}

/* The first `done` bytes of the call came through, and of the others what the shape says. data NULL: erase. */
static void tear(struct torn_storage *t, uint32_t address, const uint8_t *data, uint32_t length,
                 uint32_t done)
{
    uint32_t piece = !data ? ERASE_PIECE : t->unit > PIECE ? t->unit : PIECE;
    uint64_t piece_mode = 0;
    uint32_t first = done / piece * piece;
    for (uint32_t i = 0; i < length; i++) {
        uint8_t mask = i < done ? 0xFF : 0;
        if (i % piece == 0)
            piece_mode = torn_random(t->power) % 3;
        if (t->shape == TORN_BITS || t->shape == TORN_UNSTABLE || t->shape == TORN_DRIFTING) {
            /* An erase works on all cells at once; a program on a piece. */
            if (!data || (i >= first && i < first + piece))
                mask = (uint8_t)(torn_random(t->power) | (torn_random(t->power) & (i < done ? 0xFF : 0)));
        } else if (t->shape == TORN_PAGES) {
            mask = piece_mode == 0 ? 0 : piece_mode == 1 ? 0xFF : (uint8_t)torn_random(t->power);
        }
        change(t, address + i, data ? &data[i] : NULL, mask);
    }
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

/* A disk sector was written back at some moment, or not at all: it holds the first so many of its changes. */
static void lose_unsynced(struct torn_storage *t)
{
    static const uint32_t sizes[] = {64, 512, 4096};
    uint32_t disk = sizes[torn_random(t->power) % 3];
    uint32_t end = t->sector_bytes * t->sector_count;
    uint64_t bias = torn_random(t->power) % 3; /* 0: most is lost, 1: most is kept, 2: anything */
    for (uint32_t from = 0; from < end && t->op_count > 0; from += disk) {
        uint32_t to = from + disk < end ? from + disk : end, touching = 0, taken = 0;
        for (uint32_t i = 0; i < t->op_count; i++)
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
        for (uint32_t i = 0; i < t->op_count && taken < keep; i++) {
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
    t->op_count = t->arena_used = 0;
}

static void undo_late(struct torn_storage *t)
{
    for (uint32_t i = 0; i < t->late_length; i++) {
        touch(t, t->late_address + i);
        *byte_at(t, t->late_address + i) = t->late[i];
    }
    t->late_length = 0;
}

static void power_goes(struct torn_storage *t)
{
    t->power->off = true;
    for (struct torn_storage *each = t; each; each = each == t ? t->other : NULL) {
        if (each->shape == TORN_UNSYNCED)
            lose_unsynced(each);
        undo_late(each);
    }
}

static void remember(struct torn_storage *t, uint32_t address, const uint8_t *data, uint32_t length)
{
    if (t->shape != TORN_UNSYNCED)
        return;
    assert(t->op_count < TORN_OPS_MAX && t->arena_used + length <= ARENA_BYTES);
    t->ops[t->op_count++] = (struct torn_op){address, length, !data, t->arena_used};
    if (data) {
        memcpy(t->arena + t->arena_used, data, length);
        t->arena_used += length;
    }
}

/* 0, or TRIB_EIO: the power went. */
static int apply(struct torn_storage *t, uint32_t address, const uint8_t *data, uint32_t length)
{
    struct torn_power *power = t->power;
    touch(t, address);
    if (power->cut_at >= power->ticks && power->cut_at - power->ticks < length) {
        uint32_t done = (uint32_t)(power->cut_at - power->ticks);
        power->ticks = power->cut_at;
        if (t->shape == TORN_UNSYNCED)
            remember(t, address, data, data ? done : length); /* writes of a program may be short */
        else
            tear(t, address, data, length, done);
        if (data && t->shape != TORN_UNSYNCED)
            mark_torn(t, address, length, done);
        power_goes(t);
        return TRIB_EIO;
    }
    uint8_t *cells = byte_at(t, address); /* of one sector */
    if (*loose_at(t, address))
        memset(unstable_at(t, address), 0, length);
    if (!data)
        memset(cells, 0xFF, length);
    else if (t->shape == TORN_UNSYNCED)
        memcpy(cells, data, length);
    else
        for (uint32_t i = 0; i < length; i++)
            cells[i] &= data[i];
    remember(t, address, data, length);
    power->ticks += length;
    return 0;
}

static int torn_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    struct torn_storage *t = context;
    uint8_t before[256];
    if (!inside(t, address, length) || length > sizeof before || address % t->unit || length % t->unit ||
        address / t->sector_bytes != (address + length - 1) / t->sector_bytes)
        return TRIB_EIO;
    touch(t, address);
    for (uint32_t i = 0; i < t->op_count; i++)
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
        t->late_address = address;
        t->late_length = length;
        memcpy(t->late, before, length);
    } else if (rc == 0) {
        t->late_length = 0;
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
    if (t->late_length > 0 && t->late_address / t->sector_bytes == sector)
        t->late_length = 0;
    if (apply(t, address, NULL, t->sector_bytes) < 0)
        return TRIB_EIO;
    memset(unit_at(t, address), UNIT_BLANK, t->sector_bytes / t->unit);
    *loose_at(t, address) = 0;
    return 0;
}

static int torn_sync(void *context)
{
    struct torn_storage *t = context;
    if (t->power->off)
        return TRIB_EIO;
    if (t->power->cut_at == t->power->ticks) {
        power_goes(t);
        return TRIB_EIO;
    }
    t->power->ticks++;
    for (uint32_t i = 0; i < t->op_count; i++) {
        uint32_t from = t->ops[i].address;
        touch(t, from);
        memcpy(synced_at(t, from), byte_at(t, from), t->ops[i].length);
    }
    t->op_count = t->arena_used = 0;
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
    size_t bytes = cells_bytes(t);
    t->cells = calloc(sector_count, bytes);
    t->arena = malloc(ARENA_BYTES);
    for (uint32_t i = 0; i < sector_count; i++)
        memset(t->cells + i * bytes, 0xFF, (size_t)2 * sector_bytes);
    for (unsigned i = 0; i < TORN_LEVELS; i++) {
        t->saved[i] = malloc(sector_count * bytes);
        t->dirty[i] = calloc(sector_count, sizeof *t->dirty[i]);
    }
}

void torn_free(struct torn_storage *t)
{
    for (unsigned i = 0; i < TORN_LEVELS; i++) {
        free(t->saved[i]);
        free(t->dirty[i]);
    }
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

void torn_push(struct torn_storage *t)
{
    assert(t->level < TORN_LEVELS && t->op_count == 0);
    memset(t->dirty[t->level], 0, t->sector_count * sizeof *t->dirty[0]);
    t->level++;
}

void torn_restore(struct torn_storage *t)
{
    assert(t->level > 0);
    size_t bytes = cells_bytes(t);
    for (uint32_t i = 0; i < t->sector_count; i++)
        if (t->dirty[t->level - 1][i]) {
            memcpy(t->cells + i * bytes, t->saved[t->level - 1] + i * bytes, bytes);
            t->dirty[t->level - 1][i] = false;
        }
    t->op_count = t->arena_used = 0;
    t->late_length = 0;
}

void torn_pop(struct torn_storage *t)
{
    torn_restore(t);
    t->level--;
}
