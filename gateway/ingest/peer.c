#include "ingest/peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "observe/address.h"

#define MAPPED_BITS 96

struct gw_peer gw_peer_v4(const uint8_t address[4])
{
    struct gw_peer peer = {{[10] = 0xff, [11] = 0xff}};
    memcpy(peer.address + 12, address, 4);
    return peer;
}

struct gw_peer gw_peer_of(const struct sockaddr *address)
{
    struct gw_peer peer = {{0}};
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        return gw_peer_v4((const uint8_t *)&v4.sin_addr);
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        memcpy(peer.address, &v6.sin6_addr, sizeof peer.address);
    }
    return peer;
}

static bool is_v4(const struct gw_peer *peer)
{
    static const struct gw_peer mapped = {{[10] = 0xff, [11] = 0xff}};
    return memcmp(peer->address, mapped.address, MAPPED_BITS / 8) == 0;
}

const char *gw_peer_text(const struct gw_peer *peer, char *out)
{
    struct sockaddr_in6 address = {.sin6_family = AF_INET6};
    memcpy(&address.sin6_addr, peer->address, sizeof peer->address);
    return gw_address_truncate((const struct sockaddr *)&address, out);
}

struct gw_peer gw_peer_counted(const struct gw_peer *peer)
{
    struct gw_peer counted = *peer;
    if (!is_v4(peer))
        memset(counted.address + 8, 0, 8);
    return counted;
}

static bool bit(const struct gw_peer *peer, unsigned i)
{
    return peer->address[i / 8] >> (7 - i % 8) & 1;
}

static bool parse_address(const char *text, struct gw_peer *out, unsigned *out_bits)
{
    uint8_t v4[4];
    *out_bits = 128;
    if (inet_pton(AF_INET6, text, out->address) == 1)
        return true;
    *out_bits = 32;
    if (inet_pton(AF_INET, text, v4) != 1)
        return false;
    *out = gw_peer_v4(v4);
    return true;
}

int gw_peer_range_parse(const char *text, struct gw_peer_range *out)
{
    char address[64];
    const char *slash = strchr(text, '/');
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    struct gw_peer_range range;
    unsigned width;
    if (len >= sizeof address)
        return GW_EINVALID;
    memcpy(address, text, len);
    address[len] = 0;
    if (!parse_address(address, &range.first, &width))
        return GW_EINVALID;
    unsigned long bits = width;
    if (slash) {
        char *end;
        if (slash[1] < '0' || slash[1] > '9')
            return GW_EINVALID;
        bits = strtoul(slash + 1, &end, 10);
        if (*end || bits > width)
            return GW_EINVALID;
    }
    range.bits = (unsigned)bits + 128 - width;
    for (unsigned i = range.bits; i < 128; i++)
        if (bit(&range.first, i))
            return GW_EINVALID;
    *out = range;
    return GW_OK;
}

static bool in_range(const struct gw_peer_range *range, const struct gw_peer *peer)
{
    for (unsigned i = 0; i < range->bits; i++)
        if (bit(&range->first, i) != bit(peer, i))
            return false;
    return true;
}

bool gw_peer_in(const struct gw_peer_ranges *ranges, const struct gw_peer *peer)
{
    for (size_t i = 0; i < ranges->count; i++)
        if (in_range(&ranges->ranges[i], peer))
            return true;
    return false;
}
