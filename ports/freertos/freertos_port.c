#include "freertos_port.h"

#define WAIT_MAX_MS 20u
#define TICK_BITS (8u * sizeof(TickType_t))

/* vTaskSetTimeOutState reads the tick and how often it overflowed in one critical section. */
static uint64_t mono_ms(void *context)
{
    TimeOut_t now;
    (void)context;
    vTaskSetTimeOutState(&now);
    uint64_t ticks = (uint64_t)(UBaseType_t)now.xOverflowCount << TICK_BITS | (uint64_t)now.xTimeOnEntering;
    /* In two parts, so that the product does not leave 64 bits. */
    return ticks / configTICK_RATE_HZ * 1000 + ticks % configTICK_RATE_HZ * 1000 / configTICK_RATE_HZ;
}

struct trib_clock trib_freertos_clock(void)
{
    return (struct trib_clock){NULL, mono_ms};
}

static bool running(void)
{
    return xTaskGetSchedulerState() == taskSCHEDULER_RUNNING;
}

static void take(void *context)
{
    struct trib_freertos_lock *lock = context;
    if (running())
        (void)xSemaphoreTake(lock->mutex, portMAX_DELAY);
}

static void give(void *context)
{
    struct trib_freertos_lock *lock = context;
    if (running())
        (void)xSemaphoreGive(lock->mutex);
}

struct trib_lock trib_freertos_lock(struct trib_freertos_lock *lock)
{
    lock->mutex = xSemaphoreCreateMutexStatic(&lock->memory);
    return (struct trib_lock){lock, take, give};
}

static TickType_t ticks_of(uint32_t milliseconds)
{
    return (TickType_t)((uint64_t)milliseconds * configTICK_RATE_HZ / 1000);
}

static void sleep_a_little(void *context, uint32_t timeout_ms)
{
    TickType_t ticks = ticks_of(timeout_ms < WAIT_MAX_MS ? timeout_ms : WAIT_MAX_MS);
    (void)context;
    if (timeout_ms > 0 && running())
        vTaskDelay(ticks > 0 ? ticks : 1);
}

struct trib_wait trib_freertos_waiter(void)
{
    return (struct trib_wait){NULL, sleep_a_little};
}

void trib_freertos_pause(void *context, uint32_t microseconds)
{
    TickType_t ticks = ticks_of(microseconds / 1000);
    (void)context;
    if (ticks > 0 && running())
        vTaskDelay(ticks + 1); /* the tick under way is not a whole one */
    else
        trib_freertos_delay_us(microseconds);
}

static int fill(void *context, uint8_t *out_buffer, size_t length)
{
    (void)context;
    return length == 0 ? 0 : trib_freertos_random(out_buffer, length);
}

struct trib_entropy trib_freertos_entropy(void)
{
    return (struct trib_entropy){NULL, fill};
}
