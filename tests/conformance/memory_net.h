/* A net and the suite's peer in memory, under a clock that each look moves on; each flaw breaks one rule. */
#ifndef TESTS_MEMORY_NET_H
#define TESTS_MEMORY_NET_H

#include <string.h>

#include "peer.h"
#include "tributary/port.h"
#include "wire/error.h"

#define MEMORY_PORT 7
#define MEMORY_REFUSED_PORT 8
#define MEMORY_PIPE 3000u

enum memory_flaw {
    MEMORY_GOOD,
    MEMORY_CONNECTED_FORGETS,
    MEMORY_NOTHING_IS_ZERO,
    MEMORY_RECEIVE_BLOCKS,
    MEMORY_RECEIVE_OVERRUNS,
    MEMORY_SWAPS_BYTES,
    MEMORY_SEND_LOSES,
    MEMORY_SEND_BLOCKS,
    MEMORY_END_IS_AGAIN,
    MEMORY_END_EATS_LAST,
    MEMORY_RESET_GIVES_BYTES,
    MEMORY_RESET_TAKES_BYTES,
    MEMORY_CLOSED_IS_AGAIN,
    MEMORY_CLOSE_KEEPS_BYTES,
    MEMORY_REFUSED_IS_FINE,
    MEMORY_EMPTY_IS_FINE,
};

struct memory_net {
    enum memory_flaw flaw;
    uint64_t now_ms, slow_until_ms;
    unsigned steps; /* of connect */
    bool connected, ended;
    bool proxy, tunnel; /* proxy: a CONNECT comes first on each connection; tunnel: it was answered */
    char command;
    uint32_t counted, sends;
    bool pattern;
    uint8_t out[MEMORY_PIPE]; /* from the device, not yet read by the peer */
    uint8_t in[MEMORY_PIPE];  /* to the device */
    size_t out_length, in_length;
};

static inline uint64_t memory_now(void *context)
{
    struct memory_net *m = context;
    return ++m->now_ms;
}

static inline int memory_connect(void *context, const char *host, uint16_t port)
{
    struct memory_net *m = context;
    (void)host;
    if (m->connected)
        return m->flaw == MEMORY_CONNECTED_FORGETS ? TRIB_EAGAIN : 0;
    if (++m->steps < 3)
        return TRIB_EAGAIN;
    m->steps = 0;
    if (port == MEMORY_REFUSED_PORT && m->flaw != MEMORY_REFUSED_IS_FINE)
        return TRIB_EIO;
    m->connected = true;
    return 0;
}

static inline void memory_answer(struct memory_net *m, const void *data, size_t length)
{
    memcpy(m->in + m->in_length, data, length);
    m->in_length += length;
}

static inline void memory_slow_byte(struct memory_net *m, uint8_t byte)
{
    if (byte != 0) {
        m->pattern = m->pattern && byte == m->counted % 251 + 1;
        m->counted++;
        return;
    }
    uint8_t answer[TRIB_PEER_ANSWER_BYTES] = {m->pattern, (uint8_t)(m->counted >> 24),
                                              (uint8_t)(m->counted >> 16), (uint8_t)(m->counted >> 8),
                                              (uint8_t)m->counted};
    memory_answer(m, answer, sizeof answer);
}

/* The peer takes what has come. */
static inline void memory_peer(struct memory_net *m)
{
    size_t at = 0;
    if (m->proxy && !m->tunnel) {
        if (m->out_length < 4 || memcmp(m->out + m->out_length - 4, "\r\n\r\n", 4) != 0)
            return;
        m->tunnel = true;
        m->out_length = 0;
        memory_answer(m, "HTTP/1.1 200 OK\r\n\r\n", 19);
    }
    if (m->command == 0 && m->out_length > 0) {
        m->command = (char)m->out[at++];
        m->counted = 0;
        m->pattern = true;
        m->slow_until_ms = m->now_ms + 40;
        m->ended = m->command == TRIB_PEER_LAST || m->command == TRIB_PEER_RESET;
        if (m->command == TRIB_PEER_LAST)
            memory_answer(m, "last", m->flaw == MEMORY_END_EATS_LAST ? 3 : 4);
    }
    if (m->command == TRIB_PEER_SLOW && m->now_ms < m->slow_until_ms) {
        memmove(m->out, m->out + at, m->out_length -= at);
        return;
    }
    for (; at < m->out_length; at++) {
        if (m->command == TRIB_PEER_ECHO && m->in_length == sizeof m->in)
            break;
        if (m->command == TRIB_PEER_ECHO)
            memory_answer(m, m->out + at, 1);
        else if (m->command == TRIB_PEER_SLOW)
            memory_slow_byte(m, m->out[at]);
    }
    memmove(m->out, m->out + at, m->out_length -= at);
    if (m->flaw == MEMORY_SWAPS_BYTES && m->in_length > 2 && m->command == TRIB_PEER_ECHO && m->in[0] == 0) {
        m->in[1] = m->in[2];
    }
}

