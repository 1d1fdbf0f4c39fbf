#include "main/options.h"

#include <string.h>

int gw_options_parse(int argc, char **argv, struct gw_options *out, struct gw_error *error)
{
    struct gw_options options = {.action = GW_ACTION_RUN, .config = TRIBUTARYD_CONFIG_DEFAULT};
    for (int i = 1; i < argc; i++) {
        const char *arg = argv[i];
        if (strcmp(arg, "--config") == 0) {
            if (++i == argc)
                return gw_error_set(error, GW_EINVALID, 0, "--config needs a file behind it");
            options.config = argv[i];
        } else if (strncmp(arg, "--config=", 9) == 0) {
            options.config = arg + 9;
        } else if (strcmp(arg, "--check-config") == 0) {
            options.action = GW_ACTION_CHECK_CONFIG;
        } else if (strcmp(arg, "--version") == 0) {
            options.action = GW_ACTION_VERSION;
        } else if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            options.action = GW_ACTION_HELP;
        } else {
            return gw_error_set(error, GW_EINVALID, 0, "%s is not an option of tributaryd: see --help", arg);
        }
    }
    *out = options;
    return GW_OK;
}

void gw_options_help(FILE *out)
{
    fputs("tributaryd: takes events from devices, keeps them, and feeds stream and lake.\n"
          "\n"
          "usage: tributaryd [--config FILE] [--check-config] [--version] [--help]\n"
          "\n"
          "  --config FILE   configuration (default " TRIBUTARYD_CONFIG_DEFAULT ")\n"
          "  --check-config  check it, print what it means and what it needs, and exit\n"
          "  --version       print the version and exit\n"
          "\n"
          "signals: SIGTERM, SIGINT  stop: devices are sent away, what they sent is stored and acked\n"
          "         SIGHUP           reload the configuration, certificates, keys and deny list; refused "
          "whole\n"
          "                          if anything in them is wrong (the log says what)\n"
          "\n"
          "exit: 0 stopped as asked; 1 could not start or go on; 2 the configuration or command line is "
          "wrong\n",
          out);
}
