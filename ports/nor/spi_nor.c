#include "spi_nor.h"

#define WRITE_ENABLE 0x06u
#define READ_STATUS 0x05u
#define STATUS_BUSY 0x01u
#define STATUS_WRITE_ENABLED 0x02u

struct opcode {
    uint8_t three, four; /* with addresses of so many bytes */
};

static const struct opcode READ = {0x03, 0x13}, PROGRAM = {0x02, 0x12}, ERASE_4K = {0x20, 0x21},
                           ERASE_64K = {0xD8, 0xDC};

static int command(const struct trib_spi_nor *spi, struct opcode opcode, uint32_t address, const void *send,
                   void *receive, size_t length)
{
    uint8_t bytes[5];
    size_t count = 0;
    bytes[count++] = spi->four_byte_addresses ? opcode.four : opcode.three;
    if (spi->four_byte_addresses)
        bytes[count++] = (uint8_t)(address >> 24);
    bytes[count++] = (uint8_t)(address >> 16);
    bytes[count++] = (uint8_t)(address >> 8);
    bytes[count++] = (uint8_t)address;
    return spi->transfer(spi->context, bytes, count, send, receive, length);
}

static int read_status(const struct trib_spi_nor *spi, uint8_t *out)
{
    static const uint8_t opcode = READ_STATUS;
    return spi->transfer(spi->context, &opcode, 1, NULL, out, 1);
}

/* A part whose write-enable latch does not stick is protected, or not there. */
static int write_enable(const struct trib_spi_nor *spi)
{
    static const uint8_t opcode = WRITE_ENABLE;
    uint8_t status = 0;
    if (spi->transfer(spi->context, &opcode, 1, NULL, NULL, 0) != 0 || read_status(spi, &status) != 0)
        return TRIB_EIO;
    return (status & STATUS_WRITE_ENABLED) != 0 ? 0 : TRIB_EIO;
}

static int spi_read(void *context, uint32_t address, void *out_buffer, uint32_t length)
{
    return command(context, READ, address, NULL, out_buffer, length);
}

static int spi_start_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    int rc = write_enable(context);
    return rc ? rc : command(context, PROGRAM, address, data, NULL, length);
}

static int spi_start_erase(void *context, uint32_t address)
{
    const struct trib_spi_nor *spi = context;
    int rc = write_enable(spi);
    return rc ? rc : command(spi, spi->erase_64k ? ERASE_64K : ERASE_4K, address, NULL, NULL, 0);
}

static int spi_status(void *context)
{
    uint8_t status = 0;
    if (read_status(context, &status) != 0)
        return TRIB_EIO;
    return (status & STATUS_BUSY) != 0;
}

struct trib_nor_driver trib_spi_nor_driver(struct trib_spi_nor *spi)
{
    return (struct trib_nor_driver){.context = spi,
                                    .read = spi_read,
                                    .start_program = spi_start_program,
                                    .start_erase = spi_start_erase,
                                    .status = spi_status,
                                    .pause = spi->pause};
}
