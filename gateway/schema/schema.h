/*
 * JSON Schema, drafts 2020-12 and 7: a schema is compiled once to a flat program, and events (JSON text or CBOR) are judged by
 * it where they lie, without a tree and without allocation.
 *
 * A compiled schema is immutable and may be used by any number of threads; each has its own scratch. Everything is bounded:
 * schema bytes, memory, depth, the work of one validation, the backtracking of a regular expression. What would go beyond
 * ends in GW_ELIMIT or GW_EFULL, never in a wrong verdict.
 *
 * Specification: JSON Schema Core and Validation, 2020-12 and draft-07. What is bounded or differs: docs/schemas.md.
 */
#ifndef GW_SCHEMA_SCHEMA_H
#define GW_SCHEMA_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "schema/value.h"

struct gw_schema;

enum gw_schema_draft { GW_DRAFT_2020_12 = 2020, GW_DRAFT_7 = 7 };

/* 0 and *out_text (malloc, taken over), or GW_ENOTFOUND or another error. uri has no fragment. */
typedef int (*gw_schema_load)(void *context, const char *uri, char **out_text, size_t *out_len);

/* Zero is a good default for every field. */
struct gw_schema_options {
    enum gw_schema_draft draft; /* of schemas without $schema; 0: 2020-12 */
    bool assert_formats;        /* `format` decides; else it is an annotation, as 2020-12 has it */
    const char *uri;            /* where the schema was found, its base URI; NULL: none */
    gw_schema_load load; /* of referenced documents; NULL: only the drafts' own metaschemas are known */
    void *load_context;
    size_t text_bytes_max;    /* of all documents together; 0: 512 KiB */
    size_t program_bytes_max; /* 0: 16 MiB */
};

/*
 * Compiles a schema. The result is the caller's, for gw_schema_free. GW_EINVALID: not a schema, or a reference that cannot be
 * resolved; GW_ELIMIT, GW_ENOMEM, or what load returned. *error says what and where.
 */
GW_MUST_CHECK int gw_schema_compile(const char *text, size_t len, const struct gw_schema_options *options,
                                    struct gw_schema **out, struct gw_error *error);
void gw_schema_free(struct gw_schema *schema);

/* One failed keyword; the texts live in the report's memory and end with NUL. */
struct gw_schema_fault {
    const char *instance; /* instanceLocation: JSON pointer (RFC 6901) */
    const char *keyword;  /* keywordLocation: JSON pointer through $ref */
    const char *absolute; /* absoluteKeywordLocation: URI with a fragment */
    const char *message;  /* never holds a value of the instance */
};

/* Where faults go; all memory is the caller's. What does not fit is counted in `more`. */
struct gw_schema_report {
    struct gw_schema_fault *faults;
    size_t fault_max, fault_count;
    char *text;
    size_t text_max, text_len;
    size_t more;
};

/* One thread's working memory. */
struct gw_schema_scratch {
    struct gw_scratch memory;
    struct gw_regex_scratch *regex;
    int64_t fuel_max;   /* steps of one validation, about a nanosecond each; may be changed */
    uint64_t fuel_used; /* by the last validation */
};

#define GW_SCHEMA_SCRATCH_MIN 4096
#define GW_SCHEMA_FUEL 20000000

/* memory: 16-byte aligned, at least GW_SCHEMA_SCRATCH_MIN bytes, the caller's; 64 KiB are plenty. 0, or GW_EFULL. */
GW_MUST_CHECK int gw_schema_scratch_init(void *memory, size_t bytes, struct gw_schema_scratch *out);

enum gw_schema_verdict { GW_SCHEMA_VALID = 0, GW_SCHEMA_INVALID = 1 };

/*
 * GW_SCHEMA_VALID or GW_SCHEMA_INVALID. With a report every fault is looked for (JSON Schema Core §12, output format
 * `basic`), without one the first decides. Errors: GW_EPROTOCOL (the instance is not well-formed, or a declared property
 * stands in it twice), GW_ELIMIT (depth, steps, a regular expression), GW_EFULL (scratch).
 * Does not block or allocate; the stack it takes is bounded by GW_SCHEMA_DEPTH.
 */
GW_MUST_CHECK int gw_schema_validate(const struct gw_schema *schema, struct gw_schema_scratch *scratch,
                                     const struct gw_cursor *instance, struct gw_schema_report *report);

#define GW_SCHEMA_DEPTH 256       /* schemas within schemas, references included */
#define GW_SCHEMA_VALUE_DEPTH 128 /* arrays and objects within each other */

/* How large the program is. */
struct gw_schema_size {
    size_t schemas, instructions, bytes;
};
void gw_schema_get_size(const struct gw_schema *schema, struct gw_schema_size *out);

#endif
