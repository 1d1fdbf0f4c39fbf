#include "admin/answer.h"

#include <inttypes.h>
#include <stdio.h>

void gw_answer_number(cJSON *object, const char *name, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    (void)cJSON_AddRawToObject(object, name, text);
}

void gw_answer_json(int status, cJSON *tree, struct gw_admin_answer *out)
{
    char *text = tree ? cJSON_PrintUnformatted(tree) : NULL;
    cJSON_Delete(tree);
    *out = (struct gw_admin_answer){.status = status, .content_type = GW_ANSWER_JSON};
    int len = text ? asprintf(&out->body, "%s\n", text) : -1;
    if (len < 0)
        out->body = NULL;
    else
        out->body_len = (size_t)len;
    cJSON_free(text);
}

void gw_answer_error(int status, const char *text, struct gw_admin_answer *out)
{
    cJSON *tree = cJSON_CreateObject();
    (void)cJSON_AddStringToObject(tree, "error", text);
    gw_answer_json(status, tree, out);
}

void gw_answer_method(const char *allow, struct gw_admin_answer *out)
{
    gw_answer_error(405, "this path does not take that method", out);
    out->allow = allow;
}
