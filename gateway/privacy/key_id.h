/* Key ids name keys in pseudonyms and sealed items: 1 to 16 characters of [a-z0-9]. */
#ifndef GW_PRIVACY_KEY_ID_H
#define GW_PRIVACY_KEY_ID_H

#include <stdbool.h>
#include <stddef.h>

#define GW_KEY_ID_MAX 16

static inline bool gw_key_id_valid(const char *id)
{
    size_t len = 0;
    for (; id[len]; len++) {
        bool allowed = (id[len] >= 'a' && id[len] <= 'z') || (id[len] >= '0' && id[len] <= '9');
        if (!allowed || len == GW_KEY_ID_MAX)
            return false;
    }
    return len > 0;
}

#endif
