/* Rate limit of log lines a code point, with an injected clock. Not thread-safe: log.c holds the lock. */
#ifndef GW_OBSERVE_LOG_LIMIT_H
#define GW_OBSERVE_LOG_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define GW_LOG_LIMIT_POINTS 256    /* code points remembered; beyond that the stalest gives way */
#define GW_LOG_LIMIT_PER_SECOND 10 /* lines a code point */

struct gw_log_limit {
    struct gw_log_limit_point {
        uint64_t key; /* hash of level and event; 0: free */
        uint64_t window_start_ms, suppressed;
        uint32_t lines;
    } points[GW_LOG_LIMIT_POINTS];
};

/* Zeroed memory is an empty table. True: write the line, and say *out_suppressed were cut before it. */
bool gw_log_limit_allow(struct gw_log_limit *limit, int level, const char *event, uint64_t now_ms,
                        uint64_t *out_suppressed);

#endif
