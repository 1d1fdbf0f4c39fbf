/* The command line of settop. */
#ifndef SETTOP_OPTIONS_H
#define SETTOP_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"

struct options {
    struct device_options device;
    const char *script;    /* NULL with drain_only */
    const char *side_file; /* NULL: none */
    bool drain_only;
    uint32_t stay_ms;     /* how long to go on after the script until all is acked */
    uint32_t shutdown_ms; /* budget of the SDK's shutdown */
};

/* 0 go on, 1 stop with success (help was printed), -1 stop with an error (said on stderr). */
int options_read(int argc, char **argv, struct options *out);

#endif
