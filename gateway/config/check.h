/* From a tree to a checked configuration: types, ranges, defaults, required keys, rules between keys. */
#ifndef GW_CONFIG_CHECK_H
#define GW_CONFIG_CHECK_H

#include "base/arena.h"
#include "config/config.h"
#include "config/tree.h"

struct gw_check {
    const struct gw_tree *tree;
    struct gw_arena *arena; /* for the strings of *config */
    gw_config_environment environment;
    void *context;
    struct gw_config *config;
    struct gw_config_report *report;
};

/* Fills *config; what is wrong goes to the report. GW_OK: nothing was. */
GW_MUST_CHECK int gw_check_tree(struct gw_check *check);

#endif