static inline int memory_send(void *context, const uint8_t *data, size_t length)
{
    struct memory_net *m = context;
    if (!m->connected)
        return m->flaw == MEMORY_CLOSED_IS_AGAIN ? TRIB_EAGAIN : TRIB_ECLOSED;
    if (length == 0)
        return m->flaw == MEMORY_EMPTY_IS_FINE ? TRIB_EAGAIN : TRIB_EINVAL;
    memory_peer(m);
    if (m->command == TRIB_PEER_RESET)
        return m->flaw == MEMORY_RESET_TAKES_BYTES ? 1 : TRIB_ECLOSED;
    size_t room = sizeof m->out - m->out_length, take = length < room ? length : room;
    take = take > 700 ? 700 : take; /* fewer than offered is normal */
    if (take == 0 && m->flaw == MEMORY_SEND_BLOCKS) {
        m->now_ms += TRIB_PEER_SLOW_MS;
        memory_peer(m);
    }
    if (take == 0)
        return TRIB_EAGAIN;
    if (m->flaw == MEMORY_SEND_LOSES && take > 1 && ++m->sends == 3) /* takes all, keeps less */
        m->out_length--;
    memcpy(m->out + m->out_length, data, take);
    m->out_length += take;
    memory_peer(m);
    return (int)take;
}

static inline int memory_receive(void *context, uint8_t *out, size_t capacity)
{
    struct memory_net *m = context;
    if (!m->connected)
        return m->flaw == MEMORY_CLOSED_IS_AGAIN ? TRIB_EAGAIN : TRIB_ECLOSED;
    if (capacity == 0)
        return m->flaw == MEMORY_EMPTY_IS_FINE ? TRIB_EAGAIN : TRIB_EINVAL;
    memory_peer(m);
    size_t take = capacity < m->in_length ? capacity : m->in_length;
    if (m->command == TRIB_PEER_RESET && m->flaw == MEMORY_RESET_GIVES_BYTES)
        return 1;
    if (take == 0 && m->ended)
        return m->flaw == MEMORY_END_IS_AGAIN ? TRIB_EAGAIN : TRIB_ECLOSED;
    if (take == 0 && m->flaw == MEMORY_RECEIVE_BLOCKS)
        m->now_ms += TRIB_PEER_SLOW_MS;
    if (take == 0)
        return m->flaw == MEMORY_NOTHING_IS_ZERO ? 0 : TRIB_EAGAIN;
    memcpy(out, m->in, take);
    if (m->flaw == MEMORY_RECEIVE_OVERRUNS && take < m->in_length)
        out[take] = m->in[take] ^ 0xA5;
    memmove(m->in, m->in + take, m->in_length -= take);
    return (int)take;
}

static inline void memory_close(void *context)
{
    struct memory_net *m = context;
    m->connected = m->ended = m->tunnel = false;
    m->steps = 0;
    m->command = 0;
    m->out_length = 0;
    if (m->flaw != MEMORY_CLOSE_KEEPS_BYTES)
        m->in_length = 0;
    else if (m->in_length == 0)
        memory_answer(m, "?", 1);
}

static inline void memory_net_init(struct memory_net *m, enum memory_flaw flaw)
{
    memset(m, 0, sizeof *m);
    m->flaw = flaw;
}

static inline struct trib_net memory_net(struct memory_net *m)
{
    return (struct trib_net){m, memory_connect, memory_send, memory_receive, memory_close};
}

static inline struct trib_clock memory_net_clock(struct memory_net *m)
{
    return (struct trib_clock){m, memory_now};
}

#endif
