/* tributaryctl: what its commands share. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"

/* Exit codes, also in the help text. */
enum ctl_exit {
    CTL_OK = 0,
    CTL_BAD = 1,         /* what was asked about is not well: not ready, damaged, a faulty configuration */
    CTL_USAGE = 2,       /* the command line */
    CTL_UNREACHABLE = 3, /* no gateway answers */
    CTL_FAILED = 4,      /* files cannot be read, or another failure outside */
};

/* The options that all commands know, and the words behind the command. */
struct ctl {
    char *data;   /* data.folder of the gateway; NULL if not known */
    char *socket; /* of its admin API; NULL if not known */
    bool json;    /* for programs: print what the gateway said */
    bool colour;
    int argument_count;
    char **arguments;
};

typedef int (*ctl_command)(const struct ctl *ctl);

int ctl_status(const struct ctl *ctl);
int ctl_stream(const struct ctl *ctl);
int ctl_journal(const struct ctl *ctl);
int ctl_quarantine(const struct ctl *ctl);
int ctl_quarantine_settle(const struct ctl *ctl); /* all but list */
int ctl_reload(const struct ctl *ctl);
int ctl_check_config(const struct ctl *ctl);
int ctl_reference(const struct ctl *ctl);
int ctl_schema(const struct ctl *ctl);
int ctl_catalog(const struct ctl *ctl);

/* --- shared helpers --- */

/* A whole number up to most; else the error is printed. */
int ctl_take_number(const char *name, const char *value, uint64_t most, uint64_t *out);
/* "tributaryctl: ..." on standard error; returns code. */
int ctl_fail(enum ctl_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Where files are read: CTL_OK if the data folder is known, else the error has been printed. */
int ctl_need_data(const struct ctl *ctl);
/* Whether a gateway answers on the admin socket; prints nothing. */
bool ctl_answers(const struct ctl *ctl);
/* The tree as indented JSON on standard output. */
int ctl_print_json(const cJSON *tree);
/* GET on the admin socket. CTL_OK with *out_tree (the caller's); else the error has been printed. */
int ctl_get(const struct ctl *ctl, const char *path, cJSON **out_tree);
/* The same with another method and no body. */
int ctl_ask(const struct ctl *ctl, const char *method, const char *path, cJSON **out_tree);
/* POST of a JSON body. CTL_BAD if the gateway refuses it, with its reason printed. */
int ctl_post(const struct ctl *ctl, const char *path, const cJSON *body, cJSON **out_tree);
/* A number of any size that stands as raw JSON; 0 if it is not there. */
uint64_t ctl_number(const cJSON *object, const char *name);
/* Adds a number exactly, as raw JSON. */
void ctl_add_number(cJSON *object, const char *name, uint64_t value);
/* A text; "" if it is not there. */
const char *ctl_text(const cJSON *object, const char *name);

/* The JOURNAL and SINK parts of /v1/status. */
void ctl_print_journal(const struct ctl *ctl, const cJSON *tree);

#define CTL_NUMBER_MAX 32
/* "1,234,567". Returns out. */
const char *ctl_grouped(uint64_t value, char out[CTL_NUMBER_MAX]);

/* Escape sequences, or "" where the output is no terminal. */
const char *ctl_bold(const struct ctl *ctl);
const char *ctl_good(const struct ctl *ctl);
const char *ctl_bad(const struct ctl *ctl);
const char *ctl_dim(const struct ctl *ctl);
const char *ctl_plain(const struct ctl *ctl);

#endif
