#include "observe/log_limit.h"

#include <stddef.h>

#define PROBES 8
#define WINDOW_MS 1000

/* FNV-1a, 64 bits; never 0, which marks a free place. */
static uint64_t hash(int level, const char *event)
{
    uint64_t h = (14695981039346656037U ^ (unsigned)level) * 1099511628211U;
    for (; *event; event++)
        h = (h ^ (unsigned char)*event) * 1099511628211U;
    return h ? h : 1;
}

/* The point of this key: the one there is, else a free one, else the one whose window began first. */
static struct gw_log_limit_point *find(struct gw_log_limit *limit, uint64_t key)
{
    struct gw_log_limit_point *oldest = NULL;
    for (size_t i = 0; i < PROBES; i++) {
        struct gw_log_limit_point *point = &limit->points[(key + i) % GW_LOG_LIMIT_POINTS];
        if (point->key == key)
            return point;
        if (point->key == 0) {
            point->key = key;
            return point;
        }
        if (!oldest || point->window_start_ms < oldest->window_start_ms)
            oldest = point;
    }
    *oldest = (struct gw_log_limit_point){.key = key};
    return oldest;
}

bool gw_log_limit_allow(struct gw_log_limit *limit, int level, const char *event, uint64_t now_ms,
                        uint64_t *out_suppressed)
{
    struct gw_log_limit_point *point = find(limit, hash(level, event));
    if (point->lines == 0 || now_ms - point->window_start_ms >= WINDOW_MS) {
        point->window_start_ms = now_ms;
        point->lines = 0;
    }
    if (point->lines >= GW_LOG_LIMIT_PER_SECOND) {
        point->suppressed++;
        return false;
    }
    point->lines++;
    *out_suppressed = point->suppressed;
    point->suppressed = 0;
    return true;
}
