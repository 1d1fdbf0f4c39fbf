/*
 * struct trib_storage on NOR flash: read through memory or a driver, programmed page by page, erased sector by sector,
 * each with a bounded wait. A lane is a row of sectors somewhere in the part; each lane has a struct trib_nor.
 *
 * What this layer does, and a driver need not:
 *   - a program is cut where a page ends, for a part wraps round inside the page and spoils its start;
 *   - no byte is programmed twice, also not after an error: the journal does not do so, and nothing is tried again here;
 *   - the part is ready before each command and after it, or the call fails when its time is over;
 *   - what was programmed or erased is read back: parts ignore both in silence where a block is protected.
 * Nothing is buffered, so sync has nothing to do but to see that the part is ready. There is no file to lock: that two
 * programs do not use the same sectors is the firmware's business.
 */
#ifndef TRIB_NOR_H
#define TRIB_NOR_H

#include "tributary/port.h"
#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * How to talk to the part. Addresses are the part's own. read, start_program and start_erase return 0 or a negative
 * code, of whatever kind: the SDK sees TRIB_EIO. They may block for their transfer, not for the part's work.
 */
struct trib_nor_driver {
    void *context;
    int (*read)(void *context, uint32_t address, void *out_buffer,
                uint32_t length); /* NULL: mapped is given */
    /* Begins to program; the bytes are within one page, and multiples of program_bytes. */
    int (*start_program)(void *context, uint32_t address, const void *data, uint32_t length);
    int (*start_erase)(void *context, uint32_t address); /* of the erase unit that begins there */
    int (*status)(
        void *context); /* 0: ready. 1: at work. Negative: the last command failed, or is forbidden */
    /* Waits so long, or somewhat longer: a busy loop, or a task's sleep. NULL: status alone paces the wait. */
    void (*pause)(void *context, uint32_t microseconds);
    /* What a cache holds of these bytes is old. NULL: there is no cache in front of mapped. */
    void (*invalidate)(void *context, uint32_t address, uint32_t length);
};

/* The lane. What is 0 has the default given here. */
struct trib_nor_config {
    struct trib_nor_driver driver;
    const uint8_t *mapped; /* where the part's address 0 is in memory; NULL: driver.read */
    uint32_t start;        /* the lane's first byte in the part; a multiple of erase_bytes */
    uint32_t sector_bytes; /* of the lane; a multiple of erase_bytes */
    uint32_t sector_count; /* of the lane; at least 3 */
    uint32_t erase_bytes;  /* what one start_erase erases; 0: sector_bytes */
    uint32_t page_bytes; /* that start_program must not cross; a multiple of program_bytes; 0: sector_bytes */
    uint32_t program_bytes;      /* 1, or what the part's error correction covers; 0: 1 */
    uint32_t program_timeout_us; /* for a page; 0: 10,000 */
    uint32_t erase_timeout_us;   /* for one erase; 0: 5,000,000 */
};

/* The caller's; the field is private. */
struct trib_nor {
    struct trib_nor_config config;
};

/* *out_storage refers to *nor, which must stay. Touches the part only to see that it is ready. TRIB_EINVAL: geometry or
 * calls; TRIB_EIO: the part does not answer, or does not become ready. */
TRIB_MUST_CHECK int trib_nor_open(struct trib_nor *nor, const struct trib_nor_config *config,
                                  struct trib_storage *out_storage);

#ifdef __cplusplus
}
#endif
#endif
