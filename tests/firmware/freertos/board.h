/* What the firmware needs of the board: a line on the UART, an exit code for the test, flash that outlives a power cut. */
#ifndef FIRMWARE_BOARD_H
#define FIRMWARE_BOARD_H

#include <stdint.h>

#include "nor.h"

void board_line(const char *text);
_Noreturn void board_exit(int code);
/* The one argument that the test gave. */
char board_argument(void);

/* A part of 16 MiB with erase units of 4 KiB and pages of 256 bytes, mapped; start is where a lane begins. */
struct trib_nor_config board_flash(uint32_t start, uint32_t sectors, uint32_t program_bytes);

#endif
