/*
 * What judging an event by its schema costs.
 *   schema SCHEMA LINES SECONDS   LINES has a JSON document a line; prints JSON: ns per event
 *     json           validation from JSON bytes, parsing included
 *     json_read      JSON bytes are only stepped over by the same reader
 *     cbor           validation from CBOR bytes with text keys
 *     cbor_decode    the wire codec's reader decodes the same bytes into nothing: the bare walk
 *     cbor_read      the validator's own reader steps over them
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schema/schema.h"
#include "wire/cbor.h"

#define EVENTS_MAX 4096

struct event {
    struct gw_cursor json, cbor;
};

static struct event events[EVENTS_MAX];
static size_t event_count;
static struct gw_schema *schema;
static struct gw_schema_scratch scratch;
static volatile uint64_t sink;

static void need(bool good, const char *what)
{
    if (good)
        return;
    (void)fprintf(stderr, "schema bench: %s\n", what);
    exit(1);
}

static char *read_file(const char *path, size_t *out_len)
{
    FILE *file = fopen(path, "rb");
    need(file != NULL, path);
    char *text = malloc(16u << 20);
    need(text != NULL, "memory");
    *out_len = fread(text, 1, 16u << 20, file);
    (void)fclose(file);
    return text;
}

static void add_event(const char *text, size_t len)
{
    need(event_count < EVENTS_MAX, "too many lines");
    struct event *event = &events[event_count++];
    event->json = (struct gw_cursor){.data = (const uint8_t *)text, .len = (uint32_t)len};
    uint8_t buffer[65536];
    struct trib_cbor_writer w;
    trib_cbor_writer_init(&w, buffer, sizeof buffer);
    need(gw_value_to_cbor(&event->json, &scratch.memory, &w, 64) == 0,
         "an event is not JSON that CBOR can hold");
    uint8_t *copy = malloc(w.len);
    need(copy != NULL, "memory");
    memcpy(copy, buffer, w.len);
    event->cbor = (struct gw_cursor){.data = copy, .len = (uint32_t)w.len, .encoding = GW_ENCODING_CBOR};
}

/* --- what is measured --- */

static void validate_json(const struct event *event)
{
    int rc = gw_schema_validate(schema, &scratch, &event->json, NULL);
    sink += (uint64_t)rc;
}

static void validate_cbor(const struct event *event)
{
    int rc = gw_schema_validate(schema, &scratch, &event->cbor, NULL);
    sink += (uint64_t)rc;
}

static void step_over(const struct gw_cursor *cursor)
{
    struct gw_value value;
    int rc = gw_value_first(cursor, &value);
    if (rc == 0)
        rc = gw_value_finish(cursor, &value, 64);
    sink += (uint64_t)rc + value.after;
}

static void read_json(const struct event *event)
{
    step_over(&event->json);
}

static void read_cbor(const struct event *event)
{
    step_over(&event->cbor);
}

static void decode_item(struct trib_cbor_reader *r)
{
    size_t len;
    struct trib_cbor_container all;
    switch (trib_cbor_peek(r)) {
    case TRIB_CBOR_TEXT:
        sink += (uintptr_t)trib_cbor_get_text(r, &len);
        return;
    case TRIB_CBOR_UINT:
        sink += trib_cbor_get_uint(r);
        return;
    case TRIB_CBOR_NEGATIVE:
        sink += (uint64_t)trib_cbor_get_int(r);
        return;
    case TRIB_CBOR_MAP:
        all = trib_cbor_get_map(r);
        while (trib_cbor_next(r, &all)) {
            decode_item(r);
            decode_item(r);
        }
        return;
    case TRIB_CBOR_ARRAY:
        all = trib_cbor_get_array(r);
        while (trib_cbor_next(r, &all))
            decode_item(r);
        return;
    default:
        trib_cbor_skip(r);
        return;
    }
}

static void decode_cbor(const struct event *event)
{
    struct trib_cbor_reader r;
    trib_cbor_reader_init(&r, event->cbor.data, event->cbor.len);
    decode_item(&r);
    need(r.error == 0 && trib_cbor_at_end(&r), "the codec refuses an event");
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* ns per event; the best of rounds over all events, so that a busy machine shows less. */
static double measure(void (*run)(const struct event *), double seconds)
{
    double best = 1e9;
    for (const double end = now() + seconds; now() < end;) {
        const double start = now();
        for (size_t i = 0; i < event_count; i++)
            run(&events[i]);
        const double each = (now() - start) * 1e9 / (double)event_count;
        best = each < best ? each : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    static uint8_t memory[65536] __attribute__((aligned(16)));
    need(argc == 4, "schema SCHEMA LINES SECONDS");
    size_t len;
    char *text = read_file(argv[1], &len);
    struct gw_error error;
    need(gw_schema_compile(text, len, NULL, &schema, &error) == 0, error.text);
    need(gw_schema_scratch_init(memory, sizeof memory, &scratch) == 0, "scratch");
    char *lines = read_file(argv[2], &len);
    size_t json_bytes = 0, cbor_bytes = 0;
    for (char *line = lines, *end = lines + len, *stop; line < end; line = stop + 1) {
        stop = memchr(line, '\n', (size_t)(end - line));
        need(stop != NULL, "the last line has no end");
        add_event(line, (size_t)(stop - line));
    }
    for (size_t i = 0; i < event_count; i++) {
        need(gw_schema_validate(schema, &scratch, &events[i].json, NULL) == GW_SCHEMA_VALID,
             "an event is not valid");
        need(gw_schema_validate(schema, &scratch, &events[i].cbor, NULL) == GW_SCHEMA_VALID,
             "an event is not valid");
        json_bytes += events[i].json.len;
        cbor_bytes += events[i].cbor.len;
    }
    const double seconds = strtod(argv[3], NULL);
    struct gw_schema_size size;
    gw_schema_get_size(schema, &size);
    printf("{\"events\": %zu, \"json_bytes\": %zu, \"cbor_bytes\": %zu, \"scratch_bytes\": %zu, "
           "\"program_bytes\": %zu",
           event_count, json_bytes / event_count, cbor_bytes / event_count, scratch.memory.peak, size.bytes);
    static const struct {
        const char *name;
        void (*run)(const struct event *);
    } kinds[] = {{"json", validate_json},
                 {"json_read", read_json},
                 {"cbor", validate_cbor},
                 {"cbor_decode", decode_cbor},
                 {"cbor_read", read_cbor}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        printf(", \"%s\": %.1f", kinds[i].name, measure(kinds[i].run, seconds));
    printf("}\n");
    gw_schema_free(schema);
    return 0;
}
