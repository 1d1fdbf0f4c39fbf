#include "schema/canonical.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/document.h"

#define LINE_WIDTH 100 /* of pretty text; what fits stays on one line */

const char *gw_schema_hash_text(const struct gw_schema_hash *hash, char out[GW_SCHEMA_HASH_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof hash->bytes; i++) {
        out[2 * i] = digits[hash->bytes[i] >> 4];
        out[2 * i + 1] = digits[hash->bytes[i] & 15];
    }
    out[GW_SCHEMA_HASH_TEXT - 1] = '\0';
    return out;
}

/* Text that grows; after a failure nothing is added any more. */
struct output {
    char *text;
    size_t len, room;
    bool failed;
};

static void put(struct output *o, const char *text, size_t len)
{
    if (o->failed)
        return;
    if (o->len + len + 1 > o->room) {
        const size_t room = (o->len + len + 1) * 2;
        char *larger = realloc(o->text, room);
        if (!larger) {
            o->failed = true;
            return;
        }
        o->text = larger;
        o->room = room;
    }
    memcpy(o->text + o->len, text, len);
    o->len += len;
    o->text[o->len] = '\0';
}

static void put_text(struct output *o, const char *text)
{
    put(o, text, strlen(text));
}

static void put_string(struct output *o, const char *text, size_t len)
{
    static const char short_escapes[] = "btn?fr"; /* U+0008 to U+000D */
    put_text(o, "\"");
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        const unsigned char c = (unsigned char)text[i];
        char escape[8];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        put(o, text + from, i - from);
        from = i + 1;
        if (c >= 0x20)
            (void)snprintf(escape, sizeof escape, "\\%c", c);
        else if (c >= 8 && c <= 13 && c != 11)
            (void)snprintf(escape, sizeof escape, "\\%c", short_escapes[c - 8]);
        else
            (void)snprintf(escape, sizeof escape, "\\u%04x", c);
        put_text(o, escape);
    }
    put(o, text + from, len - from);
    put_text(o, "\"");
}

static int by_name(const void *a, const void *b)
{
    const struct gw_doc_node *left = *(struct gw_doc_node *const *)a,
                             *right = *(struct gw_doc_node *const *)b;
    const uint32_t shorter = left->key_len < right->key_len ? left->key_len : right->key_len;
    int order = memcmp(left->key, right->key, shorter);
    return order != 0 ? order : (left->key_len > right->key_len) - (left->key_len < right->key_len);
}

/* Children in the order they are written in; NULL: out of memory. */
static struct gw_doc_node **ordered(const struct gw_doc_node *node, enum gw_json_style style)
{
    struct gw_doc_node **list = calloc((size_t)node->count + 1, sizeof(struct gw_doc_node *));
    size_t count = 0;
    for (struct gw_doc_node *child = node->first; list && child; child = child->next)
        list[count++] = child;
    if (list && node->kind == GW_KIND_OBJECT && style == GW_JSON_CANONICAL)
        qsort(list, count, sizeof(struct gw_doc_node *), by_name);
    return list;
}

/* Width on one line, or anything above most if it is more. */
static size_t width_of(const struct gw_doc_node *node, size_t most)
{
    size_t width = node->key ? node->key_len + 4 : 0;
    if (node->kind != GW_KIND_OBJECT && node->kind != GW_KIND_ARRAY)
        return width + node->source_len;
    width += 2;
    for (const struct gw_doc_node *child = node->first; child && width <= most; child = child->next)
        width += width_of(child, most) + 2;
    return width;
}

static void put_line(struct output *o, unsigned level)
{
    put_text(o, "\n");
    for (unsigned i = 0; i < level; i++)
        put_text(o, "  ");
}

/* level: of indentation; broken: on lines of its own, which only pretty containers are. */
static void put_node(struct output *o, const struct gw_doc_node *node, enum gw_json_style style,
                     unsigned level)
{
    const bool object = node->kind == GW_KIND_OBJECT, pretty = style == GW_JSON_PRETTY;
    if (node->kind == GW_KIND_STRING) {
        put_string(o, node->text, node->text_len);
        return;
    }
    if (!object && node->kind != GW_KIND_ARRAY) {
        put(o, node->source, node->source_len);
        return;
    }
    /* Members of properties and their like stand below each other: a change is then a line of a diff. */
    const bool broken = pretty && node->count > 0 &&
                        (level == 0 || width_of(node, LINE_WIDTH) + (size_t)level * 2 > LINE_WIDTH);
    struct gw_doc_node **list = ordered(node, style);
    if (!list) {
        o->failed = true;
        return;
    }
    put_text(o, object ? "{" : "[");
    for (uint32_t i = 0; i < node->count && list[i]; i++) {
        if (i > 0)
            put_text(o, pretty && !broken ? ", " : ",");
        if (broken)
            put_line(o, level + 1);
        if (object) {
            put_string(o, list[i]->key, list[i]->key_len);
            put_text(o, pretty ? ": " : ":");
        }
        put_node(o, list[i], style, level + 1);
    }
    if (broken)
        put_line(o, level);
    put_text(o, object ? "}" : "]");
    free(list);
}

int gw_schema_rewrite(const char *text, size_t len, enum gw_json_style style, char **out, size_t *out_len)
{
    struct gw_arena arena;
    struct gw_map members = {.entries = NULL};
    struct gw_doc_node *root = NULL;
    struct output o = {.text = NULL};
    gw_arena_init(&arena, 16384, 65536 + len * 96);
    int rc = gw_document_parse(text, len, &arena, &members, &root);
    if (rc == 0 && root) {
        put_node(&o, root, style, 0);
        if (style == GW_JSON_PRETTY)
            put_text(&o, "\n");
        rc = o.failed ? GW_ENOMEM : 0;
    }
    gw_map_free(&members);
    gw_arena_free(&arena);
    if (rc != 0) {
        free(o.text);
        return rc;
    }
    *out = o.text;
    *out_len = o.len;
    return 0;
}

int gw_schema_hash(const char *text, size_t len, struct gw_schema_hash *out)
{
    char *canonical;
    size_t canonical_len;
    struct gw_schema_hash hash;
    int rc = gw_schema_rewrite(text, len, GW_JSON_CANONICAL, &canonical, &canonical_len);
    if (rc != 0)
        return rc;
    if (EVP_Digest(canonical, canonical_len, hash.bytes, NULL, EVP_sha256(), NULL) != 1)
        rc = GW_ECRYPTO;
    free(canonical);
    if (rc == 0)
        *out = hash;
    return rc;
}
