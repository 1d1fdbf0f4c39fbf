/*
 * struct trib_nor_driver for serial NOR parts with the usual commands (JESD216: read 03h, page program 02h, erase 20h or
 * D8h, write enable 06h, read status 05h; 13h, 12h, 21h and DCh with addresses of four bytes). One transfer call is all
 * that a board brings; single lane, any clock up to the part's limit for 03h.
 */
#ifndef TRIB_SPI_NOR_H
#define TRIB_SPI_NOR_H

#include "nor.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The caller's; fill it in. */
struct trib_spi_nor {
    void *context;
    /* Selects the part, sends the command, then either sends or receives length bytes (the other pointer is NULL; both
     * are when length is 0), and deselects. 0 or a negative code. Returns when the transfer is over. */
    int (*transfer)(void *context, const uint8_t *command, size_t command_length, const void *send,
                    void *receive, size_t length);
    void (*pause)(void *context, uint32_t microseconds); /* as in struct trib_nor_driver */
    bool four_byte_addresses;                            /* parts of more than 16 MiB */
    bool erase_64k;                                      /* the erase unit is 64 KiB; false: 4 KiB */
};

/* Refers to *spi, which must stay. Two lanes in one part share it, if both are polled by the same thread. */
struct trib_nor_driver trib_spi_nor_driver(struct trib_spi_nor *spi);

#ifdef __cplusplus
}
#endif
#endif
