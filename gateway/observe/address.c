#include "observe/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static const char *truncate_v4(const uint8_t bytes[4], char *out)
{
    snprintf(out, GW_ADDRESS_TEXT_MAX, "%u.%u.%u.0/24", bytes[0], bytes[1], bytes[2]);
    return out;
}

static const char *truncate_v6(const uint8_t bytes[16], char *out)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (memcmp(bytes, mapped, sizeof mapped) == 0)
        return truncate_v4(bytes + 12, out);
    struct in6_addr network = {0};
    memcpy(network.s6_addr, bytes, 6);
    if (!inet_ntop(AF_INET6, &network, out, INET6_ADDRSTRLEN))
        out[0] = 0;
    strcat(out, "/48");
    return out;
}

const char *gw_address_truncate(const struct sockaddr *address, char out[GW_ADDRESS_TEXT_MAX])
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    switch (address->sa_family) {
    case AF_INET:
        memcpy(&v4, address, sizeof v4);
        return truncate_v4((const uint8_t *)&v4.sin_addr, out);
    case AF_INET6:
        memcpy(&v6, address, sizeof v6);
        return truncate_v6(v6.sin6_addr.s6_addr, out);
    default:
        return strcpy(out, address->sa_family == AF_UNIX ? "local" : "unknown");
    }
}

const char *gw_address_truncate_text(const char *address, char out[GW_ADDRESS_TEXT_MAX])
{
    uint8_t bytes[16];
    if (address && inet_pton(AF_INET, address, bytes) == 1)
        return truncate_v4(bytes, out);
    if (address && inet_pton(AF_INET6, address, bytes) == 1)
        return truncate_v6(bytes, out);
    return strcpy(out, "unknown");
}
