#include "privacy/pseudonym.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/hmac.h"
#include "privacy/key_id.h"

#define SECRET_BYTES 32
#define KEPT_BYTES                                                                                           \
    16 /* of the MAC: FIPS 198-1 §5 allows truncation, 128 bits keep collisions out of reach \
                       */

struct gw_pseudonym_key {
    struct gw_hmac_key hmac;
    char prefix[4 + GW_KEY_ID_MAX]; /* "p1.<key id>." */
    size_t prefix_len;
    uint64_t serial;
};

int gw_pseudonym_key_new(const uint8_t *secret, size_t secret_len, const char *key_id,
                         struct gw_pseudonym_key **out, struct gw_error *error)
{
    if (secret_len != SECRET_BYTES)
        return gw_error_set(error, GW_EINVALID, 0, "the pseudonym key has %zu bytes: it must have 32",
                            secret_len);
    if (!gw_key_id_valid(key_id))
        return gw_error_set(error, GW_EINVALID, 0,
                            "pseudonym key id \"%.32s\": it must be 1 to 16 characters of a-z and 0-9",
                            key_id);
    struct gw_pseudonym_key *key = malloc(sizeof *key);
    if (!key)
        return gw_error_set(error, GW_ENOMEM, 0, "no memory for the pseudonym key");
    gw_hmac_key_init(&key->hmac, secret, secret_len);
    size_t id_len = strlen(key_id);
    memcpy(key->prefix, "p1.", 3);
    memcpy(key->prefix + 3, key_id, id_len);
    key->prefix[3 + id_len] = '.';
    key->prefix_len = id_len + 4;
    static _Atomic uint64_t serials;
    key->serial = atomic_fetch_add(&serials, 1) + 1;
    *out = key;
    return GW_OK;
}

void gw_pseudonym_key_free(struct gw_pseudonym_key *key)
{
    if (!key)
        return;
    OPENSSL_cleanse(key, sizeof *key);
    free(key);
}

/* Four bytes as eight lower-case hex digits: all at once, as eight bytes of a word. Little-endian, as siphash.c is. */
static void put_hex(const uint8_t *bytes, char *out)
{
    const uint64_t ones = 0x0101010101010101u;
    uint32_t four;
    memcpy(&four, bytes, sizeof four);
    uint64_t nibbles = four;
    nibbles = (nibbles | nibbles << 16) & 0x0000ffff0000ffffu;
    nibbles = (nibbles | nibbles << 8) & 0x00ff00ff00ff00ffu;
    nibbles = (nibbles >> 4 | nibbles << 8) & 0x0f0f0f0f0f0f0f0fu;
    uint64_t letters = (nibbles + 6 * ones) >> 4 & ones;
    uint64_t digits = nibbles + '0' * ones + letters * ('a' - '0' - 10);
    memcpy(out, &digits, sizeof digits);
}

size_t gw_pseudonym_text(const struct gw_pseudonym_key *key, const char *user, size_t user_len,
                         char out[GW_PSEUDONYM_TEXT_MAX])
{
    uint8_t mac[GW_HMAC_BYTES];
    gw_hmac(&key->hmac, user, user_len, mac);
    memcpy(out, key->prefix, key->prefix_len);
    for (size_t i = 0; i < KEPT_BYTES; i += 4)
        put_hex(mac + i, out + key->prefix_len + 2 * i);
    return key->prefix_len + 2 * KEPT_BYTES;
}

size_t gw_pseudonym_text_of(const struct gw_pseudonym_key *key, const char digits[GW_PSEUDONYM_DIGITS],
                            char out[GW_PSEUDONYM_TEXT_MAX])
{
    memcpy(out, key->prefix, key->prefix_len);
    memcpy(out + key->prefix_len, digits, GW_PSEUDONYM_DIGITS);
    return key->prefix_len + GW_PSEUDONYM_DIGITS;
}

uint64_t gw_pseudonym_key_serial(const struct gw_pseudonym_key *key)
{
    return key->serial;
}
