/* The net, against the peer of peer.h. Every result is looked at: bounds, no zero, no call that blocks. */
#include "peer.h"
#include "rules.h"

#define PATIENCE_MS 10000u
#define BLOCKS_MS (TRIB_PEER_SLOW_MS / 2) /* a call that takes so long waits for something */
#define CHUNK 1000u
#define PIPE_BYTES_MAX (64u << 20)

static uint64_t now(const struct trib_rule_run *run)
{
    return run->ports->clock->mono_ms(run->ports->clock->context);
}

/* Lets a system with threads run the others. */
static void rest(const struct trib_rule_run *run)
{
    if (run->ports->wait)
        run->ports->wait->wait(run->ports->wait->context, 1);
}

static void net_close(const struct trib_rule_run *run)
{
    run->ports->net->close(run->ports->net->context);
}

/* Each call: NULL and *out_result, or what is wrong with the call itself. */
static const char *offer(struct trib_rule_run *run, const uint8_t *data, size_t length, int *out_result)
{
    uint64_t from = now(run);
    *out_result = run->ports->net->send(run->ports->net->context, data, length);
    TRIB_RULE(now(run) - from < BLOCKS_MS, "send blocks");
    TRIB_RULE(*out_result != 0, "send returned 0");
    TRIB_RULE(*out_result < 0 || (size_t)*out_result <= length, "send took more than was offered");
    TRIB_RULE(*out_result > 0 || *out_result == TRIB_EAGAIN || *out_result == TRIB_ECLOSED ||
                  *out_result == TRIB_EIO || *out_result == TRIB_ETLS,
              "send returned an error that it must not");
    return NULL;
}

static const char *take(struct trib_rule_run *run, uint8_t *out, size_t capacity, int *out_result)
{
    uint64_t from = now(run);
    out[capacity] = 0x5A;
    *out_result = run->ports->net->receive(run->ports->net->context, out, capacity);
    TRIB_RULE(now(run) - from < BLOCKS_MS, "receive blocks");
    TRIB_RULE(*out_result != 0, "receive returned 0");
    TRIB_RULE(*out_result < 0 || (size_t)*out_result <= capacity,
              "receive stored more than there was room for");
    TRIB_RULE(out[capacity] == 0x5A, "receive stored behind its buffer");
    TRIB_RULE(*out_result > 0 || *out_result == TRIB_EAGAIN || *out_result == TRIB_ECLOSED ||
                  *out_result == TRIB_EIO || *out_result == TRIB_ETLS,
              "receive returned an error that it must not");
    return NULL;
}

/* *out_result: 0 or an error, never TRIB_EAGAIN. */
static const char *dial(struct trib_rule_run *run, uint16_t port, int *out_result)
{
    uint64_t until = now(run) + PATIENCE_MS;
    do {
        uint64_t from = now(run);
        *out_result = run->ports->net->connect(run->ports->net->context, run->ports->peer_host, port);
        TRIB_RULE(now(run) - from < BLOCKS_MS, "connect blocks");
        TRIB_RULE(*out_result <= 0, "connect returned more than 0");
        if (*out_result == TRIB_EAGAIN)
            rest(run);
    } while (*out_result == TRIB_EAGAIN && now(run) < until);
    TRIB_RULE(*out_result != TRIB_EAGAIN, "connect comes to no end");
    return NULL;
}

static const char *send_all(struct trib_rule_run *run, const uint8_t *data, size_t length)
{
    uint64_t until = now(run) + PATIENCE_MS;
    while (length > 0) {
        int sent;
        const char *why = offer(run, data, length, &sent);
        if (why)
            return why;
        TRIB_RULE(sent > 0 || sent == TRIB_EAGAIN, "send failed on an open connection");
        TRIB_RULE(now(run) < until, "send takes nothing any more");
        if (sent == TRIB_EAGAIN) {
            rest(run);
            continue;
        }
        data += sent;
        length -= (size_t)sent;
    }
    return NULL;
}

/* Until there is something other than TRIB_EAGAIN. */
static const char *take_some(struct trib_rule_run *run, uint8_t *out, size_t capacity, int *out_result)
{
    uint64_t until = now(run) + PATIENCE_MS;
    do {
        const char *why = take(run, out, capacity, out_result);
        if (why)
            return why;
        if (*out_result == TRIB_EAGAIN)
            rest(run);
    } while (*out_result == TRIB_EAGAIN && now(run) < until);
    TRIB_RULE(*out_result != TRIB_EAGAIN, "nothing is ever received");
    return NULL;
}

