/*
 * What tributary/port.h says of struct trib_net, checked on ports/posix against real sockets on the loopback. For a port
 * of your own: replace the set-up and the peer's sockets. Nothing here sleeps; every wait is bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "net_tcp.h"
#include "platform.h"

#define PATIENCE_MS 5000
#define BULK_BYTES (8u << 20)

struct world {
    struct trib_posix_tcp tcp;
    struct trib_net net;
    int listener, peer;
    uint16_t port;
    char log[512];
};

static void write_log(void *context, enum trib_log_level level, const char *text)
{
    struct world *w = context;
    (void)level;
    strncpy(w->log, text, sizeof w->log - 1);
}

static int listen_on_loopback(int backlog, uint16_t *out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *out_port = ntohs(address.sin_port);
    return fd;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    const struct trib_log log = {w, write_log};
    w->peer = -1;
    w->listener = listen_on_loopback(128, &w->port);
    trib_posix_tcp_init(&w->tcp, &log);
    w->net = trib_posix_tcp_net(&w->tcp);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    trib_posix_tcp_deinit(&w->tcp);
    if (w->peer >= 0)
        (void)close(w->peer);
    (void)close(w->listener);
    free(w);
    return 0;
}

static uint64_t now_ms(void)
{
    return trib_posix_clock().mono_ms(NULL);
}

/* Calls until the answer is another one than "again". */
static int connect_to(struct world *w, const char *host, uint16_t port)
{
    uint64_t end = now_ms() + PATIENCE_MS;
    int error;
    while ((error = w->net.connect(w->net.context, host, port)) == TRIB_EAGAIN) {
        assert_true(now_ms() < end);
        (void)trib_posix_wait(&w->tcp, -1, 100);
    }
    return error;
}

