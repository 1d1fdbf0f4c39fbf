#include "support/nor_chip.h"

#include <stdlib.h>
#include <string.h>

void nor_chip_init(struct nor_chip *chip, uint32_t size, uint32_t page_bytes, uint32_t erase_bytes,
                   uint32_t unit_bytes)
{
    memset(chip, 0, sizeof *chip);
    chip->bytes = malloc(size);
    chip->cache = malloc(size);
    chip->erases = calloc(size / erase_bytes, sizeof *chip->erases);
    chip->times = calloc(size / unit_bytes, 1);
    if (!chip->bytes || !chip->cache || !chip->erases || !chip->times)
        abort();
    memset(chip->bytes, 0xFF, size);
    memset(chip->cache, 0xFF, size);
    chip->size = size;
    chip->page_bytes = page_bytes;
    chip->erase_bytes = erase_bytes;
    chip->unit_bytes = unit_bytes;
    chip->program_us = 700; /* a usual page program, and a sector's erase */
    chip->erase_us = 45000;
}

void nor_chip_free(struct nor_chip *chip)
{
    free(chip->bytes);
    free(chip->cache);
    free(chip->erases);
    free(chip->times);
}

static bool busy(const struct nor_chip *chip)
{
    return chip->stuck || chip->now_us < chip->busy_until_us;
}

/* Whether a command that changes cells is carried out; uses up the write enable. */
static bool allowed(struct nor_chip *chip, uint32_t address)
{
    bool enabled = chip->write_enabled;
    if (busy(chip)) {
        chip->while_busy++;
        return false;
    }
    chip->not_enabled += !enabled;
    chip->write_enabled = false;
    return enabled && (address < chip->protected_from || address >= chip->protected_to);
}

static void program(struct nor_chip *chip, uint32_t address, const uint8_t *data, size_t length)
{
    uint32_t page = address - address % chip->page_bytes;
    if (!allowed(chip, address))
        return;
    chip->wrapped += address + length > page + chip->page_bytes;
    for (size_t i = 0; i < length; i++) {
        uint32_t at = page + (uint32_t)((address - page + i) % chip->page_bytes);
        chip->bytes[at] &= data[i];
        if (at % chip->unit_bytes == 0 && chip->times[at / chip->unit_bytes]++ > 0)
            chip->twice++;
    }
    chip->programs++;
    chip->programmed_bytes += length;
    chip->busy_until_us = chip->now_us + chip->program_us;
}

static void erase(struct nor_chip *chip, uint32_t address)
{
    uint32_t from = address - address % chip->erase_bytes;
    if (!allowed(chip, address))
        return;
    memset(chip->bytes + from, 0xFF, chip->erase_bytes);
    memset(chip->times + from / chip->unit_bytes, 0, chip->erase_bytes / chip->unit_bytes);
    chip->erases[from / chip->erase_bytes]++;
    chip->busy_until_us = chip->now_us + chip->erase_us;
}

static void read(struct nor_chip *chip, uint32_t address, uint8_t *out, size_t length)
{
    if (busy(chip)) {
        chip->while_busy++;
        memset(out, 0xFF, length);
        return;
    }
    for (size_t i = 0; i < length; i++)
        out[i] = chip->bytes[(address + i) % chip->size];
}

int nor_chip_transfer(void *context, const uint8_t *command, size_t command_length, const void *send,
                      void *receive, size_t length)
{
    struct nor_chip *chip = context;
    uint32_t address = 0;
    chip->now_us++;
    if (chip->gone)
        return -1;
    if (chip->silent) {
        if (receive)
            memset(receive, 0xFF, length);
        return 0;
    }
    for (size_t i = 1; i < command_length; i++)
        address = address << 8 | command[i];
    address %= chip->size;
    if (command[0] == 0x06)
        chip->write_enabled = !busy(chip) || chip->write_enabled;
    else if (command[0] == 0x05)
        *(uint8_t *)receive = (uint8_t)((busy(chip) ? 1 : 0) | (chip->write_enabled ? 2 : 0));
    else if (command[0] == 0x02 || command[0] == 0x12)
        program(chip, address, send, length);
    else if (command[0] == 0x20 || command[0] == 0x21 || command[0] == 0xD8 || command[0] == 0xDC)
        erase(chip, address);
    else if (command[0] == 0x03 || command[0] == 0x13)
        read(chip, address, receive, length);
    else
        abort(); /* no command of this part */
    return 0;
}

void nor_chip_pause(void *context, uint32_t microseconds)
{
    struct trib_spi_nor *spi = context;
    struct nor_chip *chip = spi->context;
    chip->now_us += microseconds;
}

void nor_chip_invalidate(void *context, uint32_t address, uint32_t length)
{
    struct trib_spi_nor *spi = context;
    struct nor_chip *chip = spi->context;
    memcpy(chip->cache + address, chip->bytes + address, length);
}
