/*
 * The gateway's HTTP side: /metrics, /healthz and /readyz for everybody on a TCP port, and those with the
 * admin API
 * (/v1/...) on a Unix socket. One thread; it never waits for a client longer than some seconds, nor holds
 * more than a few connections.
 */
#ifndef GW_ADMIN_ADMIN_H
#define GW_ADMIN_ADMIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "journal/journal.h"
#include "session/admit.h"

struct gw_admin;
struct gw_schemas;

struct gw_admin_config {
    const char *http_address;
    uint16_t http_port;       /* 0: any; the one taken is written to run_folder/http_port */
    const char *run_folder;   /* made if it is missing */
    const char *socket;       /* NULL or "": run_folder/admin.sock */
    const char *const *sinks; /* whose cursors /v1/status shows; stays valid until stop */
    size_t sink_count;
    struct gw_schemas *schemas; /* NULL: none; stays valid until stop */
    /* The admin API over TCP, with TLS and a token. Only copied from until gw_admin_start returns. */
    const char *remote_address;    /* NULL or "": only the socket */
    uint16_t remote_port;          /* 0: any; the one taken is written to run_folder/admin_port */
    const char *certificate, *key; /* PEM files */
    const char *token_file;        /* "": data_folder/keys/admin.token */
    const char *data_folder;
};

/* How what is re-driven gets into the journal: the policy that judges it, and the committer. */
struct gw_admin_writer {
    const struct gw_admit_policy *policy;
    /* As gw_journal_commit, from the admin's thread; waits. */
    int (*write)(void *context, struct gw_journal_write *const *writes, size_t count, struct gw_error *error);
    void *context;
};

/*
 * Starts listening and the thread. It answers at once, "starting" until gw_health_set clears that condition.
 * GW_EBUSY: port or socket in use; GW_EINVALID: address; GW_EIO; GW_ENOMEM. All texts say what to change.
 */
GW_MUST_CHECK int gw_admin_start(const struct gw_admin_config *config, struct gw_admin **out,
                                 struct gw_error *error);
/* Answers what was asked, closes all, joins the thread, removes socket and port file. */
void gw_admin_stop(struct gw_admin *admin);
uint16_t gw_admin_http_port(const struct gw_admin *admin);
/* The journal that /v1/status and /metrics tell about; NULL before it is opened and, importantly, before it
 * is closed: on return no request uses the one before. */
void gw_admin_set_journal(struct gw_admin *admin, struct gw_journal *journal);

/* What POST /v1/reload does, from the admin's thread: 0, or why nothing changed. */
struct gw_admin_reload {
    int (*reload)(void *context, struct gw_error *error);
    void *context;
};

/* The same for the writer: NULL before ingest is stopped. Borrowed. */
void gw_admin_set_writer(struct gw_admin *admin, const struct gw_admin_writer *writer);
/* The same for reload. */
void gw_admin_set_reload(struct gw_admin *admin, const struct gw_admin_reload *reload);

#endif
