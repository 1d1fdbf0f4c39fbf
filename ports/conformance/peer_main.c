/* tributary-conformance-peer PORT: the peer of the conformance suite's net rules, on all addresses. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer.h"

int main(int argc, char **argv)
{
    unsigned long wanted = argc == 2 ? strtoul(argv[1], NULL, 10) : 0;
    if (wanted == 0 || wanted > UINT16_MAX) {
        fprintf(stderr, "usage: tributary-conformance-peer PORT\n");
        return 2;
    }
    uint16_t port = (uint16_t)wanted;
    int fd = trib_conformance_peer_listen(1, &port);
    if (fd < 0) {
        fprintf(stderr, "cannot listen on port %u: %s\n", (unsigned)port, strerror(errno));
        return 1;
    }
    fprintf(stderr, "listening on port %u\n", (unsigned)port);
    (void)trib_conformance_peer_serve(fd);
    fprintf(stderr, "cannot accept: %s\n", strerror(errno));
    return 1;
}
