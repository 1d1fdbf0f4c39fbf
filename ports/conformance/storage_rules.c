#include "rules.h"

/* Half of the scratch is what was written, half what is read. */
#define HALF (TRIB_CONFORMANCE_SCRATCH / 2)

static const struct trib_storage *storage_of(const struct trib_rule_run *run)
{
    return run->ports->storage;
}

static uint8_t pattern(uint32_t address)
{
    return (uint8_t)((address * 2654435761u) >> 24 ^ address);
}

static uint8_t *fill(struct trib_rule_run *run, uint32_t address, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        run->scratch[i] = pattern(address + i);
    return run->scratch;
}

static int program(struct trib_rule_run *run, uint32_t address, uint32_t length)
{
    const struct trib_storage *s = storage_of(run);
    return s->program(s->context, address, fill(run, address, length), length);
}

static int read(struct trib_rule_run *run, uint32_t address, uint32_t length)
{
    const struct trib_storage *s = storage_of(run);
    memset(run->scratch + HALF, 0x5A, length);
    return s->read(s->context, address, run->scratch + HALF, length);
}

static int erase(struct trib_rule_run *run, uint32_t sector)
{
    const struct trib_storage *s = storage_of(run);
    return s->erase(s->context, sector);
}

/* Whether so many bytes read as they were programmed, or (blank) as erased. */
static bool holds(struct trib_rule_run *run, uint32_t address, uint32_t length, bool blank)
{
    while (length > 0) {
        uint32_t part = length < HALF ? length : HALF;
        if (read(run, address, part) != 0)
            return false;
        for (uint32_t i = 0; i < part; i++)
            if (run->scratch[HALF + i] != (blank ? 0xFF : pattern(address + i)))
                return false;
        address += part;
        length -= part;
    }
    return true;
}

static const char *geometry(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    uint32_t unit = s->program_bytes;
    TRIB_RULE(s->read && s->program && s->erase && s->sync, "a call is missing");
    TRIB_RULE(s->sector_bytes >= 256 && s->sector_bytes <= 131072, "sector_bytes is not 256 to 131072");
    TRIB_RULE(s->sector_count >= 3 && s->sector_count <= UINT32_MAX / s->sector_bytes,
              "sector_count is under 3, or too large");
    TRIB_RULE(unit && !(unit & (unit - 1)) && (unit <= 32 || unit == 256),
              "program_bytes is not 1, 2, 4, 8, 16, 32 or 256");
    TRIB_RULE(s->sector_bytes % unit == 0 && s->sector_bytes / unit >= 4,
              "a sector is not 4 or more whole program units");
    return NULL;
}

static const char *erased_reads_ff(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    for (uint32_t sector = 0; sector < 3; sector++) {
        TRIB_RULE(erase(run, sector) == 0, "erase failed");
        TRIB_RULE(holds(run, sector * s->sector_bytes, s->sector_bytes, true),
                  "a byte of an erased sector is not 0xFF");
    }
    TRIB_RULE(program(run, 0, s->program_bytes) == 0, "program failed");
    TRIB_RULE(erase(run, 0) == 0 && holds(run, 0, s->sector_bytes, true),
              "what was programmed outlives an erase");
    return NULL;
}

/* Each unit of a sector in turn, in the order of a journal. */
static const char *program_reads_back(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    uint32_t unit = s->program_bytes, end = s->sector_bytes < 4096 ? s->sector_bytes : 4096;
    end -= end % unit;
    TRIB_RULE(erase(run, 1) == 0, "erase failed");
    for (uint32_t at = 0; at < end; at += unit) {
        TRIB_RULE(program(run, s->sector_bytes + at, unit) == 0, "program of one unit failed");
        TRIB_RULE(holds(run, s->sector_bytes + at, unit, false), "a unit does not read as it was programmed");
    }
    TRIB_RULE(holds(run, s->sector_bytes, end, false), "a later program changed an earlier unit");
    TRIB_RULE(holds(run, s->sector_bytes + end, s->sector_bytes - end, true),
              "a program reached behind its end");
    return NULL;
}

