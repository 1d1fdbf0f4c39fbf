/*
 * A serial NOR part for tests, at the level of its commands: cells only clear, a program wraps round inside its page,
 * work takes time, and what a real part ignores (no write enable, a protected block, a command while it is at work) is
 * ignored here too, and counted. Time is its own: pause moves it on.
 */
#ifndef TESTS_NOR_CHIP_H
#define TESTS_NOR_CHIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "spi_nor.h"

struct nor_chip {
    uint8_t *bytes;   /* the cells */
    uint8_t *cache;   /* what memory-mapped reads see; stale until nor_chip_invalidate */
    uint32_t *erases; /* of each erase unit */
    uint8_t *times;   /* programs of each unit since its erase */
    uint32_t size, page_bytes, erase_bytes, unit_bytes;
    uint64_t now_us, busy_until_us;
    uint32_t program_us, erase_us; /* how long the work takes */
    bool write_enabled;
    uint32_t protected_from, protected_to; /* these bytes are not changed */
    bool gone;                             /* transfers fail */
    bool silent;                           /* nothing drives the bus: all bits read 1 */
    bool stuck;                            /* at work for ever */
    /* What a driver did wrong. */
    unsigned wrapped, twice, while_busy, not_enabled;
    uint64_t programs, programmed_bytes;
};

/* size bytes, all erased. Free with nor_chip_free. */
void nor_chip_init(struct nor_chip *chip, uint32_t size, uint32_t page_bytes, uint32_t erase_bytes,
                   uint32_t unit_bytes);
void nor_chip_free(struct nor_chip *chip);
/* The calls of struct trib_spi_nor; context is the chip. */
int nor_chip_transfer(void *context, const uint8_t *command, size_t command_length, const void *send,
                      void *receive, size_t length);
void nor_chip_pause(void *context, uint32_t microseconds);
/* For struct trib_nor_driver. context is the struct trib_spi_nor whose context is the chip. */
void nor_chip_invalidate(void *context, uint32_t address, uint32_t length);

#endif
