/* JSON answers. */
#ifndef GW_ADMIN_ANSWER_H
#define GW_ADMIN_ANSWER_H

#include "admin/routes.h"

#define GW_ANSWER_JSON "application/json"

/* Exact, where cJSON's own numbers are doubles. */
void gw_answer_number(cJSON *object, const char *name, uint64_t value);
/* Takes the tree over; NULL: out of memory. */
void gw_answer_json(int status, cJSON *tree, struct gw_admin_answer *out);
/* {"error": text} */
void gw_answer_error(int status, const char *text, struct gw_admin_answer *out);
/* 405, with the methods that there are. */
void gw_answer_method(const char *allow, struct gw_admin_answer *out);

#endif
