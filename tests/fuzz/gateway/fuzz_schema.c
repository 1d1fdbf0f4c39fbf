/*
 * Any bytes as a schema and an instance, JSON or CBOR: compiling and judging end, and no way of judging contradicts another.
 * The input is the schema, a NUL byte, then the instance; without a NUL the instance is judged by schemas of our own.
 * With bit 8 of the first byte: two schemas, and perhaps a NUL and an instance. If the first is called compatible with the second,
 * no instance may be valid by the first and not by the second.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "schema/attributes.h"
#include "schema/canonical.h"
#include "schema/compat.h"
#include "schema/schema.h"
#include "wire/cbor.h"

#define SCRATCH_BYTES 65536
#define CBOR_BYTES 65536

static uint8_t memory[SCRATCH_BYTES] __attribute__((aligned(16)));
static uint8_t cbor[CBOR_BYTES];
static struct gw_schema_scratch scratch;

static const char *const own[] = {
    "{\"$ref\":\"https://json-schema.org/draft/2020-12/schema\"}",
    "{\"$ref\":\"http://json-schema.org/draft-07/schema\"}",
    "{\"uniqueItems\":true,\"items\":{\"uniqueItems\":true},\"contains\":{\"type\":[\"integer\",\"string\"],"
    "\"multipleOf\":0.01},"
    "\"patternProperties\":{\"^(a|b)*c\":{\"enum\":[1,\"x\",null,{\"a\":[1.0]}]}},\"unevaluatedItems\":{"
    "\"minimum\":-1e3},"
    "\"anyOf\":[{\"properties\":{\"a\":{\"format\":\"date-time\"}}},{\"prefixItems\":[{\"format\":\"uri\"},{"
    "\"format\":\"email\"}]}],"
    "\"unevaluatedProperties\":{\"type\":\"object\",\"additionalProperties\":{\"$ref\":\"#\"}},\"minLength\":"
    "2}",
};
#define OWN_COUNT (sizeof own / sizeof *own)
static struct gw_schema *own_schemas[OWN_COUNT];

static void prepare(void)
{
    static const struct gw_schema_options options = {.assert_formats = true};
    if (own_schemas[0])
        return;
    if (gw_schema_scratch_init(memory, sizeof memory, &scratch) != 0)
        abort();
    scratch.fuel_max = 2000000;
    for (size_t i = 0; i < OWN_COUNT; i++)
        if (gw_schema_compile(own[i], strlen(own[i]), &options, &own_schemas[i], NULL) != 0)
            abort();
}

static int judge_all(const struct gw_schema *schema, const struct gw_cursor *cursor)
{
    static struct gw_schema_fault faults[16];
    static char text[4096];
    struct gw_schema_report report = {
        .faults = faults, .fault_max = 16, .text = text, .text_max = sizeof text};
    int rc = gw_schema_validate(schema, &scratch, cursor, &report);
    for (size_t i = 0; i < report.fault_count; i++)
        if (strlen(faults[i].instance) + strlen(faults[i].keyword) + strlen(faults[i].absolute) > sizeof text)
            abort();
    if (rc == GW_SCHEMA_INVALID && report.fault_count + report.more == 0)
        abort();
    return rc;
}

static bool is_verdict(int rc)
{
    return rc == GW_SCHEMA_VALID || rc == GW_SCHEMA_INVALID;
}

static void judge(const struct gw_schema *schema, const struct gw_cursor *cursor)
{
    int quick = gw_schema_validate(schema, &scratch, cursor, NULL), whole = judge_all(schema, cursor);
    if (is_verdict(quick) && is_verdict(whole) && quick != whole)
        abort();
    if (cursor->encoding != GW_ENCODING_JSON || !is_verdict(whole))
        return;
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, cbor, sizeof cbor);
    scratch.memory.used = 0;
    if (gw_value_to_cbor(cursor, &scratch.memory, &w, GW_SCHEMA_VALUE_DEPTH) != 0)
        return;
    const struct gw_cursor again = {.data = cbor, .len = (uint32_t)w.len, .encoding = GW_ENCODING_CBOR};
    int other = gw_schema_validate(schema, &scratch, &again, NULL);
    if (is_verdict(other) && other != whole)
        abort();
    if (other == GW_EPROTOCOL)
        abort();
}

/* --- two schemas --- */

static const char *const instances[] = {
    "null",
    "true",
    "false",
    "0",
    "1",
    "-1",
    "2.5",
    "9007199254740993",
    "1e300",
    "\"\"",
    "\"a\"",
    "\"abc\"",
    "\"2026-11-21\"",
    "[]",
    "[1]",
    "[1,1]",
    "[null,\"a\"]",
    "[[],{}]",
    "{}",
    "{\"a\":1}",
    "{\"a\":\"a\"}",
    "{\"a\":1,\"b\":2}",
    "{\"b\":null}",
    "{\"a\":{\"a\":1}}",
    "{\"a\":{\"a\":{\"b\":[1]}}}",
    "{\"x\":1,\"y\":[]}",
};
#define INSTANCE_COUNT (sizeof instances / sizeof *instances)

