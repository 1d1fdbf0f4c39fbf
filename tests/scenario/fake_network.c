#include "scenario/fake_network.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "wire/error.h"

uint64_t fake_next(struct fake_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15u; /* splitmix64 */
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

bool fake_chance(struct fake_random *random, unsigned in)
{
    return fake_next(random) % in == 0;
}

static size_t pipe_room(const struct fake_pipe *pipe)
{
    return sizeof pipe->bytes - pipe->end;
}

static void pipe_put(struct fake_pipe *pipe, const uint8_t *data, size_t len)
{
    memcpy(pipe->bytes + pipe->end, data, len);
    pipe->end += len;
}

static void pipe_take(struct fake_pipe *pipe, size_t len)
{
    pipe->begin += len;
    memmove(pipe->bytes, pipe->bytes + pipe->begin, pipe->end - pipe->begin);
    pipe->end -= pipe->begin;
    pipe->begin = 0;
}

void fake_link_cut(struct fake_link *link)
{
    link->connected = link->upgraded = false;
    link->up.begin = link->up.end = link->down.begin = link->down.end = 0;
}

static int net_connect(void *context, const char *host, uint16_t port)
{
    struct fake_link *link = context;
    (void)host;
    (void)port;
    if (!link->reachable)
        return TRIB_EIO;
    if (fake_chance(link->random, 3))
        return TRIB_EAGAIN;
    fake_link_cut(link);
    link->connected = true;
    link->generation++;
    return 0;
}

static size_t piece(struct fake_link *link, size_t most)
{
    return 1 + fake_next(link->random) % most;
}

static int net_send(void *context, const uint8_t *data, size_t length)
{
    struct fake_link *link = context;
    if (!link->connected)
        return TRIB_ECLOSED;
    size_t n = piece(link, length);
    if (n > pipe_room(&link->up) || fake_chance(link->random, 5))
        return TRIB_EAGAIN;
    pipe_put(&link->up, data, n);
    return (int)n;
}

static int net_receive(void *context, uint8_t *out_buffer, size_t capacity)
{
    struct fake_link *link = context;
    if (!link->connected)
        return TRIB_ECLOSED;
    size_t there = link->down.end - link->down.begin;
    if (there == 0 || fake_chance(link->random, 5))
        return TRIB_EAGAIN;
    size_t n = piece(link, there < capacity ? there : capacity);
    memcpy(out_buffer, link->down.bytes + link->down.begin, n);
    pipe_take(&link->down, n);
    return (int)n;
}

static void net_close(void *context)
{
    fake_link_cut(context);
}

struct trib_net fake_link_net(struct fake_link *link)
{
    return (struct trib_net){link, net_connect, net_send, net_receive, net_close};
}

/* RFC 6455 §4.2.2: base64 of SHA-1 of the key and the fixed GUID. */
static bool answer_upgrade(struct fake_link *link)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    static const char field[] = "Sec-WebSocket-Key: ";
    uint8_t *head = link->up.bytes + link->up.begin;
    size_t len = link->up.end - link->up.begin;
    const uint8_t *end = memmem(head, len, "\r\n\r\n", 4);
    const uint8_t *key = end ? memmem(head, (size_t)(end - head), field, sizeof field - 1) : NULL;
    if (!key)
        return false;
    char joined[24 + sizeof guid];
    memcpy(joined, key + sizeof field - 1, 24);
    memcpy(joined + 24, guid, sizeof guid);
    uint8_t digest[20], accept[32];
    unsigned digest_len;
    EVP_Digest(joined, 24 + sizeof guid - 1, digest, &digest_len, EVP_sha1(), NULL);
    EVP_EncodeBlock(accept, digest, sizeof digest);
    char answer[256];
    int n = snprintf(answer, sizeof answer,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Protocol: tributary.v1.cbor\r\n\r\n",
                     (char *)accept);
    pipe_take(&link->up, (size_t)(end - head) + 4);
    pipe_put(&link->down, (const uint8_t *)answer, (size_t)n);
    link->upgraded = true;
    return true;
}

int fake_link_receive(struct fake_link *link, const uint8_t **out_message, size_t *out_len)
{
    static uint8_t message[65536];
    if (!link->connected || (!link->upgraded && !answer_upgrade(link)))
        return 0;
    const uint8_t *p = link->up.bytes + link->up.begin;
    size_t there = link->up.end - link->up.begin;
    if (there < 2)
        return 0;
    unsigned opcode = p[0] & 15;
    size_t len = p[1] & 127, head = 2;
    if (!(p[1] & 0x80) || !(p[0] & 0x80) || p[0] & 0x70 || len == 127)
        return -1; /* unmasked, fragmented, reserved bits, or 64-bit: the SDK sends none of these */
    if (len == 126) {
        if (there < 4)
            return 0;
        len = (size_t)p[2] << 8 | p[3];
        head = 4;
    }
    if (there < head + 4 + len)
        return 0;
    for (size_t i = 0; i < len; i++)
        message[i] = p[head + 4 + i] ^ p[head + i % 4];
    pipe_take(&link->up, head + 4 + len);
    *out_message = message;
    *out_len = len;
    if (opcode == 8) {
        fake_link_cut(link);
        return 0;
    }
    return opcode == 2 ? 1 : opcode == 10 ? 2 : -1;
}

static void send_frame(struct fake_link *link, uint8_t first, const uint8_t *data, size_t len)
{
    uint8_t head[4] = {first, (uint8_t)len};
    size_t head_len = 2;
    if (len > 125) {
        head[1] = 126;
        head[2] = (uint8_t)(len >> 8);
        head[3] = (uint8_t)len;
        head_len = 4;
    }
    if (!link->connected || pipe_room(&link->down) < head_len + len)
        return;
    pipe_put(&link->down, head, head_len);
    pipe_put(&link->down, data, len);
}

void fake_link_send(struct fake_link *link, const uint8_t *message, size_t len)
{
    send_frame(link, 0x82, message, len);
}

void fake_link_ping(struct fake_link *link)
{
    send_frame(link, 0x89, (const uint8_t *)"", 0);
}
