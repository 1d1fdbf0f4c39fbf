/*
 * The embedded stream as a sink: appends each event once to the files of sinks/stream_file.h.
 *
 * A flush is one append and one fdatasync for all that was written since the last. At open it looks for its last
 * whole record and goes on behind it; what a power cut left behind that is cut off. After a failed sync nothing
 * of what was not durable is trusted: it is cut off and written anew.
 */
#ifndef GW_SINKS_STREAM_LOG_H
#define GW_SINKS_STREAM_LOG_H

#include "delivery/sink.h"

struct gw_stream_log_config {
    const char *folder;     /* made when missing; its parent must exist. Copied. */
    uint64_t file_bytes;    /* a new file is begun before one exceeds this; 0: 64 MiB */
    uint64_t epoch;         /* of the journal */
    const char *gateway_id; /* copied */
};

/* The sink is freed by sink.free. GW_ENOMEM. */
GW_MUST_CHECK int gw_stream_log_new(const struct gw_stream_log_config *config, struct gw_sink *out,
                                    struct gw_error *error);

#endif
