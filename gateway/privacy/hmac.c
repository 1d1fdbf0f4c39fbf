/*
 * Why not EVP here: a state has to be cloned twice for every user id, on the hot path. EVP_MD_CTX_copy_ex
 * clones through the provider with an allocation (117 ns an HMAC with SHA instructions, 551 ns without); a
 * SHA256_CTX is a plain struct that is copied on the stack (88 ns and 413 ns), needs no context of each
 * thread's own, and has no failure to handle. Both run the same assembly. The low-level calls are deprecated
 * since OpenSSL 3.0 but present in all of 3.x; should they go, this file alone changes.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "privacy/hmac.h"

#include <openssl/crypto.h>
#include <string.h>

#define BLOCK_BYTES 64
#define ONE_BLOCK_MAX (BLOCK_BYTES - 9) /* room for a bit and the length */

static void start(SHA256_CTX *state, const uint8_t block[BLOCK_BYTES], uint8_t pad)
{
    uint8_t padded[BLOCK_BYTES];
    for (size_t i = 0; i < BLOCK_BYTES; i++)
        padded[i] = block[i] ^ pad;
    SHA256_Init(state);
    SHA256_Update(state, padded, sizeof padded);
    OPENSSL_cleanse(padded, sizeof padded);
}

void gw_hmac_key_init(struct gw_hmac_key *key, const uint8_t *secret, size_t secret_len)
{
    uint8_t block[BLOCK_BYTES] = {0};
    if (secret_len > BLOCK_BYTES)
        SHA256(secret, secret_len, block);
    else
        memcpy(block, secret, secret_len);
    start(&key->inner, block, 0x36);
    start(&key->outer, block, 0x5c);
    OPENSSL_cleanse(block, sizeof block);
}

static void put_be(uint8_t *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> 8 * (bytes - 1 - i));
}

/* The last block of a hash, whose message has 64 bytes before it: what is in it is `len` bytes, at most ONE_BLOCK_MAX (FIPS 180-4 §5.1.1). */
static void last_block(SHA256_CTX *state, uint8_t block[BLOCK_BYTES], size_t len)
{
    block[len] = 0x80;
    memset(block + len + 1, 0, BLOCK_BYTES - 1 - len);
    put_be(block + BLOCK_BYTES - 2, (BLOCK_BYTES + len) * 8, 2);
    SHA256_Transform(state, block);
}

static void put_digest(const SHA256_CTX *state, uint8_t *out)
{
    for (unsigned i = 0; i < 8; i++)
        put_be(out + 4 * i, state->h[i], 4);
}

/* User ids are short: one block inside, one outside, without the bookkeeping of a hash of any length. */
static void hmac_of_one_block(const struct gw_hmac_key *key, const void *data, size_t len,
                              uint8_t out_mac[GW_HMAC_BYTES])
{
    uint8_t block[BLOCK_BYTES];
    SHA256_CTX state = key->inner;
    memcpy(block, data, len);
    last_block(&state, block, len);
    put_digest(&state, block);
    state = key->outer;
    last_block(&state, block, GW_HMAC_BYTES);
    put_digest(&state, out_mac);
}

void gw_hmac(const struct gw_hmac_key *key, const void *data, size_t len, uint8_t out_mac[GW_HMAC_BYTES])
{
    if (len <= ONE_BLOCK_MAX) {
        hmac_of_one_block(key, data, len, out_mac);
        return;
    }
    SHA256_CTX state = key->inner;
    SHA256_Update(&state, data, len);
    SHA256_Final(out_mac, &state);
    state = key->outer;
    SHA256_Update(&state, out_mac, GW_HMAC_BYTES);
    SHA256_Final(out_mac, &state);
}
