/*
 * struct trib_storage in memory: for lanes that need not outlive the process, and for tests, which can watch and cut
 * it like a flash part: programming a cell twice is refused, the power goes after so many bytes, a sector is bad.
 */
#ifndef TRIB_POSIX_STORAGE_RAM_H
#define TRIB_POSIX_STORAGE_RAM_H

#include <stdbool.h>

#include "tributary/port.h"
#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* cut_after of a power supply that stays. */
#define TRIB_STORAGE_RAM_NO_CUT UINT64_MAX

/* What a cut leaves of the program it falls into. */
enum trib_storage_ram_tear {
    TRIB_TEAR_PREFIX, /* the bytes before the cut are there, the others untouched */
    TRIB_TEAR_BITS,   /* of the byte at the cut, some bits */
};

/* The caller's. Fields from `written` on may be set by tests between calls. */
struct trib_storage_ram {
    uint8_t *bytes; /* sector_bytes × sector_count */
    uint32_t sector_bytes, sector_count, program_bytes;
    uint8_t *written;   /* optional: a byte for each program unit, to find cells programmed twice */
    uint64_t cut_after; /* bytes programmed or erased until the power goes, in the midst of a call */
    enum trib_storage_ram_tear tear;
    uint32_t random;               /* state of the tear's bits; not 0 */
    uint32_t bad_sector;           /* erase and program fail there; UINT32_MAX: none */
    bool blank_is_fresh;           /* a unit that a cut left blank counts as never programmed */
    struct trib_storage_ram *twin; /* loses its power together with this one; NULL: none */
    bool off;                      /* the power is gone: each call fails */
    bool fail_sync;
    uint64_t bytes_done; /* programmed and erased so far */
    uint32_t programs, erases, syncs;
    uint32_t twice; /* program units that were programmed twice between two erases */
};

/* Takes the memory as it is; erase it first (0xFF) for a blank one. */
void trib_storage_ram_init(struct trib_storage_ram *ram, uint8_t *bytes, uint32_t sector_bytes,
                           uint32_t sector_count, uint32_t program_bytes);
struct trib_storage trib_storage_ram(struct trib_storage_ram *ram);

#ifdef __cplusplus
}
#endif
#endif
