#include "board.h"

#include <string.h>

#define UART ((volatile uint32_t *)0x40004000)
#define FLASH ((uint8_t *)0x21000000)
#define PAGE 256u
#define ERASE 4096u

extern uint32_t data_begin[], data_end[], data_load[], bss_begin[], bss_end[], stack_top[];
int main(void);
void Reset_Handler(void);
void SVC_Handler(void);
void PendSV_Handler(void);
void SysTick_Handler(void);

static void fault(void)
{
    board_line("FAIL fault");
    board_exit(3);
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void))stack_top,
    Reset_Handler,
    fault,
    fault,
    fault,
    fault,
    fault,
    0,
    0,
    0,
    0,
    SVC_Handler,
    fault,
    0,
    PendSV_Handler,
    SysTick_Handler};

void Reset_Handler(void)
{
    memcpy(data_begin, data_load, (size_t)((char *)data_end - (char *)data_begin));
    memset(bss_begin, 0, (size_t)((char *)bss_end - (char *)bss_begin));
    UART[4] = 16; /* baud divisor */
    UART[2] = 1;  /* transmit */
    board_exit(main());
}

void board_line(const char *text)
{
    for (;; text++) {
        while (UART[1] & 1)
            ;
        UART[0] = *text ? (uint8_t)*text : '\n';
        if (!*text)
            return;
    }
}

/* Semihosting (Arm's specification): r0 says what, r1 points to its arguments. */
static int host(int operation, void *arguments)
{
    register int r0 __asm__("r0") = operation;
    register void *r1 __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void board_exit(int code)
{
    uint32_t arguments[2] = {0x20026, (uint32_t)code}; /* ADP_Stopped_ApplicationExit */
    (void)host(0x20, arguments);                       /* SYS_EXIT_EXTENDED */
    for (;;)
        ;
}

char board_argument(void)
{
    static char line[128];
    uint32_t arguments[2] = {(uint32_t)line, sizeof line};
    if (host(0x15, arguments) != 0) /* SYS_GET_CMDLINE */
        return 0;
    const char *last = strrchr(line, ' ');
    return last ? last[1] : line[0];
}

/* --- flash: memory that a driver treats as a part, for QEMU keeps its bytes in a file and knows no commands --- */

static int start_program(void *context, uint32_t address, const void *data, uint32_t length)
{
    const uint8_t *from = data;
    (void)context;
    if (address / PAGE != (address + length - 1) / PAGE)
        return -1; /* a real part would wrap round */
    for (uint32_t i = 0; i < length; i++)
        FLASH[address + i] &= from[i];
    return 0;
}

static int start_erase(void *context, uint32_t address)
{
    (void)context;
    memset(FLASH + address, 0xFF, ERASE);
    return 0;
}

static int status(void *context)
{
    (void)context;
    return 0;
}

struct trib_nor_config board_flash(uint32_t start, uint32_t sectors, uint32_t program_bytes)
{
    return (struct trib_nor_config){
        .driver = {.start_program = start_program, .start_erase = start_erase, .status = status},
        .mapped = FLASH,
        .start = start,
        .sector_bytes = ERASE,
        .sector_count = sectors,
        .page_bytes = PAGE,
        .program_bytes = program_bytes,
    };
}