/* A connection on which the peer does what the command says. */
static const char *begin(struct trib_rule_run *run, char command)
{
    int result;
    net_close(run);
    const char *why = dial(run, run->ports->peer_port, &result);
    if (why)
        return why;
    TRIB_RULE(result == 0, "cannot connect to the peer");
    return send_all(run, (const uint8_t *)&command, 1);
}

static const char *connected_stays_connected(struct trib_rule_run *run)
{
    const struct trib_net *net = run->ports->net;
    const char *why = begin(run, TRIB_PEER_ECHO);
    if (why)
        return why;
    for (int i = 0; i < 3; i++)
        TRIB_RULE(net->connect(net->context, run->ports->peer_host, run->ports->peer_port) == 0,
                  "connect on a connection is not 0");
    return NULL;
}

static const char *nothing_is_said_by_again(struct trib_rule_run *run)
{
    const char *why = begin(run, TRIB_PEER_ECHO);
    for (int i = 0; i < 20 && !why; i++) {
        int result;
        why = take(run, run->scratch, 16, &result);
        TRIB_RULE(why || result == TRIB_EAGAIN, "receive does not say TRIB_EAGAIN when nothing is there");
        rest(run);
    }
    return why;
}

static const char *bytes_go_both_ways(struct trib_rule_run *run)
{
    uint8_t *out = run->scratch, *in = run->scratch + CHUNK, seen = 0;
    const char *why = begin(run, TRIB_PEER_ECHO);
    for (size_t i = 0; i < CHUNK; i++)
        out[i] = (uint8_t)(i * 7 + (i >> 8));
    why = why ? why : send_all(run, out, CHUNK);
    for (size_t at = 0; at < CHUNK && !why;) {
        int got;
        why = take_some(run, in, at < 20 ? 1 : 1 + at % 97, &got); /* a byte at a time first */
        if (why)
            return why;
        TRIB_RULE(got > 0, "receive failed on an open connection");
        for (int i = 0; i < got; i++)
            seen |= (uint8_t)(in[i] ^ out[at + (size_t)i]);
        TRIB_RULE(seen == 0, "bytes were changed, lost, doubled or swapped");
        at += (size_t)got;
    }
    return why;
}

static uint8_t piped(uint32_t at)
{
    return (uint8_t)(at % 251 + 1);
}

/* Offers bytes that nobody reads yet until the port takes no more, and then the rest. */
static const char *fill_pipe(struct trib_rule_run *run, uint32_t *out_sent)
{
    uint32_t sent = 0, again = 0;
    uint64_t until = now(run) + 2 * PATIENCE_MS;
    while (again == 0 || sent % CHUNK != 0) {
        uint32_t length = CHUNK - sent % CHUNK;
        int result;
        for (uint32_t i = 0; i < length; i++)
            run->scratch[i] = piped(sent + i);
        const char *why = offer(run, run->scratch, length, &result);
        if (why)
            return why;
        TRIB_RULE(sent < PIPE_BYTES_MAX, "send takes without an end what nobody reads");
        TRIB_RULE(now(run) < until, "send takes nothing any more");
        if (result == TRIB_EAGAIN) {
            again++;
            rest(run);
            continue;
        }
        TRIB_RULE(result > 0, "send failed on an open connection");
        sent += (uint32_t)result;
    }
    *out_sent = sent;
    return NULL;
}

static const char *full_pipe_loses_nothing(struct trib_rule_run *run)
{
    uint8_t end = 0, answer[TRIB_PEER_ANSWER_BYTES + 1];
    uint32_t sent = 0, at = 0;
    const char *why = begin(run, TRIB_PEER_SLOW);
    why = why ? why : fill_pipe(run, &sent);
    why = why ? why : send_all(run, &end, 1);
    while (at < TRIB_PEER_ANSWER_BYTES && !why) {
        int got;
        why = take_some(run, answer + at, TRIB_PEER_ANSWER_BYTES - at, &got);
        TRIB_RULE(why || got > 0, "receive failed on an open connection");
        at += (uint32_t)got;
    }
    if (why)
        return why;
    uint32_t counted =
        (uint32_t)answer[1] << 24 | (uint32_t)answer[2] << 16 | (uint32_t)answer[3] << 8 | answer[4];
    TRIB_RULE(answer[0] == 1 && counted == sent, "bytes that send took were changed, lost or doubled");
    return NULL;
}

