/*
 * YAML (libyaml) into a cJSON tree whose nodes remember their line. Mappings become objects, sequences
 * arrays, scalars strings (the checker knows the type it wants), empty plain scalars, `~` and `null` nulls.
 * Anchors, aliases, tags, several documents, doubled keys, and anything too deep or too large are refused.
 */
#ifndef GW_CONFIG_TREE_H
#define GW_CONFIG_TREE_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

#define GW_TREE_BYTES_MAX (1024 * 1024)
#define GW_TREE_DEPTH_MAX 8
#define GW_TREE_NODES_MAX 2000

struct gw_tree {
    const char *path; /* names the text in errors; borrowed */
    cJSON *root;      /* NULL: an empty document */
    struct gw_tree_place {
        const cJSON *node;
        uint32_t line; /* 1-based; of the key for a value in a mapping, else of the value */
    } * places;
    size_t count;
};

/* Errors go to the report; 0, GW_EINVALID or GW_ENOMEM. Free *out in either case. */
GW_MUST_CHECK int gw_tree_parse(const char *path, const char *text, size_t len, struct gw_tree *out,
                                struct gw_config_report *report);
void gw_tree_free(struct gw_tree *tree);
/* 0 for a node that is not in the tree. */
uint32_t gw_tree_line(const struct gw_tree *tree, const cJSON *node);

/* Adds "path:line: text" (line 0: "path: text") to the report; returns code. */
int gw_report_add(struct gw_config_report *report, int code, const char *path, uint32_t line,
                  const char *format, ...) __attribute__((format(printf, 5, 6)));

#endif
