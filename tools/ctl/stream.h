/* The stream commands: what cat, tail and stats share. */
#ifndef CTL_STREAM_H
#define CTL_STREAM_H

#include "ctl.h"
#include "sinks/stream_reader.h"

struct stream_options {
    char *folder; /* freed by ctl_stream */
    uint64_t from, limit, last;
    const char *type, *device; /* NULL: any */
    bool numbers, follow;
};

int stream_cat(const struct ctl *ctl, const struct stream_options *options);
int stream_tail(const struct ctl *ctl, const struct stream_options *options);
int stream_stats(const struct ctl *ctl, const struct stream_options *options);

bool stream_wanted(const struct stream_options *options, const struct gw_stream_record *record);
/* Says how many damaged places were stepped over, if any; the exit code. */
int stream_finish(struct gw_stream_reader *reader, int rc, const struct gw_error *error);

#endif
