/*
 * A port of your own: copy this folder, rename it, and fill in the functions of port.c. As it stands every function
 * returns an error, so that a missing piece shows itself at once and never as silent loss.
 */
#ifndef MY_PORT_H
#define MY_PORT_H

#include "tributary/port.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What your functions need: descriptors, handles, addresses. The caller owns it; the SDK passes it back as context. */
struct my_port {
    int unused;
};

struct trib_storage my_storage(struct my_port *port);
struct trib_net my_net(struct my_port *port);
struct trib_clock my_clock(struct my_port *port);
struct trib_entropy my_entropy(struct my_port *port);
struct trib_digest my_digest(struct my_port *port);
struct trib_lock my_lock(struct my_port *port);
struct trib_log my_log(struct my_port *port);

#ifdef __cplusplus
}
#endif
#endif