static void connect_and_accept(struct world *w)
{
    assert_int_equal(connect_to(w, "127.0.0.1", w->port), 0);
    w->peer = accept4(w->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(w->peer >= 0);
}

static int receive_some(struct world *w, uint8_t *buf, size_t cap)
{
    uint64_t end = now_ms() + PATIENCE_MS;
    int got;
    while ((got = w->net.receive(w->net.context, buf, cap)) == TRIB_EAGAIN) {
        assert_true(now_ms() < end);
        (void)trib_posix_wait(&w->tcp, -1, 100);
    }
    assert_int_not_equal(got, 0);
    return got;
}

static void test_bytes_go_both_ways(void **state)
{
    struct world *w = *state;
    uint8_t buf[16];
    connect_and_accept(w);
    assert_int_equal(w->net.connect(w->net.context, "127.0.0.1", w->port), 0); /* connected stays connected */
    assert_int_equal(w->net.receive(w->net.context, buf, sizeof buf), TRIB_EAGAIN);
    assert_int_equal(w->net.send(w->net.context, (const uint8_t *)"hello", 5), 5);
    struct pollfd p = {.fd = w->peer, .events = POLLIN};
    assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
    assert_int_equal(read(w->peer, buf, sizeof buf), 5);
    assert_memory_equal(buf, "hello", 5);
    assert_int_equal(write(w->peer, "world!", 6), 6);
    assert_int_equal(receive_some(w, buf, 4), 4);
    assert_int_equal(receive_some(w, buf + 4, 4), 2);
    assert_memory_equal(buf, "world!", 6);
}

static void test_full_pipe_says_again_and_loses_nothing(void **state)
{
    struct world *w = *state;
    uint8_t *out = malloc(BULK_BYTES), *in = malloc(BULK_BYTES);
    size_t sent = 0, got = 0;
    unsigned again = 0;
    connect_and_accept(w);
    for (size_t i = 0; i < BULK_BYTES; i++)
        out[i] = (uint8_t)(i * 2654435761u >> 24);
    uint64_t end = now_ms() + 4 * PATIENCE_MS;
    while (got < BULK_BYTES) {
        assert_true(now_ms() < end);
        int result =
            sent < BULK_BYTES ? w->net.send(w->net.context, out + sent, BULK_BYTES - sent) : TRIB_EAGAIN;
        if (result > 0) {
            assert_true((size_t)result <= BULK_BYTES - sent);
            sent += (size_t)result;
            continue;
        }
        assert_int_equal(result, TRIB_EAGAIN);
        again++;
        struct pollfd p = {.fd = w->peer, .events = POLLIN};
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        ssize_t count = read(w->peer, in + got, BULK_BYTES - got);
        assert_true(count > 0);
        got += (size_t)count;
    }
    assert_memory_equal(in, out, BULK_BYTES);
    assert_true(again > 1);
    free(out);
    free(in);
}

static void test_end_comes_after_the_last_bytes(void **state)
{
    struct world *w = *state;
    uint8_t buf[16];
    connect_and_accept(w);
    assert_int_equal(write(w->peer, "last", 4), 4);
    assert_int_equal(close(w->peer), 0);
    w->peer = -1;
    assert_int_equal(receive_some(w, buf, sizeof buf), 4);
    assert_int_equal(receive_some(w, buf, sizeof buf), TRIB_ECLOSED);
    assert_int_equal(receive_some(w, buf, sizeof buf), TRIB_ECLOSED); /* and stays the end */
}

static void test_sending_to_a_closed_peer_is_an_error_and_no_signal(void **state)
{
    struct world *w = *state;
    int result = 1;
    (void)signal(SIGPIPE, SIG_DFL);
    connect_and_accept(w);
    assert_int_equal(close(w->peer), 0);
    w->peer = -1;
    uint64_t end = now_ms() + PATIENCE_MS;
    while (result > 0 || result == TRIB_EAGAIN) {
        assert_true(now_ms() < end);
        result = w->net.send(w->net.context, (const uint8_t *)"x", 1);
    }
    assert_int_equal(result, TRIB_ECLOSED);
}

static void test_reset_is_an_end(void **state)
{
    struct world *w = *state;
    uint8_t buf[4];
    const struct linger hard = {1, 0};
    connect_and_accept(w);
    assert_int_equal(setsockopt(w->peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    assert_int_equal(close(w->peer), 0);
    w->peer = -1;
    assert_int_equal(receive_some(w, buf, sizeof buf), TRIB_ECLOSED);
}

static void test_close_is_idempotent_and_connect_may_follow(void **state)
{
    struct world *w = *state;
    uint8_t buf[4];
    w->net.close(w->net.context); /* before anything was opened */
    for (int i = 0; i < 3; i++) {
        connect_and_accept(w);
        w->net.close(w->net.context);
        w->net.close(w->net.context);
        assert_int_equal(w->net.send(w->net.context, (const uint8_t *)"x", 1), TRIB_ECLOSED);
        assert_int_equal(w->net.receive(w->net.context, buf, sizeof buf), TRIB_ECLOSED);
        struct pollfd p = {.fd = w->peer, .events = POLLIN};
        assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
        assert_int_equal(read(w->peer, buf, sizeof buf), 0); /* the peer sees it at once */
        assert_int_equal(close(w->peer), 0);
        w->peer = -1;
    }
}

static void test_empty_buffers_are_refused(void **state)
{
    struct world *w = *state;
    uint8_t byte = 0;
    connect_and_accept(w);
    assert_int_equal(w->net.send(w->net.context, &byte, 0), TRIB_EINVAL);
    assert_int_equal(w->net.receive(w->net.context, &byte, 0), TRIB_EINVAL);
}

static void test_refused_connection_is_an_error_that_is_explained(void **state)
{
    struct world *w = *state;
    uint16_t port;
    (void)close(listen_on_loopback(1, &port));
    assert_int_equal(connect_to(w, "127.0.0.1", port), TRIB_EIO);
    assert_non_null(strstr(w->log, "Connection refused"));
    assert_int_equal(connect_to(w, "127.0.0.1", w->port), 0); /* and it works again */
}

/* A listener whose queue is full drops what comes: as good as a host that does not answer. */
static void test_connect_does_not_block_on_a_silent_host(void **state)
{
    struct world *w = *state;
    uint16_t port;
    int fillers[4], silent = listen_on_loopback(0, &port);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    for (int i = 0; i < 4; i++) {
        fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(fillers[i], (struct sockaddr *)&address, sizeof address);
    }
    uint64_t start = now_ms();
    for (int i = 0; i < 100; i++)
        assert_int_equal(w->net.connect(w->net.context, "127.0.0.1", port), TRIB_EAGAIN);
    assert_true(now_ms() - start < 1000);
    assert_int_equal(trib_posix_wait(&w->tcp, -1, 10), 0);
    w->net.close(w->net.context); /* in the middle of it */
    assert_int_equal(connect_to(w, "127.0.0.1", w->port), 0);
    for (int i = 0; i < 4; i++)
        (void)close(fillers[i]);
    (void)close(silent);
}

/* --- ports/posix alone --- */

static sem_t slow_may_go_on;

typedef int resolver(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* The system's resolver, but for two names: one whose servers are slow, and one with two addresses. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints,
                struct addrinfo **out_list)
{
    resolver *real;
    void *symbol = dlsym(RTLD_NEXT, "getaddrinfo");
    memcpy(&real, &symbol, sizeof real);
    if ((hints->ai_flags & AI_NUMERICHOST) != 0)
        return real(name, service, hints, out_list);
    if (strcmp(name, "slow.example") == 0) {
        while (sem_wait(&slow_may_go_on) != 0)
            continue;
        return real("127.0.0.1", service, hints, out_list);
    }
    if (strcmp(name, "two.example") == 0) {
        struct addrinfo *second = NULL;
        int error = real("127.0.0.2", service, hints, out_list); /* nobody listens there */
        if (error == 0)
            error = real("127.0.0.1", service, hints, &second);
        if (error == 0)
            (*out_list)->ai_next = second;
        return error;
    }
    return real(name, service, hints, out_list);
}

static void test_names_are_looked_up_without_blocking(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(w->net.connect(w->net.context, "slow.example", w->port), TRIB_EAGAIN);
    assert_int_equal(trib_posix_wait(&w->tcp, -1, 10), 0);
    /* Another attempt waits for the same lookup: one post lets the only thread go on. */
    w->net.close(w->net.context);
    assert_int_equal(w->net.connect(w->net.context, "slow.example", w->port), TRIB_EAGAIN);
    assert_int_equal(sem_post(&slow_may_go_on), 0);
    assert_int_equal(connect_to(w, "slow.example", w->port), 0);
}

static void test_lookup_that_is_slow_does_not_stand_in_another_ones_way(void **state)
{
    struct world *w = *state;
    assert_int_equal(w->net.connect(w->net.context, "slow.example", w->port), TRIB_EAGAIN);
    w->net.close(w->net.context);
    assert_int_equal(connect_to(w, "127.0.0.1", w->port), 0);
    w->net.close(w->net.context);
    assert_int_equal(connect_to(w, "localhost", w->port), 0);
    assert_int_equal(sem_post(&slow_may_go_on), 0); /* its thread ends by itself */
}

static void test_second_address_is_tried_after_the_first(void **state)
{
    struct world *w = *state;
    assert_int_equal(connect_to(w, "two.example", w->port), 0);
}

static void test_lookup_may_be_given_up_at_any_time(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 50; i++) {
        const char *host = i % 3 == 0 ? "localhost" : i % 3 == 1 ? "no-such-host.invalid" : "another.invalid";
        int error = w->net.connect(w->net.context, host, w->port);
        assert_true(error == TRIB_EAGAIN || error == TRIB_EIO || error == 0);
        w->net.close(w->net.context);
        if (i % 5 == 0)
            trib_posix_tcp_deinit(&w->tcp);
    }
    assert_int_equal(connect_to(w, "127.0.0.1", w->port), 0);
}

static void test_name_that_is_too_long_is_an_error(void **state)
{
    struct world *w = *state;
    char name[400];
    memset(name, 'a', sizeof name);
    name[sizeof name - 1] = '\0';
    assert_int_equal(connect_to(w, name, w->port), TRIB_EIO);
}

static void test_wait_sees_readable_writable_and_the_wake_descriptor(void **state)
{
    struct world *w = *state;
    int wake[2];
    static uint8_t block[65536];
    uint64_t start = now_ms();
    assert_int_equal(pipe(wake), 0);
    connect_and_accept(w);
    assert_int_equal(trib_posix_wait(&w->tcp, wake[0], 30), 0);
    assert_true(now_ms() - start >= 29);
    assert_int_equal(write(wake[1], "x", 1), 1);
    assert_int_equal(trib_posix_wait(&w->tcp, wake[0], PATIENCE_MS), 1);
    assert_int_equal(trib_posix_wait(&w->tcp, -1, 0), 0);
    while (w->net.send(w->net.context, block, sizeof block) != TRIB_EAGAIN)
        continue;
    assert_int_equal(trib_posix_wait(&w->tcp, -1, 0), 0);
    for (ssize_t got = 1; got > 0;) /* the peer reads all: there is room again */
        got = read(w->peer, block, sizeof block);
    assert_int_equal(trib_posix_wait(&w->tcp, -1, PATIENCE_MS), 1);
    assert_int_equal(w->net.send(w->net.context, block, 1), 1);
    assert_int_equal(write(w->peer, "y", 1), 1);
    assert_int_equal(trib_posix_wait(&w->tcp, -1, PATIENCE_MS), 1);
    (void)close(wake[0]);
    (void)close(wake[1]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bytes_go_both_ways),
        TEST(test_full_pipe_says_again_and_loses_nothing),
        TEST(test_end_comes_after_the_last_bytes),
        TEST(test_sending_to_a_closed_peer_is_an_error_and_no_signal),
        TEST(test_reset_is_an_end),
        TEST(test_close_is_idempotent_and_connect_may_follow),
        TEST(test_empty_buffers_are_refused),
        TEST(test_refused_connection_is_an_error_that_is_explained),
        TEST(test_connect_does_not_block_on_a_silent_host),
        TEST(test_names_are_looked_up_without_blocking),
        TEST(test_lookup_that_is_slow_does_not_stand_in_another_ones_way),
        TEST(test_second_address_is_tried_after_the_first),
        TEST(test_lookup_may_be_given_up_at_any_time),
        TEST(test_name_that_is_too_long_is_an_error),
        TEST(test_wait_sees_readable_writable_and_the_wake_descriptor),
    };
    if (sem_init(&slow_may_go_on, 0, 0) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
