#include "ingest/jwks.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/base64url.h"
#include "ingest/jwt.h"

#define JWKS_FILE_MAX (1 << 20)

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static bool is(const char *text, const char *expected)
{
    return text && strcmp(text, expected) == 0;
}

static bool coordinate(const cJSON *jwk, const char *name, uint8_t out[32])
{
    const char *text = text_of(jwk, name);
    size_t len;
    return text && gw_base64url_decode(text, strlen(text), out, 32, &len) == GW_OK && len == 32;
}

static EVP_PKEY *key_from_point(const uint8_t point[65])
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    OSSL_PARAM *params = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (build && context &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, 65) &&
        (params = OSSL_PARAM_BLD_to_param(build)) && EVP_PKEY_fromdata_init(context) == 1 &&
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    OSSL_PARAM_free(params);
    OSSL_PARAM_BLD_free(build);
    EVP_PKEY_CTX_free(context);
    return key;
}

/* RFC 7518 §6.2.1: P-256 as x and y of 32 bytes. A point off the curve is refused by OpenSSL. */
static EVP_PKEY *es256_key(const cJSON *jwk)
{
    uint8_t point[65] = {4}; /* uncompressed */
    if (!coordinate(jwk, "x", point + 1) || !coordinate(jwk, "y", point + 33))
        return NULL;
    return key_from_point(point);
}

/* RFC 8037 §2 */
static EVP_PKEY *ed25519_key(const cJSON *jwk)
{
    uint8_t raw[32];
    if (!coordinate(jwk, "x", raw))
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, raw, sizeof raw);
}

/* 0: out of memory. */
static uint64_t id_of(const EVP_PKEY *key, const char *kid)
{
    unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
    int len = i2d_PUBKEY(key, &der);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint64_t id = 0;
    if (len > 0 && context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 &&
        EVP_DigestUpdate(context, kid, strlen(kid) + 1) == 1 &&
        EVP_DigestUpdate(context, der, (size_t)len) == 1 && EVP_DigestFinal_ex(context, digest, NULL) == 1) {
        memcpy(&id, digest, sizeof id);
        id = id ? id : 1;
    }
    EVP_MD_CTX_free(context);
    OPENSSL_free(der);
    return id;
}

/* 1 taken, 0 not of a kind that we use, or a negative error. */
static int take_key(struct gw_jwks *keys, const cJSON *jwk, size_t index, struct gw_error *error)
{
    const char *kty = text_of(jwk, "kty"), *crv = text_of(jwk, "crv"), *kid = text_of(jwk, "kid");
    const char *use = text_of(jwk, "use"), *alg = text_of(jwk, "alg");
    bool es256 = is(kty, "EC") && is(crv, "P-256"), ed25519 = is(kty, "OKP") && is(crv, "Ed25519");
    if ((!es256 && !ed25519) || (use && !is(use, "sig")) || (alg && !is(alg, es256 ? "ES256" : "EdDSA")))
        return 0;
    if (!kid || kid[0] == 0 || strlen(kid) >= sizeof keys->keys[0].kid)
        return gw_error_set(error, GW_EINVALID, 0, "key %zu has no kid, or one longer than 127 bytes",
                            index + 1);
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->keys[i].kid, kid) == 0)
            return gw_error_set(error, GW_EINVALID, 0, "two keys have the kid %s", kid);
    if (cJSON_GetObjectItemCaseSensitive(jwk, "d"))
        return gw_error_set(error, GW_EINVALID, 0, "key %s is a private key: keep only public ones here",
                            kid);
    EVP_PKEY *key = es256 ? es256_key(jwk) : ed25519_key(jwk);
    if (!key) {
        ERR_clear_error();
        return gw_error_set(error, GW_EINVALID, 0, "key %s is not a valid public key", kid);
    }
    uint64_t id = id_of(key, kid);
    if (id == 0) {
        EVP_PKEY_free(key);
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    }
    struct gw_jwk *slot = &keys->keys[keys->count++];
    slot->id = id;
    slot->key = key;
    slot->kind = es256 ? GW_JWK_ES256 : GW_JWK_ED25519;
    snprintf(slot->kid, sizeof slot->kid, "%s", kid);
    return 1;
}

static int take_all(const cJSON *root, struct gw_jwks **out, struct gw_error *error)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "keys");
    if (!cJSON_IsArray(list))
        return gw_error_set(error, GW_EINVALID, 0, "not a JSON Web Key Set: there is no array \"keys\"");
    size_t count = (size_t)cJSON_GetArraySize(list);
    struct gw_jwks *keys = calloc(1, sizeof *keys + count * sizeof keys->keys[0]);
    if (!keys)
        return gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    size_t index = 0;
    const cJSON *jwk;
    cJSON_ArrayForEach(jwk, list)
    {
        int result = take_key(keys, jwk, index++, error);
        if (result < 0) {
            gw_jwks_free(keys);
            return result;
        }
    }
    if (keys->count == 0) {
        gw_jwks_free(keys);
        return gw_error_set(error, GW_EINVALID, 0, "no ES256 or EdDSA key is in the set");
    }
    *out = keys;
    return GW_OK;
}

int gw_jwks_parse(const char *text, size_t len, struct gw_jwks **out, struct gw_error *error)
{
    cJSON *root = cJSON_ParseWithLength(text, len);
    if (!root)
        return gw_error_set(error, GW_EINVALID, 0, "not JSON");
    int result = take_all(root, out, error);
    cJSON_Delete(root);
    return result;
}

int gw_jwks_load(const char *path, struct gw_jwks **out, struct gw_error *error)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return gw_error_set(error, GW_EIO, errno, "cannot open the key set %s", path);
    char *text = malloc(JWKS_FILE_MAX + 1);
    size_t len = text ? fread(text, 1, JWKS_FILE_MAX + 1, file) : 0;
    bool failed = ferror(file) != 0;
    fclose(file);
    int result;
    struct gw_error inner = {0};
    if (!text)
        result = gw_error_set(error, GW_ENOMEM, 0, "out of memory");
    else if (failed || len > JWKS_FILE_MAX)
        result =
            gw_error_set(error, GW_EIO, 0, "cannot read the key set %s, or it is larger than 1 MiB", path);
    else if ((result = gw_jwks_parse(text, len, out, &inner)) != GW_OK)
        gw_error_set(error, result, 0, "key set %s: %s", path, inner.text);
    free(text);
    return result;
}

void gw_jwks_free(struct gw_jwks *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++)
        EVP_PKEY_free(keys->keys[i].key);
    free(keys);
}

size_t gw_jwks_count(const struct gw_jwks *keys)
{
    return keys->count;
}

bool gw_jwks_has(const struct gw_jwks *keys, uint64_t key)
{
    for (size_t i = 0; i < keys->count; i++)
        if (keys->keys[i].id == key)
            return true;
    return false;
}

const struct gw_jwk *gw_jwks_find(const struct gw_jwks *keys, const char *kid)
{
    for (size_t i = 0; i < keys->count; i++)
        if (strcmp(keys->keys[i].kid, kid) == 0)
            return &keys->keys[i];
    return NULL;
}
