/* Environment variables in configuration values: ${NAME}, ${NAME:-default}, and $$ for a dollar. Pure. */
#ifndef GW_CONFIG_EXPAND_H
#define GW_CONFIG_EXPAND_H

#include <stddef.h>

#include "base/arena.h"
#include "config/config.h"

/*
 * Puts the expanded text into the arena. The default serves for a variable that is unset or empty, as in the
 * shell (POSIX XCU 2.6.2); what a variable holds is not expanded again. GW_EINVALID: *error has the reason
 * without file and line, and never a variable's value; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_expand(const char *text, gw_config_environment environment, void *context,
                            struct gw_arena *arena, char **out_text, struct gw_error *error);

#endif
