/*
 * Configuration: one YAML file. Read by config_load.c into this struct; each key, its type, default, range
 * and text is declared once in config.def, from which the checker, --check-config and docs/configuration.md
 * are made.
 */
#ifndef GW_CONFIG_CONFIG_H
#define GW_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

#define GW_CONFIG_PATHS_MAX 4
#define GW_CONFIG_ORIGINS_MAX 8
#define GW_CONFIG_ALTERNATES_MAX 4
#define GW_CONFIG_RANGES_MAX 16

/*
 * Strings are owned by the config and live until gw_config_free; "" where absent. What each key means, its
 * default and its range stand in config.def.
 */
struct gw_config {
    struct {
        const char *address;
        uint16_t port; /* 0: any, written to data.folder/run/port */
        const char *path;
        const char *certificate, *key;
        const char *crl;  /* "": nobody is revoked */
        uint32_t threads; /* 0: gw_config_ingest_threads */
        const char *cpus; /* "": any; else gw_cores_parse takes it */
        const char *origins[GW_CONFIG_ORIGINS_MAX];
        size_t origin_count;
        uint32_t ticket_lifetime_s; /* 0: sessions are not resumed */
        const char *proxy_from[GW_CONFIG_RANGES_MAX];
        size_t proxy_from_count;
    } listen;
    struct {
        const char *client_ca[GW_CONFIG_PATHS_MAX];
        size_t client_ca_count;
        const char *jwks;
        const char *audience;
        const char *deny; /* "": nobody is denied */
    } auth;
    struct {
        const char *folder;
        uint64_t segment_bytes;
        uint64_t quota_bytes; /* 0: none but the disk's */
    } data;
    struct {
        uint32_t min_commit_interval_ms;
        bool realtime;    /* the committer */
        const char *cpus; /* likewise; as listen.cpus */
        bool recycle;
        uint64_t retention_bytes;   /* 0: no bound ... */
        uint32_t retention_seconds; /* ... and with neither nothing is kept */
    } journal;
    struct {
        const char *pseudonym_key_id;
        const char *pseudonym_key_file; /* "": made at the first start in data.folder/keys */
        const char *seal_key_id;
        const char *seal_key_file;
        uint32_t pseudonym_cache; /* values a thread remembers; 0: none */
    } privacy;
    struct {
        uint32_t connections;
        uint32_t message_bytes;
        uint32_t event_bytes;
        uint32_t credit_events; /* window of a connection */
        uint32_t credit_bytes;
        uint64_t memory_bytes; /* sum of all credit */
        uint32_t hello_timeout_ms;
        uint32_t handshake_timeout_ms;
        uint32_t handshakes;         /* in progress */
        uint32_t address_handshakes; /* of one address; 0: no limit */
        uint32_t address_rate;       /* connections a second; 0: no limit */
        uint32_t device_rate;        /* connections a minute; 0: no limit */
        uint32_t device_events;      /* a second; 0: no limit */
        uint32_t quarantine;         /* events of a device; 0: no limit */
        uint32_t hold_ms;            /* without credit, before BYE; 0: for ever */
        uint32_t keepalive_ms;
    } limits;
    struct {
        uint32_t heartbeat_ms, sampling_milli, linger_ms, durable_window_ms, vital_share;
        bool recording, sending;
        uint32_t recheck_ms;
    } devices;
    struct {
        const char *alternates[GW_CONFIG_ALTERNATES_MAX];
        size_t alternate_count;
        uint32_t retry_after_ms, window_ms;
    } drain;
    struct {
        bool enabled;
        uint64_t file_bytes;
        uint32_t detach_after_seconds; /* 0: it is waited for without an end */
    } stream;
    struct {
        bool enabled;
        uint32_t flush_seconds;
        uint64_t flush_bytes;
        uint32_t detach_after_seconds; /* likewise */
    } lake;
    struct {
        const char *folder; /* "": data.folder/schemas */
        bool write;
        uint64_t memory_bytes;
        const char *undeclared; /* drop, reject or keep */
    } schemas;
    struct {
        const char *http_address;
        uint16_t http_port; /* 0: any, written to data.folder/run/http_port */
        const char *log_level;
    } observe;
    struct {
        const char *socket;       /* "": data.folder/run/admin.sock */
        const char *http_address; /* "": the API is on the socket only */
        uint16_t http_port;
        const char *certificate, *key; /* "": those of listen */
        const char *token_file;        /* "": data.folder/keys/admin.token */
    } admin;
    void *owned; /* struct gw_arena with every string */
};

#define GW_CONFIG_ERRORS_MAX 20

/* Everything that is wrong with a file, in the order of its lines; what has no line comes last. */
struct gw_config_report {
    struct gw_error errors[GW_CONFIG_ERRORS_MAX];
    uint32_t lines[GW_CONFIG_ERRORS_MAX]; /* UINT32_MAX: none */
    size_t count, more;                   /* more: errors beyond these */
};

/* Looks up an environment variable; NULL if unset. The text stays valid during the call that was given it. */
typedef const char *(*gw_config_environment)(void *context, const char *name);

/*
 * Reads a file of at most 1 MiB, expands ${NAME} and ${NAME:-default}, checks everything. *out is filled only
 * on success and is then freed with gw_config_free. GW_EINVALID: error holds the first thing wrong as
 * "file:line: what and how to mend it", and how many more there are; GW_EIO, GW_ENOTFOUND: the file cannot be
 * read; GW_ENOMEM.
 */
GW_MUST_CHECK int gw_config_load(const char *path, struct gw_config *out, struct gw_error *error);
/* The same, all errors at once. */
GW_MUST_CHECK int gw_config_load_report(const char *path, struct gw_config *out,
                                        struct gw_config_report *report);
/* The same from memory; path names the text in errors and is what relative paths are relative to. */
GW_MUST_CHECK int gw_config_parse(const char *path, const char *text, size_t len,
                                  gw_config_environment environment, void *context, struct gw_config *out,
                                  struct gw_config_report *report);
void gw_config_free(struct gw_config *config);

/* A connection's id has 8 bits for its thread, and LMDB 126 places for readers. */
#define GW_INGEST_THREADS_MAX 64u
/* How many threads serve devices: as configured, or one for each of listen.cpus (of `cores` at most: a list may name more than
 * there are), or else one for each of `cores` but one, which commits, sinks and the kernel's own work need; at least 1, at most GW_INGEST_THREADS_MAX. */
unsigned gw_config_ingest_threads(const struct gw_config *config, unsigned cores);

/* Of one journal segment, in bytes: as configured, but with a quota at most a sixteenth of it, so that little of it lies
 * idle; more, up to a quarter, if the largest message needs that. */
uint64_t gw_config_segment_bytes(const struct gw_config *config);
/* The least that a segment must have for the largest message to fit. */
uint64_t gw_config_message_segment_bytes(const struct gw_config *config);
/* The most that one batch may take in the journal, in bytes. */
uint64_t gw_config_item_bytes(const struct gw_config *config);

/* Whether a running gateway can go on with `wanted`. GW_EINVALID: the text names a key that needs a restart. */
GW_MUST_CHECK int gw_config_check_reload(const struct gw_config *running, const struct gw_config *wanted,
                                         struct gw_error *error);

/* Every value as YAML that loads to the same configuration. */
void gw_config_print_effective(const struct gw_config *config, FILE *out);

/*
 * --check-config: the effective configuration, then for the operator worst-case memory and how long the disk
 * lasts, and warnings about files that cannot be read. Returns the number of warnings.
 */
int gw_config_check_print(const struct gw_config *config, FILE *out);

#endif
