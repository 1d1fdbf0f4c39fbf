/*
 * Configuration: one YAML file. Read by config_load.c into this struct; each key, its type, default, range and text is
 * declared once in config.def, from which the checker, --check-config and docs/configuration.md are made.
 */
#ifndef GW_CONFIG_CONFIG_H
#define GW_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define GW_CONFIG_PATHS_MAX 4
#define GW_CONFIG_ORIGINS_MAX 8

/* Strings are owned by the config and live until gw_config_free; "" where absent. */
struct gw_config {
    struct {
        const char *address; /* 127.0.0.1 */
        uint16_t port;       /* 8443; 0: any, written to data.folder/run/port */
        const char *path;    /* /v1 */
        const char *certificate, *key; /* PEM files; required */
        const char *origins[GW_CONFIG_ORIGINS_MAX]; /* allowed Origin headers for tributary.v1.json */
        size_t origin_count;
    } listen;
    struct {
        const char *client_ca[GW_CONFIG_PATHS_MAX]; /* PEM files of device CAs (client certificates) */
        size_t client_ca_count;
        const char *jwks;     /* JSON Web Key Set file (RFC 7517): ES256, EdDSA */
        const char *audience; /* aud that tokens must carry */
    } auth;
    struct {
        const char *folder; /* required */
        uint64_t segment_bytes;
        uint64_t quota_bytes;
    } data;
    struct {
        const char *pseudonym_key_id;
        const char *pseudonym_key_file; /* 32 bytes, raw or 64 hex digits; "" : made at first start in data.folder/keys */
        const char *seal_key_id;
        const char *seal_key_file;
    } privacy;
    struct {
        uint32_t connections;         /* 1000 */
        uint32_t message_bytes;       /* 65536 */
        uint32_t event_bytes;         /* 4096 */
        uint32_t credit_events;       /* window a connection, 2000 */
        uint32_t credit_bytes;        /* 262144 */
        uint64_t memory_bytes;        /* sum of all credit, 256 MiB */
        uint32_t hello_timeout_ms;    /* 5000 */
        uint32_t keepalive_ms;        /* 25000 */
    } limits;
    struct {
        bool enabled;        /* true */
        uint64_t file_bytes; /* 64 MiB */
    } stream;
    struct {
        bool enabled;             /* true */
        uint32_t flush_seconds;   /* 10 */
        uint64_t flush_bytes;     /* 8 MiB */
    } lake;
    struct {
        const char *http_address; /* 127.0.0.1 */
        uint16_t http_port;       /* 9464 for /metrics /healthz /readyz; 0: any, written to data.folder/run/http_port */
        const char *log_level;    /* info */
    } observe;
    struct {
        const char *socket; /* "": data.folder/run/admin.sock */
    } admin;
    void *owned;
};

/* Reads, expands ${NAME} and ${NAME:-default}, checks all, reports the first error as file:line: what, and the nearest key. */
GW_MUST_CHECK int gw_config_load(const char *path, struct gw_config *out, struct gw_error *error);
void gw_config_free(struct gw_config *config);

#endif
