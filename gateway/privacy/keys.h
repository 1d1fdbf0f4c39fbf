/*
 * The gateway's two secrets: the pseudonym key and the seal key. Read from files, or made at first start.
 *
 * A key file holds 32 raw bytes, or 64 hex digits (white space around them is allowed). It must belong to
 * nobody but its owner: a file that group or others may read is refused.
 */
#ifndef GW_PRIVACY_KEYS_H
#define GW_PRIVACY_KEYS_H

#include "base/error.h"
#include "config/config.h"
#include "privacy/pseudonym.h"
#include "privacy/seal.h"

#define GW_KEY_BYTES 32

struct gw_keys {
    struct gw_pseudonym_key *pseudonym;
    struct gw_seal_key *seal;
};

/*
 * Both keys as config.privacy says. Where no file is named, the key lies in <data.folder>/keys (0700) and is
 * made from getrandom at first start (0600, synced before it is used: pseudonyms made with a key that a power
 * cut takes away could never be matched again). data.folder must exist. On failure nothing is kept.
 * GW_EINVALID (unreadable, wrong length, readable by others: the text says how to mend it), GW_EIO,
 * GW_ENOMEM.
 */
GW_MUST_CHECK int gw_keys_load(const struct gw_config *config, struct gw_keys *out, struct gw_error *error);
void gw_keys_free(struct gw_keys *keys);

/* One key file. GW_ENOTFOUND, GW_EINVALID, GW_EIO. */
GW_MUST_CHECK int gw_key_file_read(const char *path, uint8_t out_secret[GW_KEY_BYTES],
                                   struct gw_error *error);
/* Makes a key file and syncs it and its folder. An existing file is left alone and is no error. GW_EIO,
 * GW_EINVALID. */
GW_MUST_CHECK int gw_key_file_make(const char *folder, const char *name, struct gw_error *error);

#endif
