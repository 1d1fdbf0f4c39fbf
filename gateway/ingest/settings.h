/*
 * What a reload swaps, as one immutable whole: the rules of sessions, credentials, limits on rates. Each thread holds the
 * one it works with; the last holder frees it.
 */
#ifndef GW_INGEST_SETTINGS_H
#define GW_INGEST_SETTINGS_H

#include <stdatomic.h>

#include "config/config.h"
#include "ingest/credentials.h"
#include "session/session.h"

struct gw_settings {
    atomic_uint holders;
    struct gw_config config;       /* of this, threads use only what may change in a reload */
    struct gw_session_rules rules; /* its texts are the configuration's */
    struct gw_credentials *credentials;
};

/*
 * config is taken over on success, with what it owns. fixed: rules that no reload changes; the others are filled here.
 * Errors as gw_credentials_load.
 */
GW_MUST_CHECK int gw_settings_new(struct gw_config *config, const struct gw_session_rules *fixed,
                                  struct gw_settings **out, struct gw_error *error);
struct gw_settings *gw_settings_hold(struct gw_settings *settings);
/* NULL does nothing. */
void gw_settings_release(struct gw_settings *settings);

#endif
