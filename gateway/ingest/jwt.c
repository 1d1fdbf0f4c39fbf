#include "ingest/jwt.h"

#include <cjson/cJSON.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <string.h>

#include "ingest/base64url.h"
#include "ingest/device_id.h"
#include "ingest/jwks.h"

#define NBF_LEEWAY_S 60

struct parts {
    const char *header, *payload, *signature;
    size_t header_len, payload_len, signature_len;
    size_t signed_len; /* header, dot and payload */
};

static int refuse(const char **out_reason, const char *reason)
{
    *out_reason = reason;
    return GW_EAUTH;
}

static bool split(const char *token, size_t len, struct parts *out)
{
    const char *first = memchr(token, '.', len);
    if (!first)
        return false;
    size_t rest = len - (size_t)(first + 1 - token);
    const char *second = memchr(first + 1, '.', rest);
    if (!second)
        return false;
    *out = (struct parts){.header = token,
                          .header_len = (size_t)(first - token),
                          .payload = first + 1,
                          .payload_len = (size_t)(second - first - 1),
                          .signature = second + 1,
                          .signature_len = len - (size_t)(second + 1 - token),
                          .signed_len = (size_t)(second - token)};
    return !memchr(out->signature, '.', out->signature_len);
}

static cJSON *decode_object(const char *text, size_t len)
{
    uint8_t json[GW_JWT_BYTES_MAX];
    size_t json_len;
    if (gw_base64url_decode(text, len, json, sizeof json, &json_len) != GW_OK || memchr(json, 0, json_len))
        return NULL;
    const char *end;
    cJSON *object = cJSON_ParseWithLengthOpts((const char *)json, json_len, &end, 0);
    if (object && (!cJSON_IsObject(object) || end != (const char *)json + json_len)) {
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* JWS has r and s side by side (RFC 7518 §3.4), OpenSSL wants them as DER. */
static size_t es256_to_der(const uint8_t raw[64], uint8_t *out, size_t capacity)
{
    ECDSA_SIG *signature = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, 32, NULL), *s = BN_bin2bn(raw + 32, 32, NULL);
    int len = 0;
    if (!signature || !r || !s || ECDSA_SIG_set0(signature, r, s) != 1) {
        BN_free(r);
        BN_free(s);
    } else {
        uint8_t *at = out;
        len = i2d_ECDSA_SIG(signature, NULL);
        len = len > 0 && (size_t)len <= capacity ? i2d_ECDSA_SIG(signature, &at) : 0;
    }
    ECDSA_SIG_free(signature);
    return len > 0 ? (size_t)len : 0;
}

static bool signature_holds(const struct gw_jwk *key, const struct parts *parts)
{
    uint8_t raw[64], der[80];
    const uint8_t *signature = raw;
    size_t len;
    if (gw_base64url_decode(parts->signature, parts->signature_len, raw, sizeof raw, &len) != GW_OK ||
        len != sizeof raw)
        return false;
    if (key->kind == GW_JWK_ES256) {
        len = es256_to_der(raw, der, sizeof der);
        signature = der;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    const EVP_MD *digest = key->kind == GW_JWK_ES256 ? EVP_sha256() : NULL;
    bool holds =
        len > 0 && context && EVP_DigestVerifyInit(context, NULL, digest, NULL, key->key) == 1 &&
        EVP_DigestVerify(context, signature, len, (const uint8_t *)parts->header, parts->signed_len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return holds;
}

/* The key decides the algorithm; the header must only agree. So neither `none` nor HS256 with a public key
 * works. */
static int check_header(const struct gw_jwks *keys, const cJSON *header, const struct gw_jwk **out_key,
                        const char **out_reason)
{
    const char *alg = text_of(header, "alg"), *kid = text_of(header, "kid");
    if (!alg || (strcmp(alg, "ES256") != 0 && strcmp(alg, "EdDSA") != 0))
        return refuse(out_reason, "the token's algorithm is not allowed");
    if (cJSON_GetObjectItemCaseSensitive(header, "crit"))
        return refuse(out_reason, "the token has critical extensions");
    if (!kid || !(*out_key = gw_jwks_find(keys, kid)))
        return refuse(out_reason, "the token's key is not known");
    if (strcmp(alg, (*out_key)->kind == GW_JWK_ES256 ? "ES256" : "EdDSA") != 0)
        return refuse(out_reason, "the token's algorithm is not its key's");
    return GW_OK;
}

static bool audience_fits(const cJSON *payload, const char *audience)
{
    const cJSON *aud = cJSON_GetObjectItemCaseSensitive(payload, "aud");
    if (cJSON_IsString(aud))
        return strcmp(aud->valuestring, audience) == 0;
    const cJSON *element;
    if (cJSON_IsArray(aud))
        cJSON_ArrayForEach(element, aud) if (cJSON_IsString(element) &&
                                             strcmp(element->valuestring, audience) == 0) return true;
    return false;
}

static int check_claims(const cJSON *payload, const char *audience, uint64_t now_s, struct gw_jwt *out,
                        const char **out_reason)
{
    const cJSON *exp = cJSON_GetObjectItemCaseSensitive(payload, "exp");
    const cJSON *nbf = cJSON_GetObjectItemCaseSensitive(payload, "nbf");
    const char *sub = text_of(payload, "sub");
    double now = (double)now_s;
    if (!audience_fits(payload, audience))
        return refuse(out_reason, "the token is for another audience");
    if (!cJSON_IsNumber(exp))
        return refuse(out_reason, "the token has no expiry");
    if (!(exp->valuedouble > now))
        return refuse(out_reason, "the token has expired");
    if (!(exp->valuedouble <= now + (double)GW_JWT_LIFE_MAX_S))
        return refuse(out_reason, "the token lives longer than 90 days");
    if (nbf && (!cJSON_IsNumber(nbf) || !(nbf->valuedouble <= now + NBF_LEEWAY_S)))
        return refuse(out_reason, "the token is not valid yet");
    if (!sub || !gw_device_id_valid(sub, strlen(sub)))
        return refuse(out_reason, "the token's sub is not a device id");
    memcpy(out->device, sub, strlen(sub) + 1);
    out->expires_s = (uint64_t)exp->valuedouble;
    if ((double)out->expires_s < exp->valuedouble)
        out->expires_s++;
    return GW_OK;
}

int gw_jwt_verify(const struct gw_jwks *keys, const char *token, size_t len, const char *audience,
                  uint64_t now_s, struct gw_jwt *out, const char **out_reason)
{
    struct parts parts;
    if (len > GW_JWT_BYTES_MAX)
        return refuse(out_reason, "the token is longer than 4096 bytes");
    if (!split(token, len, &parts))
        return refuse(out_reason, "the token is malformed");
    cJSON *header = decode_object(parts.header, parts.header_len), *payload = NULL;
    const struct gw_jwk *key = NULL;
    int result =
        header ? check_header(keys, header, &key, out_reason) : refuse(out_reason, "the token is malformed");
    if (result == GW_OK && !signature_holds(key, &parts))
        result = refuse(out_reason, "the token's signature is wrong");
    if (result == GW_OK) {
        payload = decode_object(parts.payload, parts.payload_len);
        result = payload ? check_claims(payload, audience, now_s, out, out_reason)
                         : refuse(out_reason, "the token is malformed");
    }
    if (result == GW_OK)
        out->key = key->id;
    cJSON_Delete(header);
    cJSON_Delete(payload);
    return result;
}
