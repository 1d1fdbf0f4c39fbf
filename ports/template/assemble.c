/* From functions that are known by name to the structs of tributary/port.h. Nothing to change here, but to leave out an
 * optional port: lock in an app whose only thread polls, wait, log. */
#include "port.h"

static struct trib_storage storage_of(struct trib_port *port, enum trib_lane lane)
{
    struct trib_storage storage = {
        .context = port->lane[lane],
        .read = trib_port_storage_read,
        .program = trib_port_storage_program,
        .erase = trib_port_storage_erase,
        .sync = trib_port_storage_sync,
    };
    trib_port_storage_geometry(port, lane, &storage.sector_bytes, &storage.sector_count,
                               &storage.program_bytes);
    return storage;
}

void trib_port_assemble(struct trib_port *port, struct trib_config *out_config)
{
    for (unsigned lane = 0; lane < TRIB_LANE_COUNT; lane++)
        out_config->storage[lane] = storage_of(port, (enum trib_lane)lane);
    out_config->net = (struct trib_net){port, trib_port_net_connect, trib_port_net_send,
                                        trib_port_net_receive, trib_port_net_close};
    out_config->clock = (struct trib_clock){port, trib_port_clock_mono_ms};
    out_config->discontinuity = (struct trib_discontinuity){port, trib_port_discontinuity_count};
    out_config->entropy = (struct trib_entropy){port, trib_port_entropy_fill};
    out_config->digest = (struct trib_digest){port, trib_port_digest_sha256};
    out_config->lock = (struct trib_lock){port, trib_port_lock_lock, trib_port_lock_unlock};
    out_config->wait = (struct trib_wait){port, trib_port_wait_wait};
    out_config->log = (struct trib_log){port, trib_port_log_write};
}