static const char *end_comes_after_last_byte(struct trib_rule_run *run)
{
    uint32_t at = 0;
    int got = 0;
    const char *why = begin(run, TRIB_PEER_LAST);
    while (!why && at < 4) {
        why = take_some(run, run->scratch + at, 4 - at, &got);
        TRIB_RULE(why || got > 0, "the end came before the last byte");
        at += (uint32_t)got;
    }
    if (why)
        return why;
    TRIB_RULE(memcmp(run->scratch, "last", 4) == 0, "the last bytes are wrong");
    for (int i = 0; i < 3; i++) {
        why = take_some(run, run->scratch, 16, &got);
        if (why)
            return why;
        TRIB_RULE(got == TRIB_ECLOSED, "the end is not TRIB_ECLOSED, or does not stay so");
    }
    return NULL;
}

static const char *reset_is_an_error(struct trib_rule_run *run)
{
    int got;
    const char *why = begin(run, TRIB_PEER_RESET);
    why = why ? why : take_some(run, run->scratch, 16, &got);
    TRIB_RULE(why || got < 0, "a reset connection gives bytes");
    return why;
}

static const char *sending_to_nobody_is_an_error(struct trib_rule_run *run)
{
    uint64_t until = now(run) + PATIENCE_MS;
    int sent = 1;
    const char *why = begin(run, TRIB_PEER_RESET);
    while (!why && (sent > 0 || sent == TRIB_EAGAIN)) {
        TRIB_RULE(now(run) < until, "sending to a peer that is gone goes on and on");
        rest(run);
        why = offer(run, (const uint8_t *)"x", 1, &sent);
    }
    return why;
}

static const char *closed_says_so(struct trib_rule_run *run)
{
    int sent, got;
    const char *why = begin(run, TRIB_PEER_ECHO);
    if (why)
        return why;
    net_close(run);
    why = offer(run, (const uint8_t *)"x", 1, &sent);
    why = why ? why : take(run, run->scratch, 16, &got);
    TRIB_RULE(why || (sent == TRIB_ECLOSED && got == TRIB_ECLOSED),
              "send or receive after close is not TRIB_ECLOSED");
    return why;
}

static const char *close_any_time(struct trib_rule_run *run)
{
    const struct trib_net *net = run->ports->net;
    for (int i = 0; i < 3; i++) {
        net_close(run);
        net_close(run);
        (void)net->connect(net->context, run->ports->peer_host,
                           run->ports->peer_port); /* and in the middle of it */
        net_close(run);
        const char *why = bytes_go_both_ways(run);
        if (why)
            return why;
    }
    net_close(run);
    return NULL;
}

static const char *refused_is_an_error(struct trib_rule_run *run)
{
    int result;
    if (run->ports->refused_port == 0)
        return TRIB_RULE_SKIP;
    net_close(run);
    const char *why = dial(run, run->ports->refused_port, &result);
    net_close(run);
    TRIB_RULE(why || result < 0, "connect to where nobody listens succeeds");
    return why ? why : bytes_go_both_ways(run); /* and it works again */
}

static const char *empty_buffers_are_refused(struct trib_rule_run *run)
{
    const struct trib_net *net = run->ports->net;
    const char *why = begin(run, TRIB_PEER_ECHO);
    if (why)
        return why;
    TRIB_RULE(net->send(net->context, run->scratch, 0) == TRIB_EINVAL &&
                  net->receive(net->context, run->scratch, 0) == TRIB_EINVAL,
              "a length or capacity of 0 is not TRIB_EINVAL");
    net_close(run);
    return NULL;
}

const struct trib_rule TRIB_RULES_NET[] = {
    {"net.connected_stays_connected", connected_stays_connected},
    {"net.nothing_is_said_by_again", nothing_is_said_by_again},
    {"net.bytes_go_both_ways", bytes_go_both_ways},
    {"net.full_pipe_loses_nothing", full_pipe_loses_nothing},
    {"net.end_comes_after_last_byte", end_comes_after_last_byte},
    {"net.reset_is_an_error", reset_is_an_error},
    {"net.sending_to_nobody_is_an_error", sending_to_nobody_is_an_error},
    {"net.closed_says_so", closed_says_so},
    {"net.close_any_time", close_any_time},
    {"net.refused_is_an_error", refused_is_an_error},
    {"net.empty_buffers_are_refused", empty_buffers_are_refused},
    {NULL, NULL},
};