/* Lengths of 1, 2, 3, … units at addresses that no page of a part is aligned to. */
static const char *program_many_units(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    uint32_t unit = s->program_bytes, at = unit, from = 2 * s->sector_bytes;
    TRIB_RULE(erase(run, 2) == 0, "erase failed");
    for (uint32_t units = 1; units * unit <= HALF && at + units * unit <= s->sector_bytes;
         units += 1 + units / 3) {
        TRIB_RULE(program(run, from + at, units * unit) == 0, "program of several units failed");
        TRIB_RULE(holds(run, from + at, units * unit, false),
                  "several units do not read as they were programmed");
        at += units * unit;
    }
    TRIB_RULE(holds(run, from, unit, true), "a program reached before its start");
    TRIB_RULE(holds(run, from + unit, at - unit, false), "a later program changed an earlier unit");
    TRIB_RULE(holds(run, from + at, s->sector_bytes - at, true), "a program reached behind its end");
    return NULL;
}

/* Reads need no alignment, whatever the program unit is. */
static const char *read_any_alignment(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    uint32_t unit = s->program_bytes, bytes = 64 / unit * unit;
    bytes = bytes ? bytes : unit;
    TRIB_RULE(erase(run, 0) == 0 && program(run, 0, bytes) == 0, "erase or program failed");
    for (uint32_t at = 0; at < 40; at++)
        for (uint32_t length = 1; length <= 24; length++) {
            TRIB_RULE(read(run, at, length + 4) == 0 && read(run, at, length) == 0, "read failed");
            for (uint32_t i = 0; i < length; i++)
                TRIB_RULE(run->scratch[HALF + i] == pattern(at + i),
                          "bytes read at an odd address or length are wrong");
        }
    run->scratch[HALF] = 0x77;
    TRIB_RULE(s->read(s->context, 0, run->scratch + HALF, 0) == 0 && run->scratch[HALF] == 0x77,
              "a read of no bytes fails, or stores some");
    return NULL;
}

static const char *read_stays_in_its_buffer(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    uint8_t *to = run->scratch + HALF;
    for (uint32_t length = 1; length <= 17; length++) {
        memset(to, 0x5A, 64);
        TRIB_RULE(s->read(s->context, 3, to + 8, length) == 0, "read failed");
        for (uint32_t i = 0; i < 64; i++)
            TRIB_RULE((i >= 8 && i < 8 + length) || to[i] == 0x5A, "a read stores outside of its buffer");
    }
    return NULL;
}

static const char *read_spans_sectors(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    uint32_t unit = s->program_bytes, border = s->sector_bytes;
    TRIB_RULE(erase(run, 0) == 0 && erase(run, 1) == 0, "erase failed");
    TRIB_RULE(program(run, border - unit, unit) == 0 && program(run, border, unit) == 0, "program failed");
    TRIB_RULE(holds(run, border - unit, 2 * unit, false), "a read across the border of two sectors is wrong");
    return NULL;
}

static const char *erase_only_its_sector(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    uint32_t unit = s->program_bytes, last = s->sector_bytes - unit;
    for (uint32_t sector = 0; sector < 3; sector++)
        TRIB_RULE(erase(run, sector) == 0 && program(run, sector * s->sector_bytes, unit) == 0 &&
                      program(run, sector * s->sector_bytes + last, unit) == 0,
                  "erase or program failed");
    TRIB_RULE(erase(run, 1) == 0 && holds(run, s->sector_bytes, s->sector_bytes, true),
              "a sector is not wholly erased");
    TRIB_RULE(holds(run, 0, unit, false) && holds(run, last, unit, false),
              "an erase reached the sector before");
    TRIB_RULE(holds(run, 2 * s->sector_bytes, unit, false) &&
                  holds(run, 2 * s->sector_bytes + last, unit, false),
              "an erase reached the sector behind");
    return NULL;
}

static const char *last_sector_works(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    uint32_t unit = s->program_bytes, sector = s->sector_count - 1, from = sector * s->sector_bytes;
    TRIB_RULE(erase(run, sector) == 0, "the last sector cannot be erased");
    TRIB_RULE(program(run, from + s->sector_bytes - unit, unit) == 0 &&
                  holds(run, from + s->sector_bytes - unit, unit, false),
              "the last unit does not read as it was programmed");
    TRIB_RULE(holds(run, from, s->sector_bytes - unit, true), "the last sector has other bytes too");
    return NULL;
}

