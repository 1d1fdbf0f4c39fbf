/* Which keys a running gateway takes anew, and whether two configurations differ in another. */
#include <string.h>

#include "config/keys.h"

/* Longest value: a path of 4096 bytes behind the folder of the configuration file. */
#define VALUE_MAX 8300

bool gw_config_reloads(const struct gw_config_key *key)
{
    static const char *const paths[] = {"listen.certificate", "listen.key",       "listen.origins",
                                        "listen.crl",         "auth.client_ca",   "auth.jwks",
                                        "auth.deny",          "observe.log_level"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (strcmp(key->path, paths[i]) == 0)
            return true;
    return strcmp(key->section, "devices") == 0 || strcmp(key->section, "drain") == 0;
}

static bool same(const struct gw_config *a, const struct gw_config *b, const struct gw_config_key *key)
{
    char text_a[VALUE_MAX], text_b[VALUE_MAX];
    size_t count = gw_config_value_count(a, key);
    if (count != gw_config_value_count(b, key))
        return false;
    for (size_t i = 0; i < count; i++) {
        gw_config_value_text(a, key, i, text_a, sizeof text_a);
        gw_config_value_text(b, key, i, text_b, sizeof text_b);
        if (strcmp(text_a, text_b) != 0)
            return false;
    }
    return true;
}

int gw_config_check_reload(const struct gw_config *running, const struct gw_config *wanted,
                           struct gw_error *error)
{
    for (size_t i = 0; i < gw_config_key_count; i++)
        if (!gw_config_reloads(&gw_config_keys[i]) && !same(running, wanted, &gw_config_keys[i]))
            return gw_error_set(error, GW_EINVALID, 0, "%s cannot change without a restart",
                                gw_config_keys[i].path);
    return GW_OK;
}