static int judge_text(const struct gw_schema *schema, const char *text, size_t len)
{
    const struct gw_cursor cursor = {.data = (const uint8_t *)text, .len = (uint32_t)len};
    return gw_schema_validate(schema, &scratch, &cursor, NULL);
}

static void refute(const struct gw_schema *from, const struct gw_schema *to, const char *text, size_t len)
{
    if (judge_text(from, text, len) == GW_SCHEMA_VALID && judge_text(to, text, len) == GW_SCHEMA_INVALID)
        abort();
}

/* What makes a schema the same does not depend on how it is written; what it declares can be read, or is refused. */
static void rewrite(const char *text, size_t len, const struct gw_schema_options *options)
{
    struct gw_attributes *attributes = NULL;
    struct gw_schema_hash one, two;
    char *pretty = NULL, *canonical = NULL;
    size_t pretty_len = 0, canonical_len = 0;
    if (gw_attributes_read(text, len, options, &attributes, NULL) == 0)
        gw_attributes_free(attributes);
    if (gw_schema_hash(text, len, &one) != 0)
        return;
    if (gw_schema_rewrite(text, len, GW_JSON_PRETTY, &pretty, &pretty_len) != 0 ||
        gw_schema_rewrite(pretty, pretty_len, GW_JSON_CANONICAL, &canonical, &canonical_len) != 0 ||
        gw_schema_hash(canonical, canonical_len, &two) != 0 || memcmp(&one, &two, sizeof one) != 0)
        abort();
    free(pretty);
    free(canonical);
}

static void compare(const char *old, size_t old_len, const char *rest, size_t rest_len,
                    const struct gw_schema_options *options)
{
    const char *nul = memchr(rest, 0, rest_len);
    const struct gw_compat_side from = {old, old_len}, to = {rest, nul ? (size_t)(nul - rest) : rest_len};
    struct gw_compat_report report = {.count = 0};
    struct gw_schema *before = NULL, *after = NULL;
    struct gw_schema_options asserted = *options;
    struct gw_error error;
    asserted.assert_formats = true;
    rewrite(to.text, to.len, options);
    int rc = gw_schema_compile(from.text, from.len, &asserted, &before, &error);
    if (rc == 0)
        rc = gw_schema_compile(to.text, to.len, &asserted, &after, &error);
    if (rc == 0)
        rc = gw_compat_check(&from, &to, 7, options, 1, &report, &error);
    if (rc == GW_ECONFLICT && report.count == 0)
        abort();
    report = (struct gw_compat_report){.count = 0};
    if (rc == 0 || rc == GW_ECONFLICT)
        rc = gw_compat_check(&from, &to, GW_COMPAT_ASK_BACKWARD | GW_COMPAT_UNDECLARED_KEPT, options, 1,
                             &report, &error);
    for (size_t i = 0; i < INSTANCE_COUNT && rc == 0; i++)
        refute(before, after, instances[i], strlen(instances[i]));
    if (nul && rc == 0)
        refute(before, after, nul + 1, rest_len - to.len - 1);
    gw_schema_free(before);
    gw_schema_free(after);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    prepare();
    if (size < 1)
        return 0;
    const struct gw_schema_options options = {.assert_formats = data[0] & 1,
                                              .draft = data[0] & 2 ? GW_DRAFT_7 : GW_DRAFT_2020_12,
                                              .program_bytes_max = 1u << 20};
    const enum gw_encoding encoding = data[0] & 4 ? GW_ENCODING_CBOR : GW_ENCODING_JSON;
    data++;
    size--;
    const uint8_t *nul = memchr(data, 0, size);
    const size_t schema_len = nul ? (size_t)(nul - data) : 0, start = nul ? schema_len + 1 : 0;
    char *text = malloc(schema_len + 1);
    uint8_t *instance = malloc(size - start + 1);
    if (!text || !instance)
        abort();
    memcpy(text, data, schema_len);
    memcpy(instance, data + start, size - start);
    const struct gw_cursor cursor = {.data = instance, .len = (uint32_t)(size - start), .encoding = encoding};
    struct gw_schema *schema = NULL;
    struct gw_error error;
    if (nul && *(data - 1) & 8)
        compare(text, schema_len, (const char *)instance, size - start, &options);
    else if (nul && gw_schema_compile(text, schema_len, &options, &schema, &error) == 0)
        judge(schema, &cursor);
    for (size_t i = 0; i < OWN_COUNT && !nul; i++)
        judge(own_schemas[i], &cursor);
    gw_schema_free(schema);
    free(text);
    free(instance);
    return 0;
}
