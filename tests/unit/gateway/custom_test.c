/* Custom events against registered schemas: who gets in, what is stored of them, and re-drive. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "admit_fixture.h"
#include "delivery/event.h"
#include "session/redrive.h"

static struct fixture x;
static struct gw_schemas *schemas;
static struct gw_schema_scratch scratch;
static _Alignas(16) uint8_t memory[65536];

/* Linked with --wrap: what the gateway's own code allocates is counted. */
static size_t allocations;
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);

void *__wrap_malloc(size_t bytes)
{
    allocations++;
    return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    allocations++;
    return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes)
{
    allocations++;
    return __real_realloc(old, bytes);
}

static int setup(void **state)
{
    (void)state;
    fixture_open(&x);
    gw_custom_forget();
    const struct gw_schemas_options options = {0};
    schemas = gw_schemas_new(&options);
    if (!schemas || gw_schema_scratch_init(memory, sizeof memory, &scratch) != 0)
        return -1;
    scratch.fuel_max = GW_CUSTOM_FUEL;
    x.policy.custom.schemas = schemas;
    x.input.schema_scratch = &scratch;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_close(&x);
    gw_custom_forget();
    gw_schemas_close(schemas);
    return 0;
}

static void learn(const char *subject, const char *text)
{
    const struct gw_schema_version *version;
    struct gw_error error = {0};
    const struct gw_schema_text candidate = {subject, text, strlen(text)};
    if (gw_schemas_register(schemas, &candidate, 1, NULL, &version, &error) != 0)
        fail_msg("%s", error.text);
}

static const char menu[] = "{\"type\":\"object\",\"properties\":{\"item\":{\"type\":\"string\"},"
                           "\"depth\":{\"type\":\"integer\",\"minimum\":0}},\"required\":[\"item\"]}";

/* Attributes as name, value pairs; a value that begins with a digit is a number. */
static void custom(const char *schema, size_t pairs, const char *const *members)
{
    fields_begin(&x, 2);
    fields_text(&x, TRIB_FIELD_SCHEMA, schema);
    trib_cbor_put_uint(&x.f, TRIB_FIELD_DATA);
    trib_cbor_put_map(&x.f, pairs);
    for (size_t i = 0; i < pairs; i++) {
        const char *value = members[2 * i + 1];
        trib_cbor_put_text(&x.f, members[2 * i], strlen(members[2 * i]));
        if (*value >= '0' && *value <= '9')
            trib_cbor_put_uint(&x.f, strtoull(value, NULL, 10));
        else
            trib_cbor_put_text(&x.f, value, strlen(value));
    }
    batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_CUSTOM, 0, 1);
}

#define CUSTOM(schema, ...)                                                                                  \
    custom(schema, sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *) / 2,                         \
           (const char *const[]){__VA_ARGS__})

static void begin(void)
{
    batch_begin(&x, 1, 1, 0, 0);
}

/* The events of an entry as JSON lines. */
static const char *stored(const struct gw_journal_write *write)
{
    static char text[1 << 17];
    size_t len = 0;
    text[0] = 0;
    if (!write->entry)
        return text;
    struct gw_event_reader reader;
    struct gw_event event;
    assert_int_equal(gw_event_reader_open(&reader, 0, write->entry, write->entry_len), TRIB_OK);
    int rc;
    while ((rc = gw_event_next(&reader, &event)) == 1) {
        len += gw_event_json(&event, "g", text + len, sizeof text - len - 1);
        text[len++] = '\n';
        text[len] = 0;
    }
    assert_int_equal(rc, 0);
    return text;
}

static void assert_has(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("no %s in %s", part, text);
}

