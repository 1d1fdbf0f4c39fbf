/* What protects the user: ids are hashed before anything is kept of them. */
#include <string.h>

#include "client/client_internal.h"

#define HASH_BYTES 16u

/* What is hashed: the domain, the salt, the id, each but the last followed by a zero byte. None of them holds one. */
static const char domain[] = "tributary user id v1";

static size_t append(uint8_t *to, const char *text)
{
    size_t bytes = text ? strlen(text) : 0;
    if (bytes > 0)
        memcpy(to, text, bytes);
    return bytes;
}

/* RFC 4648 §5, without padding. */
static void base64url(const uint8_t *from, char *out)
{
    for (unsigned i = 0; i < TRIB_USER_HASH_BYTES; i++) {
        unsigned bit = i * 6, at = bit / 8;
        unsigned pair = (unsigned)from[at] << 8 | (at + 1 < HASH_BYTES ? from[at + 1] : 0u);
        unsigned digit = pair >> (10 - bit % 8) & 63;
        out[i] = (char)(digit < 26   ? 'A' + digit
                        : digit < 52 ? 'a' + digit - 26
                        : digit < 62 ? '0' + digit - 52
                        : digit < 63 ? '-'
                                     : '_');
    }
}

TRIB_OWN_FRAME int trib_client_user(const struct trib_client *client, const char *user,
                                    char hashed[TRIB_USER_HASH_BYTES], struct trib_part *out)
{
    const struct trib_config *config = client->config;
    uint8_t digest[32], text[sizeof domain + TRIB_USER_SALT_MAX + 1 + TRIB_WIRE_USER_BYTES_MAX];
    size_t bytes = user ? strlen(user) : 0, n = sizeof domain;
    if (bytes > TRIB_WIRE_USER_BYTES_MAX)
        return TRIB_EINVAL;
    out->data = user;
    out->bytes = bytes;
    if (bytes == 0 || config->user_id_as_given)
        return 0;
    memcpy(text, domain, sizeof domain);
    n += append(text + n, config->user_salt);
    text[n++] = 0;
    n += append(text + n, user);
    int rc = config->digest.sha256(config->digest.context, text, n, digest);
    if (rc < 0)
        return rc;
    base64url(digest, hashed);
    out->data = hashed;
    out->bytes = TRIB_USER_HASH_BYTES;
    return 0;
}
