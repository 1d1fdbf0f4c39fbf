/*
 * Clock, lock, wait and pause on a FreeRTOS kernel; tested with 11.2.0. Storage: ports/nor with trib_freertos_pause. Net:
 * ports/lwip, or your modem's sockets. Static allocation only: configSUPPORT_STATIC_ALLOCATION and configUSE_MUTEXES.
 */
#ifndef TRIB_FREERTOS_PORT_H
#define TRIB_FREERTOS_PORT_H

#include <FreeRTOS.h>
#include <semphr.h>
#include <task.h>

#include "tributary/port.h"
#include "wire/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The kernel's ticks, with its own count of overflows above them: a 32-bit tick wraps after 49 days at 1 kHz, a 16-bit one
 * each minute, and neither shows, also if nobody looks for several laps. From any task, also before the scheduler runs;
 * not from interrupts. Tickless idle is counted if the port steps the tick; a deep sleep that stops the tick is not: add
 * it by vTaskStepTick when the device wakes, or let config.discontinuity say that it was.
 */
struct trib_clock trib_freertos_clock(void);

/* The caller's; the fields are private. */
struct trib_freertos_lock {
    StaticSemaphore_t memory;
    SemaphoreHandle_t mutex;
};

/* A mutex, with priority inheritance. It cannot fail: the memory is in *lock. Before the scheduler runs it is not taken,
 * for then there is one thread. */
struct trib_lock trib_freertos_lock(struct trib_freertos_lock *lock);

/* For config.wait: sleeps for a tick at least and 20 ms at most, for it sees no net. ports/lwip has a better one. */
struct trib_wait trib_freertos_waiter(void);

/* For struct trib_nor_driver and struct trib_spi_nor: sleeps whole ticks, and lets shorter times pass by
 * trib_freertos_delay_us. */
void trib_freertos_pause(void *context, uint32_t microseconds);

/* Yours to define: a busy loop of so many microseconds, or somewhat more (a timer, cycles of the core). */
void trib_freertos_delay_us(uint32_t microseconds);

/* Yours to define: fills the buffer from a hardware generator, or a DRBG seeded by one. 0, or TRIB_EIO. There is no weak
 * default: without it the firmware does not link. */
int trib_freertos_random(uint8_t *out_buffer, size_t length);
struct trib_entropy trib_freertos_entropy(void);

#ifdef __cplusplus
}
#endif
#endif