static void test_no_event_enters_without_a_contract(void **state)
{
    (void)state;
    begin();
    CUSTOM("menu.opened", "item", "settings");
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 0);
    assert_int_equal(x.out.rejected[0].code, TRIB_REJECT_UNKNOWN_SCHEMA);
    assert_int_equal(x.out.write.quarantine[0].code, TRIB_REJECT_UNKNOWN_SCHEMA);
    learn("menu.opened", menu);
    static const char *const unknown[] = {
        "menu.opened@2",     "menu.opened@0", "menu.opened@", "menu.opened@01", "menu.opened@1x",
        "menu.opened@11111", "menu.Opened",   "@1",           "menu.opened@1@1"};
    begin();
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        CUSTOM(unknown[i], "item", "settings");
    CUSTOM("menu.opened", "item", "settings");
    CUSTOM("menu.opened@1", "item", "home", "depth", "3");
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 2);
    assert_int_equal(x.out.rejected_count, sizeof unknown / sizeof unknown[0]);
    for (size_t i = 0; i < x.out.rejected_count; i++)
        assert_int_equal(x.out.rejected[i].code, TRIB_REJECT_UNKNOWN_SCHEMA);
    const char *text = stored(&x.out.write);
    assert_has(text, "\"schema\":\"menu.opened\",\"schema_version\":1,\"data\":{\"item\":\"settings\"}}");
    assert_has(text, "\"data\":{\"item\":\"home\",\"depth\":3}}");
}

static void test_a_name_alone_means_the_newest_version(void **state)
{
    (void)state;
    learn("menu.opened", menu);
    learn("menu.opened", "{\"type\":\"object\",\"properties\":{\"item\":{\"type\":\"string\"},\"depth\":{"
                         "\"type\":\"integer\",\"minimum\":0},\"place\":{\"type\":\"string\"}},"
                         "\"required\":[\"item\"]}");
    begin();
    CUSTOM("menu.opened", "item", "a", "place", "top");
    CUSTOM("menu.opened@1", "item", "b", "place", "top");
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 2);
    const char *text = stored(&x.out.write);
    assert_has(text, "\"schema_version\":2,\"data\":{\"item\":\"a\",\"place\":\"top\"}}");
    assert_has(text, "\"schema_version\":1,\"data\":{\"item\":\"b\"}}"); /* not declared in 1 */
    assert_int_equal(x.out.undeclared_count, 1);
}

static void test_what_a_schema_refuses_has_its_keyword(void **state)
{
    (void)state;
    learn("menu.opened", menu);
    begin();
    CUSTOM("menu.opened", "depth", "3");
    CUSTOM("menu.opened", "item", "5");
    custom("menu.opened", 0, NULL);
    fields_begin(&x, 1); /* no data at all */
    fields_text(&x, TRIB_FIELD_SCHEMA, "menu.opened");
    batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_CUSTOM, 0, 1);
    CUSTOM("menu.opened", "item", "a", "item", "b");
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 0);
    static const struct {
        unsigned code;
        const char *keyword;
    } wanted[] = {{TRIB_REJECT_MISSING_FIELD, "required"},
                  {TRIB_REJECT_WRONG_TYPE, "type"},
                  {TRIB_REJECT_MISSING_FIELD, "required"},
                  {TRIB_REJECT_MISSING_FIELD, "required"},
                  {TRIB_REJECT_MALFORMED, NULL}};
    assert_int_equal(x.out.write.quarantine_count, 5);
    for (size_t i = 0; i < 5; i++) {
        const uint32_t reason = x.out.write.quarantine[i].code;
        assert_int_equal(x.out.rejected[i].code, wanted[i].code);
        assert_int_equal(GW_REJECT_CODE(reason), wanted[i].code);
        if (wanted[i].keyword)
            assert_string_equal(gw_reject_keyword(reason), wanted[i].keyword);
        else
            assert_null(gw_reject_keyword(reason));
    }
    char text[4096];
    size_t len = gw_custom_render(text, sizeof text);
    assert_true(len < sizeof text);
    assert_has(text, "tributary_schema_invalid_total{schema=\"menu.opened\",version=\"1\",id=\"1\",keyword="
                     "\"required\"} 3\n");
    assert_has(text, "keyword=\"type\"} 1\n");
    assert_has(text, "keyword=\"malformed\"} 1\n");
    assert_null(strstr(text, "tributary_schema_valid_total{"));
}

