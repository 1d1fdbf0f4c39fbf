#include "privacy/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files.h"

#define FILE_BYTES_MAX 256 /* 64 hex digits and some white space */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* 32 raw bytes, or 64 hex digits with white space around. */
static bool parse_key(const char *data, size_t len, uint8_t out_secret[GW_KEY_BYTES])
{
    if (len == GW_KEY_BYTES) {
        memcpy(out_secret, data, GW_KEY_BYTES);
        return true;
    }
    while (len > 0 && is_space(data[len - 1]))
        len--;
    while (len > 0 && is_space(*data)) {
        data++;
        len--;
    }
    if (len != 2 * GW_KEY_BYTES)
        return false;
    uint8_t secret[GW_KEY_BYTES];
    for (size_t i = 0; i < GW_KEY_BYTES; i++) {
        int high = hex_digit(data[2 * i]), low = hex_digit(data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        secret[i] = (uint8_t)(high << 4 | low);
    }
    memcpy(out_secret, secret, sizeof secret);
    OPENSSL_cleanse(secret, sizeof secret);
    return true;
}

static int check_file(int fd, const char *path, struct gw_error *error)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return gw_error_set(error, GW_EIO, errno, "key file %s: cannot be examined", path);
    if (!S_ISREG(st.st_mode))
        return gw_error_set(error, GW_EINVALID, 0, "key file %s: is not a regular file", path);
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return gw_error_set(
            error, GW_EINVALID, 0,
            "key file %s: others than its owner may use it (mode %04o): chmod 600 it, and replace the "
            "key if somebody may have read it",
            path, (unsigned)(st.st_mode & 07777));
    return GW_OK;
}

int gw_key_file_read(const char *path, uint8_t out_secret[GW_KEY_BYTES], struct gw_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return gw_error_set(error, errno == ENOENT ? GW_ENOTFOUND : GW_EINVALID, errno,
                            "key file %s: cannot be opened", path);
    char data[FILE_BYTES_MAX];
    ssize_t len = -1;
    int rc = check_file(fd, path, error);
    if (rc == GW_OK) {
        len = read(fd, data, sizeof data);
        if (len < 0)
            rc = gw_error_set(error, GW_EIO, errno, "key file %s: cannot be read", path);
        else if (!parse_key(data, (size_t)len, out_secret))
            rc = gw_error_set(
                error, GW_EINVALID, 0,
                "key file %s: must hold 32 raw bytes or 64 hex digits (openssl rand -hex 32 makes them)",
                path);
    }
    OPENSSL_cleanse(data, sizeof data);
    close(fd);
    return rc;
}

int gw_key_file_make(const char *folder, const char *name, struct gw_error *error)
{
    uint8_t secret[GW_KEY_BYTES];
    char text[2 * GW_KEY_BYTES + 2];
    const struct gw_path path = gw_path_join(folder, name);
    if (!path.text[0])
        return gw_error_set(error, GW_EINVALID, 0, "key file %s in %s: the path is too long", name, folder);
    if (gw_path_exists(path.text))
        return GW_OK;
    if (getrandom(secret, sizeof secret, 0) != (ssize_t)sizeof secret)
        return gw_error_set(error, GW_ECRYPTO, errno, "the system gives no random bytes for key file %s",
                            path.text);
    for (size_t i = 0; i < GW_KEY_BYTES; i++)
        snprintf(text + 2 * i, 3, "%02x", secret[i]);
    text[2 * GW_KEY_BYTES] = '\n';
    const int e = gw_file_write(folder, name, text, sizeof text - 1, 0600);
    OPENSSL_cleanse(secret, sizeof secret);
    OPENSSL_cleanse(text, sizeof text);
    return e == 0 ? GW_OK : gw_error_set(error, GW_EIO, e, "key file %s: cannot be written", path.text);
}

/* The folder for keys that the gateway makes itself. */
static int make_folder(const char *data_folder, char *path, size_t path_size, struct gw_error *error)
{
    int n = snprintf(path, path_size, "%s/keys", data_folder);
    if (n < 0 || (size_t)n >= path_size)
        return gw_error_set(error, GW_EINVALID, 0, "data.folder %.128s...: the path is too long",
                            data_folder);
    if (mkdir(path, 0700) == 0) {
        const int e = gw_folder_sync(data_folder);
        return e == 0 ? GW_OK : gw_error_set(error, GW_EIO, e, "folder %s: cannot be synced", data_folder);
    }
    if (errno != EEXIST)
        return gw_error_set(error, GW_EINVALID, errno,
                            "folder %s: cannot be made: check that data.folder exists and is writable", path);
    return GW_OK;
}

/* file "" means <data.folder>/keys/<name>, made if it is not there. */
static int load_secret(const struct gw_config *config, const char *file, const char *name,
                       uint8_t out_secret[GW_KEY_BYTES], struct gw_error *error)
{
    if (file && file[0])
        return gw_key_file_read(file, out_secret, error);
    char folder[PATH_MAX - NAME_MAX], path[PATH_MAX];
    int rc = make_folder(config->data.folder, folder, sizeof folder, error);
    if (rc == GW_OK)
        rc = gw_key_file_make(folder, name, error);
    if (rc != GW_OK)
        return rc;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return gw_key_file_read(path, out_secret, error);
}

static const char *id_or(const char *id, const char *fallback)
{
    return id && id[0] ? id : fallback;
}

int gw_keys_load(const struct gw_config *config, struct gw_keys *out, struct gw_error *error)
{
    uint8_t secret[GW_KEY_BYTES] = {0};
    struct gw_keys keys = {0};
    int rc = load_secret(config, config->privacy.pseudonym_key_file, "pseudonym.key", secret, error);
    if (rc == GW_OK)
        rc = gw_pseudonym_key_new(secret, sizeof secret, id_or(config->privacy.pseudonym_key_id, "1"),
                                  &keys.pseudonym, error);
    if (rc == GW_OK)
        rc = load_secret(config, config->privacy.seal_key_file, "seal.key", secret, error);
    if (rc == GW_OK)
        rc = gw_seal_key_new(secret, sizeof secret, id_or(config->privacy.seal_key_id, "1"), &keys.seal,
                             error);
    OPENSSL_cleanse(secret, sizeof secret);
    if (rc != GW_OK) {
        gw_keys_free(&keys);
        return rc;
    }
    *out = keys;
    return GW_OK;
}

void gw_keys_free(struct gw_keys *keys)
{
    gw_pseudonym_key_free(keys->pseudonym);
    gw_seal_key_free(keys->seal);
    *keys = (struct gw_keys){0};
}
