/*
 * A port of your own, by name: an app calls trib_port_assemble, and links port.c with all the functions below. One that
 * is missing is an error of the linker which says its name: `undefined reference to trib_port_net_send`. What each must
 * do is in tributary/port.h; port.c restates it.
 */
#ifndef TRIB_PORT_TEMPLATE_H
#define TRIB_PORT_TEMPLATE_H

#include "tributary/tributary.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What your functions need: descriptors, handles, addresses. The caller owns it; the SDK passes it back as context. */
struct trib_port {
    void *lane[TRIB_LANE_COUNT]; /* passed to the storage functions of that lane */
};

/* Sets storage, net, clock, entropy, digest, lock, wait and log of a config. Both must stay as long as the client. */
void trib_port_assemble(struct trib_port *port, struct trib_config *out_config);

/* Geometry of a lane, and what of it is in port->lane. */
void trib_port_storage_geometry(struct trib_port *port, enum trib_lane lane, uint32_t *out_sector_bytes,
                                uint32_t *out_sector_count, uint32_t *out_program_bytes);
int trib_port_storage_read(void *lane, uint32_t address, void *out_buffer, uint32_t length);
int trib_port_storage_program(void *lane, uint32_t address, const void *data, uint32_t length);
int trib_port_storage_erase(void *lane, uint32_t sector);
int trib_port_storage_sync(void *lane);
int trib_port_net_connect(void *port, const char *host, uint16_t number);
int trib_port_net_send(void *port, const uint8_t *data, size_t length);
int trib_port_net_receive(void *port, uint8_t *out_buffer, size_t capacity);
void trib_port_net_close(void *port);
uint64_t trib_port_clock_mono_ms(void *port);
uint32_t trib_port_discontinuity_count(void *port);
int trib_port_entropy_fill(void *port, uint8_t *out_buffer, size_t length);
int trib_port_digest_sha256(void *port, const void *data, size_t length, uint8_t out[32]);
void trib_port_lock_lock(void *port);
void trib_port_lock_unlock(void *port);
void trib_port_wait_wait(void *port, uint32_t timeout_ms);
void trib_port_log_write(void *port, enum trib_log_level level, const char *text);

#ifdef __cplusplus
}
#endif
#endif
