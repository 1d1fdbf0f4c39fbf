#include "observe/log_line.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define TEXT_MAX 1024 /* of one value; a longer one is cut, so that the fields behind it still fit */
#define TAIL_BYTES 24 /* room for ,"truncated":true} and the line end */
#define CAPACITY_MIN 512

struct writer {
    char *at;
    size_t len, cap;
    bool full, cut;
};

static void put(struct writer *w, const char *bytes, size_t len)
{
    if (w->full || len > w->cap - w->len) {
        w->full = true;
        return;
    }
    memcpy(w->at + w->len, bytes, len);
    w->len += len;
}

static void put_text(struct writer *w, const char *text)
{
    put(w, text, strlen(text));
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629 §4), 0 if it is not one. p is terminated. */
static size_t sequence_length(const unsigned char *p)
{
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
        (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

static void put_escaped(struct writer *w, unsigned char c)
{
    static const char short_form[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i + 1 < sizeof short_form; i += 2) {
        if ((unsigned char)short_form[i] == c) {
            put(w, (const char[]){'\\', short_form[i + 1]}, 2);
            return;
        }
    }
    char hex[8];
    snprintf(hex, sizeof hex, "\\u%04x", c);
    put(w, hex, 6);
}

static void put_string(struct writer *w, const char *text)
{
    put(w, "\"", 1);
    const unsigned char *p = (const unsigned char *)(text ? text : "");
    const unsigned char *start = p;
    while (*p) {
        size_t len = sequence_length(p);
        if ((size_t)(p - start) + len > TEXT_MAX) {
            w->cut = true;
            put_text(w, "\xe2\x80\xa6");
            break;
        }
        if (len == 0) {
            put_text(w, "\xef\xbf\xbd");
            p++;
        } else if (len == 1 && (*p < 0x20 || *p == '"' || *p == '\\' || *p == 0x7f)) {
            put_escaped(w, *p++);
        } else {
            put(w, (const char *)p, len);
            p += len;
        }
    }
    put(w, "\"", 1);
}

static void put_key(struct writer *w, const char *name)
{
    put(w, ",", 1);
    put_string(w, name);
    put(w, ":", 1);
}

static void put_field(struct writer *w, const struct gw_log_field *field)
{
    char number[32];
    put_key(w, field->name);
    switch (field->kind) {
    case GW_FIELD_TEXT:
        if (field->value.text)
            put_string(w, field->value.text);
        else
            put_text(w, "null");
        return;
    case GW_FIELD_UINT:
        snprintf(number, sizeof number, "%" PRIu64, field->value.uint);
        break;
    case GW_FIELD_INT:
        snprintf(number, sizeof number, "%" PRId64, field->value.sint);
        break;
    case GW_FIELD_HEX: /* text: a 64-bit number would lose digits in many readers */
        snprintf(number, sizeof number, "\"%016" PRIx64 "\"", field->value.uint);
        break;
    }
    put_text(w, number);
}

static void put_time(struct writer *w, int64_t utc_ms)
{
    time_t seconds = (time_t)(utc_ms / 1000);
    struct tm tm;
    char text[64] = "1970-01-01T00:00:00";
    if (gmtime_r(&seconds, &tm))
        (void)strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    put_text(w, text);
    snprintf(text, sizeof text, ".%03dZ", (int)(utc_ms % 1000));
    put_text(w, text);
}

/* Keeps what fits: a field that does not is taken back whole, so the line stays JSON. */
static void try_field(struct writer *w, const struct gw_log_field *field)
{
    size_t before = w->len;
    put_field(w, field);
    if (w->full) {
        w->len = before;
        w->full = false;
        w->cut = true;
    }
}

size_t gw_log_line_format(const struct gw_log_line *line, char *buffer, size_t capacity)
{
    static const char *const names[] = {"debug", "info", "warning", "error"};
    if (capacity < CAPACITY_MIN)
        return 0;
    struct writer w = {.at = buffer, .cap = capacity - TAIL_BYTES};
    put_text(&w, "{\"ts\":\"");
    put_time(&w, line->utc_ms < 0 ? 0 : line->utc_ms);
    put_text(&w, "\",\"level\":\"");
    put_text(&w, names[(unsigned)line->level & 3]);
    put_text(&w, "\"");
    const struct gw_log_field head[] = {GW_TEXT("event", line->event), GW_TEXT("message", line->message),
                                        GW_UINT("suppressed", line->suppressed)};
    for (size_t i = 0; i < (line->suppressed ? 3U : 2U); i++)
        try_field(&w, &head[i]);
    for (const struct gw_log_field *field = line->fields; field && field->name; field++)
        try_field(&w, field);
    w.cap = capacity;
    put_text(&w, w.cut ? ",\"truncated\":true}\n" : "}\n");
    return w.len;
}
