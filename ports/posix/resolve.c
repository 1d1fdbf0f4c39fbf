#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resolve.h"

#define HOST_BYTES 256
#define STACK_BYTES (256u * 1024u) /* name service modules of a libc want this much */

struct trib_posix_lookup {
    char host[HOST_BYTES];
    uint16_t port;
    struct trib_posix_addresses addresses;
    atomic_bool done;
    atomic_bool one_owner_left; /* of two: the port and the thread; the second to leave frees */
};

static void collect(const char *host, uint16_t port, int flags, struct trib_posix_addresses *out)
{
    char service[6];
    struct addrinfo *list = NULL;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = flags | AI_NUMERICSERV};
    (void)snprintf(service, sizeof service, "%u", (unsigned)port);
    memset(out, 0, sizeof *out);
    out->error = getaddrinfo(host, service, &hints, &list);
    if (out->error != 0)
        return;
    for (const struct addrinfo *a = list; a != NULL && out->count < TRIB_POSIX_ADDRESSES_MAX;
         a = a->ai_next) {
        bool known = a->ai_family == AF_INET || a->ai_family == AF_INET6;
        if (known && a->ai_addrlen <= sizeof out->list[0])
            memcpy(&out->list[out->count++], a->ai_addr, a->ai_addrlen);
    }
    freeaddrinfo(list);
    if (out->count == 0)
        out->error = EAI_NONAME;
}

int trib_posix_read_numeric(const char *host, uint16_t port, struct trib_posix_addresses *out)
{
    struct trib_posix_addresses found;
    collect(host, port, AI_NUMERICHOST, &found);
    if (found.count == 0)
        return TRIB_EINVAL;
    *out = found;
    return 0;
}

static void leave(struct trib_posix_lookup *lookup)
{
    if (atomic_exchange(&lookup->one_owner_left, true))
        free(lookup);
}

static void *look_up(void *argument)
{
    struct trib_posix_lookup *lookup = argument;
    /* Not AI_ADDRCONFIG: it hides the loopback's addresses on a device that is offline. */
    collect(lookup->host, lookup->port, 0, &lookup->addresses);
    atomic_store(&lookup->done, true);
    leave(lookup);
    return NULL;
}

/* Detached, and deaf to signals, which belong to the app's threads. */
static int start_thread(struct trib_posix_lookup *lookup)
{
    pthread_attr_t attributes;
    pthread_t thread;
    sigset_t all, before;
    if (pthread_attr_init(&attributes) != 0)
        return TRIB_EIO;
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, &attributes, look_up, lookup);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    return failed != 0 ? TRIB_EIO : 0;
}

struct trib_posix_lookup *trib_posix_lookup_start(const char *host, uint16_t port)
{
    if (strlen(host) >= HOST_BYTES)
        return NULL;
    struct trib_posix_lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return NULL;
    memcpy(lookup->host, host, strlen(host) + 1);
    lookup->port = port;
    if (start_thread(lookup) != 0) {
        free(lookup);
        return NULL;
    }
    return lookup;
}

int trib_posix_lookup_result(struct trib_posix_lookup *lookup, struct trib_posix_addresses *out)
{
    if (!atomic_load(&lookup->done))
        return TRIB_EAGAIN;
    *out = lookup->addresses;
    return 0;
}

bool trib_posix_lookup_is_for(const struct trib_posix_lookup *lookup, const char *host, uint16_t port)
{
    return lookup->port == port && strcmp(lookup->host, host) == 0;
}

void trib_posix_lookup_release(struct trib_posix_lookup *lookup)
{
    if (lookup != NULL)
        leave(lookup);
}
