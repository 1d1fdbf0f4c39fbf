#include "schema/references.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "schema/value.h"

#define SCHEMA_DEPTH 128
#define VALUE_BYTES 192 /* SUBJECT:VERSION */

static const char member_name[] = GW_REFERENCES_MEMBER;

/* Where the member lies in the text, from its name to behind its value. */
struct place {
    bool there;
    uint32_t from, to;
    uint32_t inner; /* behind the opening brace */
    uint32_t last;  /* behind the value before it; 0: it is the first */
    uint32_t count; /* of members */
};

/* Names are compared as they are written: nobody needs escapes for this one. */
static int find(const char *text, size_t len, struct place *out)
{
    const struct gw_cursor cursor = {
        .data = (const uint8_t *)text, .len = (uint32_t)len, .encoding = GW_ENCODING_JSON};
    struct gw_value root, key, child;
    struct gw_walk walk;
    *out = (struct place){.count = 0};
    int rc = len <= INT32_MAX ? gw_value_first(&cursor, &root) : GW_ELIMIT;
    if (rc != 0 || root.kind != GW_KIND_OBJECT)
        return GW_EINVALID;
    uint32_t last = 0;
    out->inner = root.inner;
    gw_walk_open(&root, &walk);
    while ((rc = gw_walk_member(&cursor, &walk, &key, &child)) > 0) {
        if (gw_value_finish(&cursor, &child, SCHEMA_DEPTH) != 0)
            return GW_EINVALID;
        out->count++;
        if (key.text_len == sizeof member_name - 1 && memcmp(key.text, member_name, key.text_len) == 0) {
            out->there = true;
            out->from = key.at;
            out->to = child.after;
            out->last = last;
        }
        last = walk.at = child.after;
    }
    return rc == 0 ? 0 : GW_EINVALID;
}

static int add(cJSON *tree, const struct gw_reference *reference, struct gw_error *error)
{
    char value[VALUE_BYTES];
    if (!*reference->name || !*reference->subject || strlen(reference->subject) > VALUE_BYTES - 16 ||
        reference->version == 0)
        return gw_error_set(error, GW_EINVALID, 0, "a reference has a name, a subject and a version");
    if (cJSON_GetObjectItemCaseSensitive(tree, reference->name))
        return gw_error_set(error, GW_EINVALID, 0, "two references have the name %.200s", reference->name);
    (void)snprintf(value, sizeof value, "%s:%u", reference->subject, reference->version);
    return cJSON_AddStringToObject(tree, reference->name, value)
               ? 0
               : gw_error_set(error, GW_ENOMEM, 0, "schema: out of memory");
}

int gw_references_join(const char *text, size_t len, const struct gw_reference *list, size_t count,
                       char **out_text, struct gw_error *error)
{
    struct place place;
    if (find(text, len, &place) != 0 || place.there)
        return gw_error_set(error, GW_EINVALID, 0,
                            "a schema with references must be a JSON object without " GW_REFERENCES_MEMBER);
    if (count > GW_REFERENCES_MAX)
        return gw_error_set(error, GW_ELIMIT, 0, "a schema has at most %d references", GW_REFERENCES_MAX);
    cJSON *tree = cJSON_CreateObject();
    int rc = tree ? 0 : gw_error_set(error, GW_ENOMEM, 0, "schema: out of memory");
    for (size_t i = 0; i < count && rc == 0; i++)
        rc = add(tree, &list[i], error);
    char *value = rc == 0 ? cJSON_PrintUnformatted(tree) : NULL;
    cJSON_Delete(tree);
    const size_t room = value ? len + strlen(value) + sizeof member_name + 8 : 0;
    char *joined = value ? malloc(room) : NULL;
    if (joined) {
        int head = snprintf(joined, room, "%.*s\"%s\":%s%s", (int)place.inner, text, member_name, value,
                            place.count > 0 ? "," : "");
        memcpy(joined + head, text + place.inner, len - place.inner);
        joined[(size_t)head + len - place.inner] = '\0';
        *out_text = joined;
    } else if (rc == 0) {
        rc = gw_error_set(error, GW_ENOMEM, 0, "schema: out of memory");
    }
    free(value);
    return rc;
}

/* With the comma before it, or, if it is the first, all up to the next member. */
int gw_references_part(const char *text, size_t len, char **out_text)
{
    struct place place;
    if (find(text, len, &place) != 0)
        return GW_EINVALID;
    size_t from = place.last ? place.last : place.inner, to = place.to;
    if (!place.there)
        from = to = 0;
    else if (!place.last && place.count > 1)
        to = (size_t)((const char *)memchr(text + to, ',', len - to) - text) + 1;
    char *parted = malloc(len - (to - from) + 1);
    if (!parted)
        return GW_ENOMEM;
    memcpy(parted, text, from);
    memcpy(parted + from, text + to, len - to);
    parted[len - (to - from)] = '\0';
    *out_text = parted;
    return 0;
}
