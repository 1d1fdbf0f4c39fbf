/* The conformance suite on ports/posix and ports/mbedtls: files, memory, TCP, clock, entropy, digest, lock, wait. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net_tcp.h"
#include "net_tls.h"
#include "peer.h"
#include "platform.h"
#include "storage_file.h"
#include "storage_ram.h"
#include "suite.h"

#define SECTOR 4096u
#define SECTORS 8u

/* --- storage --- */

struct lane {
    char path[64];
    struct trib_storage_file file;
    struct trib_storage storage;
};

static int reopen(void *context)
{
    struct lane *l = context;
    trib_storage_file_close(&l->file);
    return trib_storage_file_open(&l->file, l->path, SECTOR, SECTORS, &l->storage);
}

static int open_again(void *context)
{
    struct lane *l = context;
    struct trib_storage_file second;
    struct trib_storage storage;
    int rc = trib_storage_file_open(&second, l->path, SECTOR, SECTORS, &storage);
    trib_storage_file_close(&second);
    return rc;
}

/* A pipe in the file's place fails each call but close. */
static void break_medium(void *context, bool broken)
{
    struct lane *l = context;
    int ends[2];
    if (!broken) {
        assert_int_equal(reopen(l), 0); /* a failed sync is forgiven by opening anew only */
        return;
    }
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[0], l->file.fd) >= 0);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void test_files_keep_the_contract(void **state)
{
    (void)state;
    struct lane l = {.path = "conformance-XXXXXX"};
    int fd = mkstemp(l.path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(trib_storage_file_open(&l.file, l.path, SECTOR, SECTORS, &l.storage), 0);
    struct trib_conformance_ports ports = {
        .storage = &l.storage,
        .hooks = {.context = &l, .reopen = reopen, .open_again = open_again, .break_medium = break_medium},
    };
    suite_passes(&ports, 0);
    trib_storage_file_close(&l.file);
    assert_int_equal(unlink(l.path), 0);
}

static void break_ram(void *context, bool broken)
{
    struct trib_storage_ram *ram = context;
    ram->off = broken;
}

static void test_memory_keeps_the_contract(void **state)
{
    (void)state;
    static uint8_t bytes[SECTOR * SECTORS], written[SECTOR * SECTORS];
    for (uint32_t unit = 1; unit <= 256; unit = unit == 32 ? 256 : 2 * unit) {
        struct trib_storage_ram ram;
        memset(written, 0, sizeof written);
        trib_storage_ram_init(&ram, bytes, SECTOR, SECTORS, unit);
        ram.written = written;
        struct trib_storage storage = trib_storage_ram(&ram);
        struct trib_conformance_ports ports = {.storage = &storage,
                                               .hooks = {.context = &ram, .break_medium = break_ram}};
        suite_passes(&ports, 2);
        assert_int_equal(ram.twice, 0); /* the suite itself keeps the rule of write-once cells */
    }
}

/* --- net --- */

static void *serve(void *argument)
{
    (void)trib_conformance_peer_serve(*(int *)argument);
    return NULL;
}

static uint64_t reference_ms(void *context)
{
    struct timespec t;
    (void)context;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void test_tcp_keeps_the_contract(void **state)
{
    (void)state;
    uint16_t port = 0, refused = 0;
    int fd = trib_conformance_peer_listen(0, &port), nobody = trib_conformance_peer_listen(0, &refused);
    pthread_t peer;
    struct trib_posix_tcp tcp;
    assert_true(fd >= 0 && nobody >= 0);
    (void)close(nobody);
    assert_int_equal(pthread_create(&peer, NULL, serve, &fd), 0);
    trib_posix_tcp_init(&tcp, NULL);
    struct trib_net net = trib_posix_tcp_net(&tcp);
    struct trib_clock clock = trib_posix_clock();
    struct trib_wait wait = trib_posix_waiter(&tcp);
    struct trib_conformance_ports ports = {.net = &net,
                                           .clock = &clock,
                                           .wait = &wait,
                                           .peer_host = "localhost",
                                           .peer_port = port,
                                           .refused_port = refused,
                                           .hooks.reference_ms = reference_ms};
    suite_passes(&ports, 0);
    trib_posix_tcp_deinit(&tcp);
    assert_int_equal(shutdown(fd, SHUT_RDWR), 0);
    assert_int_equal(pthread_join(peer, NULL), 0);
    (void)close(fd);
}

/* --- the rest --- */

struct pair {
    void (*function)(void *argument);
    void *argument;
};

static void *run_one(void *argument)
{
    struct pair *p = argument;
    p->function(p->argument);
    return NULL;
}

static void run_twice(void *context, void (*function)(void *argument), void *argument)
{
    struct pair p = {function, argument};
    pthread_t other;
    (void)context;
    assert_int_equal(pthread_create(&other, NULL, run_one, &p), 0);
    function(argument);
    assert_int_equal(pthread_join(other, NULL), 0);
}

static void test_clock_entropy_digest_and_lock_keep_the_contract(void **state)
{
    (void)state;
    struct trib_posix_lock mutex;
    assert_int_equal(trib_posix_lock_init(&mutex), 0);
    struct trib_clock clock = trib_posix_clock();
    struct trib_entropy entropy = trib_posix_entropy();
    struct trib_digest digest = trib_mbedtls_digest();
    struct trib_lock lock = trib_posix_lock(&mutex);
    struct trib_conformance_ports ports = {.clock = &clock,
                                           .entropy = &entropy,
                                           .digest = &digest,
                                           .lock = &lock,
                                           .hooks = {.run_twice = run_twice, .reference_ms = reference_ms}};
    suite_passes(&ports, 0);
    trib_posix_lock_destroy(&mutex);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_keep_the_contract),
        cmocka_unit_test(test_memory_keeps_the_contract),
        cmocka_unit_test(test_tcp_keeps_the_contract),
        cmocka_unit_test(test_clock_entropy_digest_and_lock_keep_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
