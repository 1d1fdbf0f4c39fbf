/* The command line of tributaryd. */
#ifndef GW_MAIN_OPTIONS_H
#define GW_MAIN_OPTIONS_H

#include <stdio.h>

#include "base/error.h"

#define TRIBUTARYD_CONFIG_DEFAULT "/etc/tributary/tributaryd.yaml"

enum gw_action { GW_ACTION_RUN, GW_ACTION_CHECK_CONFIG, GW_ACTION_VERSION, GW_ACTION_HELP };

struct gw_options {
    enum gw_action action;
    const char *config;
};

/* GW_EINVALID: an option that is not known, or one that lacks its value. */
GW_MUST_CHECK int gw_options_parse(int argc, char **argv, struct gw_options *out, struct gw_error *error);
void gw_options_help(FILE *out);

#endif
