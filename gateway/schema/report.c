/* Faults in the output format `basic` (JSON Schema Core §12.4.2): where in the instance, by which keyword, and what. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "schema/run.h"

/* Text that is appended to the report's memory; sticky when it is full. */
struct writer {
    char *text;
    size_t len, room;
    bool full;
};

static void put(struct writer *w, const char *text, size_t len)
{
    if (w->full || len >= w->room - w->len) { /* a NUL stays free */
        w->full = true;
        return;
    }
    if (len > 0)
        memcpy(w->text + w->len, text, len);
    w->len += len;
}

static void put_char(struct writer *w, char c, bool in_uri)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=:@/?";
    char escaped[4];
    if (!in_uri || memchr(plain, c, sizeof plain - 1)) {
        put(w, &c, 1);
        return;
    }
    (void)snprintf(escaped, sizeof escaped, "%%%02X", (uint8_t)c);
    put(w, escaped, 3);
}

/* RFC 6901 §3, and in a URI §6. */
static void put_token(struct writer *w, const char *text, size_t len, bool in_uri)
{
    put(w, "/", 1);
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '~')
            put(w, "~0", 2);
        else if (text[i] == '/')
            put(w, "~1", 2);
        else
            put_char(w, text[i], in_uri);
    }
}

static void put_index(struct writer *w, uint32_t index)
{
    char text[16];
    put(w, text, (size_t)snprintf(text, sizeof text, "/%u", index));
}

/* The way from one place in a schema document to another below it. */
static void put_location(struct writer *w, const struct gw_location *from, const struct gw_location *to,
                         bool in_uri)
{
    if (to == from || !to->up)
        return;
    put_location(w, from, to->up, in_uri);
    if (to->key)
        put_token(w, to->key, to->key_len, in_uri);
    else
        put_index(w, to->index);
}

static void put_keyword(struct writer *w, unsigned keyword)
{
    if (keyword != GW_KW_COUNT)
        put_token(w, gw_keyword_names[keyword].text, gw_keyword_names[keyword].len, false);
}

static void put_keyword_location(struct writer *w, const struct gw_run *run, const struct gw_frame *frame)
{
    if (!frame->up)
        return;
    put_keyword_location(w, run, frame->up);
    const struct gw_node *nodes = run->schema->nodes;
    if (frame->via != GW_KW_COUNT)
        put_keyword(w, frame->via);
    else
        put_location(w, nodes[frame->up->node].location, nodes[frame->node].location, false);
}

static void put_instance(struct writer *w, const struct gw_run *run, const struct gw_frame *frame)
{
    if (frame->up)
        put_instance(w, run, frame->up);
    if (frame->segment == GW_SEGMENT_INDEX)
        put_index(w, frame->index);
    if (frame->segment != GW_SEGMENT_KEY)
        return;
    struct gw_scratch *scratch = &run->scratch->memory;
    const size_t mark = scratch->used;
    const char *text;
    size_t len;
    if (gw_value_text(run->cursor, frame->key, scratch, &text, &len) == 0)
        put_token(w, text, len, false);
    else
        w->full = true;
    scratch->used = mark;
}

/* Ends one text and gives its start. */
static const char *finish(struct writer *w, size_t start)
{
    w->text[w->len++] = '\0';
    if (w->len >= w->room)
        w->full = true;
    return w->text + start;
}

int gw_run_fault(struct gw_run *run, const struct gw_frame *frame, unsigned keyword, const char *format, ...)
{
    struct gw_schema_report *report = run->report;
    if (!run->collect)
        return 1;
    struct writer w = {.text = report->text, .len = report->text_len, .room = report->text_max};
    run->fuel -= 1000; /* what runs out is seen at the next step */
    if (report->fault_count >= report->fault_max || w.room - w.len < 256) {
        report->more++;
        return 1;
    }
    struct gw_schema_fault fault;
    const struct gw_node *node = &run->schema->nodes[frame->node];
    size_t start = w.len;
    put_instance(&w, run, frame);
    fault.instance = finish(&w, start);
    start = w.len;
    if (!w.full) {
        put_keyword_location(&w, run, frame);
        put_keyword(&w, keyword);
        fault.keyword = finish(&w, start);
        start = w.len;
    }
    if (!w.full) {
        const struct gw_program_resource *resource = &run->schema->resources[node->resource];
        put(&w, resource->uri, strlen(resource->uri));
        put(&w, "#", 1);
        put_location(&w, resource->location, node->location, true);
        put_keyword(&w, keyword);
        fault.absolute = finish(&w, start);
        start = w.len;
    }
    char message[160];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    if (!w.full) {
        put(&w, message, strlen(message));
        fault.message = finish(&w, start);
    }
    run->fuel -= 8 * (int64_t)(w.len - report->text_len);
    if (w.full) {
        report->more++;
        return 1;
    }
    report->faults[report->fault_count++] = fault;
    report->text_len = w.len;
    return 1;
}