static void test_undeclared_attributes_are_dropped_refused_or_kept(void **state)
{
    (void)state;
    learn("plain", menu);
    learn("strict",
          "{\"type\":\"object\",\"x-tributary\":{\"undeclared\":\"reject\"},\"properties\":{\"item\":{"
          "\"type\":\"string\"}}}");
    learn("loose", "{\"type\":\"object\",\"x-tributary\":{\"undeclared\":\"drop\"},\"properties\":{\"item\":{"
                   "\"type\":\"string\"}}}");
    learn("closed", "{\"type\":\"object\",\"additionalProperties\":false,\"properties\":{\"item\":{"
                    "\"type\":\"string\"}}}");
    static const enum gw_undeclared rules[] = {GW_UNDECLARED_DROP, GW_UNDECLARED_REJECT, GW_UNDECLARED_KEEP};
    for (size_t i = 0; i < 3; i++) {
        x.policy.custom.undeclared = rules[i];
        begin();
        CUSTOM("plain", "extra", "planted", "item", "a");
        CUSTOM("closed", "item", "b", "extra", "planted");
        CUSTOM("strict", "item", "c", "extra", "planted");
        CUSTOM("strict", "item", "d");
        CUSTOM("loose", "item", "e", "extra", "planted");
        assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
        const char *text = stored(&x.out.write);
        assert_int_equal(strstr(text, "\"data\":{\"item\":\"a\"}") != NULL, rules[i] == GW_UNDECLARED_DROP);
        assert_int_equal(strstr(text, "\"extra\":\"planted\",\"item\":\"a\"") != NULL,
                         rules[i] == GW_UNDECLARED_KEEP);
        assert_int_equal(strstr(text, "\"b\"") != NULL, rules[i] == GW_UNDECLARED_DROP);
        assert_null(strstr(text, "\"c\""));
        assert_non_null(strstr(text, "\"d\""));
        assert_non_null(strstr(text, "\"data\":{\"item\":\"e\"}")); /* whatever the configuration says */
        if (rules[i] != GW_UNDECLARED_KEEP)
            assert_null(strstr(text, "planted"));
    }
}

static void test_personal_attributes_are_masked_and_secret_ones_left_out(void **state)
{
    (void)state;
    learn("login", "{\"type\":\"object\",\"properties\":{"
                   "\"mail\":{\"type\":\"string\",\"x-tributary\":{\"privacy\":\"personal\"}},"
                   "\"pin\":{\"type\":\"integer\",\"x-tributary\":{\"privacy\":\"secret\"}},"
                   "\"screen\":{\"type\":\"string\"}},\"required\":[\"mail\",\"pin\"]}");
    x.policy.custom.undeclared = GW_UNDECLARED_KEEP; /* which a schema with personal data does not do */
    begin();
    CUSTOM("login", "screen", "tv", "mail", "planted@example.org", "pin", "4711", "extra", "planted");
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 1);
    char pseudonym[GW_PSEUDONYM_TEXT_MAX + 64];
    char masked[GW_PSEUDONYM_TEXT_MAX];
    size_t len = gw_pseudonym_text(x.pseudonym, "planted@example.org", 19, masked);
    snprintf(pseudonym, sizeof pseudonym, "\"data\":{\"screen\":\"tv\",\"mail\":\"%.*s\"}}", (int)len,
             masked);
    assert_has(stored(&x.out.write), pseudonym);
    for (size_t i = 0; i + 7 <= x.out.write.entry_len; i++)
        assert_memory_not_equal(x.out.write.entry + i, "planted", 7);
}

/* Each is masked where its event's attributes stand, which is the place of the next one's, too. */
static void test_each_event_has_the_pseudonym_of_its_own_user(void **state)
{
    (void)state;
    static const char *const users[] = {"same-end-ann-same-end", "same-end-bob-same-end",
                                        "same-end-ann-same-end"};
    struct gw_pseudonym_cache *cache;
    assert_int_equal(gw_pseudonym_cache_new(16, &cache), GW_OK);
    x.input.pseudonyms = cache;
    learn("login",
          "{\"properties\":{\"mail\":{\"type\":\"string\",\"x-tributary\":{\"privacy\":\"personal\"}}}}");
    begin();
    for (size_t i = 0; i < 3; i++)
        CUSTOM("login", "mail", users[i]);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 3);
    const char *at = stored(&x.out.write);
    for (size_t i = 0; i < 3; i++) {
        char masked[GW_PSEUDONYM_TEXT_MAX + 1] = {0};
        gw_pseudonym_text(x.pseudonym, users[i], strlen(users[i]), masked);
        at = strstr(at, masked);
        assert_non_null(at);
        at++;
    }
    gw_pseudonym_cache_free(cache);
    x.input.pseudonyms = NULL;
}

