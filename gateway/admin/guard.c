#include "admin/guard.h"

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "base/files.h"
#include "privacy/keys.h"

#define CREDENTIALS_MAX 256

static void to_hex(const uint8_t secret[GW_KEY_BYTES], char out[GW_TOKEN_DIGITS + 1])
{
    for (size_t i = 0; i < GW_KEY_BYTES; i++)
        snprintf(out + 2 * i, 3, "%02x", secret[i]);
}

/* Whole or not at all; one that is there is left alone. */
static int make_token(const char *folder, const char *path, struct gw_error *error)
{
    uint8_t secret[GW_KEY_BYTES];
    char text[GW_TOKEN_DIGITS + 2];
    if (gw_path_exists(path))
        return GW_OK;
    int e =
        getrandom(secret, sizeof secret, 0) == (ssize_t)sizeof secret ? gw_folder_make(folder, 0700) : EIO;
    if (e == 0) {
        to_hex(secret, text);
        text[GW_TOKEN_DIGITS] = '\n';
        e = gw_file_write(folder, GW_TOKEN_NAME, text, GW_TOKEN_DIGITS + 1, 0600);
        OPENSSL_cleanse(text, sizeof text);
    }
    OPENSSL_cleanse(secret, sizeof secret);
    return e == 0 ? GW_OK : gw_error_set(error, GW_EIO, e, "the admin token %s cannot be made", path);
}

int gw_guard_open(struct gw_guard *out, const char *file, const char *data_folder, struct gw_error *error)
{
    char folder[PATH_MAX - 64], path[PATH_MAX];
    uint8_t secret[GW_KEY_BYTES];
    memset(out, 0, sizeof *out);
    int rc = GW_OK;
    if (file[0]) {
        snprintf(path, sizeof path, "%s", file);
    } else {
        snprintf(folder, sizeof folder, "%s/keys", data_folder);
        snprintf(path, sizeof path, "%s/%s", folder, GW_TOKEN_NAME);
        rc = make_token(folder, path, error);
    }
    if (rc == GW_OK)
        rc = gw_key_file_read(path, secret, error);
    if (rc != GW_OK)
        return rc;
    to_hex(secret, out->token);
    OPENSSL_cleanse(secret, sizeof secret);
    return GW_OK;
}

/* --- credentials --- */

static bool is_token(const struct gw_guard *guard, const char *text, size_t len)
{
    char padded[GW_TOKEN_DIGITS] = {0};
    memcpy(padded, text, len < sizeof padded ? len : sizeof padded);
#ifdef GW_MUTANT_ANY_TOKEN
    (void)guard;
    return len == GW_TOKEN_DIGITS;
#else
    return (CRYPTO_memcmp(padded, guard->token, GW_TOKEN_DIGITS) == 0) & (len == GW_TOKEN_DIGITS);
#endif
}

static bool is_basic(const struct gw_guard *guard, const char *encoded)
{
    uint8_t plain[CREDENTIALS_MAX];
    const size_t len = strlen(encoded);
    if (len == 0 || len % 4 != 0 || len / 4 * 3 > sizeof plain)
        return false;
    int n = EVP_DecodeBlock(plain, (const unsigned char *)encoded, (int)len);
    for (size_t i = len; n > 0 && i > 0 && encoded[i - 1] == '='; i--)
        n--;
    const uint8_t *colon = n > 0 ? memchr(plain, ':', (size_t)n) : NULL;
    bool good = colon && is_token(guard, (const char *)colon + 1, (size_t)(plain + n - colon - 1));
    OPENSSL_cleanse(plain, sizeof plain);
    return good;
}

static bool is_good(const struct gw_guard *guard, const char *credentials)
{
    if (strncasecmp(credentials, "Bearer ", 7) == 0)
        return is_token(guard, credentials + 7, strlen(credentials + 7));
    return strncasecmp(credentials, "Basic ", 6) == 0 && is_basic(guard, credentials + 6);
}

/* --- failures --- */

static struct gw_guard_source *find_source(struct gw_guard *guard, const uint8_t address[16])
{
    for (size_t i = 0; i < GW_GUARD_SOURCES; i++)
        if (guard->sources[i].failures > 0 && memcmp(guard->sources[i].address, address, 16) == 0)
            return &guard->sources[i];
    return NULL;
}

/* A free place; else that of the address whose last failure is longest ago. */
static struct gw_guard_source *take_source(struct gw_guard *guard, const uint8_t address[16])
{
    struct gw_guard_source *oldest = &guard->sources[0];
    for (size_t i = 0; i < GW_GUARD_SOURCES && oldest->failures > 0; i++) {
        struct gw_guard_source *source = &guard->sources[i];
        if (source->failures == 0 || source->failed_ms < oldest->failed_ms)
            oldest = source;
    }
    memcpy(oldest->address, address, 16);
    oldest->failures = 0;
    return oldest;
}

int gw_guard_check(struct gw_guard *guard, const uint8_t address[16], const char *credentials,
                   uint64_t now_ms)
{
    struct gw_guard_source *source = find_source(guard, address);
    if (source && source->failures >= GW_GUARD_FAILURES && now_ms - source->failed_ms < GW_GUARD_MS)
        return -429;
    if (is_good(guard, credentials)) {
        if (source)
            source->failures = 0;
        return 0;
    }
    if (credentials[0] == 0)
        return -401; /* a client that waits to be asked has not guessed */
    if (!source)
        source = take_source(guard, address);
    if (source->failures < GW_GUARD_FAILURES)
        source->failures++;
    source->failed_ms = now_ms;
    return -401;
}

void gw_guard_address(const struct sockaddr *from, uint8_t out[16])
{
    memset(out, 0, 16);
    if (from->sa_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    } else if (from->sa_family == AF_INET) {
        out[10] = out[11] = 0xff;
        memcpy(out + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    }
}
