/* What each path answers. */
#ifndef GW_ADMIN_ROUTES_H
#define GW_ADMIN_ROUTES_H

#include <cjson/cJSON.h>
#include <pthread.h>
#include <stdbool.h>

#include "admin/admin.h"
#include "admin/http.h"

struct gw_guard;

struct gw_admin_view {
    pthread_mutex_t lock; /* over journal, for as long as an answer reads from it */
    struct gw_journal *journal;
    const char *const *sinks;
    size_t sink_count;
    struct gw_schemas *schemas;           /* NULL: none */
    struct gw_guard *guard;               /* of the admin port; NULL: there is none */
    const struct gw_admin_writer *writer; /* under the lock; NULL: nothing is written now */
    const struct gw_admin_reload *reload; /* under the lock; NULL: not now */
};

/* A whole request. */
struct gw_admin_question {
    const struct gw_http_request *request;
    const char *body; /* request->body_len bytes and a NUL; NULL: none */
    bool local;       /* asked on the Unix socket, or with the token: where /v1/ and the registry are */
};

struct gw_admin_answer {
    int status;
    const char *content_type;
    const char *allow; /* with 405; NULL: GET, HEAD */
    char *body;        /* malloc; NULL: out of memory, answer 500 without one */
    size_t body_len;
};

void gw_admin_answer(struct gw_admin_view *view, const struct gw_admin_question *question,
                     struct gw_admin_answer *out);
/* Whether a request may have a body at all, before there is room for it. */
bool gw_admin_takes_body(const struct gw_http_request *request, bool local);
/* The members gateway_id, journal and sinks of /v1/status. */
void gw_admin_add_journal(cJSON *tree, struct gw_journal *journal, const char *const *sink_names,
                          size_t sink_count);
/* The members quarantine (at most limit events, oldest first) and total of /v1/quarantine. The journal's errors. */
GW_MUST_CHECK int gw_admin_add_quarantine(cJSON *tree, struct gw_journal *journal, uint64_t limit);
/* The members of one event of that list. */
void gw_admin_add_rejected(cJSON *item, const struct gw_journal_rejected *rejected);
/* Why an event was rejected (enum trib_reject), for people. */
const char *gw_admin_reject_name(uint32_t code);
/* {"error": text} for a refusal before there was a request. */
void gw_admin_refuse(int status, struct gw_admin_answer *out);

#endif