/* {"item": item, "where": {"room": 7, "mail": "planted"}, "steps": [{"n": 1, "mail": {"at": "planted"}}]} */
static void nested(const char *schema, const char *item, unsigned context)
{
    fields_begin(&x, 2);
    fields_text(&x, TRIB_FIELD_SCHEMA, schema);
    trib_cbor_put_uint(&x.f, TRIB_FIELD_DATA);
    trib_cbor_put_map(&x.f, 3);
    trib_cbor_put_text(&x.f, "item", 4);
    trib_cbor_put_text(&x.f, item, strlen(item));
    trib_cbor_put_text(&x.f, "where", 5);
    trib_cbor_put_map(&x.f, 2);
    trib_cbor_put_text(&x.f, "room", 4);
    trib_cbor_put_uint(&x.f, 7);
    trib_cbor_put_text(&x.f, "mail", 4);
    trib_cbor_put_text(&x.f, "planted", 7);
    trib_cbor_put_text(&x.f, "steps", 5);
    trib_cbor_put_array(&x.f, 1);
    trib_cbor_put_map(&x.f, 2);
    trib_cbor_put_text(&x.f, "n", 1);
    trib_cbor_put_uint(&x.f, 1);
    trib_cbor_put_text(&x.f, "mail", 4);
    trib_cbor_put_map(&x.f, 1);
    trib_cbor_put_text(&x.f, "at", 2);
    trib_cbor_put_text(&x.f, "planted", 7);
    batch_event(&x, TRIB_LANE_ROUTINE, TRIB_EVENT_CUSTOM, context, 1);
}

#define NESTED                                                                                               \
    "\"where\":{\"properties\":{\"room\":{\"type\":\"integer\"}},\"additionalProperties\":false},"           \
    "\"steps\":{\"type\":\"array\",\"items\":{\"properties\":{\"n\":{\"type\":\"integer\"}}}}}}"

static const char route[] = "{\"properties\":{\"item\":{\"type\":\"string\"}," NESTED;

static void test_what_nested_objects_hold_beside_what_is_declared_is_undeclared_too(void **state)
{
    (void)state;
    learn("route", route);
    learn("strict", "{\"x-tributary\":{\"undeclared\":\"reject\"},\"properties\":{\"item\":{}," NESTED);
    begin();
    nested("route", "a", 0);
    nested("strict", "b", 0);
    batch_context(&x, 1, 99, "film-2", "ann");
    nested("route", "c", 1); /* another context than the one before: its item is written anew */
    nested("route", "d", 0); /* and again, when there is memory for that already */
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 3);
    assert_int_equal(x.out.undeclared_count, 6);
    const char *text = stored(&x.out.write);
    assert_has(text, "\"data\":{\"item\":\"a\",\"where\":{\"room\":7},\"steps\":[{\"n\":1}]}}");
    assert_has(text, "\"data\":{\"item\":\"c\",\"where\":{\"room\":7},\"steps\":[{\"n\":1}]}}");
    assert_has(text, "\"data\":{\"item\":\"d\",\"where\":{\"room\":7},\"steps\":[{\"n\":1}]}}");
    for (size_t i = 0; i + 7 <= x.out.write.entry_len; i++)
        assert_memory_not_equal(x.out.write.entry + i, "planted", 7);
    assert_int_equal(x.out.rejected_count, 1);
    assert_string_equal(gw_reject_keyword(x.out.write.quarantine[0].code), "additionalProperties");

    x.policy.custom.undeclared = GW_UNDECLARED_KEEP;
    learn("open", "{\"properties\":{\"item\":{},\"where\":{\"properties\":{\"room\":{}}},"
                  "\"steps\":{\"items\":{\"properties\":{\"n\":{}}}}}}");
    begin();
    nested("open", "a", 0);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_has(stored(&x.out.write),
               "\"where\":{\"room\":7,\"mail\":\"planted\"},\"steps\":[{\"n\":1,\"mail\":"
               "{\"at\":\"planted\"}}]}}");
}

