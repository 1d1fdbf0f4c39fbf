#include "storage_ram.h"

#include <string.h>

static uint32_t next_random(struct trib_storage_ram *ram)
{
    uint32_t x = ram->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return ram->random = x;
}

static bool inside(const struct trib_storage_ram *ram, uint32_t address, uint32_t length)
{
    uint64_t size = (uint64_t)ram->sector_bytes * ram->sector_count;
    return !ram->off && address <= size && length <= size - address;
}

static void unmark_blank(struct trib_storage_ram *ram, uint32_t address)
{
    uint32_t unit = address / ram->program_bytes;
    for (uint32_t i = 0; i < ram->program_bytes; i++)
        if (ram->bytes[unit * ram->program_bytes + i] != 0xFF)
            return;
    ram->written[unit] = 0;
}

/* The unit under the cut counts as programmed, even if it reads blank: its cells may be on the brink. */
static void mark(struct trib_storage_ram *ram, uint32_t address)
{
    if (!ram->written || address % ram->program_bytes != 0)
        return;
    uint8_t *unit = &ram->written[address / ram->program_bytes];
    ram->twice += *unit;
    *unit = 1;
}

/* Writes byte by byte, for the power may go at each. data NULL: erase. False: it went. */
static bool apply(struct trib_storage_ram *ram, uint32_t address, const uint8_t *data, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++) {
        uint8_t *cell = &ram->bytes[address + i];
        uint8_t value = data ? (uint8_t)(*cell & data[i]) : 0xFF; /* a cell's bits only fall but by erasing */
        if (data)
            mark(ram, address + i);
        if (ram->bytes_done == ram->cut_after) {
            uint8_t mask = ram->tear == TRIB_TEAR_BITS ? (uint8_t)next_random(ram) : 0;
            *cell = (uint8_t)((*cell & ~mask) | (value & mask));
            if (data && ram->written && ram->blank_is_fresh)
                unmark_blank(ram, address + i);
            ram->off = true;
            if (ram->twin)
                ram->twin->off = true;
            return false;
        }
        *cell = value;
        ram->bytes_done++;
    }
    return true;
}

static int ram_read(void *context, uint32_t address, void *out_buffer, uint32_t length)
{
    struct trib_storage_ram *ram = context;
    if (!inside(ram, address, length))
        return TRIB_EIO;
    memcpy(out_buffer, ram->bytes + address, length);
    return 0;
}

static int ram_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    struct trib_storage_ram *ram = context;
    if (!inside(ram, address, length) || address % ram->program_bytes || length % ram->program_bytes ||
        address / ram->sector_bytes == ram->bad_sector)
        return TRIB_EIO;
    ram->programs++;
    return apply(ram, address, data, length) ? 0 : TRIB_EIO;
}

static int ram_erase(void *context, uint32_t sector)
{
    struct trib_storage_ram *ram = context;
    if (sector >= ram->sector_count || !inside(ram, sector * ram->sector_bytes, ram->sector_bytes) ||
        sector == ram->bad_sector)
        return TRIB_EIO;
    ram->erases++;
    if (!apply(ram, sector * ram->sector_bytes, NULL, ram->sector_bytes))
        return TRIB_EIO;
    uint32_t units = ram->sector_bytes / ram->program_bytes;
    if (ram->written)
        memset(ram->written + sector * units, 0, units);
    return 0;
}

static int ram_sync(void *context)
{
    struct trib_storage_ram *ram = context;
    if (ram->off || ram->fail_sync)
        return TRIB_EIO;
    ram->syncs++;
    return 0;
}

void trib_storage_ram_init(struct trib_storage_ram *ram, uint8_t *bytes, uint32_t sector_bytes,
                           uint32_t sector_count, uint32_t program_bytes)
{
    memset(ram, 0, sizeof *ram);
    ram->bytes = bytes;
    ram->sector_bytes = sector_bytes;
    ram->sector_count = sector_count;
    ram->program_bytes = program_bytes;
    ram->cut_after = TRIB_STORAGE_RAM_NO_CUT;
    ram->random = 1;
    ram->bad_sector = UINT32_MAX;
}

struct trib_storage trib_storage_ram(struct trib_storage_ram *ram)
{
    return (struct trib_storage){.context = ram,
                                 .sector_bytes = ram->sector_bytes,
                                 .sector_count = ram->sector_count,
                                 .program_bytes = ram->program_bytes,
                                 .read = ram_read,
                                 .program = ram_program,
                                 .erase = ram_erase,
                                 .sync = ram_sync};
}
