#include "ingest/tickets.h"

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct gw_tickets {
    pthread_mutex_t lock;
    uint64_t lifetime_ms;
    struct {
        struct gw_ticket_key key;
        uint64_t made_ms;
        bool valid;
    } keys[2]; /* current, previous */
};

int gw_tickets_new(uint64_t lifetime_ms, struct gw_tickets **out)
{
    struct gw_tickets *tickets = calloc(1, sizeof *tickets);
    if (!tickets)
        return GW_ENOMEM;
    pthread_mutex_init(&tickets->lock, NULL);
    tickets->lifetime_ms = lifetime_ms;
    *out = tickets;
    return GW_OK;
}

void gw_tickets_free(struct gw_tickets *tickets)
{
    if (!tickets)
        return;
    pthread_mutex_destroy(&tickets->lock);
    OPENSSL_cleanse(tickets, sizeof *tickets);
    free(tickets);
}

uint64_t gw_tickets_lifetime_ms(const struct gw_tickets *tickets)
{
    return tickets->lifetime_ms;
}

/* Whoever records traffic and later takes a key could read it: keys that open nothing any more are wiped. */
static void age(struct gw_tickets *tickets, uint64_t now_ms)
{
    for (int i = 0; i < 2; i++)
        if (tickets->keys[i].valid && now_ms - tickets->keys[i].made_ms >= 2 * tickets->lifetime_ms)
            OPENSSL_cleanse(&tickets->keys[i], sizeof tickets->keys[i]);
}

static int renew(struct gw_tickets *tickets, uint64_t now_ms)
{
    struct gw_ticket_key fresh;
    if (RAND_bytes(fresh.name, sizeof fresh.name) != 1 ||
        RAND_priv_bytes(fresh.cipher, sizeof fresh.cipher) != 1 ||
        RAND_priv_bytes(fresh.mac, sizeof fresh.mac) != 1)
        return GW_ECRYPTO;
    tickets->keys[1] = tickets->keys[0];
    tickets->keys[0].key = fresh;
    tickets->keys[0].made_ms = now_ms;
    tickets->keys[0].valid = true;
    OPENSSL_cleanse(&fresh, sizeof fresh);
    return GW_OK;
}

int gw_tickets_current(struct gw_tickets *tickets, uint64_t now_ms, struct gw_ticket_key *out)
{
    pthread_mutex_lock(&tickets->lock);
    age(tickets, now_ms);
    int result = GW_OK;
    if (!tickets->keys[0].valid || now_ms - tickets->keys[0].made_ms >= tickets->lifetime_ms)
        result = renew(tickets, now_ms);
    if (result == GW_OK)
        *out = tickets->keys[0].key;
    pthread_mutex_unlock(&tickets->lock);
    return result;
}

enum gw_ticket_age gw_tickets_find(struct gw_tickets *tickets, const uint8_t name[16], uint64_t now_ms,
                                   struct gw_ticket_key *out)
{
    enum gw_ticket_age found = GW_TICKET_UNKNOWN;
    pthread_mutex_lock(&tickets->lock);
    age(tickets, now_ms);
    for (int i = 0; i < 2 && found == GW_TICKET_UNKNOWN; i++) {
        if (!tickets->keys[i].valid || memcmp(tickets->keys[i].key.name, name, 16) != 0)
            continue;
        bool fresh = i == 0 && now_ms - tickets->keys[i].made_ms < tickets->lifetime_ms;
        found = fresh ? GW_TICKET_CURRENT : GW_TICKET_OLD;
        *out = tickets->keys[i].key;
    }
    pthread_mutex_unlock(&tickets->lock);
    return found;
}