static void test_nothing_undeclared_is_kept_deeper_beside_personal_data(void **state)
{
    (void)state;
    learn(
        "login",
        "{\"properties\":{\"item\":{\"type\":\"string\",\"x-tributary\":{\"privacy\":\"personal\"}}," NESTED);
    x.policy.custom.undeclared = GW_UNDECLARED_KEEP;
    begin();
    nested("login", "planted@example.org", 0);
    nested("login", "planted@example.org", 0);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 2);
    assert_has(stored(&x.out.write), ",\"where\":{\"room\":7},\"steps\":[{\"n\":1}]}}");
    for (size_t i = 0; i + 7 <= x.out.write.entry_len; i++)
        assert_memory_not_equal(x.out.write.entry + i, "planted", 7);
}

static void test_sixteen_masked_attributes_have_room(void **state)
{
    (void)state;
    char text[4096] = "{\"type\":\"object\",\"properties\":{";
    for (int i = 0; i < 16; i++)
        sprintf(text + strlen(text),
                "%s\"a%d\":{\"type\":\"string\",\"x-tributary\":{\"privacy\":\"personal\"}}", i ? "," : "",
                i);
    strcat(text, "}}");
    learn("wide", text);
    static char names[16][4];
    const char *members[32];
    for (int i = 0; i < 16; i++) {
        sprintf(names[i], "a%d", i);
        members[2 * i] = names[i];
        members[2 * i + 1] = "v";
    }
    begin();
    for (int i = 0; i < 40; i++)
        custom("wide", 16, members);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 40);
    assert_has(
        stored(&(struct gw_journal_write){.entry = x.out.write.entry, .entry_len = x.out.write.entry_len}),
        "\"schema\":\"wide\"");
}

/* A batch has one arena, which keeps what it took: a hundred events, valid or not, take nothing from the heap. */
static void test_judging_allocates_nothing_per_event(void **state)
{
    (void)state;
    learn(
        "login",
        "{\"type\":\"object\",\"properties\":{\"mail\":{\"type\":\"string\",\"pattern\":\"^[a-z]+@(a|b)+$\","
        "\"x-tributary\":{\"privacy\":\"personal\"}},\"n\":{\"type\":\"number\"}},\"required\":[\"mail\"]}");
    begin();
    learn("route", route);
    for (int i = 0; i < 100; i++)
        if (i % 4 == 1)
            nested("route", "a", 0);
        else
            CUSTOM("login", "mail", i % 10 ? "ann@ab" : "nobody", "n", "5", "extra", "dropped");
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 90);
    assert_int_equal(x.out.rejected_count, 10);
    gw_arena_reset(&x.arena);
    const size_t before = allocations;
    assert_int_equal(gw_admit(&x.policy, &x.input, &x.arena, &x.out, &x.hole_lane, &x.error), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 90);
    assert_true(before > 0); /* they are counted */
    assert_int_equal(allocations - before, 0);
}

/* --- re-drive --- */

static uint8_t sealed[8192], plain[8192];

/* What quarantine has of the newest rejected event. */
static struct gw_journal_rejected kept(void)
{
    const struct gw_journal_quarantine *q = &x.out.write.quarantine[0];
    memcpy(sealed, q->sealed, q->sealed_len);
    return (struct gw_journal_rejected){.device = "dev-1",
                                        .device_len = 5,
                                        .stream = q->stream,
                                        .seq = q->seq,
                                        .code = q->code,
                                        .sealed = sealed,
                                        .sealed_len = q->sealed_len,
                                        .place = {7, 3}};
}

