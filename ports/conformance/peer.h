/*
 * The other end of the net's rules: a TCP server whose connections do what their first byte says. In peer.c for POSIX;
 * `tributary-conformance-peer PORT` is that as a program, for a target that is somewhere else.
 */
#ifndef TRIB_CONFORMANCE_PEER_H
#define TRIB_CONFORMANCE_PEER_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TRIB_PEER_ECHO 'E'  /* sends back all that comes, until the end */
#define TRIB_PEER_LAST 'L'  /* sends "last" and closes */
#define TRIB_PEER_RESET 'R' /* resets the connection */
/* Reads nothing for TRIB_PEER_SLOW_MS. Then bytes 1, 2, …, 251, 1, … until a 0 comes; answers with 1 if they were that,
 * and how many came, 4 bytes, big end first. */
#define TRIB_PEER_SLOW 'S'
#define TRIB_PEER_SLOW_MS 2000u
#define TRIB_PEER_ANSWER_BYTES 5u

/* Serves one connection after the other on a listening socket, for ever; each in turn. Returns -1 when accept fails. */
int trib_conformance_peer_serve(int listening_fd);
/* Listens (loopback only, or anywhere). *in_out_port: 0 lets the system choose. The socket, or -1: errno says why. */
int trib_conformance_peer_listen(int anywhere, uint16_t *in_out_port);

#ifdef __cplusplus
}
#endif
#endif
