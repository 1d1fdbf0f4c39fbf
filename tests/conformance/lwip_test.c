/* ports/lwip over Debian's lwIP, whose only interface leads back to itself; the suite's peer is on the same stack. */
#include <pthread.h>
#include <time.h>

#include <lwip/dns.h>
#include <lwip/netif.h>
#include <lwip/sockets.h>
#include <lwip/tcpip.h>

#include "net_lwip.h"
#include "peer.h"
#include "suite.h"

/* peer.c on lwIP's sockets. */
#define accept lwip_accept
#define bind lwip_bind
#define close lwip_close
#define getsockname lwip_getsockname
#define listen lwip_listen
#define recv lwip_recv
#define send lwip_send
#define setsockopt lwip_setsockopt
#define socket lwip_socket
#undef SOCK_CLOEXEC /* not a type that lwIP knows */
#define SOCK_CLOEXEC 0
#include "peer.c"
#undef close

static struct netif loop;
static uint16_t peer_port;

static err_t nowhere(struct netif *netif, struct pbuf *p, const ip4_addr_t *address)
{
    (void)netif, (void)p, (void)address;
    return ERR_OK;
}

static err_t netif_setup(struct netif *netif)
{
    netif->output = nowhere;
    netif->mtu = 1500;
    return ERR_OK;
}

static void up(void *argument)
{
    ip4_addr_t address, mask, gateway;
    IP4_ADDR(&address, 127, 0, 0, 1);
    IP4_ADDR(&mask, 255, 0, 0, 0);
    IP4_ADDR(&gateway, 0, 0, 0, 0);
    assert_non_null(netif_add(&loop, &address, &mask, &gateway, NULL, netif_setup, tcpip_input));
    netif_set_default(&loop);
    netif_set_up(&loop);
    netif_set_link_up(&loop);
    sys_sem_signal(argument);
}

static void *serve(void *argument)
{
    (void)trib_conformance_peer_serve(*(int *)argument);
    return NULL;
}

static int start(void **state)
{
    static int listening;
    static sys_sem_t ready;
    pthread_t thread;
    (void)state;
    if (sys_sem_new(&ready, 0) != ERR_OK)
        return -1;
    tcpip_init(up, &ready);
    sys_arch_sem_wait(&ready, 0);
    listening = trib_conformance_peer_listen(0, &peer_port);
    return listening >= 0 && pthread_create(&thread, NULL, serve, &listening) == 0 ? 0 : -1;
}

/* --- names: this lwIP is built without DNS, so a server of our own answers --- */

static struct {
    dns_found_callback found;
    void *argument;
    unsigned asked;
} query;

err_t dns_gethostbyname(const char *name, ip_addr_t *address, dns_found_callback found, void *argument)
{
    query.asked++;
    if (strcmp(name, "cached.example") == 0) {
        IP_ADDR4(address, 127, 0, 0, 1);
        return ERR_OK;
    }
    if (strcmp(name, "bad.example") == 0)
        return ERR_ARG;
    query.found = found;
    query.argument = argument;
    return ERR_INPROGRESS;
}

static void answer(bool success)
{
    ip_addr_t address;
    IP_ADDR4(&address, 127, 0, 0, 1);
    query.found("", success ? &address : NULL, query.argument);
    query.found = NULL;
}

static uint64_t now_ms(void *context)
{
    struct timespec t;
    (void)context;
    if (clock_gettime(CLOCK_MONOTONIC, &t) != 0)
        return 0;
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static int dial(struct trib_lwip *l, const char *host)
{
    struct trib_net net = trib_lwip_net(l);
    struct trib_wait wait = trib_lwip_waiter(l);
    uint64_t end = now_ms(NULL) + 5000;
    int result;
    while ((result = net.connect(net.context, host, peer_port)) == TRIB_EAGAIN && now_ms(NULL) < end) {
        wait.wait(wait.context, 5);
        if (query.found) /* only when somebody is to be answered at once */
            break;
    }
    return result;
}

static void test_lwip_keeps_the_contract(void **state)
{
    (void)state;
    struct trib_lwip l;
    uint16_t refused = 0;
    int nobody = trib_conformance_peer_listen(0, &refused);
    assert_true(nobody >= 0);
    (void)lwip_close(nobody);
    trib_lwip_init(&l, NULL);
    struct trib_net net = trib_lwip_net(&l);
    struct trib_clock clock = {NULL, now_ms};
    struct trib_wait wait = trib_lwip_waiter(&l);
    struct trib_conformance_ports ports = {.net = &net,
                                           .clock = &clock,
                                           .wait = &wait,
                                           .peer_host = "127.0.0.1",
                                           .peer_port = peer_port,
                                           .refused_port = refused};
    suite_passes(&ports, 1); /* no clock to compare with */
}

static void test_names_are_looked_up_in_the_stacks_thread(void **state)
{
    (void)state;
    struct trib_lwip l;
    trib_lwip_init(&l, NULL);
    struct trib_net net = trib_lwip_net(&l);
    assert_int_equal(dial(&l, "cached.example"), 0);
    net.close(net.context);
    assert_int_equal(dial(&l, "bad.example"), TRIB_EIO);
    assert_int_equal(dial(&l, "slow.example"), TRIB_EAGAIN);
    assert_false(trib_lwip_idle(&l));
    unsigned asked = query.asked;
    for (int i = 0; i < 10; i++)
        assert_int_equal(net.connect(net.context, "slow.example", peer_port), TRIB_EAGAIN);
    assert_int_equal(query.asked, asked); /* not asked anew */
    net.close(net.context);               /* cannot be stopped; its answer is for the next attempt */
    answer(true);
    assert_true(trib_lwip_idle(&l));
    assert_int_equal(dial(&l, "slow.example"), 0);
    assert_int_equal(query.asked, asked);
    net.close(net.context);
    assert_int_equal(dial(&l, "slow.example"), TRIB_EAGAIN);
    answer(false);
    assert_int_equal(dial(&l, "slow.example"), TRIB_EIO);
    assert_int_equal(dial(&l, "slow.example"), TRIB_EAGAIN);
    net.close(net.context);
    assert_int_equal(net.connect(net.context, "127.0.0.1", peer_port),
                     TRIB_EAGAIN); /* the other lookup has the struct */
    answer(true);
    assert_int_equal(dial(&l, "127.0.0.1"), 0); /* and its answer is not taken for this host */
    net.close(net.context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lwip_keeps_the_contract),
        cmocka_unit_test(test_names_are_looked_up_in_the_stacks_thread),
    };
    return cmocka_run_group_tests(tests, start, NULL);
}