static void test_a_redriven_event_is_what_it_would_have_been(void **state)
{
    (void)state;
    begin();
    x.head.anchors[0] = (struct trib_wire_anchor){3, 500, 1763999000000ull, 15};
    x.head.anchor_count = 1;
    x.head.lanes[1].seq = 8;
    trib_wire_batch_open(&x.batch, &x.head, x.batch_bytes, sizeof x.batch_bytes);
    x.input.lanes[1].committed = 7;
    batch_context(&x, 2, 99, "film-2", "ann");
    fields_begin(&x, 2);
    fields_text(&x, TRIB_FIELD_SCHEMA, "menu.opened");
    trib_cbor_put_uint(&x.f, TRIB_FIELD_DATA);
    trib_cbor_put_map(&x.f, 1);
    trib_cbor_put_text(&x.f, "item", 4);
    trib_cbor_put_text(&x.f, "settings", 8);
    batch_event(&x, 1, TRIB_EVENT_CUSTOM, 2, 5);
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    assert_int_equal(x.out.write.quarantine_count, 1);
    const struct gw_journal_rejected rejected = kept();
    struct gw_rejected_event event;
    static struct gw_redriven redriven;
    assert_int_equal(gw_redrive_open(x.seal, &rejected, plain, &event), 0);
    assert_int_equal(gw_redrive(&x.policy, &scratch, &event, &rejected.place, &x.arena, &redriven, &x.error),
                     0);
    assert_int_equal(redriven.reason, TRIB_REJECT_UNKNOWN_SCHEMA); /* still */

    learn("menu.opened", menu);
    assert_int_equal(gw_admit(&x.policy, &x.input, &x.arena, &x.out, &x.hole_lane, &x.error), GW_ADMIT_OK);
    assert_int_equal(x.out.event_count, 1);
    char direct[4096];
    snprintf(direct, sizeof direct, "%s", stored(&x.out.write));
    struct gw_arena arena;
    gw_arena_init(&arena, 65536, 1 << 20);
    assert_int_equal(gw_redrive(&x.policy, &scratch, &event, &rejected.place, &arena, &redriven, &x.error),
                     0);
    assert_int_equal(redriven.reason, 0);
    const struct gw_journal_write *write = &redriven.admitted.write;
    char *mark = strstr(direct, ",\"schema\":");
    char wanted[4096];
    snprintf(wanted, sizeof wanted, "%.*s,\"redriven\":true%s", (int)(mark - direct), direct, mark);
    assert_string_equal(stored(write), wanted);
    assert_int_equal(write->lanes[0].stream, 0);
    assert_int_equal(write->lanes[1].stream, 0);
    assert_int_equal(write->settle_count, 1);
    assert_int_equal(write->settles[0].stream, STREAM_R);
    assert_int_equal(write->settles[0].seq, 8);
    assert_int_equal(write->settles[0].place.segment, 7);
    assert_int_equal(write->settles[0].place.number, 3);
    gw_arena_free(&arena);
}

static void test_seals_open_in_their_own_place_only(void **state)
{
    (void)state;
    begin();
    CUSTOM("menu.opened", "item", "settings");
    assert_int_equal(batch_admit(&x), GW_ADMIT_OK);
    struct gw_journal_rejected rejected = kept();
    struct gw_rejected_event event;
    assert_int_equal(gw_redrive_open(x.seal, &rejected, plain, &event), 0);
    rejected.seq++;
    assert_int_equal(gw_redrive_open(x.seal, &rejected, plain, &event), GW_ECRYPTO);
    rejected.seq--;
    sealed[rejected.sealed_len - 1] ^= 1;
    assert_int_equal(gw_redrive_open(x.seal, &rejected, plain, &event), GW_ECRYPTO);
}

#define CUSTOM_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CUSTOM_TEST(test_no_event_enters_without_a_contract),
        CUSTOM_TEST(test_a_name_alone_means_the_newest_version),
        CUSTOM_TEST(test_what_a_schema_refuses_has_its_keyword),
        CUSTOM_TEST(test_undeclared_attributes_are_dropped_refused_or_kept),
        CUSTOM_TEST(test_personal_attributes_are_masked_and_secret_ones_left_out),
        CUSTOM_TEST(test_each_event_has_the_pseudonym_of_its_own_user),
        CUSTOM_TEST(test_what_nested_objects_hold_beside_what_is_declared_is_undeclared_too),
        CUSTOM_TEST(test_nothing_undeclared_is_kept_deeper_beside_personal_data),
        CUSTOM_TEST(test_sixteen_masked_attributes_have_room),
        CUSTOM_TEST(test_judging_allocates_nothing_per_event),
        CUSTOM_TEST(test_a_redriven_event_is_what_it_would_have_been),
        CUSTOM_TEST(test_seals_open_in_their_own_place_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
