/* Reload: the configuration and the files that it names, read again by a running gateway. */
#ifndef GW_MAIN_RELOAD_H
#define GW_MAIN_RELOAD_H

#include "main/gateway.h"

/*
 * From any thread. Reads the file anew, checks all of it and all files it names, then swaps, or changes nothing; new schemas in
 * schemas.folder are registered, and stay so. Says in the log what became of it. GW_EINVALID, GW_EIO, GW_ENOTFOUND,
 * GW_ENOMEM, GW_ECONFLICT (schemas) and others: the text says why nothing was swapped.
 */
GW_MUST_CHECK int gw_gateway_reload(struct gw_gateway *gateway, struct gw_error *error);

#endif