static const char *bounds_are_kept(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    uint32_t unit = s->program_bytes, size = s->sector_bytes * s->sector_count, top = UINT32_MAX - unit + 1;
    TRIB_RULE(erase(run, 0) == 0 && program(run, 0, unit) == 0, "erase or program failed");
    TRIB_RULE(erase(run, s->sector_count) == TRIB_EIO && erase(run, UINT32_MAX) == TRIB_EIO,
              "an erase behind the lane is not refused");
    TRIB_RULE(read(run, size, 1) == TRIB_EIO && read(run, size - 1, 2) == TRIB_EIO &&
                  read(run, top, unit) == TRIB_EIO,
              "a read behind the lane is not refused");
    TRIB_RULE(program(run, size, unit) == TRIB_EIO && program(run, size - unit, 2 * unit) == TRIB_EIO &&
                  program(run, top, unit) == TRIB_EIO && program(run, top, 2 * unit) == TRIB_EIO,
              "a program behind the lane is not refused");
    TRIB_RULE(holds(run, 0, unit, false) && holds(run, unit, s->sector_bytes - unit, true),
              "what was refused changed the lane");
    return NULL;
}

static const char *sync_succeeds(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    TRIB_RULE(s->sync(s->context) == 0 && s->sync(s->context) == 0, "sync failed");
    return NULL;
}

static const char *synced_bytes_survive(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    const struct trib_conformance_hooks *h = &run->ports->hooks;
    uint32_t unit = s->program_bytes;
    if (!h->reopen)
        return TRIB_RULE_SKIP;
    TRIB_RULE(erase(run, 0) == 0 && erase(run, 1) == 0 && program(run, 0, 2 * unit) == 0 &&
                  s->sync(s->context) == 0,
              "erase, program or sync failed");
    TRIB_RULE(h->reopen(h->context) == 0, "it cannot be opened again");
    TRIB_RULE(holds(run, 0, 2 * unit, false), "what was synced is not there any more");
    TRIB_RULE(holds(run, 2 * unit, s->sector_bytes - 2 * unit, true) &&
                  holds(run, s->sector_bytes, s->sector_bytes, true),
              "what was erased does not read as erased any more");
    TRIB_RULE(program(run, 2 * unit, unit) == 0 && holds(run, 0, 3 * unit, false),
              "it cannot be gone on with");
    return NULL;
}

static const char *errors_surface(struct trib_rule_run *run)
{
    const struct trib_storage *s = storage_of(run);
    const struct trib_conformance_hooks *h = &run->ports->hooks;
    if (!h->break_medium)
        return TRIB_RULE_SKIP;
    TRIB_RULE(erase(run, 0) == 0, "erase failed");
    h->break_medium(h->context, true);
    int results[] = {read(run, 0, 1), program(run, 0, s->program_bytes), erase(run, 1), s->sync(s->context)};
    h->break_medium(h->context, false);
    TRIB_RULE(results[0] == TRIB_EIO, "a read that failed is not TRIB_EIO");
    TRIB_RULE(results[1] == TRIB_EIO, "a program that failed is not TRIB_EIO");
    TRIB_RULE(results[2] == TRIB_EIO, "an erase that failed is not TRIB_EIO");
    TRIB_RULE(results[3] == TRIB_EIO, "a sync that failed is not TRIB_EIO");
    return NULL;
}

static const char *second_opener_is_refused(struct trib_rule_run *run)
{
    const struct trib_conformance_hooks *h = &run->ports->hooks;
    if (!h->open_again)
        return TRIB_RULE_SKIP;
    TRIB_RULE(h->open_again(h->context) == TRIB_EBUSY, "a second open of the same medium is not TRIB_EBUSY");
    return NULL;
}

const struct trib_rule TRIB_RULES_STORAGE[] = {
    {"storage.geometry", geometry},
    {"storage.erased_reads_ff", erased_reads_ff},
    {"storage.program_reads_back", program_reads_back},
    {"storage.program_many_units", program_many_units},
    {"storage.read_any_alignment", read_any_alignment},
    {"storage.read_stays_in_its_buffer", read_stays_in_its_buffer},
    {"storage.read_spans_sectors", read_spans_sectors},
    {"storage.erase_only_its_sector", erase_only_its_sector},
    {"storage.last_sector_works", last_sector_works},
    {"storage.bounds_are_kept", bounds_are_kept},
    {"storage.sync_succeeds", sync_succeeds},
    {"storage.synced_bytes_survive", synced_bytes_survive},
    {"storage.errors_surface", errors_surface},
    {"storage.second_opener_is_refused", second_opener_is_refused},
    {NULL, NULL},
};
