/* The deny list (`auth.deny`): devices that are not wanted whatever credentials they have. */
#ifndef GW_INGEST_DENY_H
#define GW_INGEST_DENY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define GW_DENY_FILE_MAX (64u << 20)

struct gw_deny;

/*
 * One device id a line; empty lines and what follows a # are left out. GW_EINVALID: the text names the line;
 * GW_ENOMEM.
 */
GW_MUST_CHECK int gw_deny_parse(const char *text, size_t len, struct gw_deny **out, struct gw_error *error);
/* Reads a file of at most GW_DENY_FILE_MAX bytes. GW_EIO, or as gw_deny_parse, with the file's name. */
GW_MUST_CHECK int gw_deny_load(const char *path, struct gw_deny **out, struct gw_error *error);
void gw_deny_free(struct gw_deny *deny);
/* deny: NULL denies nobody. */
bool gw_deny_has(const struct gw_deny *deny, const char *device);
size_t gw_deny_count(const struct gw_deny *deny);

#endif
