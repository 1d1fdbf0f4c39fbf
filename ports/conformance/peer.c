#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int send_all(int fd, const uint8_t *data, size_t length)
{
    while (length > 0) {
        ssize_t sent = send(fd, data, length, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return -1;
        data += sent;
        length -= (size_t)sent;
    }
    return 0;
}

static ssize_t some(int fd, uint8_t *out, size_t capacity)
{
    ssize_t got;
    do {
        got = recv(fd, out, capacity, 0);
    } while (got < 0 && errno == EINTR);
    return got;
}

static void echo(int fd)
{
    uint8_t buffer[4096];
    ssize_t got;
    while ((got = some(fd, buffer, sizeof buffer)) > 0)
        if (send_all(fd, buffer, (size_t)got) != 0)
            return;
}

static void slow(int fd)
{
    struct timespec pause = {.tv_sec = TRIB_PEER_SLOW_MS / 1000,
                             .tv_nsec = TRIB_PEER_SLOW_MS % 1000 * 1000000L};
    uint8_t buffer[65536], answer[TRIB_PEER_ANSWER_BYTES] = {1};
    uint32_t count = 0;
    ssize_t got;
    while (nanosleep(&pause, &pause) != 0 && errno == EINTR)
        continue;
    while ((got = some(fd, buffer, sizeof buffer)) > 0)
        for (ssize_t i = 0; i < got; i++) {
            if (buffer[i] == 0) {
                for (int k = 0; k < 4; k++)
                    answer[1 + k] = (uint8_t)(count >> (24 - 8 * k));
                (void)send_all(fd, answer, sizeof answer);
                return;
            }
            answer[0] &= buffer[i] == count++ % 251 + 1;
        }
}

static void reset(int fd)
{
    const struct linger hard = {1, 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

int trib_conformance_peer_serve(int listening_fd)
{
    for (;;) {
        uint8_t command;
        int fd = accept(listening_fd, NULL, NULL);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0)
            return -1;
        if (some(fd, &command, 1) == 1) {
            if (command == TRIB_PEER_ECHO)
                echo(fd);
            else if (command == TRIB_PEER_LAST)
                (void)send_all(fd, (const uint8_t *)"last", 4);
            else if (command == TRIB_PEER_SLOW)
                slow(fd);
            else if (command == TRIB_PEER_RESET)
                reset(fd);
        }
        (void)close(fd);
    }
}

int trib_conformance_peer_listen(int anywhere, uint16_t *in_out_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(anywhere ? INADDR_ANY : INADDR_LOOPBACK),
                                  .sin_port = htons(*in_out_port)};
    socklen_t length = sizeof address;
    int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, 16) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &length) != 0) {
        int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    *in_out_port = ntohs(address.sin_port);
    return fd;
}
