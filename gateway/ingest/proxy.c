#include "ingest/proxy.h"

#include <string.h>

/* §2.2: "\r\n\r\n\0\r\nQUIT\n" */
static const uint8_t SIGNATURE[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

enum { LOCAL = 0x20, PROXY = 0x21 };                                       /* byte 12: version and command */
enum { FAMILY_UNSPEC = 0, FAMILY_V4 = 1, FAMILY_V6 = 2, FAMILY_UNIX = 3 }; /* byte 13, high half */
enum { TRANSPORT_UNSPEC = 0, TRANSPORT_STREAM = 1 };                       /* low half; 2: datagrams */

void gw_proxy_init(struct gw_proxy *proxy)
{
    *proxy = (struct gw_proxy){.have = 0};
}

static size_t declared(const struct gw_proxy *proxy)
{
    return (size_t)proxy->bytes[14] << 8 | proxy->bytes[15];
}

/* Bytes of the whole header that are kept. */
static size_t kept(const struct gw_proxy *proxy)
{
    if (proxy->have < GW_PROXY_HEAD)
        return GW_PROXY_HEAD;
    size_t len = declared(proxy);
    return GW_PROXY_HEAD + (len < GW_PROXY_ADDRESSES ? len : GW_PROXY_ADDRESSES);
}

size_t gw_proxy_room(const struct gw_proxy *proxy)
{
    size_t missing = kept(proxy) - proxy->have;
    return missing ? missing : proxy->skip;
}

static bool head_holds(const struct gw_proxy *proxy)
{
    size_t signature = proxy->have < sizeof SIGNATURE ? proxy->have : sizeof SIGNATURE;
    if (memcmp(proxy->bytes, SIGNATURE, signature) != 0)
        return false;
    if (proxy->have < GW_PROXY_HEAD)
        return true;
    unsigned family = proxy->bytes[13] >> 4, transport = proxy->bytes[13] & 15;
    if (proxy->bytes[12] == LOCAL)
        return true; /* "the receiver must accept this connection as valid and must use the real endpoints" */
    if (proxy->bytes[12] != PROXY || family > FAMILY_UNIX || transport > TRANSPORT_STREAM)
        return false; /* a datagram cannot have become this connection */
    size_t least = transport == TRANSPORT_UNSPEC || family == FAMILY_UNSPEC ? 0
                   : family == FAMILY_V4                                    ? 12
                   : family == FAMILY_V6                                    ? 36
                                                                            : 216;
    return declared(proxy) >= least;
}

static struct gw_proxy_result read(const struct gw_proxy *proxy)
{
    struct gw_proxy_result result = {.known = false};
    unsigned family = proxy->bytes[13] >> 4, transport = proxy->bytes[13] & 15;
    if (proxy->bytes[12] != PROXY || transport != TRANSPORT_STREAM)
        return result;
    result.known = family == FAMILY_V4 || family == FAMILY_V6;
    if (family == FAMILY_V4)
        result.source = gw_peer_v4(proxy->bytes + GW_PROXY_HEAD);
    else if (family == FAMILY_V6)
        memcpy(result.source.address, proxy->bytes + GW_PROXY_HEAD, sizeof result.source.address);
    return result;
}

int gw_proxy_take(struct gw_proxy *proxy, const uint8_t *data, size_t len, struct gw_proxy_result *out)
{
    size_t missing = kept(proxy) - proxy->have;
    if (missing == 0) {
        proxy->skip -= len;
    } else {
        bool head = proxy->have < GW_PROXY_HEAD;
        memcpy(proxy->bytes + proxy->have, data, len);
        proxy->have += len;
        if (!head_holds(proxy))
            return GW_EPROTOCOL;
        if (head && proxy->have == GW_PROXY_HEAD)
            proxy->skip = GW_PROXY_HEAD + declared(proxy) - kept(proxy);
    }
    if (proxy->have < GW_PROXY_HEAD || gw_proxy_room(proxy) > 0)
        return GW_EAGAIN;
    *out = read(proxy);
    return GW_OK;
}
