#include "config/tree.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct builder {
    yaml_parser_t parser;
    const char *text;
    size_t len;
    struct gw_tree *tree;
    struct gw_config_report *report;
};

int gw_report_add(struct gw_config_report *report, int code, const char *path, uint32_t line,
                  const char *format, ...)
{
    if (report->count == GW_CONFIG_ERRORS_MAX) {
        report->more++;
        return code;
    }
    char text[sizeof report->errors[0].text];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof text, format, args);
    va_end(args);
    uint32_t order = line ? line : UINT32_MAX;
    size_t at = report->count++;
    for (; at > 0 && report->lines[at - 1] > order; at--) {
        report->lines[at] = report->lines[at - 1];
        report->errors[at] = report->errors[at - 1];
    }
    report->lines[at] = order;
    if (line)
        return gw_error_set(&report->errors[at], code, 0, "%s:%u: %s", path, line, text);
    return gw_error_set(&report->errors[at], code, 0, "%s: %s", path, text);
}

static uint32_t line_of(yaml_mark_t mark)
{
    return (uint32_t)mark.line + 1;
}

static int refuse(struct builder *b, yaml_mark_t mark, const char *what)
{
    return gw_report_add(b->report, GW_EINVALID, b->tree->path, line_of(mark), "%s", what);
}

/* Marks count characters, the text has bytes: step over UTF-8 continuation bytes. */
static bool is_tab(const struct builder *b, yaml_mark_t mark)
{
    size_t i = 0;
    for (size_t line = 0; i < b->len && line < mark.line; i++)
        line += b->text[i] == '\n';
    for (size_t column = 0; i < b->len && column < mark.column; column++)
        do
            i++;
        while (i < b->len && (b->text[i] & 0xc0) == 0x80);
    return i < b->len && b->text[i] == '\t';
}

/* What libyaml found, at the line where it found it, in words that help. */
static int refuse_syntax(struct builder *b)
{
    const yaml_parser_t *p = &b->parser;
    if (p->error == YAML_MEMORY_ERROR)
        return gw_report_add(b->report, GW_ENOMEM, b->tree->path, 0, "out of memory");
    if (p->error == YAML_READER_ERROR) {
        yaml_mark_t mark = {0};
        for (size_t i = 0; i < p->problem_offset && i < b->len; i++)
            mark.line += b->text[i] == '\n';
        return refuse(b, mark, "not valid UTF-8 text: save the file as UTF-8, without control characters");
    }
    if (is_tab(b, p->problem_mark))
        return refuse(b, p->problem_mark, "a tab: YAML is indented with spaces");
    return gw_report_add(b->report, GW_EINVALID, b->tree->path, line_of(p->problem_mark),
                         "not valid YAML: %s%s%s", p->problem ? p->problem : "it cannot be read",
                         p->context ? ", " : "", p->context ? p->context : "");
}

static int next(struct builder *b, yaml_event_t *event)
{
    return yaml_parser_parse(&b->parser, event) ? GW_OK : refuse_syntax(b);
}

/* Gives a new node its line. NULL in, or no memory: *node is freed. */
static int remember(struct builder *b, cJSON *node, uint32_t line)
{
    if (!node)
        return gw_report_add(b->report, GW_ENOMEM, b->tree->path, 0, "out of memory");
    if (b->tree->count == GW_TREE_NODES_MAX) {
        cJSON_Delete(node);
        return gw_report_add(b->report, GW_EINVALID, b->tree->path, line,
                             "more than %d values: is this the right file?", GW_TREE_NODES_MAX);
    }
    b->tree->places[b->tree->count++] = (struct gw_tree_place){.node = node, .line = line};
    return GW_OK;
}

static bool is_null(const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    return event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (!*text || strcmp(text, "~") == 0 || strcmp(text, "null") == 0);
}

static int scalar(struct builder *b, const yaml_event_t *event, uint32_t line, cJSON **out)
{
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length)
        return refuse(b, event->start_mark, "a value holds a zero byte");
    cJSON *node = is_null(event) ? cJSON_CreateNull() : cJSON_CreateString(text);
    int rc = remember(b, node, line);
    if (rc == GW_OK)
        *out = node;
    return rc;
}

static int refuse_decoration(struct builder *b, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return refuse(b, event->start_mark, "an alias (`*name`): write the value out");
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor)
        return refuse(b, event->start_mark, "an anchor (`&name`): anchors and aliases are not used here");
    if (tag)
        return refuse(b, event->start_mark, "a tag (`!type`): types are known here, leave it out");
    return GW_OK;
}

static int value(struct builder *b, const yaml_event_t *event, uint32_t line, const char *path, int depth,
                 cJSON **out);

static int sequence(struct builder *b, cJSON *into, const char *path, int depth)
{
    for (;;) {
        yaml_event_t event;
        int rc = next(b, &event);
        if (rc != GW_OK)
            return rc;
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        cJSON *item = NULL;
        if (!end)
            rc = value(b, &event, line_of(event.start_mark), path, depth, &item);
        yaml_event_delete(&event);
        if (end || rc != GW_OK)
            return rc;
        cJSON_AddItemToArray(into, item);
    }
}

