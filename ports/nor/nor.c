#include "nor.h"

#include <string.h>

#define PROGRAM_STEP_US 20u
#define ERASE_STEP_US 1000u
#define COMPARE_BYTES 32u

/* Until the part is ready, at most timeout_us. */
static int ready(const struct trib_nor *nor, uint32_t step_us, uint32_t timeout_us)
{
    const struct trib_nor_driver *d = &nor->config.driver;
    for (uint32_t waited = 0;; waited += step_us) {
        int status = d->status(d->context);
        if (status <= 0)
            return status == 0 ? 0 : TRIB_EIO;
        if (waited >= timeout_us)
            return TRIB_EIO;
        if (d->pause)
            d->pause(d->context, step_us);
    }
}

static int ready_for_command(const struct trib_nor *nor)
{
    return ready(nor, ERASE_STEP_US, nor->config.erase_timeout_us);
}

static bool inside(const struct trib_nor *nor, uint32_t address, uint32_t length)
{
    uint32_t size = nor->config.sector_bytes * nor->config.sector_count;
    return address <= size && length <= size - address;
}

static int read_part(const struct trib_nor *nor, uint32_t address, void *out, uint32_t length)
{
    const struct trib_nor_config *c = &nor->config;
    if (c->mapped) {
        memcpy(out, c->mapped + address, length);
        return 0;
    }
    return length == 0 || c->driver.read(c->driver.context, address, out, length) == 0 ? 0 : TRIB_EIO;
}

/* data NULL: erased. */
static int compare(const struct trib_nor *nor, uint32_t address, const uint8_t *data, uint32_t length)
{
    const struct trib_nor_driver *d = &nor->config.driver;
    uint8_t have[COMPARE_BYTES];
    if (d->invalidate)
        d->invalidate(d->context, address, length);
    for (uint32_t at = 0; at < length; at += COMPARE_BYTES) {
        uint32_t part = length - at < COMPARE_BYTES ? length - at : COMPARE_BYTES;
        if (read_part(nor, address + at, have, part) != 0)
            return TRIB_EIO;
        for (uint32_t i = 0; i < part; i++)
            if (have[i] != (data ? data[at + i] : 0xFF))
                return TRIB_EIO;
    }
    return 0;
}

static int nor_read(void *context, uint32_t address, void *out_buffer, uint32_t length)
{
    const struct trib_nor *nor = context;
    return inside(nor, address, length) ? read_part(nor, nor->config.start + address, out_buffer, length)
                                        : TRIB_EIO;
}

static int nor_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    const struct trib_nor *nor = context;
    const struct trib_nor_config *c = &nor->config;
    const uint8_t *from = data;
    if (!inside(nor, address, length) || address % c->program_bytes != 0 || length % c->program_bytes != 0)
        return TRIB_EIO;
    address += c->start;
    while (length > 0) {
        uint32_t rest = c->page_bytes - address % c->page_bytes, part = length < rest ? length : rest;
        if (ready_for_command(nor) != 0 ||
            c->driver.start_program(c->driver.context, address, from, part) != 0 ||
            ready(nor, PROGRAM_STEP_US, c->program_timeout_us) != 0 || compare(nor, address, from, part) != 0)
            return TRIB_EIO;
        address += part;
        from += part;
        length -= part;
    }
    return 0;
}

static int nor_erase(void *context, uint32_t sector)
{
    const struct trib_nor *nor = context;
    const struct trib_nor_config *c = &nor->config;
    if (sector >= c->sector_count)
        return TRIB_EIO;
    for (uint32_t at = 0; at < c->sector_bytes; at += c->erase_bytes) {
        uint32_t address = c->start + sector * c->sector_bytes + at;
        if (ready_for_command(nor) != 0 || c->driver.start_erase(c->driver.context, address) != 0 ||
            ready(nor, ERASE_STEP_US, c->erase_timeout_us) != 0 ||
            compare(nor, address, NULL, c->erase_bytes) != 0)
            return TRIB_EIO;
    }
    return 0;
}

static int nor_sync(void *context)
{
    return ready_for_command(context);
}

static bool geometry_is_allowed(const struct trib_nor_config *c)
{
    uint32_t unit = c->program_bytes;
    if ((unit & (unit - 1)) != 0 || (unit > 32 && unit != 256) || c->page_bytes % unit != 0)
        return false;
    if (c->sector_bytes < 256 || c->sector_bytes > 131072 || c->sector_bytes % unit != 0 ||
        c->sector_bytes / unit < 4)
        return false;
    if (c->sector_count < 3 || c->sector_count > (UINT32_MAX - c->start) / c->sector_bytes)
        return false;
    return c->sector_bytes % c->erase_bytes == 0 && c->start % c->erase_bytes == 0;
}

static uint32_t or_default(uint32_t value, uint32_t otherwise)
{
    return value ? value : otherwise;
}

int trib_nor_open(struct trib_nor *nor, const struct trib_nor_config *config,
                  struct trib_storage *out_storage)
{
    struct trib_nor_config *c = &nor->config;
    *c = *config;
    c->erase_bytes = or_default(c->erase_bytes, c->sector_bytes);
    c->page_bytes = or_default(c->page_bytes, c->sector_bytes);
    c->program_bytes = or_default(c->program_bytes, 1);
    c->program_timeout_us = or_default(c->program_timeout_us, 10000);
    c->erase_timeout_us = or_default(c->erase_timeout_us, 5000000);
    if (!c->driver.start_program || !c->driver.start_erase || !c->driver.status ||
        (!c->driver.read && !c->mapped) || c->sector_bytes == 0 || !geometry_is_allowed(c))
        return TRIB_EINVAL;
    if (ready_for_command(nor) != 0)
        return TRIB_EIO;
    *out_storage = (struct trib_storage){.context = nor,
                                         .sector_bytes = c->sector_bytes,
                                         .sector_count = c->sector_count,
                                         .program_bytes = c->program_bytes,
                                         .read = nor_read,
                                         .program = nor_program,
                                         .erase = nor_erase,
                                         .sync = nor_sync};
    return 0;
}
