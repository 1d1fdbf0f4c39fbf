/* Schemas and instances as text, and what comes of them. */
#ifndef SCHEMA_FIXTURE_H
#define SCHEMA_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "schema/schema.h"
#include "wire/cbor.h"

#define SCRATCH_BYTES 65536

static struct {
    uint8_t memory[SCRATCH_BYTES] __attribute__((aligned(16)));
    struct gw_schema_scratch scratch;
    struct gw_schema *schema;
    struct gw_schema_options options;
    struct gw_error error;
    struct gw_schema_fault faults[32];
    char text[16384];
    struct gw_schema_report report;
} it;

static inline int setup(void **state)
{
    (void)state;
    memset(&it, 0, sizeof it);
    it.report = (struct gw_schema_report){
        .faults = it.faults, .fault_max = 32, .text = it.text, .text_max = sizeof it.text};
    return gw_schema_scratch_init(it.memory, sizeof it.memory, &it.scratch);
}

static inline int teardown(void **state)
{
    (void)state;
    gw_schema_free(it.schema);
    return 0;
}

/* The text is copied to a block of its exact size, so that a sanitizer sees each read behind its end. */
static inline int try_compile(const char *text, size_t len)
{
    char *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, text, len);
    gw_schema_free(it.schema);
    it.schema = NULL;
    int rc = gw_schema_compile(exact, len, &it.options, &it.schema, &it.error);
    free(exact);
    return rc;
}

static inline void compile(const char *text)
{
    int rc = try_compile(text, strlen(text));
    if (rc != 0)
        print_error("%s\n", it.error.text);
    assert_int_equal(rc, 0);
}

static inline int judge_bytes(const void *data, size_t len, enum gw_encoding encoding,
                              struct gw_schema_report *report)
{
    uint8_t *exact = malloc(len ? len : 1);
    assert_non_null(exact);
    memcpy(exact, data, len);
    const struct gw_cursor cursor = {.data = exact, .len = (uint32_t)len, .encoding = encoding};
    int rc = gw_schema_validate(it.schema, &it.scratch, &cursor, report);
    free(exact);
    return rc;
}

static inline int judge(const char *json)
{
    return judge_bytes(json, strlen(json), GW_ENCODING_JSON, NULL);
}

static inline int judge_all(const char *json)
{
    return judge_bytes(json, strlen(json), GW_ENCODING_JSON, &it.report);
}

#endif