/* One key with its value. The key event is the caller's. */
static int pair(struct builder *b, const yaml_event_t *key, cJSON *into, const char *path, int depth)
{
    int rc = refuse_decoration(b, key);
    if (rc != GW_OK)
        return rc;
    if (key->type != YAML_SCALAR_EVENT ||
        strlen((const char *)key->data.scalar.value) != key->data.scalar.length)
        return refuse(b, key->start_mark, "a key must be a plain word");
    const char *name = (const char *)key->data.scalar.value;
    char child[256];
    snprintf(child, sizeof child, "%s%s%s", path, *path ? "." : "", name);
    const cJSON *twin = cJSON_GetObjectItemCaseSensitive(into, name);
    if (twin)
        return gw_report_add(b->report, GW_EINVALID, b->tree->path, line_of(key->start_mark),
                             "`%s` is given twice, first on line %u: keep one", child,
                             gw_tree_line(b->tree, twin));
    yaml_event_t event;
    rc = next(b, &event);
    if (rc != GW_OK)
        return rc;
    cJSON *item = NULL;
    rc = value(b, &event, line_of(key->start_mark), child, depth, &item);
    yaml_event_delete(&event);
    if (rc != GW_OK)
        return rc;
    if (!cJSON_AddItemToObject(into, name, item)) {
        cJSON_Delete(item);
        return gw_report_add(b->report, GW_ENOMEM, b->tree->path, 0, "out of memory");
    }
    return GW_OK;
}

static int mapping(struct builder *b, cJSON *into, const char *path, int depth)
{
    for (;;) {
        yaml_event_t event;
        int rc = next(b, &event);
        if (rc != GW_OK)
            return rc;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        if (!end)
            rc = pair(b, &event, into, path, depth);
        yaml_event_delete(&event);
        if (end || rc != GW_OK)
            return rc;
    }
}

static int value(struct builder *b, const yaml_event_t *event, uint32_t line, const char *path, int depth,
                 cJSON **out)
{
    int rc = refuse_decoration(b, event);
    if (rc != GW_OK)
        return rc;
    if (event->type == YAML_SCALAR_EVENT)
        return scalar(b, event, line, out);
    if (depth == GW_TREE_DEPTH_MAX)
        return refuse(b, event->start_mark, "nested too deeply");
    bool is_mapping = event->type == YAML_MAPPING_START_EVENT;
    cJSON *node = is_mapping ? cJSON_CreateObject() : cJSON_CreateArray();
    rc = remember(b, node, line);
    if (rc != GW_OK)
        return rc;
    rc = is_mapping ? mapping(b, node, path, depth + 1) : sequence(b, node, path, depth + 1);
    if (rc != GW_OK)
        cJSON_Delete(node);
    else
        *out = node;
    return rc;
}

/* The events between stream start and stream end: at most one document. */
static int document(struct builder *b)
{
    for (bool seen = false;;) {
        yaml_event_t event;
        int rc = next(b, &event);
        if (rc != GW_OK)
            return rc;
        yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT) {
            if (seen)
                rc = refuse(b, event.start_mark, "a second document (`---`): one file holds one");
            seen = true;
        } else if (type != YAML_STREAM_START_EVENT && type != YAML_STREAM_END_EVENT &&
                   type != YAML_DOCUMENT_END_EVENT) {
            rc = value(b, &event, line_of(event.start_mark), "", 0, &b->tree->root);
        }
        yaml_event_delete(&event);
        if (rc != GW_OK || type == YAML_STREAM_END_EVENT)
            return rc;
    }
}

int gw_tree_parse(const char *path, const char *text, size_t len, struct gw_tree *out,
                  struct gw_config_report *report)
{
    *out = (struct gw_tree){.path = path};
    if (len > GW_TREE_BYTES_MAX)
        return gw_report_add(report, GW_EINVALID, path, 0, "larger than 1 MiB: is this the right file?");
    out->places = malloc(GW_TREE_NODES_MAX * sizeof *out->places);
    struct builder builder = {.text = text, .len = len, .tree = out, .report = report};
    if (!out->places || !yaml_parser_initialize(&builder.parser))
        return gw_report_add(report, GW_ENOMEM, path, 0, "out of memory");
    yaml_parser_set_encoding(&builder.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&builder.parser, (const unsigned char *)text, len);
    int rc = document(&builder);
    yaml_parser_delete(&builder.parser);
    return rc;
}

void gw_tree_free(struct gw_tree *tree)
{
    cJSON_Delete(tree->root);
    free(tree->places);
    *tree = (struct gw_tree){0};
}

uint32_t gw_tree_line(const struct gw_tree *tree, const cJSON *node)
{
    for (size_t i = 0; i < tree->count; i++)
        if (tree->places[i].node == node)
            return tree->places[i].line;
    return 0;
}
