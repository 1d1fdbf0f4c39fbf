#include "privacy/seal.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "privacy/key_id.h"

#define SECRET_BYTES 32
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define SEAL_VERSION 1

struct gw_seal_key {
    uint8_t secret[SECRET_BYTES];
    uint8_t header[2 + GW_KEY_ID_MAX]; /* version, key id length, key id: the start of each sealed item */
    size_t header_len;
};

int gw_seal_key_new(const uint8_t *secret, size_t secret_len, const char *key_id, struct gw_seal_key **out,
                    struct gw_error *error)
{
    if (secret_len != SECRET_BYTES)
        return gw_error_set(error, GW_EINVALID, 0, "the seal key has %zu bytes: it must have 32", secret_len);
    if (!gw_key_id_valid(key_id))
        return gw_error_set(error, GW_EINVALID, 0,
                            "seal key id \"%.32s\": it must be 1 to 16 characters of a-z and 0-9", key_id);
    struct gw_seal_key *key = malloc(sizeof *key);
    if (!key)
        return gw_error_set(error, GW_ENOMEM, 0, "no memory for the seal key");
    size_t id_len = strlen(key_id);
    memcpy(key->secret, secret, SECRET_BYTES);
    key->header[0] = SEAL_VERSION;
    key->header[1] = (uint8_t)id_len;
    memcpy(key->header + 2, key_id, id_len);
    key->header_len = 2 + id_len;
    *out = key;
    return GW_OK;
}

void gw_seal_key_free(struct gw_seal_key *key)
{
    if (!key)
        return;
    OPENSSL_cleanse(key, sizeof *key);
    free(key);
}

/* The associated data are two pieces: header and label. GCM takes them one after the other. */
static int encrypt(EVP_CIPHER_CTX *ctx, const struct gw_seal_key *key, const uint8_t *nonce,
                   const void *label, size_t label_len, const uint8_t *data, size_t len, uint8_t *out,
                   uint8_t *tag)
{
    int n;
    return EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->secret, nonce) == 1 &&
           EVP_EncryptUpdate(ctx, NULL, &n, key->header, (int)key->header_len) == 1 &&
           EVP_EncryptUpdate(ctx, NULL, &n, label, (int)label_len) == 1 &&
           EVP_EncryptUpdate(ctx, out, &n, data, (int)len) == 1 && n == (int)len &&
           EVP_EncryptFinal_ex(ctx, out + len, &n) == 1 && n == 0 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1;
}

static int decrypt(EVP_CIPHER_CTX *ctx, const struct gw_seal_key *key, const uint8_t *nonce,
                   const void *label, size_t label_len, const uint8_t *data, size_t len, uint8_t *out,
                   const uint8_t *tag)
{
    int n;
    uint8_t tag_copy[TAG_BYTES];
    memcpy(tag_copy, tag, TAG_BYTES);
    return EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->secret, nonce) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &n, key->header, (int)key->header_len) == 1 &&
           EVP_DecryptUpdate(ctx, NULL, &n, label, (int)label_len) == 1 &&
           EVP_DecryptUpdate(ctx, out, &n, data, (int)len) == 1 && n == (int)len &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag_copy) == 1 &&
           EVP_DecryptFinal_ex(ctx, out + len, &n) == 1;
}

int gw_seal(const struct gw_seal_key *key, const void *label, size_t label_len, const uint8_t *data,
            size_t len, uint8_t *out, size_t *out_len)
{
    if (len > INT_MAX - GW_SEAL_OVERHEAD_MAX || label_len > INT_MAX)
        return GW_EINVALID;
    memcpy(out, key->header, key->header_len);
    uint8_t *nonce = out + key->header_len;
    uint8_t *cipher = nonce + NONCE_BYTES;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return GW_ECRYPTO;
    int done = RAND_bytes(nonce, NONCE_BYTES) == 1 &&
               encrypt(ctx, key, nonce, label, label_len, data, len, cipher, cipher + len);
    EVP_CIPHER_CTX_free(ctx);
    if (!done)
        return GW_ECRYPTO;
    *out_len = key->header_len + NONCE_BYTES + len + TAG_BYTES;
    return GW_OK;
}

int gw_unseal(const struct gw_seal_key *key, const void *label, size_t label_len, const uint8_t *sealed,
              size_t sealed_len, uint8_t *out, size_t *out_len)
{
    const size_t overhead = key->header_len + NONCE_BYTES + TAG_BYTES;
    if (sealed_len < overhead || sealed_len > INT_MAX || label_len > INT_MAX ||
        memcmp(sealed, key->header, key->header_len) != 0)
        return GW_ECRYPTO;
    const uint8_t *nonce = sealed + key->header_len;
    const uint8_t *cipher = nonce + NONCE_BYTES;
    const size_t len = sealed_len - overhead;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return GW_ECRYPTO;
    int done = decrypt(ctx, key, nonce, label, label_len, cipher, len, out, cipher + len);
    EVP_CIPHER_CTX_free(ctx);
    if (!done) {
        OPENSSL_cleanse(out, len); /* GCM decrypts before it knows the tag: hand out nothing unproven */
        return GW_ECRYPTO;
    }
    *out_len = len;
    return GW_OK;
}
