/*
 * A firmware for QEMU's mps2-an385 (Cortex-M3): the SDK on FreeRTOS and NOR flash that outlives the power.
 *   c  runs the conformance suite on the port
 *   r  boots the client and records for ever; each line `D n` says that event n and all before it are durable
 */
#include "board.h"
#include "conformance.h"
#include "freertos_port.h"
#include "tributary/tributary.h"

#define LANE_SECTORS 64u
#define ERASE 4096u
#define SPARE_START (3u * LANE_SECTORS * ERASE) /* behind both lanes: what the suite may overwrite */

static StackType_t stacks[3][2048];
static StaticTask_t tasks[3];

void vApplicationIdleHook(void)
{
    __asm__ volatile("wfi");
}

void vApplicationStackOverflowHook(TaskHandle_t task, char *name)
{
    (void)task, (void)name;
    board_line("FAIL stack overflow");
    board_exit(4);
}

void firmware_failed(const char *file, int line)
{
    (void)line;
    board_line(file);
    board_exit(5);
}

/* A part has a timer for this; here the flash is never at work for long. */
void trib_freertos_delay_us(uint32_t microseconds)
{
    for (volatile uint32_t left = microseconds; left > 0; left--)
        ;
}

/* Not random: QEMU's board has no source, and the test wants to see the ring, not its keys. A product has one. */
int trib_freertos_random(uint8_t *out_buffer, size_t length)
{
    static uint64_t state = 0x9E3779B97F4A7C15u;
    struct trib_clock clock = trib_freertos_clock();
    state ^= clock.mono_ms(clock.context);
    for (size_t i = 0; i < length; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        out_buffer[i] = (uint8_t)(state >> 56);
    }
    return 0;
}

static void check(int rc, const char *what)
{
    if (rc == 0)
        return;
    board_line(what);
    board_exit(1);
}

/* --- c --- */

struct second {
    void (*function)(void *argument);
    void *argument;
    volatile bool done;
};

static void second_task(void *argument)
{
    struct second *s = argument;
    s->function(s->argument);
    s->done = true;
    vTaskSuspend(NULL);
}

static void run_twice(void *context, void (*function)(void *argument), void *argument)
{
    struct second s = {function, argument, false};
    (void)context;
    (void)xTaskCreateStatic(second_task, "second", 2048, &s, uxTaskPriorityGet(NULL), stacks[1], &tasks[1]);
    function(argument);
    while (!s.done)
        vTaskDelay(1);
}

static void line(void *context, const char *text)
{
    (void)context;
    board_line(text);
}

/* The tick wraps two seconds after the start: the clock must not show it. */
static void check_wrap(const struct trib_clock *clock)
{
    uint64_t last = clock->mono_ms(clock->context), began = last;
    bool wrapped = false;
    while (clock->mono_ms(clock->context) - began < 3000) {
        uint64_t now = clock->mono_ms(clock->context);
        wrapped = wrapped || xTaskGetTickCount() < 0x80000000u;
        check(now >= last && now - last < 60000 ? 0 : -1, "FAIL clock.tick_wrap");
        last = now;
        vTaskDelay(1);
    }
    board_line(wrapped ? "ok clock.tick_wrap" : "FAIL clock.tick_wrap: the tick did not wrap");
}

static void conformance(void)
{
    static struct trib_nor nor;
    static struct trib_freertos_lock mutex;
    static uint8_t scratch[TRIB_CONFORMANCE_SCRATCH];
    struct trib_nor_config flash = board_flash(SPARE_START, 5, 8);
    struct trib_storage storage;
    check(trib_nor_open(&nor, &flash, &storage), "FAIL nor");
    struct trib_clock clock = trib_freertos_clock();
    struct trib_entropy entropy = trib_freertos_entropy();
    struct trib_lock lock = trib_freertos_lock(&mutex);
    struct trib_wait wait = trib_freertos_waiter();
    struct trib_conformance suite = {.print = line, .scratch = scratch};
    const struct trib_conformance_ports ports = {
        .storage = &storage,
        .clock = &clock,
        .entropy = &entropy,
        .lock = &lock,
        .wait = &wait,
        .hooks = {.run_twice = run_twice},
    };
    check_wrap(&clock);
    board_exit(trib_conformance_run(&suite, &ports) == 0 ? 0 : 1);
}

/* --- r --- */

static int no_connect(void *context, const char *host, uint16_t port)
{
    (void)context, (void)host, (void)port;
    return TRIB_EIO;
}

static int no_send(void *context, const uint8_t *data, size_t length)
{
    (void)context, (void)data, (void)length;
    return TRIB_ECLOSED;
}

static int no_receive(void *context, uint8_t *out_buffer, size_t capacity)
{
    (void)context, (void)out_buffer, (void)capacity;
    return TRIB_ECLOSED;
}

static void no_close(void *context)
{
    (void)context;
}

static void say_number(char letter, uint32_t number)
{
    char text[16] = {letter, ' '};
    unsigned at = 2;
    for (uint32_t scale = 1000000000; scale > 0; scale /= 10)
        if (number >= scale || scale == 1)
            text[at++] = (char)('0' + number / scale % 10);
    text[at] = 0;
    board_line(text);
}

static void record_for_ever(void)
{
    static struct trib_client client;
    static struct trib_config config;
    static struct trib_nor lanes[TRIB_LANE_COUNT];
    static struct trib_freertos_lock mutex;
    static uint8_t staging[1024], transmit[1024], receive[1024];
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++) {
        struct trib_nor_config flash = board_flash(lane * LANE_SECTORS * ERASE, LANE_SECTORS, lane ? 8 : 1);
        check(trib_nor_open(&lanes[lane], &flash, &config.storage[lane]), "FAIL nor");
    }
    config.device_id = "firmware";
    config.host = "nowhere";
    config.net = (struct trib_net){NULL, no_connect, no_send, no_receive, no_close};
    config.clock = trib_freertos_clock();
    config.entropy = trib_freertos_entropy();
    config.user_id_as_given = true;
    config.lock = trib_freertos_lock(&mutex);
    config.wait = trib_freertos_waiter();
    config.staging = staging, config.staging_bytes = sizeof staging;
    config.transmit = transmit, config.transmit_bytes = sizeof transmit;
    config.receive = receive, config.receive_bytes = sizeof receive;
    check(trib_init(&client, &config), "FAIL trib_init");
    say_number('B', client.boot);
    for (uint32_t i = 1;; i++) {
        uint8_t buffer[64];
        struct trib_custom event;
        uint32_t next;
        trib_custom_begin(&event, buffer, sizeof buffer, "firmware.test");
        trib_custom_int(&event, "n", (int64_t)client.boot * 1000000 + i);
        check(trib_custom_record(&client, &event), "FAIL record");
        if (i % 3 == 0) {
            check(trib_flush(&client, 0), "FAIL flush");
            say_number('D', client.boot * 1000000 + i);
        } else {
            check(trib_poll(&client, &next), "FAIL poll");
        }
        vTaskDelay(1);
    }
}

static void run(void *argument)
{
    (void)argument;
    if (board_argument() == 'c')
        conformance();
    record_for_ever();
}

int main(void)
{
    (void)xTaskCreateStatic(run, "app", 2048, NULL, 1, stacks[0], &tasks[0]);
    vTaskStartScheduler();
    return 2;
}
